"""The dialog that asks what to export, and where to."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import fields
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Static

from agentr_tui.screens.dataset.funnel import DATA_TYPE_WORDS, WHICH, Funnel, Which, left_out_lines, stage_line
from agentr_tui.screens.shared.dialogs import Dialog
from agentr_tui.terminal.safe_text import escape
from agentr_tui.widgets.chips import Chips
from agentr_tui.widgets.text_pane import TextPane
from engine.base.errors import InputError
from engine.base.text import many
from engine.base.untrusted_files import holds_file, typed_path
from engine.datasets.files import packing_of, place_of
from engine.datasets.formats import DATA_TYPES, FORMATS, DataType, broken_entry_points, format_named
from engine.datasets.options import ExportOptions

Preview = Callable[[DataType, Which, int], Funnel]
"""What a choice writes, with so many samples of one lesson at most."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The choices of a person in the dialog."""

    format: str
    data_type: DataType
    which: Which
    out: Path
    options: ExportOptions


_FIELDS = {field.name: field.type for field in fields(ExportOptions)}


def options_of(text: str) -> ExportOptions:
    """Options as on the command line: `--split train=0.9,dev=0.1 --strict --no-config`. Raises `InputError`."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InputError(f"options: {error}") from error
    values: dict[str, str | bool] = {}
    at = 0
    while at < len(words):
        flag, has_value, value = words[at].partition("=")
        name = flag.removeprefix("--").replace("-", "_")
        at += 1
        if not flag.startswith("--") or name.removeprefix("no_") not in _FIELDS:
            known = ", ".join(f"--{known.replace('_', '-')}" for known in _FIELDS)
            raise InputError(f"{flag}: no option of export: {known}")
        if name not in _FIELDS:
            values[name.removeprefix("no_")] = False
        elif has_value:
            values[name] = value
        elif at < len(words) and not words[at].startswith("--"):
            values[name] = words[at]
            at += 1
        else:
            values[name] = True
    try:
        return msgspec.convert(values, ExportOptions, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"options: {error}") from error


def file_stem(environments: list[str], format: str, data_type: DataType, which: Which) -> str:
    """Returns the name of a dataset without its ending. It says what is in the dataset, so that no other dataset takes
    its place.

    `environments`: of the samples. `format`: of the records. `data_type`: `centric` or `good`. `which`: the choice of
    samples.
    """
    made = "-".join(dict.fromkeys(re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-") for name in environments))
    parts = [made if len(environments) < 3 else "mixed", format]
    parts += [] if which == "default" else [which.replace(" ", "-")]
    parts += [] if data_type == "centric" else [data_type]
    return "-".join(part for part in parts if part)


class ExportDialog(Dialog[ExportRequest]):
    """The format, the choice of samples, the number of lines, and then the file's name: enter there writes."""

    BINDINGS = [
        Binding("escape", "dismiss(None)", "cancel", id="export.cancel", tooltip="Leave without writing anything"),
        Binding("ctrl+s", "export", "export", id="export.go", tooltip="Write it", priority=True),
        Binding("down", "app.focus_next", "next field", id="export.next", tooltip="The next field"),
        Binding("up", "app.focus_previous", "previous field", id="export.previous", tooltip="The field before"),
        Binding("enter", "app.focus_next", "next field", id="export.take", tooltip="The next field"),
    ]

    def __init__(self, folder: Path, environments: list[str], what: str, preview: Preview) -> None:
        """`what` names the samples; `preview` tells how many lines a choice gives."""
        super().__init__()
        self._preview = preview
        self._folder, self._environments, self._what = folder, environments, what
        self._typed = ""  # a file name that the person wrote
        self._made = ""  # the one that follows the choices

    def compose(self) -> ComposeResult:
        """A line for every choice, what they give, the file's name."""
        broken_entry_points()  # other packages' formats are listed, too
        with Vertical(classes="dialog form", id="export-form"):
            yield Static(f"export: {self._what}", classes="dialog-title", markup=False)
            yield from self._choice("format", list(FORMATS))
            yield from self._choice("data-type", list(DATA_TYPES), "contents")
            yield from self._choice("which", list(WHICH), "samples")
            with Horizontal(classes="field"):
                yield Static("options", classes="field-name", markup=False)
                yield Input(
                    compact=True, id="more", classes="wide", placeholder="--split train=0.9,dev=0.1 --max-length 4096"
                )
            yield TextPane(id="funnel-preview")
            yield Static("", classes="dialog-hint", id="told", markup=False)
            with Horizontal(classes="field", id="file"):
                yield Static("file", classes="field-name", markup=False)
                yield Input(compact=True, id="out", classes="wide", select_on_focus=False)
            yield Static("", classes="field-error", id="out-error", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Write", compact=True, variant="primary", id="go")
                yield Static("enter next · ctrl+s writes · esc leaves", markup=False)

    def _choice(self, id: str, names: list[str], label: str = "") -> ComposeResult:
        with Horizontal(classes="field choice"):
            yield Static(label or id, classes="field-name", markup=False)
            yield Chips(names, names[0], id=id)

    def on_mount(self) -> None:
        """Focus the format, which most people change."""
        self.query_one("#funnel-preview").can_focus = False
        self._tell()
        self.call_after_refresh(self._tell)  # the lines are as wide as the dialog, which is known by then
        self.query_one("#format").focus()

    def _value(self, id: str) -> str:
        return self.query_one(f"#{id}", Chips).value

    @property
    def _data_type(self) -> DataType:
        return self._value("data-type")  # type: ignore[return-value]

    @property
    def _which(self) -> Which:
        return self._value("which")  # type: ignore[return-value]

    @on(Chips.Changed)
    def _tell(self) -> None:
        """Say what the choices mean and give, and name the file by them."""
        format, data_type, which = format_named(self._value("format")), self._data_type, self._which
        box = self.query_one("#out", Input)
        stem = file_stem(self._environments, format.name, data_type, which)
        made = str(self._folder / f"{stem}{format.extension}")
        if not self._typed:
            self._made = made
            box.value = made
            box.cursor_position = len(box.value)
        found = self._preview(data_type, which, self._options().per_lesson)
        self.query_one("#funnel-preview", TextPane).set_lines([stage_line(found), *left_out_lines(found)])
        self.query_one("#go", Button).label = f"Write at most {many(found.lines, 'line')}"
        self._explain()
        self._warn()

    def on_descendant_focus(self) -> None:
        """Another field: what it means."""
        self._explain()

    def _explain(self) -> None:
        """What the field that has the focus means."""
        format, data_type, which = format_named(self._value("format")), self._data_type, self._which
        told = {
            "data-type": f"{data_type}: {DATA_TYPE_WORDS[data_type]}",
            "which": f"{which}: {WHICH[which]}",
            "more": "options of agentr export: --split, --mix, --max-length, --per-lesson, --for-model, --compress …",
        }
        mask = format.mask.partition(";")[0]  # three lines have room in 80 columns; docs/formats.md tells the rest
        about_format = f"{format.name}: {format.summary}; mask: {mask}"
        focused = self.focused.id if self.focused is not None else None
        self.query_one("#told", Static).update(told.get(focused or "", about_format))

    def _options(self) -> ExportOptions:
        """As far as they can be read yet."""
        try:
            return options_of(self.query_one("#more", Input).value)
        except InputError:
            return ExportOptions()

    @on(Input.Changed, "#more")
    def _more_changed(self) -> None:
        self._tell()

    @on(Input.Changed, "#out")
    def _named(self, event: Input.Changed) -> None:
        if event.value != self._made:
            self._typed = event.value
        self._warn()

    def _warn(self) -> None:
        """Say so where a file is there already, or the format does not hold this."""
        format, data_type = format_named(self._value("format")), self._data_type
        name = self.query_one("#out", Input).value.strip()
        if data_type not in format.data_types:
            self._say(f"{format.name} holds no {data_type} trajectories: {' or '.join(format.data_types)} only")
        elif name and self._stands(name):
            self._say("this file is there already and will be replaced", warning=True)
        else:
            self._say("")

    def _stands(self, name: str) -> bool:
        """Whether an export of that name is there, in one file or in parts."""
        target = self._target(name)
        return holds_file(target) or holds_file(f"{target}.provenance.jsonl")

    def _target(self, name: str) -> Path:
        """The file that is written: a packing changes the name's ending."""
        out = typed_path(name)
        try:
            packing = packing_of(out, self._options().compress)
            return place_of(out, packing, format_named(self._value("format")).extension)[0]
        except (InputError, ValueError):
            return out

    def _say(self, message: str, warning: bool = False) -> None:
        told = self.query_one("#out-error", Static)
        told.update(f"{'!' if warning else '✗'} {escape(message)}" if message else "")
        told.set_class(bool(message), "-wrong")
        told.set_class(warning, "-warning")

    @on(Input.Submitted, "#more")
    def _to_the_name(self) -> None:
        self.query_one("#out").focus()

    @on(Input.Submitted, "#out")
    @on(Button.Pressed)
    def action_export(self) -> None:
        """Take it as it is."""
        format, data_type = format_named(self._value("format")), self._data_type
        name = self.query_one("#out", Input).value.strip()
        if data_type not in format.data_types:
            self._warn()
        elif not name:
            self._say("needs a file name")
        elif os.path.isdir(typed_path(name)):
            self._say("is a folder: name a file in it")
        else:
            try:
                options = options_of(self.query_one("#more", Input).value)
            except InputError as error:
                self._say(str(error))
                return
            out = typed_path(name)
            self.dismiss(ExportRequest(format.name, data_type, self._which, out, options))
