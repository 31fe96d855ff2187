"""Services without a screen (`agentr_tui.screens.shared.services`): what the parts of a screen ask for is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from textual.message import Message
from textual.notifications import SeverityLevel
from textual.screen import Screen

from agentr_tui.screens.shared.dialogs import Choice
from agentr_tui.screens.shared.services import Stopped
from agentr_tui.screens.shared.start_search import Make
from agentr_tui.state.event_buffer import Ready
from agentr_tui.state.session import Session
from agentr_tui.widgets.find_bar import FindBar
from agentr_tui.widgets.text_pane import Line, Lines, TextPane
from agentr_tui.widgets.tree.overlay import Mark
from agentr_tui.widgets.tree.view import TreeView
from engine.base.errors import AgentrError
from engine.environment.permission import NeedsConsent
from engine.tree.reader import TreeReader
from engine.tree.tree import SearchTree
from engine.workspace.workspace import Workspace

T = TypeVar("T")
M = TypeVar("M", bound=Message)


class FakeTree:
    """What the parts ask of the tree widget."""

    def __init__(self) -> None:
        self.cursor_node = 0
        self.follow = self.crowded = False
        self.focused = False
        self.marks: dict[int, Mark] = {}
        self.visible: list[int] | None = None
        self.lit: set[int] | None = None
        self.moment: int | None = None  # the last event of what is shown
        self.marks_asked_again = 0

    def go_to(self, id: int) -> None:
        self.cursor_node, self.follow = id, False

    def focus(self) -> None:
        self.focused = True

    def set_moment(self, reader: TreeReader) -> None:
        self.moment = reader.seq

    def set_marks(self, marks: Mapping[int, Mark]) -> None:
        self.marks = dict(marks)

    def set_visible(self, ids: Iterable[int] | None) -> None:
        self.visible = None if ids is None else list(ids)

    def set_lit(self, ids: set[int] | None) -> None:
        self.lit = ids

    def refresh_statistics(self) -> None:
        self.marks_asked_again += 1

    @property
    def words(self) -> dict[int, str]:
        """The words of the marks, by node."""
        return {id: mark.word for id, mark in self.marks.items()}


class FakeServices:
    """Keeps what a person would see. A coroutine runs at once, a thread when the test says so (`work`)."""

    def __init__(self, folder: Path) -> None:
        self._session = Session(Workspace.open(folder / "workspace", create=True))
        self.tree = FakeTree()
        self.front = True
        self.leaving = False  # the app is asked to end
        self.said: list[str] = []
        self.complained: list[str] = []
        self.menu: tuple[str, list[Choice]] = ("", [])
        self.asked: tuple[str, Callable[[str], object], str] | None = None
        self.opened: tuple[Screen[Any], Callable[[Any], None] | None] | None = None
        self.paths: list[Path] = []
        self.started: list[Make] = []
        self.cancelled: list[str] = []
        self.waiting: list[Callable[[], object]] = []
        self.threads: list[Callable[[], object]] = []
        self.posted: list[Message] = []
        self.ready: list[Ready] = []

    @property
    def session(self) -> Session:
        return self._session

    @property
    def tree_view(self) -> TreeView:
        return cast(TreeView, self.tree)

    def is_leaving(self) -> bool:
        return self.leaving

    @property
    def in_front(self) -> bool:
        return self.front

    def say(self, message: str, *, severity: SeverityLevel = "information", seconds: float | None = None) -> None:
        self.said.append(message)

    def complain(self, message: str) -> None:
        self.complained.append(message)

    def choose(self, title: str, choices: Sequence[Choice]) -> None:
        self.menu = (title, list(choices))

    def ask_text(self, title: str, done: Callable[[str], object], value: str = "", placeholder: str = "") -> None:
        self.asked = (title, done, value)

    def open(self, screen: Screen[Any], done: Callable[[Any], None] | None = None) -> None:
        self.opened = (screen, done)

    def open_path(self, path: Path) -> None:
        self.paths.append(path)

    def action_named(self, name: str) -> Callable[[], object] | None:
        return None

    def run(self, work: Coroutine[Any, Any, None], group: str) -> None:
        asyncio.run(work)

    def cancel(self, group: str) -> None:
        self.cancelled.append(group)

    def in_thread(
        self,
        work: Callable[[], T],
        done: Callable[[T], object],
        group: str,
        *,
        failed: Callable[[str], object] | None = None,
    ) -> None:
        def both() -> None:
            try:
                result = work()
            except AgentrError as error:
                (failed or self.complain)(str(error))
            else:
                done(result)

        self.threads.append(both)

    def beside(self, work: Callable[[Stopped], object], group: str) -> None:
        before = self.cancelled.count(group)
        self.threads.append(lambda: work(lambda: self.cancelled.count(group) > before))

    def post(self, message: Message) -> None:
        self.posted.append(message)

    def ask_yes(self, unasked: NeedsConsent, then: Callable[[], object], no: Callable[[], object]) -> None:
        self.choose(str(unasked), [Choice("y", "yes", then), Choice("escape", "no", no)])

    def run_ready(self, ready: Ready) -> None:
        self.ready.append(ready)

    def later(self, call: Callable[[], object]) -> None:
        self.waiting.append(call)

    def go_to_node(self, node: int) -> None:
        self.tree.go_to(node)

    def may_start(self) -> bool:
        return not self._session.running

    def start(self, make: Make) -> None:
        self.started.append(make)

    # -- what a test does --------------------------------------------------------------------------

    def show(self, tree: SearchTree, path: Path | None = None) -> None:
        """Open a tree."""
        self._session.tree, self._session.path, self._session.past = tree, path, None

    def press(self, key: str) -> None:
        """Take a choice of the menu that is open."""
        next(choice for choice in self.menu[1] if choice.key == key).action()

    def work(self) -> None:
        """Let the threads run that were started."""
        threads, self.threads = self.threads, []
        for thread in threads:
            thread()

    def told(self, kind: type[M]) -> list[M]:
        """The messages of a kind that were posted; they are taken away."""
        found = [message for message in self.posted if isinstance(message, kind)]
        self.posted = [message for message in self.posted if not isinstance(message, kind)]
        return found

    @property
    def labels(self) -> dict[str, str]:
        """The choices of the menu that is open, by key."""
        return {choice.key: choice.label for choice in self.menu[1]}

    def write(self, text: str) -> None:
        """Answer what was asked for."""
        assert self.asked is not None
        self.asked[1](text)


class FakeBar:
    """The line in which a query is written."""

    def __init__(self) -> None:
        self.is_open, self.text, self.note, self.wrong = False, "", "", False

    def open(self, text: str | None = None) -> None:
        self.is_open, self.text = True, self.text if text is None else text

    def close(self) -> None:
        self.is_open, self.text = False, ""

    def say(self, text: str, wrong: bool = False) -> None:
        self.note, self.wrong = text, wrong

    @property
    def as_bar(self) -> FindBar:
        """Itself, as the parts take it."""
        return cast(FindBar, self)


class FakePane:
    """A pane of lines."""

    def __init__(self) -> None:
        self.title, self.lines = "", list[Line]()
        self.border_title = self.border_subtitle = ""
        self.scrolled_to: int | None = None
        self.outer_size = SimpleNamespace(width=120)
        self.display = True

    def scroll_to_key(self, key: int) -> None:
        self.scrolled_to = key

    def to_end(self) -> None:
        self.scrolled_to = -1

    def retitle(self, title: str, subtitle: str = "") -> None:
        self.title = title

    def set_lines(self, lines: Lines, keep_scroll: bool = False) -> None:
        self.lines = list(lines(100) if callable(lines) else lines)

    @property
    def text(self) -> str:
        """What stands in it."""
        return "\n".join("".join(text for text, _ in line.parts) for line in self.lines)

    @property
    def as_pane(self) -> TextPane:
        """Itself, as the parts take it."""
        return cast(TextPane, self)
