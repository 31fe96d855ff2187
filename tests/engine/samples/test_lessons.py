"""Lessons: each wrong action in each state once, its context and tail kept free of other mistakes, proved by replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from engine.base.errors import InputError
from engine.base.step_kind import careless, only_looks, refused
from engine.environment.opened import open_environment
from engine.environment.replay import Replay, Replayer, Step, opener
from engine.review.curation import effective
from engine.review.decisions import Decisions
from engine.samples.finishing import with_mark
from engine.samples.revise import revise
from engine.samples.sample import Sample, splice_of, steps_to_replay, turns_of
from engine.samples.settings import Revised, ReviseSettings
from engine.samples.shared_by_trees import SharedByTrees
from engine.tree.events import FORMAT_VERSION, Imported, ImportedNode, Message, SearchSettings, Started, TerminalReason
from engine.tree.tree import SearchTree
from envs.base import _REGISTRY, AnyText, EnvironmentInfo, Plan, register
from tests.engine.samples.test_revision import TREES

NUGGETS, INGOT, STONE = "get 9 iron nugget", "craft 1 iron ingot using 9 iron nugget", "get 3 stone"
CUTTER = "craft 1 stonecutter using 1 iron ingot, 3 stone"
NO_INGOT, NO_CUTTER, LOOK, STOP = "get 1 iron ingot", "get 1 stonecutter", "inventory", "stop"
BUTTON = "craft 1 stone button using 1 stone"

Row = tuple[int, str] | tuple[int, str, TerminalReason]  # parent, action, why it ends there


def grown(
    rows: Sequence[Row], task: str = "0", thoughts: dict[int, str] | None = None, environment: str = "textcraft"
) -> SearchTree:
    """A tree whose nodes 1, 2, … do these actions; what is answered is what the environment answers."""
    opened = open_environment(environment, task)
    nodes = [ImportedNode(observation="")]
    paths: list[list[str]] = [[]]
    for id, (parent, action, *end) in enumerate(rows, 1):
        paths.append([*paths[parent], action])
        opened.env.reset(options={"task": task})
        observation, score, done = "", 0.0, False
        for step in paths[-1]:
            observation, score, done, _, _ = opened.env.step(step)  # type: ignore[assignment]
        terminal = end[0] if end else "done" if done else None
        response = f"Thought: {(thoughts or {}).get(id, f'Step {id}.')}\nAction: {action}"
        seen = observation.replace("\n", " ")
        nodes.append(ImportedNode(parent, response, action, seen, score, 0, 0.0, terminal))
    for id in range(1, len(nodes)):
        at = id if nodes[id].terminal is not None else -1
        while at != -1:
            nodes[at].visits += 1
            nodes[at].value += nodes[id].reward
            at = nodes[at].parent
    header = [Message("system", "s"), Message("user", "r"), Message("assistant", "Ok.")]
    header.append(Message("user", opened.first_observation))
    started = Started(
        seq=0,
        version=FORMAT_VERSION,
        trace="1e55",
        environment=environment,
        task=task,
        header=header,
        settings=SearchSettings(),
    )
    return SearchTree([started, Imported(seq=1, source="made", nodes=nodes)])


def taught(tree: SearchTree, **changes: Any) -> tuple[list[Sample], Revised]:
    """The lessons of a tree by default, and the figures."""
    figures = Revised()
    samples = list(revise(tree, "t", ReviseSettings(**changes), figures))
    return [sample for sample in samples if sample.kind != "good"], figures


def told(tree: SearchTree, sample: Sample) -> tuple[list[str], str, list[str]]:
    """Context, wrong action and tail of a sample."""
    actions = [step.action for step in steps_to_replay(tree, sample)]
    bad = len(splice_of(tree, sample).bad)
    return actions[: bad - 1], actions[bad - 1], actions[bad:]


def by_wrong(tree: SearchTree, samples: Sequence[Sample]) -> dict[str, Sample]:
    """The samples by their wrong action."""
    return {told(tree, sample)[1]: sample for sample in samples}


PLANTED: list[Row] = [
    (0, NUGGETS),  # 1
    (1, NO_INGOT),  # 2: refused, shared by all that follows
    (2, INGOT),  # 3
    (3, LOOK),  # 4: only looks
    (4, NO_INGOT),  # 5: what was wrong before, again
    (5, STONE),  # 6
    (6, CUTTER),  # 7: good
    (3, NO_CUTTER),  # 8: refused
    (8, LOOK, "depth"),  # 9: bad
    (6, STOP),  # 10: refused, the goal is one step away
    (10, LOOK, "depth"),  # 11: bad
    (3, LOOK, "depth"),  # 12: bad, though nothing is wrong behind the fork
]


def test_a_recovery_ends_at_the_shared_mistake_and_goes_on_straight() -> None:
    tree = grown(PLANTED)
    samples, figures = taught(tree)
    sample = next(each for each in samples if each.wrong == 2)
    assert (sample.kind, sample.bad, sample.good, sample.mark) == ("recovery", None, 7, 2)
    assert told(tree, sample) == ([NUGGETS], NO_INGOT, [INGOT, STONE, CUTTER])
    assert sample.verdict == "verified"
    assert (sample.plan_left, sample.earlier) == (3, 0)
    assert {cut.node: cut.reason for cut in sample.cut} == {4: "idle", 5: "disowned"}
    assert {judgement.step: judgement.word for judgement in sample.tail_judgements} == {
        1: "Good",
        2: "Uncertain",
        3: "Bad",
        4: "Good",
        5: "Good",
    }
    said = [turn for turn in turns_of(tree, sample) if turn.loss is not None]
    actions = [(turn.content.split("Action: ")[-1], turn.loss) for turn in said]
    assert actions[:3] == [(NUGGETS, False), (NO_INGOT, False), ("wait", True)]
    assert actions[3:] == [(INGOT, True), (STONE, True), (CUTTER, True)]
    assert {each.wrong for each in samples} == {2, 5, 8, 10}  # each wrong step of the tree once
    assert figures.tails == {"straight": 4}
    assert figures.by_verdict == {"verified": 4}
    assert figures.lessons == 4


def test_mistakes_that_changed_nothing_go_out_of_the_context_and_the_tail_begins_at_the_state_of_the_splice() -> None:
    tree = grown(PLANTED)
    sample = by_wrong(tree, taught(tree)[0])[NO_CUTTER]
    assert (sample.kind, sample.bad, sample.fork, sample.mark, sample.earlier) == ("revision", 9, 3, 4, 0)
    assert told(tree, sample) == ([NUGGETS, INGOT], NO_CUTTER, [STONE, CUTTER])
    assert [(cut.node, cut.reason) for cut in sample.cut if cut.part == "context"] == [(2, "refused")]
    kept = by_wrong(tree, taught(tree, context="as-found")[0])[NO_CUTTER]
    assert told(tree, kept)[0] == [NUGGETS, NO_INGOT, INGOT]
    assert kept.earlier == 1


def test_where_the_goal_is_a_step_away_the_tail_is_that_step() -> None:
    tree = grown(PLANTED)
    sample = by_wrong(tree, taught(tree)[0])[STOP]
    assert told(tree, sample)[1:] == (STOP, [CUTTER])
    rows: list[Row] = [(0, NUGGETS), (1, INGOT), (2, STONE), (3, STOP), (4, LOOK, "depth")]
    far = grown([*rows, (0, STONE), (6, NUGGETS), (7, INGOT), (8, CUTTER)])  # the good leaf left at the start
    (sample,) = taught(far)[0]
    assert told(far, sample) == ([NUGGETS, INGOT, STONE], STOP, [CUTTER])


def test_a_step_that_only_the_splice_breaks_is_not_trained() -> None:
    """The wrong step uses up a stone, so that the good leaf's own next step would be refused."""
    rows: list[Row] = [(0, NUGGETS), (1, INGOT), (2, STONE), (3, CUTTER), (3, BUTTON), (5, LOOK, "depth")]
    tree = grown(rows)
    samples, figures = taught(tree)
    assert samples == []
    assert figures.tails == {"left_out": 1}
    other = grown([*rows, (2, "get 4 stone"), (7, CUTTER)])  # a way on that left earlier
    (sample,) = taught(other)[0]
    assert told(other, sample) == ([NUGGETS, INGOT, STONE], BUTTON, ["get 4 stone", CUTTER])
    assert (sample.good, sample.verdict) == (8, "verified")


