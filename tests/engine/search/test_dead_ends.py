"""A node none of whose draws was usable has no return, also for a search that goes on after it."""

from __future__ import annotations

import asyncio

from engine.actors.base import Answer, DrawFailed, Request
from engine.environment.opened import Opened
from engine.search.search import Search
from engine.search.started_event import started_event
from engine.tree.events import AnyEvent, BackedUp, SearchSettings
from engine.tree.tree import SearchTree
from tests.engine.search.test_oracle import Dice


class RefusesDeep:
    """Answers at the root; below it every draw is refused."""

    waits = False

    async def sample(self, request: Request) -> Answer:
        if request.parent:
            raise DrawFailed("refusal", "no")
        return Answer(f"Action: {'ab'[request.draw]}")


class Endless(Dice):
    """No episode ends."""

    def outcome(self, path: tuple[str, ...]) -> tuple[float, bool]:
        return 0.0, False


def test_a_resumed_search_backs_up_no_dead_end() -> None:
    settings = SearchSettings(iterations=6, samples=2, max_failures=100)
    opened = Opened(Endless(0), "textcraft", "0", "go", {})
    events: list[AnyEvent] = []
    search = Search.begin(started_event(opened, settings), opened, RefusesDeep(), events.append)
    asyncio.run(search.run())
    assert [node.terminal for node in search.tree.nodes] == [None, "dead_end", "dead_end"]
    cut = SearchTree(events[:-1])  # killed before it could say that it ended
    assert cut.state == "running"
    again = Search(cut, Opened(Endless(0), "textcraft", "0", "go", {}), RefusesDeep(), events.append)
    asyncio.run(again.run())
    assert not any(isinstance(event, BackedUp) for event in events)
    assert [(node.visits, node.value_sum) for node in cut.nodes] == [(0, 0)] * 3
