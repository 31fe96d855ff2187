"""Steps before the root of a branched search: they stand in every trajectory and are never trained."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.samples.splice import Splice, Turn, revision_turns, trajectory_turns
from engine.tree.events import FORMAT_VERSION, Imported, ImportedNode, Message, PrefixStep, SearchSettings, Started
from engine.tree.tree import SearchTree

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