def test_a_step_that_fetches_more_than_is_needed_is_masked_and_the_thought_says_how_much_is_needed() -> None:
    rows: list[Row] = [(0, NUGGETS), (1, INGOT), (2, "get 8 stone"), (3, CUTTER), (2, STOP), (5, LOOK, "depth")]
    tree = grown(rows)
    (sample,) = taught(tree)[0]
    assert told(tree, sample) == ([NUGGETS, INGOT], STOP, ["get 8 stone", CUTTER])
    assert sample.tail is not None
    assert [step.loss for step in sample.tail.steps] == [False, True]
    assert "get 3 stone for the stonecutter" in sample.thought
    assert taught(tree, revision_turn="merged")[0] == []  # there a trained turn would say it
    (good,) = [each for each in revise(tree, "t", ReviseSettings(), Revised()) if each.kind == "good"]
    masks = [turn.loss for turn in turns_of(tree, good) if turn.role == "assistant" and turn.part == "good"]
    assert masks == [True, True, False, True]
    clean = grown([*rows, (2, STONE), (7, CUTTER)])  # of two ways that are equally long, the one that is all trained
    (better,) = taught(clean)[0]
    assert told(clean, better)[2] == [STONE, CUTTER]


def test_a_loop_goes_out_of_a_tail() -> None:
    env: Any = open_environment("webshop", "0").env
    route = []
    while (action := env.plan().action) is not None:
        route.append(action)
        env.step(action)
    search, product, *rest = route
    actions = [search, product, "click[< prev]", product, *rest]
    rows: list[Row] = [(at, action) for at, action in enumerate(actions)]
    tree = grown(rows, environment="webshop")
    sample = next(iter(revise(tree, "t", ReviseSettings(verifier="value"), Revised())))
    assert [step.action for step in steps_to_replay(tree, sample)] == route
    assert {cut.reason for cut in sample.cut} == {"loop"}
    assert sample.verdict == "verified"


