"""One pane of a screen in place of all: the bars stay, and the key bar shows the way back."""

from __future__ import annotations

from textual.screen import Screen
from textual.widget import Widget

from agentr_tui.widgets.find_bar import FindBar
from agentr_tui.widgets.key_bar import KeyBar
from agentr_tui.widgets.top_bar import TopBar


class Enlarging:
    """Gives one pane all the room, and takes it back."""

    def __init__(self, screen: Screen[None]) -> None:
        self._screen = screen
        self._put_away: list[Widget] = []  # that the screen shows itself, whatever its styles say
        self.pane: Widget | None = None

    def enlarge(self, pane: Widget) -> None:
        """Put the other panes away."""
        self.restore()
        self.pane = pane
        for node in (
            each for each in pane.ancestors_with_self if isinstance(each, Widget) and each is not self._screen
        ):
            node.add_class("-enlarged")
            for other in node.parent.children if node.parent is not None else ():
                if other is node or isinstance(other, TopBar | KeyBar | FindBar) or other.has_class("filter"):
                    continue
                other.add_class("-put-away")
                if other.styles.inline.has_rule("display") and other.display:
                    other.display = False
                    self._put_away.append(other)
        self._screen.query_one(KeyBar).also = frozenset({"restore"})

    def restore(self) -> None:
        """Show all panes again."""
        if self.pane is None:
            return
        self.pane = None
        for node in self._screen.query(".-enlarged, .-put-away"):
            node.remove_class("-enlarged", "-put-away")
        while self._put_away:
            self._put_away.pop().display = True
        self._screen.query_one(KeyBar).also = frozenset()
