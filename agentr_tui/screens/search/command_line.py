"""The command line (`:`) of the Search screen, and the same commands in the palette."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial
from typing import NamedTuple

from textual.command import DiscoveryHit, Hit, Hits, Provider

from agentr_tui.screens.search.finder import Finder
from agentr_tui.screens.search.interventions import Interventions
from agentr_tui.screens.search.marks import NodeMarks
from agentr_tui.screens.search.node_pane import NodePane
from agentr_tui.screens.search.overlays.command_prompt import CommandPrompt
from agentr_tui.screens.search.services import TreeServices
from agentr_tui.screens.search.time_travel import TimeTravel
from agentr_tui.screens.search.views import Views
from engine.base.errors import AgentrError, InputError
from engine.search.interventions import Intervention, What
from envs.numbers import whole


class Parts(NamedTuple):
    """What a command may act on."""

    services: TreeServices
    time: TimeTravel
    finder: Finder
    marks: NodeMarks
    interventions: Interventions
    views: Views
    node: NodePane
    written: list[str]  # lines of `:`, the newest last

    @property
    def cursor(self) -> int:
        """The node under the cursor."""
        return self.services.tree_view.cursor_node

    def at_cursor(self, what: What, detail: str = "") -> None:
        """Do something to the node under the cursor."""
        self.interventions.ask_for(Intervention(what, self.cursor, detail))


class Command(NamedTuple):
    """Something that can be written after `:`."""

    name: str
    argument: str  # what may follow, for people; "" for nothing; in brackets where it may be left out
    help: str
    run: Callable[[Parts, str], object]


def _number(text: str, what: str) -> int:
    number = whole(text)
    if number is None:
        raise InputError(f"{what} must be a whole number, not {text[:40]!r}")
    return number


def _c(parts: Parts, text: str) -> None:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"c must be a number, like 1.0, not {text!r}") from None
    if not 0 <= value < 1e9:
        raise InputError("c must be at least 0")
    parts.node.compare_c(value)


def _go_next(parts: Parts, text: str) -> None:
    parts.finder.go_next(text)


def _close_find(parts: Parts, _: str) -> None:
    parts.finder.close()


COMMANDS: tuple[Command, ...] = (
    Command("t", "EVENT", "show the search as it was after an event",
            lambda parts, text: parts.time.look_at(_number(text, "an event"))),
    Command("live", "", "back to how the tree is now", lambda parts, _: parts.time.live()),
    Command("find", "QUERY", "show the nodes that match", lambda parts, text: parts.finder.find(text)),
    Command("filter", "", "only the ways to what matches", lambda parts, _: parts.finder.show_only(False)),
    Command("dim", "", "dim what does not match", lambda parts, _: parts.finder.show_only(True)),
    Command("clear", "", "find nothing any more", _close_find),
    Command("next", "QUERY", "go to the next node that matches", _go_next),
    Command("best", "", "go to the best leaf", lambda parts, _: parts.finder.go_best()),
    Command("worst", "", "go to the worst leaf", lambda parts, _: parts.finder.go_best(-1)),
    Command("gap", "", "go to the widest gap between children's Q", lambda parts, _: parts.finder.go_widest_gap()),
    Command("disaster", "", "go to the next disaster", lambda parts, _: parts.finder.go_next("disaster")),
    Command("fold", "DEPTH", "fold what is deeper",
            lambda parts, text: parts.services.tree_view.fold_to_depth(_number(text, "a depth"))),
    Command("unfold", "", "unfold everything", lambda parts, _: parts.services.tree_view.unfold_all()),
    Command("c", "NUMBER", "what another exploration constant would choose", _c),
    Command("bookmark", "[NAME]", "put a bookmark on the node under the cursor",
            lambda parts, text: parts.marks.mark(parts.cursor, "bookmark", text)),
    Command("good", "", "mark the node under the cursor as good",
            lambda parts, _: parts.marks.mark(parts.cursor, "good")),
    Command("bad", "", "mark the node under the cursor as bad",
            lambda parts, _: parts.marks.mark(parts.cursor, "bad")),
    Command("unmark", "", "take the marks off the node under the cursor",
            lambda parts, _: parts.marks.unmark(parts.cursor)),
    Command("columns", "", "all columns of the tree, or fewer", lambda parts, _: parts.views.columns()),
    Command("overview", "", "fold the overview away, or show it", lambda parts, _: parts.views.fold_overview()),
    Command("plots", "", "plots of the search", lambda parts, _: parts.views.plots()),
    Command("compare", "", "compare trajectories, or this search with another",
            lambda parts, _: parts.views.compare()),
    Command("states", "", "states that were reached more than once, and loops",
            lambda parts, _: parts.views.states()),
    Command("bookmarks", "", "list all marks", lambda parts, _: parts.marks.list_all()),
    Command("break", "QUERY", "pause at a new node that matches",
            lambda parts, text: parts.interventions.set_breakpoint(text)),
    Command("breakpoints", "", "set and remove breakpoints", lambda parts, _: parts.interventions.breakpoints()),
    Command("set", "NAME=VALUE …", "other settings from here on",
            lambda parts, text: parts.interventions.change_settings(text)),
    Command("expand", "", "expand the node under the cursor now", lambda parts, _: parts.at_cursor("forced")),
    Command("prune", "", "select nothing at or below the node any more", lambda parts, _: parts.at_cursor("pruned")),
    Command("restore", "", "take a pruning back", lambda parts, _: parts.at_cursor("restored")),
    Command("note", "TEXT", "note something on the node under the cursor",
            lambda parts, text: parts.at_cursor("note", text)),
    Command("branch", "", "a new search from the node under the cursor",
            lambda parts, _: parts.interventions.ask_branch(parts.cursor)),
)  # fmt: skip


def run_line(parts: Parts, text: str, commands: Sequence[Command] = COMMANDS) -> None:
    """Do what was typed: a command or a node's number. Raises `AgentrError` with a line for a person.

    `parts`: those of the screen. `text`: what was typed. `commands`: those there are.
    """
    name, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    if not name:
        raise InputError("write a node's number, or a command: t 120, best, find q>0.5 …")
    node = whole(name)
    if node is not None and not rest:
        parts.services.go_to_node(node)
        return
    command = next((command for command in commands if command.name == name.lower()), None)
    if command is None and not rest:
        action = parts.services.action_named(name)
        if action is not None:
            action()
            return
    if command is None:
        known = [command.name for command in commands]
        near = get_close_matches(name.lower(), known, 4, 0.5) or [each for each in known if each[0] == name[0].lower()]
        meant = f"did you mean {', '.join(near[:4])}?" if near else "ctrl+p lists all"
        raise InputError(f"{name[:40]!r} is neither a node nor a command: {meant}")
    if command.argument and not command.argument.startswith("[") and not rest:
        raise InputError(f"{name} needs an argument: {command.name} {command.argument}")
    if not command.argument and rest:
        raise InputError(f"{name} takes no argument")
    command.run(parts, rest)


def ask_line(parts: Parts, start: str = "") -> None:
    """Ask for a line and do it."""

    title = "a node (87), a time (t 120), or a command · tab completes"
    names = sorted(f"{command.name} " if command.argument else command.name for command in COMMANDS)

    def written(text: str | None) -> None:
        if text is not None:
            do_line(parts, text)

    placeholder = "best · fold 3 · break good"
    parts.services.open(CommandPrompt(title, start, placeholder, names, parts.written), written)


class SearchCommands(Provider):
    """The same commands in the palette; a command that needs an argument asks for it."""

    def _entry(self, command: Command) -> tuple[str, Callable[[], None], str]:
        parts = getattr(self.screen, "parts", None)
        assert isinstance(parts, Parts)
        needs = bool(command.argument) and not command.argument.startswith("[")
        run = partial(ask_line, parts, f"{command.name} ") if needs else partial(do_line, parts, command.name)
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


def do_line(parts: Parts, line: str) -> None:
    """Do what was written; what is wrong with it becomes a notification."""
    try:
        run_line(parts, line)
    except AgentrError as error:
        parts.services.complain(str(error))