def test_without_a_clean_way_on_a_lesson_is_left_out_and_counted() -> None:
    rows: list[Row] = [(0, NUGGETS), (1, INGOT), (2, STONE), (3, CUTTER), (1, CUTTER), (5, LOOK, "depth")]
    samples, figures = taught(grown(rows))  # what is disowned too early would have to be done later on
    assert samples == []
    assert figures.dropped["no clean way on from the wrong step"] == 1
    assert figures.tails == {"left_out": 1}


def test_pair_by_pair_a_shared_mistake_is_a_recovery_and_judging_goes_on_behind_the_fork() -> None:
    tree = grown(PLANTED)
    samples, figures = taught(tree, rank="fork")
    assert {sample.wrong for sample in samples} == {
        2,
        8,
        10,
    }  # of each trajectory the first, and the first behind the fork
    assert all(sample.found == sample.mark for sample in samples)
    assert figures.before_fork == 3  # one pair for each bad leaf
    assert figures.no_wrong_step == 1
    assert figures.dropped["no wrong step after the fork"] == 1


def test_a_mistake_before_the_fork_is_marked_behind_it_only_by_move() -> None:
    tree = grown(PLANTED)
    moved, _ = taught(tree, before_fork="move", rank="fork", tail="as-found", per_lesson=0)
    assert [sample.mark for sample in moved if sample.bad == 12] == [4]
    assert 12 not in {sample.bad for sample in taught(tree)[0]}


