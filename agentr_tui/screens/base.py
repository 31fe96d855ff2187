"""What the five screens have in common: top bar, key bar, a word where the terminal is too small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Footer, Static

from agentr_tui.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from agentr_tui.app import AgentrApp

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
    """A binding with an id (for the user's keymap) and a tooltip (for the help)."""
    return Binding(keys, action, description, show=show, id=id, tooltip=tooltip, key_display=key_display)


def tab_title(names: Sequence[str], active: int) -> str:
    """A border title that names the tabs, the active one reversed. Names are ours: titles are markup."""
    return " ─ ".join(f"[reverse] {name} [/]" if at == active else name for at, name in enumerate(names))


class ModeScreen(Screen[None]):
    """One of the five screens."""

    MODE: ClassVar[str] = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    BINDINGS: ClassVar[list[BindingType]] = []
    DEFAULT_CSS = """
    ModeScreen { layout: vertical; }
    ModeScreen > .too-small { display: none; width: 100%; height: 100%; content-align: center middle; }
    ModeScreen.-too-small > * { display: none; }
    ModeScreen.-too-small > .too-small { display: block; }
    """

    def compose(self) -> ComposeResult:
        """Top bar, the screen's own widgets, key bar."""
        yield TopBar(self.MODE)
        yield from self.compose_body()
        yield Footer(compact=True, show_command_palette=False)
        yield Static("", classes="too-small", markup=False)

    def compose_body(self) -> ComposeResult:
        """What stands between top bar and key bar."""
        yield from ()

    @property
    def agentr(self) -> AgentrApp:
        """The app, by its own type."""
        from agentr_tui.app import AgentrApp

        assert isinstance(self.app, AgentrApp)
        return self.app

    @property
    def top_bar(self) -> TopBar:
        """The line at the top."""
        return self.query_one(TopBar)

    def on_resize(self, event: Resize) -> None:
        """Say so where there is no room to show anything."""
        width, height = event.size
        small = width < MIN_WIDTH or height < MIN_HEIGHT
        self.set_class(small, "-too-small")
        if small:
            self.query_one(".too-small", Static).update(f"too small\n{width}×{height}, needs\n{MIN_WIDTH}×{MIN_HEIGHT}")

    def on_screen_resume(self) -> None:
        """Shown (again): take up what happened meanwhile."""
        self.refresh_view()

    def refresh_view(self) -> None:
        """Show the session as it is now."""

    def tree_opened(self) -> None:
        """Another tree is on screen."""

    def tree_grew(self, first_new: int) -> None:
        """Events were folded: nodes from id `first_new` on are new, statistics may have changed anywhere."""
