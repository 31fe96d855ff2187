"""What *verified* means: every stored observation to the letter, and the return. Held by an environment made for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.environment.opened import Opened
from engine.environment.replay import HOLDS, Replay, Replayer, Step
from engine.samples.sample import Sample, replay_sample
from engine.tree.events import FORMAT_VERSION, Imported, ImportedNode, Message, PrefixStep, SearchSettings, Started
from engine.tree.tree import SearchTree
from tests.engine.scripted_env import Reply, ScriptedEnv, actions, in_a_row, opened


def tree_of(nodes: Sequence[ImportedNode] = (), prefix: Sequence[PrefixStep] = ()) -> SearchTree:
    """A tree of the environment; without nodes only its root."""
    started = Started(
        seq=0,
        version=FORMAT_VERSION,
        trace="v",
        environment="textcraft",
        task="0",
        header=[Message("user", "go")],
        settings=SearchSettings(),
        prefix=list(prefix),
    )
    return SearchTree([started, Imported(seq=1, source="made", nodes=[ImportedNode(), *nodes])])


def replayed(happens: Sequence[Reply], stored: Sequence[str], expected: float, tail: int = 0) -> Replay:
    """Replay stored observations where this happens; the good steps begin at place `tail`."""
    replayer = Replayer(tree_of(), lambda: opened(in_a_row(*happens)))
    steps = [Step(action, seen) for action, seen in zip(actions(happens), stored, strict=True)]
    return replayer.replay(steps, expected, tail)


SOUND = (Reply("You see an axe."), Reply("You take it."), Reply("Done.", 1.0, True))
STORED = ["You see an axe.", "You take it.", "Done."]


def test_every_observation_to_the_letter_and_the_return_is_verified() -> None:
    assert replayed(SOUND, STORED, 1.0) == Replay("verified", 3, 1.0)


@pytest.mark.parametrize(
    "stored",
    ["You see an axe. ", " You see an axe.", "You see  an axe.", "you see an axe.", "You see an axe", ""],
    ids=["a blank at the end", "a blank at the start", "two blanks", "a letter's case", "a full stop", "nothing"],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_observation_that_differs_by_a_blank_or_a_letters_case_is_not_verified(stored: str, place: int) -> None:
    happens = [Reply("You see an axe.", float(at == 2), at == 2) for at in range(3)]
    kept = [stored if at == place else "You see an axe." for at in range(3)]
    found = replayed(happens, kept, 1.0)
    assert found.verdict == "reobserved"
    assert found.observations == {place: "You see an axe."}
    assert (found.step, found.expected, found.got) == (place, stored, "You see an axe.")


def test_line_ends_are_compared_as_the_search_stores_them() -> None:
    happens = (Reply("one\ntwo\tthree", 1.0, True),)
    assert replayed(happens, ["one two three"], 1.0).verdict == "verified"
    assert replayed(happens, ["one\ntwo\tthree"], 1.0).verdict == "reobserved"


@pytest.mark.parametrize("score", [0.0, 0.5, 0.99, 1 - 1e-6])
def test_a_lower_return_has_diverged(score: float) -> None:
    found = replayed((*SOUND[:2], Reply("Done.", score, True)), STORED, 1.0)
    assert (found.verdict, found.score) == ("diverged", score)


@pytest.mark.parametrize("score", [0.5 + 1e-6, 0.75, 1.0])
def test_a_higher_return_than_recorded_is_not_verified(score: float) -> None:
    found = replayed((*SOUND[:2], Reply("Done.", score, True)), STORED, 0.5)
    assert found.verdict != "verified"
    assert found.score == score


def test_a_return_that_differs_by_the_last_bits_of_a_float_is_the_same() -> None:
    assert replayed((*SOUND[:2], Reply("Done.", 0.1 + 0.2, True)), STORED, 0.3).verdict == "verified"


@pytest.mark.parametrize("stored", [STORED, ["You see an axe.", "Another.", "Done."]])
@pytest.mark.parametrize("ends", [0, 1])
def test_an_episode_that_ends_among_the_bad_steps_never_holds(ends: int, stored: list[str]) -> None:
    happens = [*SOUND[:ends], Reply("Over.", 1.0, True), *SOUND[ends + 1 :]]
    found = replayed(happens, stored, 1.0, tail=2)
    assert found.verdict == "diverged"
    assert found.steps == ends + 1


def test_a_disaster_among_the_bad_steps_ends_the_episode() -> None:
    found = replayed((SOUND[0], Reply("You fall.", -1.0), SOUND[2]), STORED, 0.0, tail=2)
    assert found.verdict == "diverged"


def test_an_episode_that_ends_early_in_the_tail_holds_with_the_steps_it_took() -> None:
    found = replayed((SOUND[0], Reply("Over.", 1.0, True), SOUND[2]), STORED, 1.0, tail=1)
    assert (found.verdict, found.ended) == ("reobserved", 2)
    lower = replayed((SOUND[0], Reply("Over.", 0.4, True), SOUND[2]), STORED, 1.0, tail=1)
    assert lower.verdict == "diverged"


def test_only_what_was_seen_in_the_environment_holds() -> None:
    assert frozenset({"verified", "reobserved", "repaired"}) == HOLDS


@given(
    happens=st.lists(st.sampled_from(("a", "A", "a ", "b")), min_size=1, max_size=5),
    stored=st.lists(st.sampled_from(("a", "A", "a ", "b")), min_size=5, max_size=5),
    score=st.sampled_from((0.0, 0.5, 1.0)),
    expected=st.sampled_from((0.0, 0.5, 1.0)),
)
def test_verified_is_exactly_where_all_texts_and_the_return_are_as_stored(
    happens: list[str], stored: list[str], score: float, expected: float
) -> None:
    last = len(happens) - 1
    replies = [Reply(text, score if at == last else 0.0, at == last) for at, text in enumerate(happens)]
    found = replayed(replies, stored[: len(happens)], expected)
    assert (found.verdict == "verified") == (happens == stored[: len(happens)] and score == expected)
    if found.verdict == "reobserved":
        shown = [found.observations.get(at, kept) for at, kept in enumerate(stored[: len(happens)])]
        assert shown == happens


def test_a_sample_whose_episode_ends_at_its_wrong_step_does_not_hold() -> None:
    """The bad steps of a sample are those that `replay_sample` takes for bad."""
    nodes = [
        ImportedNode(0, "r1", "0", "one"),
        ImportedNode(1, "r2", "1", "two", 0.0, 1, 0.0, "done"),
        ImportedNode(0, "r3", "2", "three", 1.0, 1, 1.0, "done"),
    ]
    tree = tree_of(nodes)
    sample = Sample(
        id="s",
        kind="revision",
        trace="v",
        path="",
        environment="textcraft",
        task="0",
        good=3,
        bad=2,
        return_good=1.0,
        mark=1,
    )
    ends = in_a_row(Reply("one and over", 1.0, True), Reply("two"), Reply("three", 1.0, True))
    assert replay_sample(tree, sample, Replayer(tree, lambda: opened(ends))).verdict == "diverged"
    sound = in_a_row(Reply("one"), Reply("two"), Reply("three", 1.0, True))
    assert replay_sample(tree, sample, Replayer(tree, lambda: opened(sound))).verdict == "verified"


def test_what_a_replay_remembers_is_of_that_state() -> None:
    """An action that was stepped elsewhere is not answered as it was there."""
    replayer = Replayer(tree_of(), lambda: Opened(Counts(), "textcraft", "0", "go", {}))
    once, twice = Step("go", "gone 1"), Step("go", "gone 2")
    for _ in range(2):
        assert replayer.replay([once, twice], 0.2).verdict == "verified"
        assert replayer.replay([once], 0.1).verdict == "verified"
        assert replayer.replay([once, once], 0.2).verdict == "reobserved"


class Counts(ScriptedEnv):
    """Says how many steps were made since the reset."""

    def __init__(self) -> None:
        super().__init__({})
        self.made: list[str] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        self.made = []
        return "go", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.made.append(action)
        return f"gone {len(self.made)}", len(self.made) / 10, False, False, {}


def test_every_replay_begins_behind_the_prefix() -> None:
    env = Counts()
    tree = tree_of(prefix=[PrefixStep("Action: wake", "wake", "gone 1"), PrefixStep("Action: rise", "rise", "gone 2")])
    replayer = Replayer(tree, lambda: Opened(env, "textcraft", "0", "go", {}))
    for action in ("walk", "run", "swim"):
        assert replayer.replay([Step(action, "gone 3")], 0.3).verdict == "verified"
        assert env.made == ["wake", "rise", action]