def test_a_lesson_is_told_once_over_a_run_unless_more_are_asked_for() -> None:
    tree = grown([*PLANTED, (3, NO_CUTTER), (13, LOOK, "depth")])
    assert Counter(told(tree, sample)[1] for sample in taught(tree)[0])[NO_CUTTER] == 1
    assert Counter(told(tree, sample)[1] for sample in taught(tree, per_lesson=0)[0])[NO_CUTTER] > 1
    lessons: Counter[str] = Counter()
    first = list(revise(tree, "t", ReviseSettings(), Revised(), SharedByTrees(taught=lessons)))
    again = list(revise(tree, "u", ReviseSettings(), Revised(), SharedByTrees(taught=lessons)))
    assert len(first) == 5  # one of them the good trajectory
    assert again == []


def test_a_sample_with_a_decision_keeps_its_place() -> None:
    tree = grown([*PLANTED, (3, NO_CUTTER), (13, LOOK, "depth")])
    chosen = by_wrong(tree, taught(tree)[0])[NO_CUTTER]
    every = taught(tree, per_lesson=0)[0]
    other = next(each for each in every if each.lesson == chosen.lesson and each.id != chosen.id)
    made = list(revise(tree, "t", ReviseSettings(), Revised(), SharedByTrees(decided={other.id})))
    assert [sample.id for sample in made if sample.lesson == chosen.lesson] == [other.id]


def test_unfinished_lessons_come_where_they_are_asked_for() -> None:
    tree = grown([(0, NUGGETS), (1, INGOT), (2, STONE), (3, CUTTER), (2, STOP)])
    assert taught(tree)[0] == []
    (sample,) = taught(tree, unfinished=True)[0]
    assert sample.unfinished
    assert told(tree, sample) == ([NUGGETS, INGOT], STOP, [STONE, CUTTER])
    with pytest.raises(InputError, match="--unfinished needs a verifier that looks into the environment"):
        taught(tree, unfinished=True, verifier="value")


def test_ids_are_those_of_before_and_a_recoverys_names_its_wrong_step() -> None:
    tree = grown(PLANTED)
    for sample in taught(tree)[0]:
        told_by = [sample.kind, "1e55", sample.good, sample.bad if sample.bad is not None else sample.wrong]
        assert sample.id == blake2b("\n".join(map(str, told_by)).encode(), digest_size=6).hexdigest()


def test_a_thought_that_quotes_what_was_cut_is_left_out_and_its_action_stays() -> None:
    thoughts = {3: "It said could not find iron ingot, so I make one.", 6: "I need stone as well."}
    tree = grown(PLANTED, thoughts=thoughts)
    sample = next(each for each in taught(tree)[0] if each.wrong == 8)
    turns = {turn.node: turn for turn in turns_of(tree, sample) if turn.role == "assistant"}
    assert turns[3].content == f"Action: {INGOT}"
    assert turns[6].content == f"Thought: I need stone as well.\nAction: {STONE}"


def test_good_trajectories_are_straight_and_each_once() -> None:
    tree = grown([*PLANTED, (6, LOOK), (13, CUTTER)])
    good = [sample for sample in revise(tree, "t", ReviseSettings(), Revised()) if sample.kind == "good"]
    assert [[step.action for step in steps_to_replay(tree, sample)] for sample in good] == [
        [NUGGETS, INGOT, STONE, CUTTER]
    ]
    assert good[0].verdict == "verified"
    assert all(turn.loss for turn in turns_of(tree, good[0]) if turn.loss is not None)


