"""An attempt that goes on after it was imported does not become two."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.imports.attempt import Attempt
from engine.imports.follow import Following
from engine.imports.formats.writing import atif_document, chat_row
from engine.imports.merging.equal_messages import MERGES, Merge
from engine.imports.trace_store import Stored, store
from engine.imports.trees import ImportOptions, import_rollouts
from engine.query.find import find
from engine.query.nodes import parse
from engine.trace.trace_file import load
from engine.tree.tree import SearchTree
from tests.engine.imports.attempts import Said, attempt, shape

STEPS: list[Said] = [("I look.", "ls", "a.py"), ("I see.", "ls", "b.py"), ("I mend it.", "sed", "done"), "I am done."]


def trees(traces: Path) -> list[SearchTree]:
    """The trees of a folder of traces; N is counted again by hand."""
    found = [load(path).tree for path in sorted(traces.glob("*.trace.jsonl"))]
    for tree in found:
        passed = [0] * len(tree)
        for each in tree.attempts:
            for id in tree.ancestors(each.leaf):
                passed[id] += 1
        assert [node.visits for node in tree.nodes] == passed
        assert {node.id for node in tree.nodes if node.terminal} == {each.leaf for each in tree.attempts}
        assert [first < 0 for first in tree.first_through] == [count == 0 for count in passed]
    return found


def held(traces: Path) -> list[Any]:
    """What the trees hold: task, reward and messages of each attempt."""
    return sorted(
        (tree.started.task, str(told.reward), shape(tree.attempt_messages(told)))
        for tree in trees(traces)
        for told in tree.attempts
        if tree.started is not None
    )


def stored(file: Path, traces: Path, merge: Merge = "action") -> Stored:
    return store(import_rollouts([file], ImportOptions(merge=merge)), traces, merge)


def write_rows(file: Path, attempts: Iterable[Attempt]) -> None:
    file.write_text("".join(json.dumps(chat_row(each)) + "\n" for each in attempts))


@st.composite
def _cuts(draw: st.DrawFn) -> tuple[list[Attempt], list[list[int]], Merge]:
    """Attempts; how many messages of each are there at each import; and a rule of merging."""
    whole = [
        attempt(
            draw(st.sampled_from([0, 0.1, 0.7, 1])), *draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=4))
        )
        for _ in range(draw(st.integers(1, 4)))
    ]
    there = [[draw(st.integers(1, len(each.messages))) for each in whole] for _ in range(draw(st.integers(1, 3)))]
    grown = [[max(counts[: number + 1]) for counts in zip(*there, strict=True)] for number in range(len(there))]
    return whole, grown, draw(st.sampled_from([merge for merge in MERGES if merge != "state"]))


@settings(max_examples=25, deadline=None)
@given(_cuts())
def test_files_cut_at_any_message_then_whole_give_the_attempts_of_one_import(
    cuts: tuple[list[Attempt], list[list[int]], Merge],
) -> None:
    whole, grown, merge = cuts
    with tempfile.TemporaryDirectory() as folder:
        file, traces, once = Path(folder) / "a.jsonl", Path(folder) / "traces", Path(folder) / "once"
        for counts in grown:
            write_rows(
                file,
                [
                    replace(each, messages=each.messages[:count], reward=each.reward if count % 2 else None)
                    for each, count in zip(whole, counts, strict=True)
                ],
            )
            stored(file, traces, merge)
        write_rows(file, whole)
        stored(file, traces, merge)
        stored(file, once, merge)
        assert held(traces) == held(once)
        assert stored(file, traces, merge).new == 0
        assert held(traces) == held(once)


def test_who_went_on_keeps_the_nodes_numbers_and_leaves_no_step_that_counts(tmp_path: Path) -> None:
    file, traces = tmp_path / "a.jsonl", tmp_path / "traces"
    done, growing = attempt(1, STEPS[0], STEPS[2]), attempt(0, STEPS[1], STEPS[2], STEPS[3])
    write_rows(file, [done, replace(growing, messages=growing.messages[:5], reward=None)])  # its `sed` is not answered
    assert (stored(file, traces).new, len(trees(traces)[0].attempts)) == (2, 2)
    (before,) = trees(traces)
    write_rows(file, [done, growing])
    again = stored(file, traces)
    assert (again.new, again.continued) == (0, 1)
    (tree,) = trees(traces)
    assert [node.action for node in tree.nodes][: len(before)] == [node.action for node in before.nodes]
    assert [told.reward for told in tree.attempts] == [1, 0]
    left = [node.id for node in tree.nodes if not node.visits]
    assert left == [before.attempts[1].leaf]
    assert tree.left_nodes == 1
    assert left[0] not in find(parse("action~sed"), tree)


def test_a_trial_whose_result_comes_later_counts_once(tmp_path: Path) -> None:
    jobs, traces = tmp_path / "jobs", tmp_path / "traces"
    following = Following(lambda: [jobs], ImportOptions(), traces)
    for number, reward in enumerate((1.0, 0.0)):
        trial = jobs / "job" / f"mend__{number}"
        (trial / "agent").mkdir(parents=True)
        (trial / "verifier").mkdir()
        whole = attempt(None, STEPS[0], STEPS[2] if reward else STEPS[3])
        document = atif_document(replace(whole, task=""))
        trajectory = trial / "agent" / "trajectory.json"
        trajectory.write_text(json.dumps({**document, "steps": document["steps"][:-1]}))
        assert following.look() == 1
        trajectory.write_text(json.dumps(document))
        assert following.look() == 0
        (trial / "verifier" / "reward.txt").write_text(str(reward))  # nothing else changes
        assert following.look() == 0
        assert sorted(str(told.reward) for tree in trees(traces) for told in tree.attempts) == sorted(
            ["1.0", "0.0"][: number + 1]
        )
        result = {"task_name": "mend", "trial_name": trial.name, "verifier_result": {"rewards": {"reward": reward}}}
        (trial / "result.json").write_text(json.dumps(result))
        assert following.look() == 0
        assert following.problem == ""
    (tree,) = trees(traces)  # those of the prompt's digest are gone
    assert tree.started is not None
    assert (tree.started.task, [told.reward for told in tree.attempts]) == ("mend", [1, 0])
    assert (tree.nodes[0].visits, tree.nodes[0].value_sum) == (2, 1)


def test_a_tree_about_which_a_person_decided_keeps_what_went_on_elsewhere(tmp_path: Path) -> None:
    file, traces = tmp_path / "a.jsonl", tmp_path / "traces"
    whole = attempt(1, STEPS[0])
    write_rows(file, [replace(whole, messages=whole.messages[:1])])  # without its task yet: another tree
    stored(file, traces)
    (tree,) = trees(traces)
    assert tree.started is not None
    decided = frozenset([tree.started.trace])
    write_rows(file, [whole])
    kept = store(import_rollouts([file], ImportOptions()), traces, "action", lambda: decided)
    assert len(kept.kept) == 1
    assert "keeps an unfinished attempt that went on in another tree" in kept.kept[0]
    assert len(held(traces)) == 2


def test_a_row_that_became_shorter_is_no_new_attempt(tmp_path: Path) -> None:
    file, traces = tmp_path / "a.jsonl", tmp_path / "traces"
    one, other = attempt(1, STEPS[0], STEPS[2]), attempt(0, STEPS[1])
    write_rows(file, [one, other])
    stored(file, traces)
    whole = held(traces)
    write_rows(file, [replace(one, messages=one.messages[:1]), replace(one, messages=one.messages[:3], reward=None)])
    assert stored(file, traces).new == 1  # the second is another attempt; the first is being written again
    write_rows(file, [one])
    assert stored(file, traces).new == 0
    assert [each for each in held(traces) if each in whole] == whole


def test_only_what_changed_is_read_again(tmp_path: Path) -> None:
    folder, traces = tmp_path / "rollouts", tmp_path / "traces"
    folder.mkdir()
    for name in "abc":
        write_rows(folder / f"{name}.jsonl", [attempt(1, STEPS[0], f"I am {name}.")])
    following = Following(lambda: [folder], ImportOptions(), traces)
    assert following.look() == 3
    others = [following.seen[folder / name] for name in ("b.jsonl", "c.jsonl")]
    write_rows(folder / "a.jsonl", [attempt(1, STEPS[0], "I am a."), attempt(0, STEPS[0], "I am b.")])
    assert (following.look(), following.problem) == (1, "")  # equal to one of another file but for its reward
    other = tmp_path / "other.jsonl"
    write_rows(other, [attempt(1, STEPS[0], "I am d.")])
    shutil.copystat(folder / "a.jsonl", other)
    other.replace(folder / "a.jsonl")  # of the same age
    assert following.look() == 1
    write_rows(folder / "d.jsonl", [attempt(1, STEPS[0], "I am d.")])  # an equal attempt of another file counts
    assert following.look() == 1
    assert len(held(traces)) == 6
    now = [following.seen[folder / name] for name in ("b.jsonl", "c.jsonl")]
    assert all(one is other for one, other in zip(others, now, strict=True))
