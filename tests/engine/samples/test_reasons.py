"""Thoughts that name the mistake: of real trees, true of the state after the wrong step, in many forms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.base.errors import InputError
from engine.environment.replay import Replayer, opener
from engine.models.prompts import prompt
from engine.review.curation import effective
from engine.review.decisions import Decisions
from engine.samples.revise import revise
from engine.samples.sample import Sample, splice_of, steps_to_replay
from engine.samples.settings import Revised, ReviseSettings
from engine.samples.thoughts.reasons import KINDS, LIST, Mistake, fill, sentences, thought_of
from engine.tree.tree import SearchTree
from envs.base import Words, make
from tests.engine.searched import search


def taught(tmp_path: Path, task: str = "2") -> tuple[SearchTree, list[Sample]]:
    """A real tree and the samples of a default run over it."""
    tree = SearchTree(search(tmp_path / "t.trace.jsonl", task))
    made = revise(tree, "t", ReviseSettings(repair=None), Revised())
    return tree, [sample for sample in made if sample.kind in ("revision", "recovery")]


def test_every_kind_of_mistake_has_twelve_sentences_of_different_form() -> None:
    found = sentences(prompt(LIST))
    assert set(found) == set(KINDS)
    for patterns in found.values():
        assert len(patterns) >= 12
        bare = {" ".join(re.sub(r"[\[\]{}|]|\\w+(?=})", " ", pattern).split()[:4]) for pattern in patterns}
        assert len(bare) == len(patterns)  # no two begin alike


@pytest.mark.parametrize(
    "words",
    [
        Words(),
        Words(need="get 4 honey bottles"),
        Words(fault="the clock has to be crafted"),
        Words("the clock has to be crafted", "get 1 redstone", "I carry no redstone and need 1"),
    ],
)
@pytest.mark.parametrize("answer", ["", "Could not find clock"])
def test_a_sentence_is_whole_whatever_is_known(words: Words, answer: str) -> None:
    for kind, patterns in sentences(prompt(LIST)).items():
        for pattern in patterns:
            told = fill(pattern, Mistake(kind, "get 1 clock", answer, words))
            assert "`get 1 clock`" in told
            assert not re.search(r"[\[\]{}|\0]|  | [.,;:?]|\.\.|\bNone\b", told), told
            assert told[0] in '`"' or told[0].isupper()
            assert told[-1] in ".?"
            assert words.need in told


def test_what_is_filled_in_is_not_read_as_a_sentence() -> None:
    mistake = Mistake("refused", "search[a {need} | b]", "no [x] {why}", Words(need="click [b]"))
    for pattern in sentences(prompt(LIST))["refused"]:
        told = fill(pattern, mistake)
        assert "`search[a {need} | b]`" in told
        assert "click [b]" in told


def test_a_thought_names_the_step_and_what_the_tail_begins_with(tmp_path: Path) -> None:
    tree, samples = taught(tmp_path)
    assert len(samples) >= 5
    for sample in samples:
        bad = splice_of(tree, sample).bad
        steps = steps_to_replay(tree, sample)
        wrong, first = steps[len(bad) - 1], steps[len(bad)]
        assert f"`{wrong.action}`" in sample.thought
        assert sample.thought_by == "reason"
        env = make("textcraft")
        env.reset(options={"task": "2"})
        for step in steps[: len(bad)]:
            answer = env.step(step.action)[0]
        if wrong.observation.startswith("Could not find ") and len(answer) <= 80:
            assert answer in sample.thought
        need = env.words(wrong.action, wrong.observation, [step.action for step in steps[len(bad) :]]).need  # type: ignore[attr-defined]
        assert need
        assert need in sample.thought
        item = first.action.split(" using ")[0].split(" ", 2)[2]
        assert item.rstrip("s") in need
        carried = env.step("inventory")[0]
        if found := re.search(r"I carry (\d+) ([a-z ]+?)s? and need", sample.thought):
            assert re.search(rf"\[{found[2]}s?\] \({found[1]}\)", carried)


def test_the_same_sample_and_seed_have_the_same_thought_and_many_samples_many_forms() -> None:
    mistake = Mistake("refused", "get 1 clock", "Could not find clock", Words(need="get 1 redstone"))
    assert thought_of(mistake, "a", 3) == thought_of(mistake, "a", 3)
    assert len({thought_of(mistake, str(number)) for number in range(300)}) >= 12


def test_a_moved_mark_has_a_thought_about_the_step_that_is_marked_now(tmp_path: Path) -> None:
    tree, samples = taught(tmp_path)
    sample = next(each for each in samples if each.bad is not None and each.mark and each.mark < each.bad_depth)
    assert sample.mark is not None
    decisions = Decisions(tmp_path / "d", "ann")
    decisions.decide(sample.id, mark=sample.mark + 1)
    replayer = Replayer(tree, opener(tree))
    moved = effective(sample, decisions.current()[sample.id], tree, replayer)
    replayer.close()
    action = tree.nodes[splice_of(tree, moved).bad[-1]].action
    assert f"`{action}`" in moved.thought or moved.thought_by != "reason"
    assert moved.thought != sample.thought


def test_compat_and_list_draw_from_the_list(tmp_path: Path) -> None:
    tree = SearchTree(search(tmp_path / "t.trace.jsonl"))
    for settings in (ReviseSettings(compat=True), ReviseSettings(thought="list"), ReviseSettings(thought="seeded")):
        made = [each for each in revise(tree, "t", settings, Revised()) if each.kind == "revision"]
        assert made
        assert not any(sample.thought_by for sample in made)


def test_a_file_of_sentences_that_lacks_a_kind_is_one_line() -> None:
    with pytest.raises(InputError, match=r"reasons.txt: holds no sentence for \[looks\]"):
        sentences("[refused]\n{action} failed.")
    with pytest.raises(InputError, match=r"reasons.txt:2: no name \{reason\} is filled in"):
        sentences("[refused]\n{action} failed: {reason}.")