def test_moving_the_mark_makes_the_tail_anew_in_the_new_state() -> None:
    tree = grown([*PLANTED[:8], (8, STONE), (9, LOOK, "depth")])
    sample = by_wrong(tree, taught(tree)[0])[NO_CUTTER]
    replayer = Replayer(tree, opener(tree))
    moved = with_mark(tree, sample, 5, replayer)
    assert told(tree, moved)[1:] == (STONE, [CUTTER])
    assert moved.verdict == "verified"
    assert with_mark(tree, moved, 4, replayer).tail == sample.tail
    replayer.close()


def test_cut_steps_are_taken_back_one_by_one_and_wrong_ones_are_masked(tmp_path: Path) -> None:
    tree = grown(PLANTED)
    sample = next(each for each in taught(tree)[0] if each.wrong == 2)
    replayer = Replayer(tree, opener(tree))
    decisions = Decisions(tmp_path, "ann")
    decisions.decide(sample.id, uncut=[5])
    back = effective(sample, decisions.current()[sample.id], tree, replayer)
    assert told(tree, back)[2] == [INGOT, NO_INGOT, STONE, CUTTER]
    masks = [turn.loss for turn in turns_of(tree, back) if turn.part == "good" and turn.role == "assistant"]
    assert masks == [True, False, True, True]
    assert back.verdict == "verified"
    assert [cut.node for cut in back.cut] == [4]
    decisions.undo()
    assert effective(sample, decisions.current().get(sample.id), tree, replayer) == sample
    other = next(each for each in taught(tree)[0] if each.wrong == 8)
    decisions.decide(other.id, uncut=[2])
    kept = effective(other, decisions.current()[other.id], tree, replayer)
    assert (told(tree, kept)[0], kept.earlier, kept.verdict) == ([NUGGETS, NO_INGOT, INGOT], 1, "verified")
    replayer.close()


@pytest.mark.parametrize("tree", TREES)
def test_nothing_refused_idle_bad_or_disowned_is_trained_by_default(tree: SearchTree) -> None:
    samples, _ = taught(tree)
    assert len(samples) > 5
    environment = open_environment("textcraft", tree.started.task if tree.started else "")
    for sample in samples:
        assert sample.verdict in ("verified", "reobserved")  # what is carried may be listed in another order
        env: Any = environment.env
        env.reset(options={"task": environment.task})
        context, wrong, tail = told(tree, sample)
        for action in [*context, wrong]:
            env.step(action)
        left = env.plan().steps_left
        assert left == sample.plan_left
        assert wrong not in tail
        for action in tail:
            key = env.state_key()
            observation, _, done, _, _ = env.step(action)
            assert not refused("textcraft", action, observation)
            assert not only_looks("textcraft", action)
            assert env.state_key() != key
            assert env.plan().steps_left == left - 1
            left -= 1
        assert done
        steps = sample.tail.steps if sample.tail is not None else []
        for place, step in enumerate(steps, 1):
            ahead = [later.action for later in steps[place:]]
            assert step.loss is not careless("textcraft", step.action, step.observation, ahead=ahead)
    assert len({sample.lesson for sample in samples}) == len(samples)


# -- where states can't be compared ------------------------------------------------------------------------


