"""Threads that look back at a tree while it grows see what one thread sees, then and ever after."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from engine.explain.repeated_states import repeated_states
from engine.explain.series import figures, snapshot
from engine.explain.timeline import changed_between
from engine.explain.why import facts, why
from engine.query.find import find
from engine.query.nodes import parse
from engine.search.job import fork_job, new_job
from engine.trace.trace_file import read_events
from engine.tree.events import AnyEvent, SearchSettings, SettingsChanged, event_decoder, event_encoder
from engine.tree.tree import SearchTree

Reader = Callable[[SearchTree, int], object]


def _ids(tree: SearchTree, seq: int) -> range:
    return range(tree.nodes_at(seq))


READERS: dict[str, Reader] = {
    "N, W and Q": lambda tree, seq: [
        (past.visits(id), past.value_sum(id), past.q(id)) for past in [tree.at(seq)] for id in _ids(tree, seq)
    ],
    "choices": lambda tree, seq: [tree.choice(id, seq) for id in _ids(tree, seq)],
    "states": lambda tree, seq: [
        [same for same in tree.same_state(id) if same < tree.nodes_at(seq)] for id in _ids(tree, seq)
    ],
    "repeated states": lambda tree, seq: repeated_states(tree.at(seq)),
    "settings": lambda tree, seq: tree.settings_at(seq),
    "in flight": lambda tree, seq: (tree.in_flight_at(seq), tree.path_at(seq)),
    "shape": lambda tree, seq: [
        (list(past.children(id)), past.expanded(id), past.exhausted(id), past.pruned(id), tree.born_at(id))
        for past in [tree.at(seq)]
        for id in _ids(tree, seq)
    ],
    "changes": lambda tree, seq: (changed_between(tree, seq // 2, seq).visited, len(changed_between(tree, 0, seq))),
    "query": lambda tree, seq: find(parse("visits>1 q>0.1"), tree.at(seq)),
    "figures": lambda tree, seq: figures(snapshot(tree, tree.at(seq), (0.0, 1.0))),
    "why": lambda tree, seq: [(why(tree.at(seq), id), facts(tree.at(seq), id)) for id in _ids(tree, seq)],
}


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[AnyEvent]:
    """A real search, whose settings were changed on the way."""
    folder = tmp_path_factory.mktemp("threads")
    first, path = folder / "first.trace.jsonl", folder / "t.trace.jsonl"
    settings = SearchSettings(iterations=4, error_rate=0.5, samples=3, max_depth=8)
    new_job("textcraft", "2", settings, first).run_blocking()
    last = sum(1 for _ in read_events(first)) - 2
    fork_job(first, last, path, changes={"c": 2.0, "iterations": 10}).run_blocking()
    found = list(read_events(path))
    assert any(isinstance(event, SettingsChanged) for event in found)
    return found


@pytest.fixture
def often() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def grown(events: list[AnyEvent]) -> SearchTree:
    """A tree of its own: the fold changes the settings of the first event."""
    return SearchTree(read_again(events))


def read_again(events: list[AnyEvent]) -> list[AnyEvent]:
    return [event_decoder.decode(event_encoder.encode(event)) for event in events]


@pytest.mark.parametrize("name", READERS)
def test_two_threads_that_look_back_at_a_growing_tree(name: str, events: list[AnyEvent], often: None) -> None:
    read = READERS[name]
    whole = grown(events)
    moments = range(3, len(events), max(1, len(events) // 25))
    expected = {seq: read(whole, seq) for seq in moments}
    wrong: list[int] = []
    failed: list[BaseException] = []
    for round in range(6):
        tree, done = SearchTree(), threading.Event()
        ready = read_again(events)
        for event in ready[:4]:
            tree.apply(event)

        def look(seed: int, tree: SearchTree = tree, done: threading.Event = done, wrong: list[int] = wrong) -> None:
            rng = random.Random(seed)
            try:
                while not done.is_set():
                    seq = rng.choice([seq for seq in moments if seq <= tree.seq])
                    if read(tree, seq) != expected[seq]:
                        wrong.append(seq)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=look, args=(2 * round + number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for event in ready[4:]:
            tree.apply(event)
        done.set()
        for thread in threads:
            thread.join()
        wrong.extend(seq for seq in moments if read(tree, seq) != expected[seq])
    assert not failed, failed[0]
    assert not wrong


def test_no_reader_of_the_past_changes_what_the_tree_keeps(events: list[AnyEvent]) -> None:
    """Nothing is built on first use: reading leaves every list, array and table of the tree as it was."""
    tree = grown(events)

    def kept(thing: object) -> str:
        return repr({name: value for name, value in sorted(vars(thing).items()) if name != "nodes"})

    before = kept(tree.history), kept(tree.chronicle), repr(tree.by_state)
    for read in READERS.values():
        read(tree, tree.seq // 2)
    assert (kept(tree.history), kept(tree.chronicle), repr(tree.by_state)) == before


def test_the_trace_of_these_tests_tells_states(events: list[AnyEvent]) -> None:
    tree = grown(events)
    assert len(tree) > 50
    assert any(len(tree.same_state(id)) > 1 for id in range(len(tree)))
