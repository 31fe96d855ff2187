"""Pairs, verifiers, splice, loss mask and replay."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.actors.scripted import ScriptedActor
from engine.base.errors import InputError
from engine.environment.opened import open_environment
from engine.environment.replay import HOLDS, Replayer, Step, opener, replay_tree
from engine.pairs.pairs import Pair, best_partner, count_pairs, fork_of, pairs
from engine.samples.finishing import with_mark
from engine.samples.revise import revise
from engine.samples.sample import Sample, replay_sample, splice_of, turns_of
from engine.samples.settings import Revised, ReviseSettings
from engine.samples.splice import WAIT_ANSWER, revision_thoughts, splice, thought_turn
from engine.search.search import Search
from engine.search.started_event import started_event
from engine.tree.events import AnyEvent, Imported, ImportedNode, SearchSettings, Started
from engine.tree.node import ROOT
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, read_judgement, read_judgement_compat
from engine.verifiers.registry import make_verifier
from tests.engine.made import AS_FOUND


def searched(task: str, error_rate: float, iterations: int = 8, seed: int = 0) -> SearchTree:
    """A real TextCraft tree."""
    opened = open_environment("textcraft", task)
    chosen = SearchSettings(iterations=iterations, error_rate=error_rate, seed=seed)
    events: list[AnyEvent] = []
    search = Search.begin(started_event(opened, chosen), opened, ScriptedActor(error_rate), events.append)
    asyncio.run(search.run())
    return search.tree


TREES = [searched("2", 0.5), searched("0", 0.35), searched("4", 0.3)]


def made(tree: SearchTree, **changes: Any) -> tuple[list[Sample], Revised]:
    """The samples of a tree that are no good trajectories, and the figures."""
    figures = Revised()
    samples = [s for s in revise(tree, "t", ReviseSettings(**AS_FOUND | changes), figures) if s.bad is not None]
    return samples, figures


def imported(returns: list[float], parents: list[int] | None = None) -> SearchTree:
    """A foreign tree: a root with one leaf for each return."""
    start = Started(
        seq=0, version=1, trace="t", environment="textcraft", task="0", header=[], settings=SearchSettings()
    )
    nodes = [ImportedNode(visits=len(returns), value=sum(returns))]
    nodes += [ImportedNode(parent=0, response=f"r{i}", action="a", visits=1, value=r, reward=r, terminal="done")
              for i, r in enumerate(returns)]  # fmt: skip
    return SearchTree([start, Imported(seq=1, source="agent-r", nodes=nodes)])


# -- pairs ---------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.floats(0, 1).map(lambda x: round(x, 2)), max_size=14),
    st.floats(0, 1).map(lambda x: round(x, 1)),
    st.floats(0, 1).map(lambda x: round(x, 1)),
)
def test_pairs_are_exactly_those_that_the_definition_names(returns: list[float], alpha: float, beta: float) -> None:
    tree = imported(returns)
    wanted = {
        (i + 1, j + 1)
        for i, good in enumerate(returns)
        for j, bad in enumerate(returns)
        if good > alpha and good - bad > beta
    }
    thresholds = Thresholds(alpha, beta)
    found = list(pairs(tree, thresholds))
    assert {(pair.good, pair.bad) for pair in found} == wanted
    assert len(found) == len(wanted) == count_pairs(tree, thresholds)


def test_alpha_and_beta_are_strict() -> None:
    assert count_pairs(imported([0.5, 0.0]), Thresholds(0.5, 0.2)) == 0
    assert count_pairs(imported([0.75, 0.5]), Thresholds(0.5, 0.25)) == 0


def test_defaults_scale_with_the_score_range_and_given_values_do_not() -> None:
    assert Thresholds.for_range((0, 100), None, None) == Thresholds(50, 20)
    assert Thresholds.for_range((0, 100), 40, 20) == Thresholds(40, 20)


def test_pairs_come_lazily() -> None:
    tree = imported([1.0] * 2_000 + [0.0] * 2_000)
    first = next(iter(pairs(tree, Thresholds())))
    assert isinstance(first, Pair)
    assert count_pairs(tree, Thresholds()) == 4_000_000


@pytest.mark.parametrize("tree", TREES)
def test_the_fork_is_the_deepest_shared_node(tree: SearchTree) -> None:
    for pair in list(pairs(tree, Thresholds()))[:200]:
        good, bad = tree.ancestors(pair.good), tree.ancestors(pair.bad)
        shared = [a for a, b in zip(good, bad, strict=False) if a == b]
        assert pair.fork == shared[-1] == fork_of(tree, pair.bad, pair.good)


def test_the_best_partner_has_the_latest_fork() -> None:
    tree = TREES[0]
    thresholds = Thresholds()
    for leaf in tree.leaves():
        mine = [p for p in pairs(tree, thresholds) if leaf.id in (p.good, p.bad)]
        best = best_partner(tree, leaf.id, thresholds)
        assert (best is None) == (not mine)
        if best is not None:
            assert tree.nodes[best.fork].depth == max(tree.nodes[p.fork].depth for p in mine)
    assert best_partner(tree, ROOT, thresholds) is None


# -- verifiers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "word", "compat"),
    [
        ("Reason.\nJudgement: Good", "Good", "Good"),
        ("Judgement: <Bad>", "Bad", "Bad"),
        ("Judgement: **uncertain**", "Uncertain", "Uncertain"),
        ("Judgement: Not good", "Uncertain", "Good"),
        ("Judgement: Bad, though a good try", "Bad", "Good"),
        ("Judgement: good\nJudgement: bad", "Bad", "Bad"),
        ("it looks good", "Uncertain", "Good"),
        ("no idea", "Uncertain", "Bad"),
        ("Judgement:", "Uncertain", "Bad"),
        ("", "Uncertain", "Bad"),
    ],
)
def test_a_judgement_is_read_by_its_first_word_and_in_compat_as_the_original_does(
    text: str, word: str, compat: str
) -> None:
    assert read_judgement(text) == word
    assert read_judgement_compat(text) == compat


def judged(tree: SearchTree, name: str) -> Iterator[tuple[Pair, list[Judgement]]]:
    verifier = make_verifier(name, tree, Thresholds(), opener(tree))
    for pair in pairs(tree, Thresholds()):
        yield pair, list(verifier.judge(pair))


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("name", ["progress", "value"])
def test_a_verifier_judges_in_order_and_stops_at_the_first_bad(tree: SearchTree, name: str) -> None:
    for pair, judgements in judged(tree, name):
        assert [judgement.step for judgement in judgements] == list(range(1, len(judgements) + 1))
        assert all(judgement.word != "Bad" for judgement in judgements[:-1])
        assert judgements[-1].word == "Bad" or len(judgements) == tree.nodes[pair.bad].depth


def test_progress_calls_a_refusal_bad_and_idling_uncertain() -> None:
    words: dict[str, set[str]] = {}
    for tree in TREES:
        for pair, judgements in judged(tree, "progress"):
            path = tree.ancestors(pair.bad)[1:]
            for judgement in judgements:
                words.setdefault(tree.nodes[path[judgement.step - 1]].observation.split()[0], set()).add(judgement.word)
    assert words["Could"] == {"Bad"}
    assert words["Inventory:"] == {"Uncertain"}
    assert "Good" in words["Got"]


def test_value_marks_the_first_step_after_the_fork_below_which_no_good_leaf_was_found() -> None:
    tree = TREES[0]
    good_below = {id for leaf in tree.leaves() if leaf.reward > 0.5 for id in tree.ancestors(leaf.id)}
    for pair, judgements in judged(tree, "value"):
        path = tree.ancestors(pair.bad)[1:]
        mark = judgements[-1].step
        assert mark > tree.nodes[pair.fork].depth
        assert path[mark - 1] not in good_below
        assert all(id in good_below for id in path[: mark - 1])


def test_an_unknown_verifier_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="progress"):
        make_verifier("oracle", TREES[0], Thresholds(), opener(TREES[0]))


# -- splice and mask -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tree", TREES)
def test_a_moved_mark_is_after_the_fork_and_only_thought_and_good_tail_are_trained(tree: SearchTree) -> None:
    samples, figures = made(tree)
    assert len(samples) == figures.samples == figures.pairs == count_pairs(tree, Thresholds())
    assert figures.before_fork == sum(sample.before_fork for sample in samples)
    for sample in samples:
        assert sample.mark is not None
        assert sample.mark > sample.fork_depth
        turns = turns_of(tree, sample)
        roles = [turn.role for turn in turns]
        assert roles == ["system", *["user", "assistant"] * (len(roles) // 2 - 1), "user"]
        steps = [turn for turn in turns if turn.role == "assistant" and turn.part != "header"]
        thought = next(at for at, turn in enumerate(steps) if turn.part == "thought")
        assert thought == sample.mark
        assert [turn.loss for turn in steps] == [False] * thought + [True] * (len(steps) - thought)
        assert steps[thought].content == thought_turn(sample.thought)
        assert turns[roles.index("assistant", 0) and turns.index(steps[thought]) + 1].content == WAIT_ANSWER
        good_path = tree.ancestors(sample.good)[1:]
        assert splice_of(tree, sample).good == good_path[sample.fork_depth :]
        assert (
            tree.nodes[good_path[sample.fork_depth]].response
            != tree.nodes[tree.ancestors(sample.bad or 0)[sample.fork_depth + 1]].response
        )


def test_refuse_leaves_marks_before_the_fork_out_and_keep_keeps_them() -> None:
    tree = TREES[1]
    moved, figures = made(tree)
    refused, refusing = made(tree, before_fork="refuse")
    kept, _ = made(tree, before_fork="keep")
    assert figures.before_fork > 0
    assert refusing.refused == figures.before_fork
    assert len(refused) == len(moved) - figures.before_fork
    assert not any(sample.before_fork for sample in refused)
    assert sum(sample.mark is not None and sample.mark <= sample.fork_depth for sample in kept) == figures.before_fork


def test_direct_revision_takes_the_whole_bad_trajectory() -> None:
    samples, _ = made(TREES[0], verify=False)
    assert {sample.kind for sample in samples} == {"direct"}
    assert all(len(splice_of(TREES[0], s).bad) == s.bad_depth and s.judgements == [] for s in samples)


def test_a_mark_beyond_the_trajectory_is_refused() -> None:
    sample = made(TREES[0])[0][0]
    with pytest.raises(InputError, match="steps 1 to"):
        splice(TREES[0], sample.good, sample.bad or 0, sample.fork, sample.bad_depth + 1)


def test_building_again_gives_the_same_ids_and_thoughts_and_every_thought_is_drawn() -> None:
    first, again = made(TREES[0])[0], made(TREES[0])[0]
    assert [(s.id, s.thought) for s in first] == [(s.id, s.thought) for s in again]
    assert len({s.id for s in first}) == len(first)
    assert {s.thought for tree in TREES for s in made(tree)[0]} == set(revision_thoughts())
    assert len(revision_thoughts()) >= 20


# -- replay --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tree", TREES)
def test_every_node_of_a_real_tree_comes_out_as_stored(tree: SearchTree) -> None:
    assert list(replay_tree(tree, opener(tree)())) == []


def test_replaying_a_tree_names_what_was_tampered_with() -> None:
    tree = searched("2", 0.5, iterations=2)
    tree.nodes[3].observation = "Got 1 diamond"
    tree.nodes[5].reward = 0.7
    found = {(difference.node, difference.field) for difference in replay_tree(tree, opener(tree)())}
    assert found == {(3, "observation"), (5, "reward")}


def test_verdicts_are_what_stepping_the_splice_shows() -> None:
    """Each verdict against an independent execution of the same actions."""
    seen = set()
    for tree in TREES:
        started = tree.started
        assert started is not None
        for sample in made(tree)[0]:
            opened = open_environment("textcraft", started.task)
            ids = splice_of(tree, sample).steps
            true: list[str] = []
            score, over = 0.0, False
            for id in ids:
                assert not over
                observation, reward, over, _, _ = opened.env.step(tree.nodes[id].action)
                score = float(reward)
                true.append(observation.replace("\n", " "))
                if over and id != ids[-1]:
                    break
            stored = [tree.nodes[id].observation for id in ids]
            replay = sample.replay
            assert replay is not None
            early = len(true) < len(ids)
            if score != sample.return_good or (early and len(true) <= (sample.mark or 0)):
                assert replay.verdict == "diverged"
            elif early:
                assert (replay.verdict, replay.ended) == ("reobserved", len(true))
                assert turns_of(tree, sample)[-1].content == true[-1]
                seen.add("cut where the return is reached")
            elif true == stored:
                assert replay.verdict == "verified"
                assert replay.observations == {}
            else:
                assert replay.verdict == "reobserved"
                assert replay.observations == {
                    k: t for k, (t, s) in enumerate(zip(true, stored, strict=True)) if t != s
                }
            seen.add(replay.verdict)
    assert seen == {"verified", "reobserved", "diverged", "cut where the return is reached"}


def test_a_reobserved_sample_shows_the_true_observations_and_compat_does_not() -> None:
    tree = TREES[1]
    sample = next(s for s in made(tree)[0] if s.verdict == "reobserved")
    assert sample.replay is not None
    replaced = [turn for turn in turns_of(tree, sample) if turn.replaced is not None]
    assert [turn.content for turn in replaced] == list(sample.replay.observations.values())
    compat = next(s for s in made(tree, compat=True, verify=False)[0] if s.verdict == "reobserved")
    assert all(turn.replaced is None for turn in turns_of(tree, compat))


def test_moving_the_mark_replays_the_sample() -> None:
    tree = TREES[0]
    replayer = Replayer(tree, opener(tree))
    sample = next(s for s in made(tree)[0] if s.mark is not None and s.mark < s.bad_depth)
    assert sample.mark is not None
    moved = with_mark(tree, sample, sample.mark + 1, replayer)
    assert moved.id == sample.id
    assert moved.replay == replay_sample(tree, moved, replayer)
    assert moved.replay is not None
    assert moved.replay.steps > 0


def test_what_can_not_be_replayed_says_why() -> None:
    tree = imported([1.0, 0.0])
    replayer = Replayer(tree, opener(tree, "nowhere"))
    replay = replayer.replay([Step("a", "b")], 1.0)
    assert replay.verdict == "unreplayable"
    assert "nowhere" in replay.reason
    assert replay.verdict not in HOLDS


def test_a_foreign_tree_replays_from_its_first_observation(tmp_path: Path) -> None:
    """Its task number means nothing here: the goal is read from the text."""
    from engine.trace.treefile.read import read_tree
    from engine.trace.treefile.write import save_tree

    path = tmp_path / "search_results_9999.json"
    save_tree(TREES[0], path)
    foreign = SearchTree(read_tree(path))
    assert foreign.started is not None
    assert foreign.started.task == "9999"
    assert list(replay_tree(foreign, opener(foreign)())) == []
    samples, figures = made(foreign)
    assert figures.by_verdict == made(TREES[0])[1].by_verdict
    assert json.loads(path.read_text())["state"] == [
        {"role": message.role, "content": message.content} for message in foreign.started.header
    ]
    assert samples