class Ladder(gymnasium.Env[str, str]):
    """Four steps up, each worth a quarter at once. Its states have no keys, and it is never over. Its plan takes hold
    before the first, although whoever stands there holds on already."""

    def __init__(self) -> None:
        self.action_space = self.observation_space = AnyText()
        self.height = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Stand on the ground."""
        self.height, self.held = 0, False
        return "A ladder.", {"task": "0"}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """`up`, `look`, `rest`, `hold`; all else is refused."""
        self.height = min(4, self.height + (action == "up"))
        self.held = self.held or action == "hold"
        said = {"up": "Up.", "look": "A ladder.", "rest": "You rest.", "hold": "You hold on already."}
        answer = said.get(action, "Could not.")
        return answer, self.height / 4, False, False, {}

    def plan(self) -> Plan:
        """Take hold, go up."""
        return Plan("up" if self.held else "hold", 4 - self.height + (not self.held))


@pytest.fixture
def ladder() -> Iterator[None]:
    """An environment of that name."""
    register(
        EnvironmentInfo(
            name="ladder",
            summary="",
            load="tests.engine.samples.test_lessons:ladder_of",
            rules="",
            refuses=lambda observation: observation.startswith("Could not"),
            looks=lambda action: action == "look",
            careless=lambda action, observation: "already" in observation,
        )
    )
    yield
    del _REGISTRY["ladder"]


def ladder_of(argument: str) -> Ladder:
    """The environment `ladder`."""
    return Ladder()


def test_without_state_keys_steps_are_tried_without_and_nothing_follows_the_return(ladder: None) -> None:
    actions = ["up", "fly", "up", "look", "rest", "up", "rest", "fly", "look"]
    rows: list[Row] = [(at, action) for at, action in enumerate(actions[:-1])]
    tree = grown([*rows, (8, "look", "depth")], environment="ladder")
    figures = Revised()
    samples = list(revise(tree, "t", ReviseSettings(), figures))
    recovery, good = samples
    assert (recovery.kind, recovery.wrong, recovery.return_good) == ("recovery", 2, 0.75)
    assert told(tree, recovery) == (["up"], "fly", ["up", "up"])
    assert {cut.node for cut in recovery.cut} == {4, 5, 7, 8, 9}
    assert [step.action for step in steps_to_replay(tree, good)] == ["up", "up", "up"]
    assert {recovery.verdict, good.verdict} == {"verified"}
    assert figures.dropped == {"nothing is left to gain after the wrong step": 1}  # the second flight


def test_without_state_keys_a_step_that_was_done_already_goes_out_although_the_plan_has_it(ladder: None) -> None:
    actions = ["up", "fly", "up", "hold", "up"]
    rows: list[Row] = [(at, action) for at, action in enumerate(actions)]
    tree = grown([*rows, (5, "look", "depth")], environment="ladder")
    recovery, good = list(revise(tree, "t", ReviseSettings(), Revised()))
    assert told(tree, recovery) == (["up"], "fly", ["up", "up"])
    assert {cut.node for cut in recovery.cut} == {4, 6}
    assert [step.action for step in steps_to_replay(tree, good)] == ["up", "up", "up"]


# -- the verdict by the pair's own terms -----------------------------------------------------------------


def replayed(actions: Sequence[str], expected: float, tail: int, enough: float | None) -> Replay:
    """The verdict on a trajectory of task 0, where a return of at least `enough` will do."""
    tree = grown([(0, NUGGETS), (1, LOOK, "depth")])
    opened = open_environment("textcraft", "0")
    steps = []
    for action in actions:
        observation, _, done, _, _ = opened.env.step(action)
        steps.append(Step(action, observation))
        if done:
            opened.env.reset(options={"task": "0"})
    replayer = Replayer(tree, opener(tree))
    try:
        return replayer.replay(steps, expected, tail, lambda score: enough is not None and score >= enough)
    finally:
        replayer.close()


def test_a_return_on_the_pairs_own_terms_is_reobserved_and_a_higher_one_holds() -> None:
    way = [NUGGETS, INGOT, STONE, CUTTER]
    assert replayed(way, 1, 0, None).verdict == "verified"
    higher = replayed(way, 0.5, 0, None)
    assert (higher.verdict, higher.score, higher.observations) == ("reobserved", 1, {})
    assert higher.reason == "return 1 instead of 0.5"
    assert replayed(way[:3], 0.9, 0, None).verdict == "diverged"
    assert replayed(way[:3], 0.9, 0, 0).verdict == "reobserved"


def test_an_episode_that_ends_among_the_bad_steps_never_holds() -> None:
    way = [NUGGETS, INGOT, STONE, CUTTER]
    assert replayed(way, 1, 4, 0).verdict == "diverged"
    assert replayed([*way, LOOK], 1, 5, 0).verdict == "diverged"
    assert replayed([*way, LOOK], 1, 3, 0).verdict == "reobserved"
