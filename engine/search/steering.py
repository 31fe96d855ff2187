"""Does what a person asks of a running search: other settings, interventions, breakpoints, pauses.

All of it happens between two expansions and is written into the trace, so that a resumed search loses none of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from engine.base.errors import InputError
from engine.base.text import clean
from engine.environment.at_node import EnvironmentAtNode
from engine.query.nodes import Predicate, parse
from engine.search.control import Control, Pause
from engine.search.expansion import step_written
from engine.search.interventions import Intervention, refused
from engine.search.settings import settings_from
from engine.tree.events import AnyEvent, Child, Intervened, Paused, Resumed, SettingsChanged
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree
from envs.base import EnvError

T = TypeVar("T")


class WithEnvironment(Protocol):
    """Does something with the environment, where it may block in a thread of its own."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


class Steering:
    """Applies the requests of `control` to one search."""

    def __init__(
        self,
        tree: SearchTree,
        control: Control,
        stand: EnvironmentAtNode,
        with_environment: WithEnvironment,
        emit: Callable[[AnyEvent], None],
        new_nodes: Callable[[Iterable[int]], None],
    ) -> None:
        """`new_nodes` hears of nodes that a person wrote."""
        self._tree = tree
        self._control = control
        self._stand = stand
        self._with_environment = with_environment
        self._emit = emit
        self._new_nodes = new_nodes
        self._breakpoints: dict[str, Predicate] = {}
        self._broke_at: set[tuple[str, int]] = set()  # breakpoints and the nodes at which they held up the search
        if control.waits_on_failures:  # somebody watches: breakpoints of before hold again
            for query in tree.breakpoints:
                self._set_breakpoint(query)

    @property
    def _next(self) -> int:
        return self._tree.seq + 1

    def take_settings(self) -> bool:
        """Take up settings that were changed; they hold from the next selection on. False where there were none."""
        tree, control = self._tree, self._control
        assert tree.started is not None
        taken = False
        while control.changes:
            who, changes = control.changes.pop(0)
            try:
                settings_from({**msgspec.to_builtins(tree.started.settings), **changes})
            except InputError:
                continue  # the person who asked sees the reason there; a search does not end over it
            self._emit(SettingsChanged(seq=self._next, who=who, changes=changes))
            taken = True
        return taken

    async def intervene(self) -> None:
        """Do the interventions that were asked for since the last call; one that can't be done is recorded with the
        reason."""
        control = self._control
        while control.requests and control.stop_reason is None:
            who, asked = control.requests.pop(0)
            child: Child | None = None
            why = refused(self._tree, asked)
            if why is None and asked.what == "edited":
                try:
                    child = await self._with_environment(partial(self._written, asked))
                except EnvError as error:
                    why = str(error)
            if why is not None:
                self._refuse(who, asked, why)
            else:
                self._do(who, asked, child)

    def _written(self, asked: Intervention) -> Child:
        assert self._tree.started is not None
        return step_written(self._tree, self._stand, self._tree.started.settings, asked.node, asked.detail)

    def _refuse(self, who: str, asked: Intervention, why: str) -> None:
        node = asked.node if 0 <= asked.node < len(self._tree) else ROOT
        detail = clean(f"{asked.what}: {why}")
        self._emit(Intervened(seq=self._next, who=who, what="refused", node=node, detail=detail))

    def _do(self, who: str, asked: Intervention, child: Child | None) -> None:
        tree = self._tree
        first = len(tree.nodes)
        detail = "" if child is not None else clean(asked.detail)
        self._emit(
            Intervened(
                seq=self._next, who=who, what=asked.what, node=asked.node, detail=detail, of=asked.of, child=child
            )
        )
        self._new_nodes(range(first, len(tree.nodes)))
        if asked.what == "forced":
            self._control.allow(len(tree.in_flight))  # that node's, and those before it in the order of selection
        elif asked.what == "breakpoint":
            self._set_breakpoint(asked.detail)
        elif asked.what == "breakpoint removed":
            self._breakpoints.pop(asked.detail, None)

    def _set_breakpoint(self, query: str) -> None:
        self._breakpoints[query] = parse(query).on(self._tree)

    def look_for_breakpoints(self, ids: Iterable[int]) -> None:
        """Pause where one of these nodes meets a breakpoint."""
        if not self._breakpoints:
            return
        looked_at = list(ids)
        for query, test in self._breakpoints.items():
            for id in looked_at:
                if (query, id) not in self._broke_at and test(self._tree.nodes[id]):
                    self._broke_at.add((query, id))
                    self._control.pause(Pause(f"breakpoint: node {id} is {query}", "breakpoint", id, query))
                    break

    async def wait(self) -> None:
        """Pause until a person lets the search go on, and do meanwhile what is asked for."""
        control = self._control
        why = control.why_paused
        self._emit(Paused(seq=self._next, reason=why.words, kind=why.kind, node=why.node, query=why.query))
        while control.must_wait:
            await control.changed()
            self.take_settings()
            await self.intervene()
        if control.stop_reason is None:
            self._emit(Resumed(seq=self._next))
