"""What if: edit and branch, expand, prune, breakpoints, settings, each with its price before it is done.

At the live end of a search the search itself does it. In the past, and where the search is over, a new trace starts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from msgspec.structs import replace

from agentr_tui.screens.search.figures import next_step
from agentr_tui.screens.search.overlays.edit_step import EditStep
from agentr_tui.screens.search.services import TreeServices
from agentr_tui.screens.search.why_lines import logged
from agentr_tui.screens.shared.dialogs import Choice
from agentr_tui.state.places import DEFAULT_DELAY, free_name
from engine.base.errors import AgentrError, InputError
from engine.base.reviewer_name import reviewer_name
from engine.base.text import many
from engine.explain.answer_warning import answer_warning
from engine.query.nodes import parse
from engine.search.control import Control
from engine.search.interventions import (
    PRESETS,
    Intervention,
    parse_changes,
    price,
    price_of_iterations,
    price_of_rest,
    refused,
)
from engine.search.job import SearchJob, branch_job, fork_job
from engine.tree.events import AnyEvent, Ended, Intervened, Paused, Resumed, SearchSettings
from engine.tree.node import ROOT
from engine.tree.score_warnings import score_warnings
from engine.tree.tree import SearchTree
from envs.tool_schemas import signature

FORKED_ITERATIONS = 4
"""Further iterations of a new trace that starts where none are left."""

START = "Thought: \nAction: "
EXECUTED = "the line `Action: …` is what is executed"


def _value(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


class Written(NamedTuple):
    """A written step that the search has not made yet."""

    parent: int
    expand: bool  # ask for its expansion once it is there


class Interventions:
    """The keys that change a search."""

    def __init__(self, services: TreeServices) -> None:
        self._services = services
        self._awaited: Written | None = None
        self._logged = 0  # entries of the tree's log that were looked at
        self._logged_of: SearchTree | None = None

    @property
    def _continues(self) -> bool:
        """Whether the search that is shown can be asked to go on otherwise; else a new trace starts."""
        session = self._services.session
        return session.past is None and session.control is not None

    def _where(self) -> str:
        session = self._services.session
        if self._continues:
            return "in this search"
        if session.past is not None:
            return f"the past: a new trace starts from event {session.past}"
        return "this search is over: a new trace starts from its end"

    # -- the menu ------------------------------------------------------------------------------------

    def menu(self) -> None:
        """What may be done at the node under the cursor, and what each costs."""
        tree = self._services.session.tree
        if tree is None or tree.started is None:
            return
        if tree.imported_from is not None:
            self._ask_branch_only(tree)
            return
        id = self._services.tree_view.cursor_node
        node = tree.nodes[id]
        pruned = self._services.session.reader is not None and self._services.session.reader.pruned(id)
        forced = Intervention("forced", id)
        prune = Intervention("restored" if pruned else "pruned", id)
        choices = [
            Choice("x", f"expand it now: {price(tree, forced)}", partial(self.ask_for, forced), self._but(forced)),
            Choice("d", "take it up again" if pruned else "prune what is below it", partial(self.ask_for, prune),
                   self._but(prune)),
            Choice("w", "write a step below it …", partial(self.edit, id, None)),
            Choice("b", "breakpoint …", self.breakpoints),
            Choice("s", "settings …", self.ask_settings),
            Choice("n", "note …", partial(self._ask_note, id)),
            Choice("f", "new search from here: its way as a prefix …", partial(self.ask_branch, id)),
        ]  # fmt: skip
        if id != ROOT:
            choices.insert(0, Choice("e", "edit it and branch …", partial(self.edit, node.parent, id)))
        self._services.choose(f"node {id} · {self._where()}", choices)

    def _ask_branch_only(self, tree: SearchTree) -> None:
        id = self._services.tree_view.cursor_node
        choice = Choice("f", "new search from here: its way as a prefix …", partial(self.ask_branch, id))
        self._services.choose(f"node {id} of a tree that was made elsewhere", [choice])

    def _but(self, asked: Intervention) -> str:
        """Why that can't be done, for the menu; nothing where it can, or where the past will say."""
        tree = self._services.session.tree
        why = refused(tree, asked) if tree is not None and self._services.session.past is None else None
        return f"not now: {why}" if why else ""

    # -- asking --------------------------------------------------------------------------------------

    def ask_for(self, asked: Intervention, *, expand: bool = False) -> None:
        """Do it here and now, or in a new trace. `expand`: also the step that is written."""
        session = self._services.session
        tree = session.tree
        if tree is None:
            return
        if session.past is None and (why := refused(tree, asked)):
            self._services.say(f"That can't be done: {why}.", severity="warning")
        elif self._continues:
            self._awaited = Written(asked.node, expand) if asked.what == "edited" else self._awaited
            self.send(asked)
        else:
            wanted = [asked]
            if expand:
                count = tree.nodes_at(session.past) if session.past is not None else len(tree)
                wanted.append(Intervention("forced", count))
            self.ask_fork(wanted)

    def send(self, asked: Intervention) -> None:
        """Ask the search that runs, which may refuse it."""
        control = self._services.session.control
        try:
            if isinstance(control, Control):
                control.intervene(reviewer_name(), asked)
            elif control is not None:
                control.intervene(asked)
        except AgentrError as error:
            self._services.complain(str(error))

    def edit(self, parent: int, of: int | None) -> None:
        """Write a step below `parent`, from that of the child `of`, or from scratch."""
        tree = self._services.session.tree
        if tree is None or tree.started is None:
            return
        tools = tree.started.tools
        response = tree.nodes[of].said if of is not None else "" if tools else START
        executed = f"the last lines are the calls: {signature(tools[0])}" if tools else EXECUTED
        what = f"node {of}, edited" if of is not None else "a step"
        self._services.open(
            EditStep(f"{what} below node {parent} · {self._where()}", response, executed),
            partial(self._edited, parent, of),
        )

    def _edited(self, parent: int, of: int | None, response: str | None) -> None:
        tree = self._services.session.tree
        if response is None or tree is None or tree.started is None:
            return
        asked = Intervention("edited", parent, response, of)
        if self._services.session.past is None and (why := refused(tree, asked)):
            self._services.say(f"That can't be done: {why}.", severity="warning")
            return
        calls = price(tree, Intervention("forced", len(tree)))
        self._services.choose(
            f"the step that was written · {self._where()}",
            [
                Choice("s", "step it in the environment: no calls", partial(self.ask_for, asked)),
                Choice("x", f"step it and expand it: {calls}", partial(self.ask_for, asked, expand=True)),
                Choice("escape", "leave it", lambda: None),
            ],
        )

    def _ask_note(self, id: int) -> None:
        def noted(text: str) -> None:
            if text.strip():
                self.ask_for(Intervention("note", id, text.strip()))

        self._services.ask_text(f"note on node {id} · {self._where()}", noted)

    # -- settings and breakpoints ----------------------------------------------------------------------

    def ask_settings(self) -> None:
        """Other settings from here on."""
        tree, session = self._services.session.tree, self._services.session
        if tree is None or tree.started is None:
            return
        now = tree.settings_at(tree.seq if session.past is None else session.past)
        shown = f"c={now.c:g} iterations={now.iterations} samples={now.samples} max_depth={now.max_depth}"
        self._services.ask_text(f"settings · {self._where()}", self.change_settings, value=shown)

    def change_settings(self, text: str) -> None:
        """Take up settings as they are written: `c=1.0 iterations=12`. What is as it was is left out."""
        session, tree = self._services.session, self._services.session.tree
        if tree is None or tree.started is None:
            return
        now = tree.settings_at(tree.seq if session.past is None else session.past)
        try:
            written = parse_changes(text, now)
            changes = {name: value for name, value in written.items() if value != getattr(now, name)}
            if not changes:
                self._services.say("These settings are in force already.")
            elif not self._continues:
                self.ask_fork([], changes)
            else:
                self._ask_change(tree, now, changes)
        except AgentrError as error:
            self._services.complain(str(error))

    def _ask_change(self, tree: SearchTree, now: SearchSettings, changes: dict[str, Any]) -> None:
        """Change the running search, after a look at what it may still cost then."""
        told = ", ".join(f"{name} {_value(getattr(now, name))} → {_value(value)}" for name, value in changes.items())
        before, after = price_of_rest(tree, now), price_of_rest(tree, replace(now, **changes))
        self._services.choose(
            f"settings of the running search: {told}",
            [
                Choice(
                    "y", f"change them: {after} to the end; with those of now {before}", partial(self._change, changes)
                ),
                Choice("escape", "leave them", lambda: None),
            ],
        )

    def _change(self, changes: dict[str, Any]) -> None:
        control = self._services.session.control
        try:
            if isinstance(control, Control):
                control.change(reviewer_name(), changes)
            elif control is not None:
                control.change(changes)
            else:
                self._services.say("The search is over: nothing was changed.", severity="warning")
        except AgentrError as error:
            self._services.complain(str(error))

    def breakpoints(self) -> None:
        """Set and remove breakpoints."""
        tree = self._services.session.tree
        if tree is None:
            return
        choices = []
        for place, (query, words) in enumerate(PRESETS, 1):
            shown = words if "…" in words else f"{words} ({query})"
            choices.append(Choice(str(place), shown, partial(self._preset, query, words)))
        choices.append(Choice("o", "any other query …", partial(self._ask_breakpoint, "")))
        for key, query in zip("abcdefgh", tree.breakpoints, strict=False):
            removed = Intervention("breakpoint removed", ROOT, query)
            choices.append(Choice(key, f"remove: {query[:40]}", partial(self.ask_for, removed)))
        self._services.choose(f"break at a new node that is … · {self._where()}", choices)

    def _preset(self, query: str, words: str) -> None:
        if "…" in words:
            self._ask_breakpoint(query)
        else:
            self.set_breakpoint(query)

    def _ask_breakpoint(self, query: str) -> None:
        title = "break at a new node that is"
        self._services.ask_text(title, self.set_breakpoint, value=query, placeholder="good depth<6")

    def set_breakpoint(self, text: str) -> None:
        """Stand still where a new node matches a query."""
        try:
            query = parse(text).text
        except InputError as error:
            self._services.complain(str(error))
            return
        self.ask_for(Intervention("breakpoint", ROOT, query))

    # -- a new trace -----------------------------------------------------------------------------------

    def ask_fork(self, wanted: Sequence[Intervention], changes: dict[str, Any] | None = None) -> None:
        """Start a new trace from the moment that is shown, after a look at what it will cost."""
        session, tree = self._services.session, self._services.session.tree
        if tree is None or tree.started is None or session.path is None or not self._services.may_start():
            return
        seq = tree.seq if session.past is None else session.past
        settings = tree.settings_at(seq)
        done = bisect_right(tree.iteration_seqs, seq)
        changes = dict(changes or {})
        iterations = changes.get("iterations", settings.iterations)
        if iterations <= done:
            iterations = changes["iterations"] = done + FORKED_ITERATIONS
        costs = price_of_iterations(tree, iterations - done, replace(settings, **changes))
        path, started = session.path, tree.started

        def make(listener: Callable[[AnyEvent], None]) -> SearchJob:
            """Makes the search once a person said yes; its trace gets a name that is free then."""
            out = free_name(session.workspace.traces, started.environment, started.task, settings.seed)
            control = Control(waits_on_failures=True)
            return fork_job(
                path,
                seq,
                out,
                requests=wanted,
                changes=changes,
                listener=listener,
                delay=DEFAULT_DELAY,
                control=control,
                own=session.own,
            )

        self._services.choose(
            f"a new trace from event {seq} of {tree.seq}",
            [
                Choice(
                    "y", f"start it: up to {iterations - done} iterations, {costs}", partial(self._services.start, make)
                ),
                Choice("escape", "leave it", lambda: None),
            ],
        )

    def ask_branch(self, id: int) -> None:
        """Start a new search whose prefix is the way to a node, after showing what it will cost."""
        session, tree = self._services.session, self._services.session.tree
        if tree is None or tree.started is None or session.path is None or not self._services.may_start():
            return
        path, started = session.path, tree.started
        iterations = started.settings.iterations
        costs = price_of_iterations(tree, iterations)

        def make(listener: Callable[[AnyEvent], None]) -> SearchJob:
            """Makes the search once a person said yes; its trace gets a name that is free then."""
            out = free_name(session.workspace.traces, started.environment, started.task, started.settings.seed)
            control = Control(waits_on_failures=True)
            own = session.own
            return branch_job(path, id, out, listener=listener, delay=DEFAULT_DELAY, control=control, own=own)

        self._services.choose(
            f"a new search from node {id}, the {many(tree.nodes[id].depth, 'step')} to it as its prefix",
            [
                Choice("y", f"start it: up to {iterations} iterations, {costs}", partial(self._services.start, make)),
                Choice("escape", "leave it", lambda: None),
            ],
        )

    # -- what came of it -------------------------------------------------------------------------------

    def take_log(self) -> None:
        """Show the result of a person's request, and the breakpoint that paused the search."""
        session = self._services.session
        tree = session.tree
        if tree is None:
            return
        log = tree.chronicle.log
        if self._logged_of is not tree:  # what was done before it was opened is no news
            self._logged_of, self._awaited = tree, None
            self._logged = _last_start(log) if session.running else len(log)
        for event in log[self._logged :]:
            if isinstance(event, Intervened):
                self._came(event, tree)
            elif isinstance(event, Paused) and event.kind == "breakpoint":
                self._broke(event)
            elif isinstance(event, Paused) and event.kind == "failures":
                self._services.say(f"{event.reason} · space goes on", severity="error", seconds=15)
            elif isinstance(event, Ended):
                if step := next_step(session):
                    self._services.say(step, seconds=15)
                for warning in filter(None, (answer_warning(tree), *score_warnings(tree))):
                    self._services.say(warning, severity="warning", seconds=20)
        self._logged = len(log)

    def _came(self, event: Intervened, tree: SearchTree) -> None:
        if event.what == "refused":
            self._services.complain(event.detail)
        elif event.what == "edited" and event.child is not None:
            written = tree.nodes_at(event.seq) - 1
            awaited, self._awaited = self._awaited, None
            if awaited is not None and awaited.parent == event.node:
                self._services.go_to_node(written)
                if awaited.expand and refused(tree, Intervention("forced", written)) is None:
                    self.send(Intervention("forced", written))
        elif event.what not in ("note", "mark"):
            self._services.say(logged(event)[0], seconds=3)

    def _broke(self, event: Paused) -> None:
        self._services.say(f"{event.reason} · space goes on", severity="warning", seconds=8)
        if self._services.session.past is None and event.node is not None:
            self._services.go_to_node(event.node)


def _last_start(log: Sequence[AnyEvent]) -> int:
    """Where what this run of the search logged begins."""
    starts = [at for at, event in enumerate(log) if isinstance(event, Resumed) and event.code]
    return starts[-1] if starts else 0
