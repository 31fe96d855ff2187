"""What the five screens have in common: top bar, key bar, a word where the terminal is too small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from agentr_tui.screens.shared.copying import Copyable
from agentr_tui.screens.shared.enlarging import Enlarging
from agentr_tui.screens.shared.host import Host
from agentr_tui.terminal.safe_text import ELLIPSIS
from agentr_tui.widgets.key_bar import KeyBar
from agentr_tui.widgets.laid_out import LastLayout
from agentr_tui.widgets.text_pane import BLANK, Line, TextPane, line
from agentr_tui.widgets.top_bar import TopBar

MIN_WIDTH, MIN_HEIGHT = 40, 12


def key(
    keys: str,
    action: str,
    description: str,
    id: str,
    tooltip: str,
    *,
    show: bool = False,
    key_display: str | None = None,
) -> Binding:
    """Returns a binding with an id (for the user's keymap) and a tooltip (for the help).

    `keys`: separated by commas. `action` and `description`: as Textual's. `id`: name in keymaps. `tooltip`: a sentence.
    `show`: whether the key bar has it. `key_display`: how the key is written there; None: its own name.
    """
    return Binding(keys, action, description, show=show, id=id, tooltip=tooltip, key_display=key_display)


SHORT_NAME = 3
"""Cells to which the name of a tab that is not open is cut where room is short."""


def tab_title(names: Sequence[str], active: int, width: int = 200) -> str:
    """Returns a border title that names the tabs, the active one reversed. Where there is no room for all, names of
    others are cut.

    `names`: of the tabs; they become markup, so they must be the program's own. `active`: index of the active tab.
    `width`: cells of the pane.
    """
    over = sum(map(len, names)) + 2 * len(names) - (width - 6)
    shown = list(names)
    for at in sorted(range(len(names)), key=lambda at: -len(names[at])):
        if at != active and over > 0 and len(names[at]) > SHORT_NAME + 1:
            kept = max(SHORT_NAME, len(names[at]) - over - 1)
            over -= len(names[at]) - kept - 1
            shown[at] = names[at][:kept] + ELLIPSIS
    return "  ".join(f"[reverse] {name} [/]" if at == active else name for at, name in enumerate(shown))


NOTHING_OPEN: tuple[Line, ...] = (
    line(("No tree is open.", "strong")),
    BLANK,
    line(("  1  ", "focus"), (" the library: enter opens the trace under the cursor,", "text"), indent=6),
    line(("      o starts a search (TextCraft needs no key and no network)", "text"), indent=6),
    BLANK,
    line(("On the command line:", "muted")),
    line(("  agentr demo            ", "text"), ("a search to watch", "muted"), indent=25),
    line(("  agentr open --shipped  ", "text"), ("the sample trees", "muted"), indent=25),
)
"""What a screen that needs a tree says without one."""


def reading_lines(path: Path, share: float) -> tuple[Line, ...]:
    """Returns the lines that are shown while a trace is read."""
    return (line((f"Reading {path.name} … {share:.0%}", "strong")),)


class ModeScreen(Screen[None]):
    """One of the five screens."""

    MODE: ClassVar[str] = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    BINDINGS: ClassVar[list[BindingType]] = []
    DEFAULT_CSS = """
    ModeScreen { layout: vertical; }
    ModeScreen > .too-small { display: none; width: 100%; height: 100%; content-align: center middle; }
    ModeScreen > .nothing { display: none; }
    ModeScreen.-nothing > * { display: none; }
    ModeScreen.-nothing > .nothing, ModeScreen.-nothing > TopBar, ModeScreen.-nothing > KeyBar { display: block; }
    ModeScreen.-too-small > *, ModeScreen.-too-small > HintLine.-shown { display: none; }
    ModeScreen.-too-small > .too-small { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._compositor = LastLayout()
        self.enlarging = Enlarging(self)

    def compose(self) -> ComposeResult:
        """Top bar, the screen's own widgets, key bar."""
        yield TopBar(self.MODE)
        yield from self.compose_body()
        yield TextPane(classes="nothing")
        yield KeyBar()
        yield Static("", classes="too-small", markup=False)

    def compose_body(self) -> ComposeResult:
        """The widgets between top bar and key bar."""
        yield from ()

    @property
    def agentr(self) -> Host:
        """The app, by its own type."""
        assert isinstance(self.app, Host)
        return self.app

    def copyable(self) -> list[Copyable]:
        """What `y` can copy here."""
        return []

    @property
    def top_bar(self) -> TopBar:
        """The line at the top."""
        return self.query_one(TopBar)

    @property
    def key_bar(self) -> KeyBar:
        """The line at the bottom."""
        return self.query_one(KeyBar)

    def show_placeholder(self, lines: Sequence[Line] | None) -> None:
        """Replace the body by an explanation; None restores it."""
        if lines is not None:
            if not self.has_class("-nothing"):
                self._focused_before = self.focused
            self.add_class("-nothing")
            self.query_one(".nothing", TextPane).set_lines(lines)
            self.key_bar.refresh()
        elif self.has_class("-nothing"):
            self.remove_class("-nothing")
            self.key_bar.refresh()
            self.call_after_refresh(self._focus_again)

    _focused_before: Widget | None = None

    def _focus_again(self) -> None:
        """Give the focus back, where nothing took it meanwhile."""
        if self.focused is None and self._focused_before is not None:
            self.set_focus(self._focused_before)

    def from_thread(self, call: Callable[..., object], *args: object) -> None:
        """Runs a call on the UI thread. Ignored if the app has exited."""
        try:
            app = self.app
        except RuntimeError:  # the screen is gone
            return
        app.call_from_thread(call, *args)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What acts on a tree does nothing while none is open: no menu opens over the words that say so."""
        return not self.has_class("-nothing") or not _needs_tree(self, action)

    def action_enlarge(self) -> None:
        """Give the pane that has the focus the room of all."""
        if self.focused is not None:
            self.enlarging.enlarge(self.focused)

    def on_resize(self, event: Resize) -> None:
        """Say so where there is no room to show anything."""
        width, height = event.size
        small = width < MIN_WIDTH or height < MIN_HEIGHT
        self.set_class(small, "-too-small")
        if small:
            self.query_one(".too-small", Static).update(f"too small\n{width}×{height}, needs\n{MIN_WIDTH}×{MIN_HEIGHT}")

    def on_screen_resume(self) -> None:
        """Take up what changed while another screen was in front."""
        self.refresh_view()

    def refresh_view(self) -> None:
        """Show the session as it is now."""

    def tree_opened(self) -> None:
        """Another tree is on screen."""

    def tree_grew(self, first_new: int) -> None:
        """Events were folded: nodes from id `first_new` on are new, statistics may have changed anywhere."""


def _needs_tree(screen: ModeScreen, action: str) -> bool:
    """Whether an action of a screen waits for a tree that is neither open nor on its way."""
    session = screen.agentr.session
    if session.tree is not None or session.running or session.reading is not None:
        return False
    own = {each.action.partition("(")[0] for each in screen.BINDINGS if isinstance(each, Binding)}
    return action in own and action not in screen.key_bar.out_of_nothing
