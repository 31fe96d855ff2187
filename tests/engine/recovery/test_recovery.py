"""Would it recover? Continuations from a wrong step, with the revision thought and without it, honestly compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.base.errors import InputError, WorkFailed
from engine.base.text import flatten
from engine.environment.opened import open_environment
from engine.recovery.continuation_figures import Share, chance, compared, newcombe, share_of
from engine.recovery.continuation_plan import (
    Mark,
    RecoverySettings,
    actor_settings,
    arms_of,
    chosen_marks,
    figures_of,
    marks_of,
    price_of,
)
from engine.recovery.continuation_store import ContinuedStep, Recoveries
from engine.recovery.continuations import Progress, Recovery
from engine.samples.revise import revise
from engine.samples.sample import Sample
from engine.samples.settings import Revised, ReviseSettings
from engine.samples.splice import thought_turn
from engine.search.control import Control
from engine.tree.tree import SearchTree
from tests.engine.made import AS_FOUND
from tests.engine.samples.test_revision import searched
from tests.servers.llm_server import LLMServer, plays_textcraft

TREE = searched("2", 0.5)
DEPTH = 8
"""Of continuations: far enough that whoever follows the plan gets there."""


def a_sample(tree: SearchTree = TREE) -> Sample:
    """The sample of the tree whose mark is the earliest."""
    made = revise(tree, "t", ReviseSettings(**AS_FOUND), Revised())
    return min((each for each in made if each.bad is not None and each.mark), key=lambda each: (each.mark, each.id))


SAMPLE = a_sample()
STEP = ContinuedStep(key="", number=0, step=1, response="", action="", observation="", score=1, end="done")


def heeds_the_thought(body: dict[str, Any]) -> str:
    """A model that only errs, and never again after it has said that it was wrong."""
    said = any(turn["content"] == thought_turn(SAMPLE.thought) for turn in body["messages"])
    return plays_textcraft(body, 0.0 if said else 1.0)


@pytest.fixture
def server() -> Iterator[LLMServer]:
    with LLMServer(heeds_the_thought) as running:
        yield running


def asking(server: LLMServer, **changes: Any) -> RecoverySettings:
    settings = RecoverySettings(continuations=4, actor="openai", model="m", base_url=server.url, max_depth=DEPTH)
    return replace(settings, **changes)


def marks(settings: RecoverySettings, which: str = "mark", sample: Sample = SAMPLE) -> list[Mark]:
    return chosen_marks(marks_of(TREE, sample, actor_settings(TREE, settings).max_depth), sample, which)


def recovered(folder: Path, settings: RecoverySettings, which: str = "mark", **more: Any) -> Progress:
    """Make what is missing, with what the folder holds."""
    known = Recoveries(folder, SAMPLE.trace)
    return Recovery(TREE, SAMPLE, marks(settings, which), settings, known, **more).run_blocking()


def kept(folder: Path, settings: RecoverySettings, which: str = "mark") -> list[dict[int, list[ContinuedStep]]]:
    """All continuations that the folder holds of these marks, by number: without, with, without, …"""
    known, actor = Recoveries(folder, SAMPLE.trace), actor_settings(TREE, settings)
    return [
        {number: [replace(step, usage=None) for step in steps] for number, steps in sorted(known.of(arm.key).items())}
        for mark in marks(settings, which)
        for arm in arms_of(TREE, mark, SAMPLE.thought, actor)
    ]


def test_a_model_that_heeds_the_thought_recovers_with_it(tmp_path: Path, server: LLMServer) -> None:
    done = recovered(tmp_path, asking(server))
    (figures,) = done.figures
    assert figures.mark == SAMPLE.mark
    assert (str(figures.without), str(figures.thought)) == ("0/4", "4/4")
    assert figures.effect == "pays"
    assert figures.low is not None
    assert figures.low > 0
    assert done.calls == len(server.calls)


def test_the_actor_sees_the_wrong_steps_and_the_thought_or_not_and_nothing_else(
    tmp_path: Path, server: LLMServer
) -> None:
    recovered(tmp_path, asking(server, continuations=1))
    shown = [message.content for message in TREE.conversation(marks(asking(server))[0].node)]
    seen = [[turn["content"] for turn in call.body["messages"]] for call in server.calls]
    first = sorted(turns for turns in seen if len(turns) <= len(shown) + 2)
    assert shown in first
    assert [*shown, thought_turn(SAMPLE.thought), "ok."] in first
    assert all(turns[: len(shown)] == shown for turns in seen)


def test_continuations_are_what_the_environment_does_after_the_wrong_step(tmp_path: Path, server: LLMServer) -> None:
    recovered(tmp_path, asking(server, continuations=2))
    (mark,) = marks(asking(server))
    for arm in kept(tmp_path, asking(server)):
        assert len(arm) == 2
        for steps in arm.values():
            env = open_environment("textcraft", "2").env
            for id in TREE.ancestors(mark.node)[1:]:
                env.step(TREE.nodes[id].action)  # the revision turn is not among them: it takes no step
            score: Any = 0
            for step in steps:
                observation, score, terminated, truncated, _ = env.step(step.action)
                assert flatten(observation) == step.observation
            assert steps[-1].score == score
            assert steps[-1].end == ("done" if terminated or truncated else "depth")
            assert steps[-1].end == "done" or len(steps) == mark.room


def test_the_scripted_actor_is_said_not_to_read_thoughts_and_makes_no_difference(tmp_path: Path) -> None:
    settings = RecoverySettings(actor="scripted", max_depth=DEPTH)
    done = recovered(tmp_path, settings, "all")
    without, with_it = kept(tmp_path, settings)
    assert [[step.action for step in steps] for steps in without.values()] == [
        [step.action for step in steps] for steps in with_it.values()
    ]
    for figures in done.figures:
        assert figures.over or (figures.difference == 0 and figures.effect == "none")


def test_seeds_make_the_same_continuations_whatever_the_concurrency(tmp_path: Path, server: LLMServer) -> None:
    one, many, other = (
        asking(server, continuations=2, **changes) for changes in ({"concurrency": 1}, {"concurrency": 8}, {"seed": 7})
    )
    for place, settings in enumerate((one, many, other)):
        recovered(tmp_path / str(place), settings)
    assert kept(tmp_path / "0", one) == kept(tmp_path / "1", many)
    actions = [[[step.action for step in steps] for steps in arm.values()] for arm in kept(tmp_path / "0", one)]
    assert actions != [[[s.action for s in steps] for steps in arm.values()] for arm in kept(tmp_path / "2", other)]


def test_what_was_stopped_goes_on_and_asks_for_no_answer_twice(tmp_path: Path, server: LLMServer) -> None:
    settings = asking(server, continuations=3)
    recovered(tmp_path / "whole", settings)
    server.calls.clear()
    server._seen.clear()
    for calls in (3, 9):
        control = Control()

        def enough(progress: Progress, calls: int = calls, control: Control = control) -> None:
            if progress.calls >= calls:
                control.stop()

        known = Recoveries(tmp_path / "cut", SAMPLE.trace)
        work = Recovery(TREE, SAMPLE, marks(settings), settings, known, control=control, heard=enough, tell_every=0.0)
        stopped = work.run_blocking()
        assert stopped.ended < stopped.continuations
    recovered(tmp_path / "cut", settings)
    assert kept(tmp_path / "cut", settings) == kept(tmp_path / "whole", settings)
    in_flight = 2 * 4  # what a stop drops is asked for again
    assert server.asked_twice() <= in_flight
    before = len(server.calls)
    again = recovered(tmp_path / "cut", settings)
    assert (again.calls, len(server.calls), again.continuations) == (0, before, 0)
    assert again.figures[0].thought.of == 3


def test_samples_built_again_or_sharing_a_wrong_step_find_their_continuations(tmp_path: Path) -> None:
    settings = RecoverySettings(actor="scripted", max_depth=DEPTH)
    recovered(tmp_path, settings)
    rebuilt = a_sample()
    twin = replace(rebuilt, id="another", good=rebuilt.good + 1)
    known = Recoveries(tmp_path, SAMPLE.trace)
    for sample in (rebuilt, twin):
        (figures,) = figures_of(
            TREE, sample.thought, marks(settings, sample=sample), actor_settings(TREE, settings), known
        )
        assert (figures.without.of, figures.thought.of) == (8, 8)
    (figures,) = figures_of(TREE, "Another thought.", marks(settings), actor_settings(TREE, settings), known)
    assert (figures.without.of, figures.thought.of) == (8, 0)  # what the actor was not told is the same for all


def test_the_price_is_never_less_than_what_is_asked(tmp_path: Path, server: LLMServer) -> None:
    settings = asking(server, price_in=1.0, price_out=2.0)
    actor, nothing = actor_settings(TREE, settings), Recoveries(tmp_path, SAMPLE.trace)
    every = marks(settings, "all")
    price = price_of(TREE, SAMPLE.thought, every, actor, nothing, 1)
    assert price.cost is None  # the scripted search tells no tokens
    assert "cost unknown" in str(price)
    over = [mark for mark in every if mark.over]
    assert price_of(TREE, SAMPLE.thought, over, actor, nothing, 2).calls == 0
    done = recovered(tmp_path, replace(settings, continuations=1), "all")
    assert price.continuations == done.continuations == done.ended
    assert done.calls <= price.calls
    assert done.cost == pytest.approx((server.told.tokens_in + 2 * server.told.tokens_out) / 1e6)
    paid = SearchTree()
    paid.started, paid.calls, paid.tokens_in, paid.tokens_out = TREE.started, 10, 1000, 500
    assert price_of(paid, SAMPLE.thought, every[:1], actor, nothing, 1).cost == pytest.approx(
        2 * every[0].room * (100 + 2 * 50) / 1e6
    )
    known = Recoveries(tmp_path, SAMPLE.trace)
    assert str(price_of(TREE, SAMPLE.thought, every, actor, known, 1)) == "nothing is missing: no calls"


def test_recorded_continuations_are_executed_again_without_a_call(tmp_path: Path, server: LLMServer) -> None:
    settings = asking(server, continuations=2)
    recovered(tmp_path, settings)
    (file,) = tmp_path.glob("*.jsonl")
    calls = len(server.calls)
    again = replace(settings, actor=f"recorded:{file}")
    done = recovered(tmp_path / "again", again)
    assert len(server.calls) == calls
    assert [(f.without, f.thought) for f in done.figures] == [
        (f.without, f.thought) for f in recovered(tmp_path, settings).figures
    ]
    more = recovered(tmp_path / "more", replace(again, continuations=3))
    assert more.failed == {"not recorded": 2}
    assert more.figures[0].thought.of == 2
    with pytest.raises(InputError, match="holds no answers to new conversations"):
        recovered(tmp_path, replace(settings, actor="recorded:x.trace.jsonl"))


def test_a_server_that_is_gone_ends_it_and_what_was_made_stays(tmp_path: Path, server: LLMServer) -> None:
    settings = asking(server, continuations=4, concurrency=1)
    server.faults = lambda call: None if call.number < 10 else "wrong model"
    with pytest.raises(WorkFailed, match=r"no further call .*\(wrong model\): 404: there is no model m"):
        recovered(tmp_path, replace(settings, continuations=12))
    held = sum(len(steps) for arm in kept(tmp_path, settings) for steps in arm.values())
    assert held == 10


def test_a_torn_line_is_left_out_and_a_broken_one_is_named(tmp_path: Path) -> None:
    settings = RecoverySettings(actor="scripted", max_depth=DEPTH)
    recovered(tmp_path, settings)
    (file,) = tmp_path.glob("*.jsonl")
    data = file.read_bytes()
    file.write_bytes(data[:-9])
    missing = recovered(tmp_path, settings)
    assert (missing.continuations, missing.calls) == (1, 1)
    file.write_bytes(data.replace(b'"type":"step"', b'"type":"stop"', 1))
    with pytest.raises(InputError, match=rf"{file.name}:2: not a step of a continuation"):
        Recoveries(tmp_path, SAMPLE.trace)


def test_a_mark_without_room_is_over_and_an_unknown_one_is_refused() -> None:
    settings = RecoverySettings()
    every = marks(settings, "all")
    assert [mark.mark for mark in every] == list(range(SAMPLE.fork_depth + 1, SAMPLE.bad_depth + 1))
    assert every[-1].over
    for which, said in (("1000", "not one after the fork"), ("some", "mark, all, or the number")):
        with pytest.raises(InputError, match=said):
            marks(settings, which)
    with pytest.raises(InputError, match="has no mark"):
        marks(settings, "mark", replace(SAMPLE, mark=None))
    with pytest.raises(InputError, match="good trajectory"):
        marks(settings, "all", replace(SAMPLE, bad=None))


def test_the_interval_of_the_difference_is_newcombes() -> None:
    """The examples (a), (d), (g) of his table II: 56/70 less 48/80, 9/10 less 3/10, 10/10 less 0/20."""

    def share(good: int, of: int) -> Share:
        steps = [
            [
                ContinuedStep(
                    key="", number=n, step=1, response="", action="", observation="", score=n < good, end="done"
                )
            ]
            for n in range(of)
        ]
        return share_of(steps, 0.5)

    for one, other, low, high in (
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ):
        found = newcombe(share(*one), share(*other))
        assert found[1:] == pytest.approx((low, high), abs=1e-4)


def test_few_continuations_are_said_to_be_too_few() -> None:
    unfinished = replace(STEP, end="")
    assert share_of([[STEP], [unfinished], []], 0.5).of == 1
    lost, won = [replace(STEP, score=0)], [STEP]
    for k, effect in ((3, "unclear"), (4, "pays")):  # 3 of 3 after 0 of 3 comes by chance once in ten times
        figures = compared(3, 7, "x", share_of([lost] * k, 0.5), share_of([won] * k, 0.5), reads=True)
        assert (figures.difference, figures.effect) == (1.0, effect)
    assert compared(3, 7, "x", share_of([won] * 4, 0.5), share_of([lost] * 4, 0.5), reads=True).effect == "harms"


def test_chance_is_fishers() -> None:
    """The lady tasting tea: 3 of 4 against 1 of 4 (Fisher 1935), two-sided; and one of this screen's."""
    assert chance(Share(3, 4), Share(1, 4)) == pytest.approx(34 / 70)
    assert chance(Share(6, 8), Share(1, 8)) == pytest.approx(0.0406, abs=1e-4)
    assert chance(Share(2, 8), Share(2, 8)) == 1
