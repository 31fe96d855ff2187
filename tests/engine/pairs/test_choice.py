"""Which pairs become samples: rankings are complete and lazy, limits count what they drop, duplicates are one."""

from __future__ import annotations

import random
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.errors import InputError
from engine.pairs.limits import MAX_PAIRS, PER_FORK, PER_TREE, REFUSED, SAME_STEP, wrong_step
from engine.pairs.pairs import Pair, count_pairs, fork_of, pairs
from engine.pairs.ranking import RANKS, ranked
from engine.samples.duplicates import EXACT, NEAR, Duplicates, shingles
from engine.samples.revise import revise
from engine.samples.sample import Sample
from engine.samples.settings import Revised, ReviseSettings
from engine.samples.splice import Turn
from engine.trace.sources import load_any
from engine.tree.events import Imported, ImportedNode, SearchSettings, Started
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from tests.engine.made import AS_FOUND, TWIN, honey_trace
from tests.engine.made import ROWS as HONEY_ROWS
from tests.engine.samples.test_revision import searched

LIMITS = Thresholds()


def grown(nodes: int, seed: int, returns: list[float], width: int = 4) -> SearchTree:
    """A foreign tree of any shape; its leaves have returns of the list."""
    rng = random.Random(seed)
    rows = [ImportedNode()]
    children = [0]
    for _ in range(1, nodes):
        parent = rng.choice([id for id in range(max(0, len(rows) - 150), len(rows)) if children[id] < width] or [0])
        children[parent] += 1
        children.append(0)
        rows.append(ImportedNode(parent=parent, response=f"Thought: t\nAction: {len(rows)}", action=str(len(rows))))
    for id in range(1, nodes):
        if not children[id]:
            value = rng.choice(returns)
            rows[id].reward, rows[id].terminal = value, "done"
            at = id
            while at >= 0:
                rows[at].visits += 1
                rows[at].value += value
                at = rows[at].parent
    start = Started(
        seq=0, version=1, trace="t", environment="textcraft", task="0", header=[], settings=SearchSettings()
    )
    return SearchTree([start, Imported(seq=1, source="agent-r", nodes=rows)])


def made(tree: SearchTree, **changes: object) -> tuple[list[Sample], Revised]:
    """The samples of pairs, and the figures."""
    figures = Revised()
    chosen = ReviseSettings(**AS_FOUND | {"verifier": "value"} | changes)
    return [sample for sample in revise(tree, "t", chosen, figures) if sample.bad is not None], figures


@settings(max_examples=80, deadline=None)
@given(st.integers(2, 70), st.integers(0, 1_000), st.sampled_from([[0, 1], [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1]]))
def test_every_ranking_holds_each_pair_once(nodes: int, seed: int, returns: list[float]) -> None:
    tree = grown(nodes, seed, returns)
    wanted = sorted(pairs(tree, LIMITS))
    for rank in RANKS:
        found = list(ranked(tree, LIMITS, rank))
        assert sorted(found) == wanted, rank
        assert all(pair.fork == fork_of(tree, pair.good, pair.bad) for pair in found)


@settings(max_examples=80, deadline=None)
@given(st.integers(2, 70), st.integers(0, 1_000))
def test_rankings_are_sorted_by_what_they_are_named_after(nodes: int, seed: int) -> None:
    tree = grown(nodes, seed, [0, 1])

    def depth(pair: Pair) -> int:
        return tree.nodes[pair.fork].depth

    def tail(pair: Pair) -> int:
        return tree.nodes[pair.good].depth - depth(pair)

    forks = list(ranked(tree, LIMITS, "fork"))
    assert forks == sorted(forks, key=lambda pair: (-depth(pair), -pair.gap, tail(pair), pair.good, pair.bad))
    gaps = list(ranked(grown(nodes, seed, [0, 0.25, 0.75, 1]), LIMITS, "gap"))
    assert [pair.gap for pair in gaps] == sorted((pair.gap for pair in gaps), reverse=True)
    tails = list(ranked(tree, LIMITS, "tail"))
    assert tails == sorted(tails, key=lambda pair: (tail(pair), -depth(pair), -pair.gap, pair.good, pair.bad))


def test_the_ranking_by_mark_shows_every_wrong_step_before_any_twice() -> None:
    tree = grown(300, 5, [0, 1])
    found, _ = made(tree, rank="mark")
    steps = [wrong_step(tree, sample.bad, sample.mark) for sample in found if sample.bad is not None]
    first = len(set(steps))
    assert first > 5
    assert len(set(steps[:first])) == first


@pytest.mark.parametrize("rank", [rank for rank in RANKS if rank != "return"])
def test_the_first_pages_of_a_million_pairs_come_in_little_memory(rank: str) -> None:
    tree = grown(6_000, 1, [0, 1])
    assert count_pairs(tree, LIMITS) > 1_000_000
    assert len(list(islice(ranked(tree, LIMITS, rank), 50))) == 50  # type: ignore[arg-type]
    tracemalloc.start()
    page = islice(ranked(tree, LIMITS, rank), 20_000)  # type: ignore[arg-type]
    assert sum(1 for _ in page) == 20_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000  # bytes; all pairs would take more than 100 MB


