"""The dialog for a new search, and how a search that was made ready in a thread becomes the live one."""

from __future__ import annotations

import importlib.util
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Select, Static

from agentr_tui.commands.run import DEMO_DELAY, free_name
from engine.errors import AgentrError, InputError
from engine.events import AnyEvent, SearchSettings
from engine.job import SearchJob, new_job
from engine.settings import check_settings
from engine.workspace import Workspace
from envs.base import environments

DEFAULT_ITERATIONS = 8
DEFAULT_DELAY = DEMO_DELAY
"""Seconds a draw: the scripted actor answers at once, a person wants to watch."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What a person asks for."""

    environment: str = "textcraft"
    task: str = "0"
    settings: SearchSettings = field(default_factory=lambda: SearchSettings(iterations=DEFAULT_ITERATIONS))
    delay: float = DEFAULT_DELAY  # seconds a draw


@dataclass(frozen=True, slots=True)
class Field:
    """One number of the form; `name` is that of the setting."""

    name: str
    label: str
    hint: str
    whole: bool = False
    least: float = 0
    most: float = math.inf


FIELDS = (
    Field("iterations", "iterations", "walks from the root", whole=True, least=1),
    Field("max_depth", "max depth", "deeper nodes are terminal", whole=True, least=1),
    Field("samples", "samples", "draws a node", whole=True, least=1),
    Field("c", "c", "exploration constant", least=0),
    Field("seed", "seed", "of ties and draws", whole=True, least=-math.inf),
    Field("error_rate", "error rate", "0 to 1: how often the actor errs", least=0, most=1),
    Field("delay", "delay", "seconds a draw takes, to watch it", least=0, most=60),
)


def parse(field: Field, text: str) -> float | int:
    """The number that was typed. Raises `InputError` with a line for a person."""
    text = text.strip()
    kind = "a whole number" if field.whole else "a number"
    try:
        value: float | int = int(text) if field.whole else float(text)
    except ValueError:
        raise InputError(f"{text[:20]!r} is not {kind}" if text else f"needs {kind}") from None
    if not math.isfinite(value):
        raise InputError(f"{text!r} is not {kind}")
    if value < field.least:
        raise InputError(f"must be at least {field.least:g}")
    if value > field.most:
        raise InputError(f"must be at most {field.most:g}")
    return value


def embedded_environments() -> list[tuple[str, str]]:
    """Name and summary of the environments that can be made here and now."""
    return [
        (info.name, info.summary)
        for info in environments()
        if info.name != "recorded" and importlib.util.find_spec(info.load.partition(":")[0]) is not None
    ]


class Ready:
    """A search that is ready to run; its events wait until somebody listens.

    Making a search (its environment, its trace) may take a while, so a thread does it; only then is it handed to
    the session, which has the listener.
    """

    def __init__(self, make: Callable[[Callable[[AnyEvent], None]], SearchJob]) -> None:
        """Make it. Raises `InputError`."""
        self._waiting: deque[AnyEvent] = deque()
        self._hear: Callable[[AnyEvent], None] = self._waiting.append
        self.job = make(self._heard)

    def _heard(self, event: AnyEvent) -> None:
        self._hear(event)

    def hand_over(self, listener: Callable[[AnyEvent], None]) -> SearchJob:
        """The search, from now on heard by `listener`, which gets first what waited."""
        for event in self._waiting:
            listener(event)
        self._hear = listener
        return self.job


def make_ready(workspace: Workspace, request: SearchRequest) -> Ready:
    """A new search in the workspace. Raises `InputError`."""
    settings = check_settings(request.settings)

    def make(listener: Callable[[AnyEvent], None]) -> SearchJob:
        name = request.environment.partition(":")[0]
        out = free_name(workspace.traces, name, request.task or "0", settings.seed)
        return new_job(request.environment, request.task or None, settings, out, listener=listener, delay=request.delay)

    return Ready(make)


