"""Two trajectories or trees beside each other: nothing is lost, nothing is invented, the same is told as the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.explain.alignment import MOST_WORDS, align, partings, sizes, word_diff
from engine.pairs.pairs import fork_of
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree
from tests.agentr_tui.trees import Grower, random_tree, yellow_bed
from tests.engine.searched import search

TEXTS = st.text(st.sampled_from("ab \n.é漢"), max_size=40)


@given(TEXTS, TEXTS)
def test_words_put_together_again_are_the_texts_and_what_is_not_changed_is_in_both(one: str, other: str) -> None:
    left, right = word_diff(one, other)
    assert "".join(piece.text for piece in left) == one
    assert "".join(piece.text for piece in right) == other
    assert "".join(p.text for p in left if not p.changed) == "".join(p.text for p in right if not p.changed)
    assert all(piece.text for piece in [*left, *right])


def test_one_other_word_is_all_that_is_told() -> None:
    left, right = word_diff("get 3 white wool, then go", "get 3 yellow wool, then go")
    assert [piece.text for piece in left if piece.changed] == ["white"]
    assert [piece.text for piece in right if piece.changed] == ["yellow"]


def test_texts_of_many_words_are_compared_at_once_where_they_differ() -> None:
    rng = random.Random(0)
    words = [[str(rng.random()) for _ in range(MOST_WORDS)] for _ in range(2)]
    left, right = word_diff("same start " + " ".join(words[0]), "same start " + " ".join(words[1]))
    assert not left[0].changed
    assert left[0].text.startswith("same start ")
    assert len(left) <= 3
    assert "".join(piece.text for piece in right) == "same start " + " ".join(words[1])


def way(tree: SearchTree, id: int) -> list[int]:
    return tree.ancestors(id)[1:]


def test_two_leaves_share_what_lies_above_their_fork_and_every_step_of_both_is_told_in_order() -> None:
    tree = random_tree(400, 2).tree
    rng = random.Random(1)
    for _ in range(60):
        a, b = rng.randrange(1, len(tree)), rng.randrange(1, len(tree))
        shared, steps = align(tree, a, tree, b)
        assert shared == tree.nodes[fork_of(tree, a, b)].depth
        assert [step.one for step in steps if step.one is not None] == way(tree, a)
        assert [step.other for step in steps if step.other is not None] == way(tree, b)
        assert all(step.same and step.one == step.other for step in steps[:shared])
        for step in steps:
            if step.same:
                assert step.one is not None
                assert step.other is not None
                assert tree.nodes[step.one].response == tree.nodes[step.other].response


def test_twins_in_one_tree_share_nothing_but_their_parent() -> None:
    grower = Grower()
    a, b = grower.expand(ROOT, ["same", "same"])
    shared, steps = align(grower.tree, a, grower.tree, b)
    assert shared == 0
    assert [(step.one, step.other, step.same) for step in steps] == [(a, b, True)]


def test_the_same_action_later_on_stands_beside_itself() -> None:
    grower = Grower()
    a, b = grower.expand(ROOT, ["detour", "get wool"])
    (c,) = grower.expand(a, ["get wool"])
    (end,) = grower.expand(c, ["craft bed"])
    (other,) = grower.expand(b, ["craft bed"])
    _, steps = align(grower.tree, end, grower.tree, other)
    assert [(step.one, step.other) for step in steps] == [(a, None), (c, b), (end, other)]


def test_steps_of_two_trees_are_shared_where_response_and_observation_are_the_same() -> None:
    trees = []
    for observation in ("Done.", "Refused."):
        grower = Grower()
        (a,) = grower.expand(ROOT, ["get wool"])
        grower.expand(a, ["craft bed"], observation=observation)
        trees.append(grower.tree)
    assert align(trees[0], 2, trees[1], 2)[0] == 1
    assert align(trees[0], 2, trees[0], 2)[0] == 2


def test_a_tree_does_not_part_from_itself() -> None:
    tree = yellow_bed().tree
    assert list(partings(tree, tree)) == []
    assert list(partings(tree, yellow_bed().tree)) == []


def test_where_two_searches_part_every_node_is_shared_or_below_a_child_that_one_lacks(tmp_path: Path) -> None:
    one = SearchTree(search(tmp_path / "a.trace.jsonl", iterations=2))
    other = SearchTree(search(tmp_path / "b.trace.jsonl", iterations=5))
    found = list(partings(one, other))
    assert found, "a longer search grows further"
    below_one, below_other = sizes(one), sizes(other)
    lost = sum(below_one[id] for parting in found for id in parting.only_one)
    gained = sum(below_other[id] for parting in found for id in parting.only_other)
    assert len(one) - lost == len(other) - gained
    assert lost == 0, "the same seed: the longer search repeats the shorter one"
    assert sizes(one)[ROOT] == len(one)


def test_a_step_that_was_answered_otherwise_is_a_parting_and_its_children_are_still_compared() -> None:
    trees = []
    for observation, last in (("Got it.", "left"), ("Refused.", "right")):
        grower = Grower()
        (a,) = grower.expand(ROOT, ["get wool"], observation=observation)
        grower.expand(a, ["same", last])
        trees.append(grower.tree)
    (parting,) = partings(*trees)
    assert (parting.one, parting.other, parting.text) == (1, 1, True)
    assert (parting.only_one, parting.only_other) == ([3], [3])


def test_children_with_one_action_are_matched_by_their_words_first() -> None:
    one, other = Grower(), Grower()
    for grower, words in ((one, ("hope", "plan")), (other, ("plan", "hope"))):
        for id, word in zip(grower.expand(ROOT, ["go", "go"]), words, strict=True):
            grower.tree.nodes[id].response = f"Thought: {word}\nAction: go"
    assert list(partings(one.tree, other.tree)) == []


@pytest.mark.parametrize("depth", [5_000])
def test_deep_trees_are_compared_without_recursion(depth: int) -> None:
    from tests.agentr_tui.trees import chain

    assert list(partings(chain(depth), chain(depth))) == []
    assert len(align(chain(depth), depth, chain(depth), depth - 1)[1]) == depth
