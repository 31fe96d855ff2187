"""Which steps a revision trajectory is made of, and which of them are trained; steps before the root never are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.samples.splice import Splice, Turn, revision_turns, splice, trajectory_turns
from engine.tree.events import FORMAT_VERSION, Imported, ImportedNode, Message, PrefixStep, SearchSettings, Started
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, first_wrong_step

PREFIX = [PrefixStep("Action: walk", "walk", "You walked."), PrefixStep("Action: look", "look", "You looked.")]


def branched() -> SearchTree:
    """Two leaves below the root of a search that began after two steps."""
    started = Started(
        seq=0,
        version=FORMAT_VERSION,
        trace="p",
        environment="textcraft",
        task="0",
        header=[Message("user", "Rules."), Message("assistant", "Ok."), Message("user", "go")],
        settings=SearchSettings(),
        prefix=PREFIX,
    )
    nodes = [
        ImportedNode(visits=2, value=1.0),
        ImportedNode(0, "Action: good", "good", "Well done.", 1.0, 1, 1.0, "done"),
        ImportedNode(0, "Action: bad", "bad", "Alas.", 0.0, 1, 0.0, "done"),
    ]
    return SearchTree([started, Imported(seq=1, source="made", nodes=nodes)])


def revision(tree: SearchTree) -> list[Turn]:
    """A trajectory with a wrong step."""
    return revision_turns(tree, Splice([2], [1]), "I was wrong.")


def good(tree: SearchTree) -> list[Turn]:
    """A good trajectory."""
    return trajectory_turns(tree, 1)


@pytest.mark.parametrize("make", [revision, good])
def test_steps_before_the_root_stand_in_a_trajectory_and_are_not_trained(
    make: Callable[[SearchTree], list[Turn]],
) -> None:
    turns = make(branched())
    before = [(turn.role, turn.content, turn.loss) for turn in turns[3:7]]
    assert before == [
        ("assistant", "Action: walk", False),
        ("user", "You walked.", None),
        ("assistant", "Action: look", False),
        ("user", "You looked.", None),
    ]
    assert {turn.part for turn in turns[3:7]} == {"prefix"}
    assert [turn.loss for turn in turns[:3]] == [None, None, None]


def test_only_the_thought_and_the_good_steps_of_a_branched_search_are_trained() -> None:
    trained = [turn.content for turn in revision(branched()) if turn.loss]
    assert trained == ["Thought: I was wrong.\nAction: wait", "Action: good"]
    assert [turn.content for turn in good(branched()) if turn.loss] == ["Action: good"]


def two_ways() -> SearchTree:
    """A shared step, then three good steps (2, 3, 4) beside three bad ones (5, 6, 7)."""
    started = Started(
        seq=0,
        version=FORMAT_VERSION,
        trace="w",
        environment="textcraft",
        task="0",
        header=[],
        settings=SearchSettings(),
    )
    parents = [0, 1, 2, 3, 1, 5, 6]
    nodes = [ImportedNode(parent, f"Action: {id}", str(id), str(id)) for id, parent in enumerate(parents, 1)]
    return SearchTree([started, Imported(seq=1, source="made", nodes=[ImportedNode(), *nodes])])


@pytest.mark.parametrize(
    ("mark", "bad", "after_fork"),
    [(2, [1, 5], [2, 3, 4]), (3, [1, 5, 6], [2, 3, 4]), (None, [1, 5, 6, 7], [2, 3, 4]), (1, [1], [2, 3, 4])],
)
def test_a_splice_is_the_bad_steps_up_to_the_mark_and_the_good_ones_after_the_fork(
    mark: int | None, bad: list[int], after_fork: list[int]
) -> None:
    assert splice(two_ways(), good=4, bad=7, fork=1, mark=mark) == Splice(bad, after_fork)


def test_the_mark_is_the_first_step_judged_bad() -> None:
    judged = [Judgement(1, "Good"), Judgement(2, "Uncertain"), Judgement(3, "Bad"), Judgement(4, "Bad")]
    assert first_wrong_step(judged) == 3
    assert first_wrong_step(judged[:2]) is None
