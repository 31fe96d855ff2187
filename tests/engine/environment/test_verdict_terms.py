"""Which returns hold although they are not the stored one: higher ones, and those that meet the pair's own terms."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.environment.replay import HOLDS, Replay, Replayer, Step
from tests.engine.environment.test_verdict import SOUND, STORED, tree_of
from tests.engine.scripted_env import Reply, actions, in_a_row, opened


def replayed(
    happens: Sequence[Reply], stored: Sequence[str], expected: float, least: float | None = None, tail: int = 0
) -> Replay:
    """Replay where this happens; a return above `least` will do."""
    replayer = Replayer(tree_of(), lambda: opened(in_a_row(*happens)))
    steps = [Step(action, seen) for action, seen in zip(actions(happens), stored, strict=True)]
    if least is None:
        return replayer.replay(steps, expected, tail)
    return replayer.replay(steps, expected, tail, lambda score: score > least)


def ends_with(score: float) -> list[Reply]:
    """The sound way, which ends with another return."""
    return [*SOUND[:2], Reply("Done.", score, True)]


@pytest.mark.parametrize("score", [0.5 + 1e-6, 0.75, 1.0])
def test_a_higher_return_than_recorded_holds_as_reobserved_with_both_told(score: float) -> None:
    found = replayed(ends_with(score), STORED, 0.5)
    assert (found.verdict, found.score, found.observations) == ("reobserved", score, {})
    assert found.reason == f"return {score:g} instead of 0.5"
    assert (found.step, found.expected, found.got) == (2, "return 0.5", f"return {score:g}")


def test_a_lower_return_holds_only_where_it_meets_the_pairs_terms() -> None:
    assert replayed(ends_with(0.8), STORED, 0.9).verdict == "diverged"
    assert replayed(ends_with(0.8), STORED, 0.9, least=0.8).verdict == "diverged"
    assert replayed(ends_with(0.8), STORED, 0.9, least=0.79).verdict == "reobserved"


def test_a_return_that_meets_the_terms_is_not_verified_though_every_text_is_as_stored() -> None:
    found = replayed(ends_with(0.8), STORED, 0.9, least=0.5)
    assert (found.verdict, found.score, found.observations) == ("reobserved", 0.8, {})


def test_the_stored_return_is_verified_whatever_the_terms() -> None:
    for least in (None, 0.0, 2.0):
        assert replayed(SOUND, STORED, 1.0, least=least).verdict == "verified"


@pytest.mark.parametrize("ends", [0, 1])
@pytest.mark.parametrize("score", [0.9, 1.0])
def test_an_episode_that_ends_among_the_bad_steps_meets_no_terms(ends: int, score: float) -> None:
    happens = [*SOUND[:ends], Reply("Over.", score, True), *SOUND[ends + 1 :]]
    found = replayed(happens, STORED, 0.9, least=0.0, tail=2)
    assert found.verdict == "diverged"


def test_an_episode_that_ends_with_the_last_bad_step_holds_nothing_although_no_step_is_left() -> None:
    """All steps are bad ones: the tail is empty."""
    assert replayed(ends_with(1.0), STORED, 1.0, least=0.0, tail=3).verdict == "diverged"


def test_an_episode_that_ends_early_in_the_tail_holds_on_the_same_terms() -> None:
    early = [SOUND[0], Reply("You take it.", 0.8, True), SOUND[2]]
    assert replayed(early, STORED, 0.9, tail=1).verdict == "diverged"
    found = replayed(early, STORED, 0.9, least=0.5, tail=1)
    assert (found.verdict, found.score, found.ended) == ("reobserved", 0.8, 2)
    higher = replayed(early, STORED, 0.5, tail=1)
    assert (higher.verdict, higher.ended) == ("reobserved", 2)


def test_a_disaster_meets_no_terms() -> None:
    falls = [SOUND[0], Reply("You fall.", -1.0), SOUND[2]]
    assert replayed(falls, STORED, -1.0, least=-2.0, tail=1).verdict == "diverged"


@given(
    score=st.integers(0, 10).map(lambda tenth: tenth / 10),
    expected=st.integers(0, 10).map(lambda tenth: tenth / 10),
    least=st.none() | st.integers(0, 10).map(lambda tenth: tenth / 10 + 0.05),
    same=st.booleans(),
)
def test_the_verdict_follows_from_texts_return_and_terms(
    score: float, expected: float, least: float | None, same: bool
) -> None:
    stored = STORED if same else [STORED[0], "Another.", STORED[2]]
    found = replayed(ends_with(score), stored, expected, least=least)
    holds = score >= expected or (least is not None and score > least)
    assert (found.verdict in HOLDS) == holds
    assert (found.verdict == "verified") == (same and score == expected)