class NewSearch(ModalScreen[Ready | None]):
    """The form. It stays open, with a line under the field, until the search is ready or escape leaves it."""

    BINDINGS = [
        Binding("escape", "leave", "cancel", id="new_search.cancel", tooltip="Leave without starting a search"),
        Binding("down", "app.focus_next", "next field", show=False, id="new_search.next", tooltip="Next field"),
        Binding("up", "app.focus_previous", "field before", show=False, id="new_search.back", tooltip="Field before"),
    ]

    def __init__(self, workspace: Workspace, request: SearchRequest) -> None:
        super().__init__()
        self._workspace = workspace
        self._request = request
        self._preparing = False

    def compose(self) -> ComposeResult:
        """A line for every field, and a hidden one below it for what is wrong."""
        known = embedded_environments()
        names = [name for name, _ in known]
        if self._request.environment not in names:
            names.append(self._request.environment)
        with Vertical(classes="dialog form"):
            yield Static("new search", classes="dialog-title", markup=False)
            with Horizontal(classes="field"):
                yield Static("environment", classes="field-name", markup=False)
                yield Select(
                    [(name, name) for name in names],
                    value=self._request.environment,
                    allow_blank=False,
                    compact=True,
                    id="environment",
                )
            with Horizontal(classes="field"):
                yield Static("task", classes="field-name", markup=False)
                yield Input(self._request.task, compact=True, id="task", select_on_focus=False)
                yield Static("its id in the environment", classes="field-hint", markup=False)
            yield Static("", classes="field-error", id="task-error", markup=False)
            for field in FIELDS:
                with Horizontal(classes="field"):
                    yield Static(field.label, classes="field-name", markup=False)
                    yield Input(self._shown(field), compact=True, id=field.name, select_on_focus=False)
                    yield Static(field.hint, classes="field-hint", markup=False)
                yield Static("", classes="field-error", id=f"{field.name}-error", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Start", compact=True, variant="primary", id="start")
                yield Static("enter starts · tab next field · esc leaves", id="progress", markup=False)

    def _shown(self, field: Field) -> str:
        value = self._request.delay if field.name == "delay" else getattr(self._request.settings, field.name)
        return f"{value:g}" if isinstance(value, float) else str(value)

    def on_mount(self) -> None:
        """What is most often changed has the focus."""
        self.query_one("#task").focus()

    # -- what is typed -----------------------------------------------------------------------------

    def _say(self, name: str, message: str) -> None:
        line = self.query_one(f"#{name}-error", Static)
        line.update(f"✗ {message}" if message else "")
        line.set_class(bool(message), "-wrong")

    def _checked(self, field: Field) -> float | int | None:
        """The value of a field; None where it can't be used, and the line below says why."""
        try:
            value = parse(field, self.query_one(f"#{field.name}", Input).value)
        except InputError as error:
            self._say(field.name, str(error))
            return None
        self._say(field.name, "")
        return value

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        field = next((field for field in FIELDS if field.name == event.input.id), None)
        if field is not None:
            self._checked(field)
        else:
            self._say("task", "")

    def _asked(self) -> SearchRequest | None:
        """What the form says; None where a field is wrong, which then has the focus."""
        values: dict[str, Any] = {field.name: self._checked(field) for field in FIELDS}
        wrong = next((name for name, value in values.items() if value is None), None)
        if wrong is not None:
            self.query_one(f"#{wrong}").focus()
            return None
        delay = values.pop("delay")
        environment = self.query_one("#environment", Select).value
        settings = msgspec.structs.replace(self._request.settings, **values)
        return SearchRequest(str(environment), self.query_one("#task", Input).value.strip(), settings, delay)

    # -- starting ----------------------------------------------------------------------------------

    @on(Input.Submitted)
    @on(Button.Pressed)
    def _start(self) -> None:
        request = None if self._preparing else self._asked()
        if request is None:
            return
        self._preparing = True
        self.query_one("#progress", Static).update("opening the environment …")

        def prepare() -> None:
            try:
                ready = make_ready(self._workspace, request)
            except AgentrError as error:
                self.app.call_from_thread(self._refused, str(error))
            else:
                self.app.call_from_thread(self._made, ready)

        self.run_worker(prepare, thread=True, group="prepare", exclusive=True)

    def _made(self, ready: Ready) -> None:
        self.dismiss(ready)

    def _refused(self, message: str) -> None:
        self._preparing = False
        self.query_one("#progress", Static).update("enter starts · tab next field · esc leaves")
        self._say("task", message)
        self.query_one("#task").focus()

    def action_leave(self) -> None:
        """Leave; not in the moment in which the search is being made."""
        if not self._preparing:
            self.dismiss(None)
