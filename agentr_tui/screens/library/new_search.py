"""The dialog for a new search: task, settings, and, for a model, its server; the model can be tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import DescendantFocus
from textual.widget import Widget
from textual.widgets import Button, Input, Select, Static

from agentr_tui.screens.library.new_search_form import (
    FIELDS,
    ROWS,
    SHOWN_ACTORS,
    Field,
    choices_of,
    key_words,
    parse,
    request_from,
    shown,
)
from agentr_tui.screens.shared.dialogs import Dialog, trusted
from agentr_tui.state.event_buffer import Ready, make_ready
from agentr_tui.state.places import SearchRequest
from agentr_tui.terminal.safe_text import escape
from engine.actors.probe import Trial
from engine.base.errors import AgentrError, InputError
from engine.environment.permission import check, environment_claims, permit, settings_claims
from engine.workspace.workspace import Workspace
from envs.base import environments

KEYS = "enter starts · esc leaves"
TEST = "Test (ctrl+t): 5 short calls"
BY_NAME = {field.name: field for field in FIELDS}
HINTS = {
    "environment": "what the actor acts in",
    "details": "what follows its name: MODULE:ID of gym, a folder of webshop, KIND@URL of agentgym",
    "task": "its id in the environment",
}


class NewSearch(Dialog[Ready]):
    """The form. It stays open, with a line under the field, until the search is ready or escape leaves it."""

    BINDINGS = [
        Binding("escape", "leave", "cancel", id="new_search.cancel", tooltip="Leave without starting a search"),
        Binding("ctrl+t", "test", "test", id="new_search.test", tooltip="Try the model with five short calls"),
        Binding("down", "row(1)", "next line", show=False, id="new_search.next", tooltip="Next line"),
        Binding("up", "row(-1)", "line before", show=False, id="new_search.back", tooltip="Line before"),
    ]

    def __init__(
        self, workspace: Workspace, request: SearchRequest, own: list[Mapping[str, Any]] | None = None
    ) -> None:
        """`own`: what a person named (`engine.environment.permission`); the server of a started search is added."""
        super().__init__()
        self._workspace = workspace
        self._request = request
        self._own = [] if own is None else own
        self._preparing = False
        self._trial: Trial | None = None

    # -- what it shows -----------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """A line for one or two fields, and hidden ones below it for what is wrong."""
        names = [info.name for info in environments() if info.name != "recorded"]
        chosen, _, details = self._request.environment.partition(":")
        if chosen not in names:
            names.append(chosen)
        with Vertical(classes="dialog form", id="new-search") as dialog:
            dialog.border_title = "new search"
            with Horizontal(classes="field"):
                places = [(Content(escape(name)), name) for name in names]
                yield from self._cell(
                    "environment", Select(places, value=chosen, allow_blank=False, compact=True, id="environment")
                )
                yield from self._cell(
                    "details", Input(escape(details), compact=True, id="details", select_on_focus=False)
                )
            with Horizontal(classes="field"):
                task = Input(escape(self._request.task), compact=True, id="task", select_on_focus=False)
                yield from self._cell("task", task)
            yield Static("", classes="field-error", id="task-error", markup=False)
            for actor, rows in groupby(ROWS, key=lambda row: row[0].actor):
                with Vertical(classes=f"fields of-{actor or 'all'}"):
                    for row in rows:
                        yield from self._line(row)
            yield Static("", id="hint", classes="field-hint", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Start", compact=True, variant="primary", id="start")
                yield Button(TEST, compact=True, id="test", classes="of-openai")
                yield Static(KEYS, id="progress", markup=False)
            yield Static("", id="probe", classes="of-openai", markup=False)

    def _line(self, row: Sequence[Field]) -> ComposeResult:
        with Horizontal(classes="field"):
            for field in row:
                yield from self._cell(field.label, self._box(field))
        for field in row:
            yield Static("", classes="field-error", id=f"{field.name}-error", markup=False)

    def _cell(self, label: str, box: Widget) -> ComposeResult:
        with Horizontal(classes="cell"):
            yield Static(label, classes="field-name", markup=False)
            yield box

    def _box(self, field: Field) -> Widget:
        value = self._request.delay if field.name == "delay" else getattr(self._request.settings, field.name)
        if field.kind == "choice":
            options = [(Content(escape(text)), choice) for text, choice in choices_of(field, value)]
            return Select(options, value=value, allow_blank=False, compact=True, id=field.name)
        return Input(escape(shown(value)), compact=True, id=field.name, select_on_focus=False)

    def on_mount(self) -> None:
        """What is most often changed has the focus."""
        self._actor_chosen()
        self._tell_of_key()
        self.query_one("#task").focus()

    def on_unmount(self) -> None:
        """Cancel the test of the model, since its outcome is not needed."""
        if self._trial is not None:
            self._trial.cancel()

    @property
    def _actor(self) -> str:
        return str(self.query_one("#actor", Select).value)

    @on(Select.Changed, "#actor")
    def _actor_chosen(self) -> None:
        for actor in SHOWN_ACTORS:
            for widget in self.query(f".of-{actor}"):
                widget.display = actor == self._actor

    @on(DescendantFocus)
    def _hint(self) -> None:
        name = (self.focused.id if self.focused is not None else None) or ""
        field = BY_NAME.get(name)
        told = (
            f"{field.label}: {field.hint}" if field is not None else f"{name}: {HINTS[name]}" if name in HINTS else ""
        )
        self.query_one("#hint", Static).update(told)

    def action_row(self, by: int) -> None:
        """To the field above or below; at the ends to the one before or behind."""
        here = self.focused
        boxes = [box for box in self.query("Input, Select, Button") if box.focusable and box.region.height]
        if here is None or here not in boxes:
            self.focus_next()
            return
        at = here.region
        there = [box for box in boxes if (box.region.y - at.y) * by > 0]
        if there:
            best = min(there, key=lambda box: (abs(box.region.y - at.y), abs(box.region.x - at.x)))
            best.focus()

    # -- what is typed -----------------------------------------------------------------------------

    def _say(self, name: str, message: str, warning: bool = False) -> None:
        line = self.query_one(f"#{name}-error", Static)
        line.update(f"{'!' if warning else '✗'} {escape(message)}" if message else "")
        line.set_class(bool(message), "-wrong")
        line.set_class(warning, "-warning")

    def _value(self, field: Field) -> Any:
        """What a field holds. Raises `InputError`, and the line below says why."""
        if field.kind == "choice":
            return self.query_one(f"#{field.name}", Select).value
        try:
            value = parse(field, self.query_one(f"#{field.name}", Input).value)
        except InputError as error:
            self._say(field.name, str(error))
            raise
        self._say(field.name, "")
        return value

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        field = BY_NAME.get(event.input.id or "")
        if field is None:
            self._say("task", "")
            return
        try:
            self._value(field)
        except InputError:
            return
        if field.name == "key_env":
            self._tell_of_key()

    def _tell_of_key(self) -> None:
        """Whether the variable that is to hold the key is set; never the key."""
        told, is_set = key_words(self.query_one("#key_env", Input).value)
        self._say("key_env", "" if is_set else f"{told}: fine where the server asks for no key", True)

    def _asked(self) -> SearchRequest | None:
        """What the form says; None where a field is wrong, which then has the focus."""
        values: dict[str, Any] = {}
        wrong = ""
        for field in FIELDS:
            if field.actor in ("", self._actor):
                try:
                    values[field.name] = self._value(field)
                except InputError:
                    wrong = wrong or field.name
        self._tell_of_key()
        if wrong:
            self.query_one(f"#{wrong}").focus()
            return None
        details = self.query_one("#details", Input).value.strip()
        environment = f"{self.query_one('#environment', Select).value}{':' if details else ''}{details}"
        return request_from(self._request, environment, self.query_one("#task", Input).value.strip(), values)

    def _named(self, request: SearchRequest) -> list[Mapping[str, Any]]:
        """What a person named: their settings, and what they typed. What stands in the form as it came from a trace was
        typed by nobody."""
        before, now = self._request.settings, request.settings
        typed = {
            name: getattr(now, name) for name in now.__struct_fields__ if getattr(now, name) != getattr(before, name)
        }
        if request.environment != self._request.environment:
            typed["env"] = request.environment
        return [typed, *self._own]

    def _trusted(self, request: SearchRequest, then: Callable[[], object]) -> bool:
        """Whether what it names may be used without asking a person; else asks, and does `then` after a yes."""
        claims = [*environment_claims(request.environment), *settings_claims(request.settings)]
        source = request.source or "this search"
        return trusted(self.app, lambda: check(claims, request.about, self._named(request), source), then)

    # -- trying the model --------------------------------------------------------------------------

    @on(Button.Pressed, "#test")
    def action_test(self) -> None:
        """Ask the model, and say below what it did: that stays until the next test."""
        request = self._asked() if self._trial is None and self._actor == "openai" else None
        if request is None or not self._trusted(request, self.action_test):
            return
        settings = request.settings
        where = settings.model + (f" at {settings.base_url}" if settings.base_url else "")
        self._told(f"asking {where} …")
        which = permit(request.environment, request.about, self._named(request))
        trial = self._trial = Trial(settings, which, request.task or None)

        def run() -> None:
            """In a worker thread: ask the model, and show what came."""
            try:
                found = trial.run()
            except AgentrError as error:
                self.app.call_from_thread(self._tried, f"✗ {error}", "-bad")
            else:
                if found is not None:
                    sign, role = ("✓", "-good") if found.works else ("✗", "-bad")
                    self.app.call_from_thread(self._tried, f"{sign} {where} {found}", role)

        self.run_worker(run, thread=True, group="test", exclusive=True)

    def _tried(self, told: str, role: str) -> None:
        self._trial = None
        if self.is_mounted:
            self._told(told, role)

    def _told(self, text: str, role: str = "") -> None:
        line = self.query_one("#probe", Static)
        line.update(escape(text, multiline=True))
        line.set_class(role == "-good", "-good")
        line.set_class(role == "-bad", "-bad")

    # -- starting ----------------------------------------------------------------------------------

    @on(Input.Submitted)
    @on(Button.Pressed, "#start")
    def _start(self) -> None:
        request = None if self._preparing else self._asked()
        if request is None or not self._trusted(request, self._start):
            return
        settings = request.settings
        which = permit(request.environment, request.about, self._named(request))
        self._own.append({"base_url": settings.base_url, "key_env": settings.key_env})  # it is the person's by now
        self._preparing = True
        self.query_one("#progress", Static).update("opening the environment …")

        def prepare() -> None:
            """In a worker thread: open the environment; the search is handed back, or the dialog says why not."""
            try:
                ready = make_ready(self._workspace, request, which)
            except AgentrError as error:
                self.app.call_from_thread(self._refused, str(error))
            else:
                self.app.call_from_thread(self._made, ready)

        self.run_worker(prepare, thread=True, group="prepare", exclusive=True)

    def _made(self, ready: Ready) -> None:
        self.dismiss(ready)

    def _refused(self, message: str) -> None:
        self._preparing = False
        self.query_one("#progress", Static).update(KEYS)
        self._say("task", message)
        self.query_one("#task").focus()

    def action_leave(self) -> None:
        """Leave; not in the moment in which the search is being made."""
        if not self._preparing:
            self.dismiss(None)
