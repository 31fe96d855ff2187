"""The command line (`:`) of the Search screen, and the same commands in the palette."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from textual.command import DiscoveryHit, Hit, Hits, Provider

from agentr_tui.screens.shared.dialogs import ask_text
from agentr_tui.screens.shared.palette import actions
from engine.base.errors import AgentrError, InputError

if TYPE_CHECKING:
    from agentr_tui.screens.search.screen import SearchScreen


class Command(NamedTuple):
    """Something that can be written after `:`."""

    name: str
    argument: str  # what may follow, for people; "" for nothing; in brackets where it may be left out
    help: str
    run: Callable[[SearchScreen, str], object]


def _number(text: str, what: str) -> int:
    if not text.isdecimal():
        raise InputError(f"{what} is a whole number: {text!r} is none")
    return int(text)


def _c(screen: SearchScreen, text: str) -> None:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"c is a number, like 1.0: {text!r} is none") from None
    if not 0 <= value < 1e9:
        raise InputError("c is at least 0")
    screen.compare_c(value)


def _go_next(screen: SearchScreen, text: str) -> None:
    screen.go_next(text)


def _close_find(screen: SearchScreen, _: str) -> None:
    screen.close_find()


COMMANDS: tuple[Command, ...] = (
    Command("t", "EVENT", "show the search as it was after an event",
            lambda screen, text: screen.look_at(_number(text, "an event"))),
    Command("live", "", "back to how the tree is now", lambda screen, _: screen.action_live()),
    Command("find", "QUERY", "show the nodes that match", lambda screen, text: screen.find(text)),
    Command("filter", "", "only the ways to what matches", lambda screen, _: screen.show_only(False)),
    Command("dim", "", "dim what does not match", lambda screen, _: screen.show_only(True)),
    Command("clear", "", "find nothing any more", _close_find),
    Command("next", "QUERY", "go to the next node that matches", _go_next),
    Command("best", "", "go to the best leaf", lambda screen, _: screen.go_best()),
    Command("worst", "", "go to the worst leaf", lambda screen, _: screen.go_best(-1)),
    Command("gap", "", "go to the widest gap between children's Q", lambda screen, _: screen.go_widest_gap()),
    Command("disaster", "", "go to the next disaster", lambda screen, _: screen.go_next("disaster")),
    Command("fold", "DEPTH", "fold what is deeper",
            lambda screen, text: screen.tree_view.fold_to_depth(_number(text, "a depth"))),
    Command("unfold", "", "unfold everything", lambda screen, _: screen.tree_view.unfold_all()),
    Command("c", "NUMBER", "what another exploration constant would choose", _c),
    Command("bookmark", "[NAME]", "put a bookmark on the node under the cursor",
            lambda screen, text: screen.mark(screen.tree_view.cursor_node, "bookmark", text)),
    Command("good", "", "mark the node under the cursor as good",
            lambda screen, _: screen.mark(screen.tree_view.cursor_node, "good")),
    Command("bad", "", "mark the node under the cursor as bad",
            lambda screen, _: screen.mark(screen.tree_view.cursor_node, "bad")),
    Command("unmark", "", "take the marks off the node under the cursor",
            lambda screen, _: screen.unmark(screen.tree_view.cursor_node)),
    Command("columns", "", "all columns of the tree, or fewer", lambda screen, _: screen.action_columns()),
    Command("overview", "", "fold the overview away, or show it", lambda screen, _: screen.action_overview()),
    Command("plots", "", "plots of the search", lambda screen, _: screen.action_plots()),
    Command("compare", "", "compare trajectories, or this search with another",
            lambda screen, _: screen.action_compare()),
    Command("states", "", "states that were reached more than once, and loops",
            lambda screen, _: screen.action_states()),
    Command("bookmarks", "", "list all marks", lambda screen, _: screen.action_bookmarks()),
    Command("break", "QUERY", "stand still at a new node that matches",
            lambda screen, text: screen.set_breakpoint(text)),
    Command("breakpoints", "", "set and remove breakpoints", lambda screen, _: screen.action_breakpoints()),
    Command("set", "NAME=VALUE …", "other settings from here on", lambda screen, text: screen.change_settings(text)),
    Command("expand", "", "expand the node under the cursor now", lambda screen, _: screen.at_cursor("forced")),
    Command("prune", "", "select nothing at or below the node any more", lambda screen, _: screen.at_cursor("pruned")),
    Command("restore", "", "take a pruning back", lambda screen, _: screen.at_cursor("restored")),
    Command("note", "TEXT", "note something on the node under the cursor",
            lambda screen, text: screen.at_cursor("note", text)),
    Command("branch", "", "a new search from the node under the cursor",
            lambda screen, _: screen.ask_branch(screen.tree_view.cursor_node)),
)  # fmt: skip


def run_line(screen: SearchScreen, text: str, commands: Sequence[Command] = COMMANDS) -> None:
    """Do what was written: a command, a node's number. Raises `AgentrError` with a line for a person."""
    name, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    if not name:
        raise InputError("write a node's number, or a command: t 120, best, find q>0.5 …")
    if name.isdecimal() and not rest:
        screen.go_to_id(int(name))
        return
    command = next((command for command in commands if command.name == name.lower()), None)
    if command is None and not rest:
        action = next(
            (each for each in actions(screen.app, screen) if name in (each.id, each.id.partition(".")[2])), None
        )
        if action is not None:
            screen.call_later(action.run)
            return
    if command is None:
        near = [command.name for command in commands if command.name.startswith(name.lower()[:3])]
        names = ", ".join(near or [command.name for command in commands])
        raise InputError(f"{name[:40]!r} is neither a node nor a command: {names}")
    if command.argument and not command.argument.startswith("[") and not rest:
        raise InputError(f"{name} needs something: {command.name} {command.argument}")
    if not command.argument and rest:
        raise InputError(f"{name} takes nothing more: write it alone")
    command.run(screen, rest)


def ask_line(screen: SearchScreen, start: str = "") -> None:
    """Ask for a line and do it."""

    title = "a node (87), a time (t 120), or a command"
    ask_text(screen.app, title, partial(do_line, screen), value=start, placeholder="best · fold 3 · break good")


class SearchCommands(Provider):
    """The same commands in the palette; what needs something more asks for it."""

    def _entry(self, command: Command) -> tuple[str, Callable[[], None], str]:
        from agentr_tui.screens.search.screen import SearchScreen

        screen = self.screen
        assert isinstance(screen, SearchScreen)
        needs = bool(command.argument) and not command.argument.startswith("[")
        run = partial(ask_line, screen, f"{command.name} ") if needs else partial(do_line, screen, command.name)
        title = f"{command.name} {command.argument}".strip()
        return title, run, command.help

    async def discover(self) -> Hits:
        """All of them."""
        for command in COMMANDS:
            title, run, told = self._entry(command)
            yield DiscoveryHit(title, run, help=told)

    async def search(self, query: str) -> Hits:
        """Those whose name or meaning fits."""
        matcher = self.matcher(query)
        for command in COMMANDS:
            title, run, told = self._entry(command)
            score = max(matcher.match(title), 0.9 * matcher.match(told))
            if score > 0:
                yield Hit(score, matcher.highlight(title), run, help=told)


def do_line(screen: SearchScreen, line: str) -> None:
    """Do what was written; what is wrong with it becomes a notification."""
    try:
        run_line(screen, line)
    except AgentrError as error:
        screen.agentr.complain(str(error))
