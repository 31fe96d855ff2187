"""Repair: what diverged is searched again from after the wrong step, and only what holds is called repaired."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import msgspec
import pytest

from engine.base import untrusted_files
from engine.base.errors import InputError
from engine.datasets.export import export
from engine.environment.replay import HOLDS, Replayer, opener
from engine.recovery.repair import NOTHING, STOPPED, is_call, prefix_of, reobserve, repair_cost, repair_sample, repairer
from engine.review.curation import effective
from engine.review.decisions import Decisions
from engine.samples.finishing import with_mark
from engine.samples.revise import revise
from engine.samples.sample import Sample, turns_of, with_tail
from engine.samples.settings import Repairs, RepairSettings, Revised, ReviseSettings
from engine.samples.shared_by_trees import SharedByTrees
from engine.samples.splice import Turn, quoting
from engine.search.control import Control
from engine.trace.sources import load_any
from engine.trace.trace_file import load
from engine.tree.events import AnyEvent
from engine.tree.tree import SearchTree
from engine.workspace.workspace import Workspace
from envs.regular_files import open_regular
from tests.engine.made import AS_FOUND, honey_trace, made_workspace
from tests.engine.samples.test_revision import searched
from tests.fixtures import RECORDINGS
from tests.servers.llm_server import LLMServer

TREE = searched("2", 0.5)


def repaired(tree: SearchTree, folder: Path, **changes: object) -> tuple[list[Sample], Revised]:
    """The samples of pairs of a run with `--repair`, and the figures."""
    figures = Revised()
    settings = ReviseSettings(**AS_FOUND, repair=RepairSettings(**changes))  # type: ignore[arg-type]
    made = revise(tree, "t", settings, figures, SharedByTrees(repair=repairer(folder, settings)))
    return [sample for sample in made if sample.bad is not None], figures


def diverged(tree: SearchTree) -> Sample:
    """The first sample of a tree that diverges."""
    samples = revise(tree, "t", ReviseSettings(**AS_FOUND), Revised())
    return next(sample for sample in samples if sample.verdict == "diverged")


def replayer(tree: SearchTree) -> Replayer:
    """In the tree's own environment."""
    return Replayer(tree, opener(tree))


def test_what_diverged_is_repaired_and_keeps_its_id(tmp_path: Path) -> None:
    before = {sample.id: sample for sample in revise(TREE, "t", ReviseSettings(**AS_FOUND), Revised())}
    samples, figures = repaired(TREE, tmp_path)
    mended = [sample for sample in samples if sample.verdict == "repaired"]
    assert mended
    assert {sample.id for sample in mended} == {id for id, each in before.items() if each.verdict == "diverged"}
    assert figures.repairs is not None
    assert figures.repairs.repaired == len(mended) == figures.repairs.tried
    for sample in mended:
        assert sample.mark == before[sample.id].mark
        assert sample.thought == before[sample.id].thought
        assert sample.replay is not None
        assert sample.replay.score == sample.expected_return > 0.5


def test_a_repaired_trajectory_really_holds_when_it_is_executed(tmp_path: Path) -> None:
    samples, _ = repaired(TREE, tmp_path)
    for sample in samples:
        if sample.verdict != "repaired":
            continue
        assert sample.tail is not None
        env = opener(TREE)().env
        turns = [turn for turn in turns_of(TREE, sample) if turn.part in ("bad", "good")]
        score = 0.0
        actions = [TREE.nodes[id].action for id in TREE.ancestors(sample.bad or 0)[1 : (sample.mark or 0) + 1]]
        for place, action in enumerate(actions + [step.action for step in sample.tail.steps]):
            observation, reached, *_ = env.step(action)
            score = float(reached)
            assert turns[2 * place + 1].content == observation.replace("\n", " ")
        assert score == 1
        assert len(turns) == 2 * (len(actions) + len(sample.tail.steps))
        assert all(turn.loss is (turn.part == "good") for turn in turns if turn.role == "assistant")


def test_the_tail_names_its_trace_and_that_trace_holds_it(tmp_path: Path) -> None:
    sample = next(sample for sample in repaired(TREE, tmp_path)[0] if sample.tail is not None)
    assert sample.tail is not None
    tree = load(sample.tail.path).tree
    assert tree.started is not None
    assert TREE.started is not None
    assert tree.started.trace == sample.tail.trace
    assert tree.started.forked_from is not None
    assert tree.started.forked_from.trace == TREE.started.trace
    assert [step.action for step in tree.started.prefix] == [
        TREE.nodes[id].action for id in TREE.ancestors(sample.bad or 0)[1 : (sample.mark or 0) + 1]
    ]
    assert [tree.nodes[id].response for id in tree.ancestors(sample.tail.leaf)[1:]] == [
        step.response for step in sample.tail.steps
    ]