def test_an_unknown_ranking_names_those_there_are() -> None:
    with pytest.raises(InputError, match="unknown rank 'best': one of lesson, return, fork, gap, tail, mark"):
        next(ranked(grown(5, 1, [0, 1]), LIMITS, "best"))  # type: ignore[arg-type]


def test_every_dropped_pair_is_counted_with_its_reason() -> None:
    tree = searched("2", 0.5)
    all, _ = made(tree)
    assert len(all) > 30
    for changes in (
        {"per_tree": 7},
        {"per_fork": 2},
        {"max_pairs": 11},
        {"diverse": True},
        {"duplicates": 0.9},
        {"per_tree": 5, "per_fork": 1, "diverse": True, "duplicates": 0.8, "rank": "fork"},
    ):
        samples, figures = made(tree, **changes)
        assert figures.pairs == len(all), changes
        assert figures.samples == len(samples) == figures.pairs - sum(figures.dropped.values()), changes
    assert made(tree, per_tree=7)[1].dropped == {PER_TREE: len(all) - 7}
    assert made(tree, max_pairs=11)[1].dropped == {MAX_PAIRS: len(all) - 11}
    few, figures = made(tree, per_fork=2)
    assert list(figures.dropped) == [PER_FORK]
    assert max(sum(each.fork == sample.fork for each in few) for sample in few) == 2


def test_a_refused_mark_is_a_reason_too(tmp_path: Path) -> None:
    tree = searched("2", 0.5)
    figures = Revised()
    list(revise(tree, "t", ReviseSettings(**AS_FOUND | {"before_fork": "refuse"}), figures))
    assert figures.dropped == ({REFUSED: figures.refused} if figures.refused else {})
    assert figures.refused > 0


def test_diverse_takes_every_wrong_step_once() -> None:
    tree = searched("2", 0.5)
    samples, figures = made(tree, diverse=True, rank="fork")
    steps = [wrong_step(tree, sample.bad, sample.mark) for sample in samples if sample.bad is not None]
    assert len(steps) == len(set(steps)) > 1
    assert list(figures.dropped) == [SAME_STEP]
    everything = {wrong_step(tree, each.bad, each.mark) for each in made(tree)[0] if each.bad is not None}
    assert set(steps) == everything


def test_exact_duplicates_are_one_and_compat_keeps_them(tmp_path: Path) -> None:
    tree = load_any(honey_trace(tmp_path / "twin.trace.jsonl", HONEY_ROWS + TWIN)).tree
    plain, _ = made(tree)
    once, figures = made(tree, duplicates=1.0)
    assert figures.dropped[EXACT] >= 2
    assert len(once) + figures.dropped[EXACT] + figures.dropped.get(NEAR, 0) == len(plain)
    kept, figures = made(tree, duplicates=1.0, compat=True)
    assert not figures.dropped
    assert len(kept) == len(plain)


def turns(wrong: str, tail: str, thought: str = "I was wrong.") -> list[Turn]:
    """A small revision trajectory."""
    return [
        Turn("assistant", f"Thought: hm\nAction: {wrong}", False, "bad"),
        Turn("assistant", f"Thought: {thought}\nAction: wait", True, "thought"),
        Turn("assistant", tail, True, "good"),
    ]


LONG = " ".join(f"word{number}" for number in range(120))


def test_near_duplicates_need_the_same_flagged_action_and_trained_parts_that_agree() -> None:
    known = Duplicates(0.9)
    assert known.reason("textcraft", "1", turns("get 1 log", LONG)) is None
    assert known.reason("textcraft", "1", turns("get 1 log", LONG, "Another thought.")) == EXACT
    assert known.reason("textcraft", "1", turns("get 1 log", LONG.replace("word60", "other"))) == NEAR
    assert known.reason("textcraft", "1", turns("get 2 log", LONG.replace("word60", "other"))) is None
    assert known.reason("textcraft", "2", turns("get 1 log", LONG)) is None
    changed = " ".join(f"word{number}" if number % 9 else "other" for number in range(120))
    assert known.reason("textcraft", "1", turns("get 1 log", changed)) is None


def test_the_estimate_is_near_the_true_similarity() -> None:
    rng = random.Random(1)
    for share in (0.02, 0.6):
        words = LONG.split()
        other = [word if rng.random() > share else "x" for word in words]
        a, b = shingles([LONG]), shingles([" ".join(other)])
        true = len(a & b) / len(a | b)
        known = Duplicates(0.8)
        known.reason("e", "t", turns("a", LONG))
        assert (known.reason("e", "t", turns("a", " ".join(other))) == NEAR) == (true >= 0.8)


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5])
def test_a_threshold_that_is_no_share_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match="is a share above 0 and up to 1"):
        Duplicates(threshold)
