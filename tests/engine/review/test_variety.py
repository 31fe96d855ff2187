"""The order in which a person learns most from the first samples, and which samples teach the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.review.curation import ordered
from engine.review.decisions import Decided
from engine.review.variety import alike, teaching, varied, without_amounts, wrong_words
from engine.samples.sample import Sample
from engine.samples.tails.tail import Tail, TailStep
from engine.samples.thoughts.writers import REASON


def sample(
    number: int, action: str = "get 1 stick", mark: int = 2, tail: tuple[str, ...] = ("a", "b"), **more: object
) -> Sample:
    """A sample whose thought names a wrong action, with a tail of its own."""
    steps = [TailStep(response=f"Action: {each}", action=each, observation="") for each in tail]
    fields = {"task": "1", "found": mark, "thought": f"`{action}` was wrong.", "thought_by": REASON, **more}
    return Sample(
        id=f"s{number}", kind="revision", trace="t", path="p", environment="textcraft", good=9, bad=8, return_good=1,
        mark=mark, tail=Tail(mark=mark, score=1, steps=steps), **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def ids(samples: list[Sample]) -> list[str]:
    return [each.id for each in samples]


def test_the_first_samples_show_another_mistake_each() -> None:
    actions = ["get 1 stick", "get 2 stick", "craft 1 plank", "look around", "craft 3 plank", "get 7 stick"]
    samples = [sample(number, action) for number, action in enumerate(actions)]
    assert ids(varied(samples)) == ["s0", "s2", "s3", "s1", "s4", "s5"]
    assert ids(ordered(samples, {}, "varied")) == ids(varied(samples))


def test_a_mark_that_was_moved_a_tail_of_one_step_and_a_task_of_its_own() -> None:
    awkward = sample(0, "get 1 stick", found=1)
    short = sample(1, "get 2 stick", tail=("a",))
    telling = sample(2, "get 3 stick")
    elsewhere = sample(3, "get 1 stick", task="2")
    assert ids(varied([awkward, short, telling, elsewhere])) == ["s2", "s3", "s1", "s0"]


@given(st.lists(st.tuples(st.sampled_from(["get 1 a", "get 2 a", "b", "c"]), st.integers(1, 5)), max_size=30))
def test_no_sample_is_lost_and_mistakes_come_in_rounds(drawn: list[tuple[str, int]]) -> None:
    samples = [sample(number, action, mark) for number, (action, mark) in enumerate(drawn)]
    made = varied(samples)
    assert sorted(ids(made)) == sorted(ids(samples))
    kinds = len({wrong_words(each) for each in samples})
    assert len({wrong_words(each) for each in made[:kinds]}) == kinds


def test_amounts_are_no_difference_and_words_are() -> None:
    assert without_amounts("get  12 stick") == without_amounts("get 3 stick") == "get # stick"
    samples = [sample(0), sample(1, "get 5 stick"), sample(2, tail=("a", "c")), sample(3, task="2"), sample(4)]
    teaches = {each.id: teaching(each) for each in samples}
    assert {first: ids(others) for first, others in alike(samples, {}, teaches).items()} == {"s0": ["s1", "s4"]}
    turned = list(reversed(samples))
    assert {first: ids(others) for first, others in alike(turned, {}, teaches).items()} == {"s4": ["s1", "s0"]}


@pytest.mark.parametrize(
    "decided", [Decided(sample="s1", verdict="rejected"), Decided(sample="s1", mark=1), Decided(sample="s1", note="hm")]
)
def test_a_sample_with_a_decision_stands_for_itself(decided: Decided) -> None:
    samples = [sample(0), sample(1)]
    teaches = {each.id: teaching(each) for each in samples}
    folded = alike(samples, {"s1": decided}, teaches)
    assert bool(folded) == (decided.verdict is None and decided.mark is None)


def test_of_a_sample_whose_steps_are_in_its_tree_alone_nothing_is_known(tmp_path: Path) -> None:
    bare = sample(0)
    bare.tail = None
    assert teaching(bare) is None
    assert alike([bare, bare], {}, {"s0": None}) == {}