def test_the_same_repair_again_costs_no_call(tmp_path: Path) -> None:
    first, paid = repaired(TREE, tmp_path)
    again, free = repaired(TREE, tmp_path)
    assert paid.repairs is not None
    assert free.repairs is not None
    assert paid.repairs.calls > 0
    assert free.repairs.calls == 0
    assert msgspec.json.encode(again) == msgspec.json.encode(first)


def test_a_repair_that_can_not_be_read_now_is_not_made_anew_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network file system that fails for a moment cost all its calls again, and the old ones were gone."""
    repaired(TREE, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    read = open_regular

    def fail(path: Path) -> object:
        if Path(path) in before:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return read(path)

    monkeypatch.setattr(untrusted_files, "open_regular", fail)
    with pytest.raises(InputError, match="Input/output error"):
        repaired(TREE, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_repair_stays_within_its_calls(tmp_path: Path) -> None:
    calls: list[AnyEvent] = []
    sample, figures = diverged(TREE), Repairs()
    repair_sample(
        TREE, sample, replayer(TREE), tmp_path, RepairSettings(calls=5, good=99), figures, listener=calls.append
    )
    assert figures.calls == sum(map(is_call, calls)) == 5
    assert "at most 200 calls of scripted" in repair_cost(TREE, RepairSettings())


def test_a_repair_that_finds_nothing_leaves_the_sample_and_says_why(tmp_path: Path) -> None:
    sample, figures = diverged(TREE), Repairs()
    left = repair_sample(TREE, sample, replayer(TREE), tmp_path, RepairSettings(calls=1), figures)
    assert left == sample
    assert figures.failed == {NOTHING: 1}


@pytest.mark.parametrize("fault", ["too long", "refusal", "empty"])
def test_a_sample_for_which_no_answer_of_the_model_is_usable_does_not_end_the_run(fault: str, tmp_path: Path) -> None:
    tree, sample, figures = searched("2", 0.5), diverged(TREE), Repairs()
    assert tree.started is not None
    with LLMServer(faults=lambda call: fault) as server:
        model = {"actor": "openai", "model": "m", "base_url": server.url, "retries": 0}
        tree.started = msgspec.structs.replace(
            tree.started, settings=msgspec.structs.replace(tree.started.settings, **model)
        )
        for _ in range(2):
            left = repair_sample(tree, sample, replayer(tree), tmp_path, RepairSettings(), figures, own=[model])
            assert left == sample
        asked = len(server.calls)
    assert figures.failed == {NOTHING: 2}
    assert asked == tree.started.settings.samples, "what was asked once is known"


def test_a_repair_can_be_stopped_and_is_searched_anew_later(tmp_path: Path) -> None:
    sample, figures, control = diverged(TREE), Repairs(), Control()
    control.stop()
    left = repair_sample(TREE, sample, replayer(TREE), tmp_path, RepairSettings(), figures, control=control)
    assert left.tail is None
    assert figures.failed == {STOPPED: 1}
    mended = repair_sample(TREE, sample, replayer(TREE), tmp_path, RepairSettings(), figures)
    assert mended.verdict == "repaired"


def test_nothing_can_be_searched_after_the_end_of_an_episode(tmp_path: Path) -> None:
    tree = load_any(honey_trace(tmp_path / "h.trace.jsonl")).tree
    sample = next(
        each for each in revise(tree, "t", ReviseSettings(**AS_FOUND, verifier="value"), Revised()) if each.bad
    )
    over = msgspec.structs.replace(sample, good=11, bad=2, fork=0, fork_depth=0, bad_depth=2, mark=2)
    assert prefix_of(tree, over, replayer(tree)) is None
    left = repair_sample(tree, over, replayer(tree), tmp_path, RepairSettings(), figures := Repairs())
    assert left == over
    assert list(figures.failed) == ["the episode is over after the wrong step"]


def test_a_tail_that_does_not_hold_is_never_called_repaired(tmp_path: Path) -> None:
    sample = next(each for each in repaired(TREE, tmp_path)[0] if each.tail is not None)
    assert sample.tail is not None
    short = msgspec.structs.replace(sample.tail, steps=sample.tail.steps[:-1])
    assert with_tail(TREE, sample, short, replayer(TREE)).verdict == "diverged"


def test_moving_the_mark_drops_the_tail(tmp_path: Path) -> None:
    sample = next(each for each in repaired(TREE, tmp_path)[0] if each.tail is not None and each.bad_depth > 2)
    other = next(step for step in range(sample.fork_depth + 1, sample.bad_depth + 1) if step != sample.mark)
    assert with_mark(TREE, sample, other, replayer(TREE)).tail is None
    assert with_mark(TREE, sample, sample.mark, replayer(TREE)).verdict == "repaired"


def test_a_repair_that_a_person_asked_for_is_a_decision_that_can_be_undone_and_is_exported(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path / "w")
    trace = workspace.traces / "honey.trace.jsonl"
    tree = load_any(trace).tree
    sample = next(each for each in workspace.load_run().samples if each.verdict == "diverged")
    mended = repair_sample(tree, sample, replayer(tree), workspace.traces / "repairs", RepairSettings(), Repairs())
    assert mended.tail is not None
    decisions = Decisions(workspace.decisions, "ann")
    decisions.decide(sample.id, "accepted", mark=sample.mark, repair=mended.tail)
    again = Decisions(workspace.decisions, "ann").current()[sample.id]
    assert effective(sample, again, tree, replayer(tree)).verdict == "repaired"
    done = export(workspace, None, "agent-r", tmp_path / "out.jsonl")
    assert done.lines == 1
    assert done.verdicts == {"repaired": 1}
    decisions.undo()
    assert effective(sample, decisions.current().get(sample.id), tree, replayer(tree)) == sample


def test_compat_repairs_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exclude each other"):
        repairer(tmp_path, ReviseSettings(compat=True, repair=RepairSettings(paid=True)))
    assert repairer(tmp_path, ReviseSettings(repair=None)) is None


async def test_a_repair_runs_in_a_thread_beside_an_event_loop(tmp_path: Path) -> None:
    sample = diverged(TREE)
    work = asyncio.to_thread(repair_sample, TREE, sample, replayer(TREE), tmp_path, RepairSettings(), Repairs())
    assert (await work).verdict == "repaired"


def test_reobserving_says_what_the_first_replay_said() -> None:
    samples = list(revise(TREE, "t", ReviseSettings(**AS_FOUND, max_pairs=40), Revised()))
    assert [reobserve(TREE, sample).replay for sample in samples] == [sample.replay for sample in samples]


def test_thoughts_that_quote_a_replaced_observation_are_found() -> None:
    false = "You hold 3 oak planks and a stick"
    turns = [
        Turn("user", "You hold nothing", None, "good", 1, false),
        Turn("assistant", "Thought: Since I hold 3 oak planks and more, I craft.\nAction: craft", True, "good", 2),
        Turn("assistant", "Thought: I craft.\nAction: craft 3 oak planks and a stick", True, "good", 3),
        Turn("user", "You hold nothing", None, "good", 3),
    ]
    assert quoting(turns) == [1]
    assert quoting([turn._replace(replaced=None) for turn in turns]) == []


def test_of_the_originals_textcraft_trees_and_many_own_all_pairs_get_there(tmp_path: Path) -> None:
    trees = [load_any(path).tree for path in sorted(RECORDINGS.glob("agent-r/textcraft/*/search_results_*"))]
    trees += [searched(str(task), rate, 5) for task in range(0, 25, 3) for rate in (0.35, 0.5)]
    pairs = holds = calls = tried = 0
    for tree in trees:
        figures = Revised()
        settings = ReviseSettings(**AS_FOUND | {"rank": "fork"}, repair=RepairSettings(), per_tree=40)
        for sample in revise(tree, "t", settings, figures, SharedByTrees(repair=repairer(tmp_path, settings))):
            if sample.bad is not None:
                holds += sample.verdict in HOLDS
                pairs += 1
        if figures.repairs is not None:
            calls, tried = calls + figures.repairs.calls, tried + figures.repairs.tried
    print(f"{holds} of {pairs} pairs hold; {tried} repairs, {calls} calls")
    assert pairs > 300
    assert holds / pairs >= 0.95
    assert calls <= 200 * tried


def test_a_workspace_that_is_read_by_an_older_run_still_loads(tmp_path: Path) -> None:
    """Samples that were written before there were tails have none."""
    workspace = made_workspace(tmp_path)
    assert isinstance(workspace, Workspace)
    assert all(sample.tail is None and not sample.whole for sample in workspace.load_run().samples)
    text = Path(workspace.load_run().info.file).read_text(encoding="utf-8")
    assert '"tail"' not in text.splitlines()[1]
