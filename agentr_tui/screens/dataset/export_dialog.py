"""The dialog that asks what to export, and where to."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import fields
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Select, Static

from agentr_tui.screens.shared.dialogs import Dialog
from agentr_tui.terminal.safe_text import escape
from engine.base.errors import InputError
from engine.datasets.formats import DATA_TYPES, FORMATS, DataType, broken_entry_points, format_named
from engine.datasets.options import ExportOptions

Which = Literal["default", "all", "only verified"]
WHICH: dict[Which, str] = {
    "default": "accepted ones that hold; where nobody decided: all that hold",
    "all": "whatever decision and verdict, duplicates too",
    "only verified": "as default, but only where every observation was as written",
}


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What a person asks for."""

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


class ExportDialog(Dialog[ExportRequest]):
    """Format, data type, which samples, file."""

    BINDINGS = [
        Binding("escape", "dismiss(None)", "cancel", id="export.cancel", tooltip="Leave without writing anything"),
        Binding("ctrl+s", "export", "export", id="export.go", tooltip="Export", priority=True),
    ]

    def __init__(
        self, folder: Path, stem: str, what: str, many: Callable[[DataType, Which, int], str] | None = None
    ) -> None:
        """`many` tells how many samples a choice takes, with so many of one lesson at most."""
        super().__init__()
        self._many = many
        self._folder, self._stem, self._what = folder, stem, what
        self._typed = ""  # a file name that the person wrote

    def compose(self) -> ComposeResult:
        """A line for every choice, with its meaning at the right."""
        broken_entry_points()  # other packages' formats are listed, too
        format = next(iter(FORMATS))
        with Vertical(classes="dialog form"):
            yield Static(f"export {self._what}", classes="dialog-title", markup=False)
            yield from self._choice("format", list(FORMATS), format)
            yield from self._choice("data-type", list(DATA_TYPES), DATA_TYPES[0])
            yield from self._choice("which", list(WHICH), "default")
            with Horizontal(classes="field"):
                yield Static("file", classes="field-name", markup=False)
                yield Input(compact=True, id="out", classes="wide", select_on_focus=False)
            yield Static("", classes="field-error", id="out-error", markup=False)
            with Horizontal(classes="field"):
                yield Static("more", classes="field-name", markup=False)
                yield Input(
                    compact=True, id="more", classes="wide", placeholder="--split train=0.9,dev=0.1 --max-length 4096"
                )
            yield Static("", classes="dialog-hint", id="told", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Export", compact=True, variant="primary", id="go")
                yield Static("enter in the file's name exports · esc leaves", markup=False)

    def _choice(self, id: str, names: list[str], first: str) -> ComposeResult:
        with Horizontal(classes="field"):
            yield Static(id.replace("-", " "), classes="field-name", markup=False)
            options = [(name, name) for name in names]
            yield Select(options, value=first, allow_blank=False, compact=True, id=id, classes="wide")

    def on_mount(self) -> None:
        """The file's name has the focus: enter takes everything as it is."""
        self._tell()
        self.query_one("#out").focus()

    def _value(self, id: str) -> str:
        return str(self.query_one(f"#{id}", Select).value)

    @on(Select.Changed)
    def _tell(self) -> None:
        """Say what the choices mean, and name the file by them."""
        format = format_named(self._value("format"))
        which: Which = self._value("which")  # type: ignore[assignment]
        box = self.query_one("#out", Input)
        if not self._typed:
            box.value = str(self._folder / f"{self._stem}-{self._value('data-type')}{format.extension}")
            box.cursor_position = len(box.value)
        told = f"{format.name}: {format.summary}\nmask: {format.mask}\n{which}: {WHICH[which]}"
        if self._many is not None:
            data_type: DataType = self._value("data-type")  # type: ignore[assignment]
            told = f"writes {self._many(data_type, which, self._per_lesson())}\n{told}"
        self.query_one("#told", Static).update(told)

    def _per_lesson(self) -> int:
        """As the options say, as far as they can be read yet."""
        try:
            return options_of(self.query_one("#more", Input).value).per_lesson
        except InputError:
            return ExportOptions().per_lesson

    @on(Input.Changed, "#more")
    def _more_changed(self) -> None:
        self._tell()

    @on(Input.Changed, "#out")
    def _named(self, event: Input.Changed) -> None:
        expected = self._folder / f"{self._stem}-{self._value('data-type')}"
        if not event.value.startswith(str(expected)):
            self._typed = event.value
        there = event.value.strip() and Path(event.value.strip()).expanduser().is_file()
        self._say("this file is there already and will be replaced" if there else "", warning=True)

    def _say(self, message: str, warning: bool = False) -> None:
        told = self.query_one("#out-error", Static)
        told.update(f"{'!' if warning else '✗'} {escape(message)}" if message else "")
        told.set_class(bool(message), "-wrong")
        told.set_class(warning, "-warning")

    @on(Input.Submitted)
    @on(Button.Pressed)
    def action_export(self) -> None:
        """Take it as it is."""
        format, data_type = format_named(self._value("format")), self._value("data-type")
        name = self.query_one("#out", Input).value.strip()
        if data_type not in format.data_types:
            self._say(f"{format.name} holds no {data_type} trajectories: {' or '.join(format.data_types)} only")
        elif not name:
            self._say("needs a file name")
        elif Path(name).expanduser().is_dir():
            self._say("is a folder: name a file in it")
        else:
            which: Which = self._value("which")  # type: ignore[assignment]
            try:
                options = options_of(self.query_one("#more", Input).value)
            except InputError as error:
                self._say(str(error))
                return
            self.dismiss(ExportRequest(format.name, data_type, which, Path(name).expanduser(), options))
