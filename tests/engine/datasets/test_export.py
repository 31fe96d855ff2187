"""What is exported: who is chosen, what is dropped and why, the mask, and where every record comes from."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.base.errors import InputError
from engine.datasets.export import export
from engine.datasets.formats import FORMATS, agent_r, agent_r_rewrite, format_named
from engine.datasets.formats.rules import key_like, sample_problems, sample_warnings, texts_of, turn_problems
from engine.datasets.options import Exported
from engine.environment.replay import Replayer, opener
from engine.recovery.continuation_plan import RecoverySettings, chosen_marks, marks_of
from engine.recovery.continuation_store import Recoveries
from engine.recovery.continuations import Recovery
from engine.review.decisions import Decisions
from engine.samples.revise import revise
from engine.samples.sample import Sample, replay_sample, turns_of
from engine.samples.settings import ReviseSettings
from engine.samples.splice import Turn
from engine.samples.tails.tail import Tail, TailStep
from engine.search.interventions import Intervention
from engine.search.job import fork_job
from engine.trace.sources import load_any
from engine.trace.trace_file import load, read_events
from engine.workspace.workspace import Workspace
from tests.engine.made import AS_FOUND, MADE, MAKE, ROWS, TWIN, VERDICTS, Row, honey_trace, made_workspace, revised
from tests.engine.searched import search
from tests.engine.tasks import task_trace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with the made tree and a run over it."""
    return made_workspace(tmp_path / "w")


def exported(workspace: Workspace, format: str = "agent-r", **options: Any) -> tuple[Exported, list[dict[str, Any]]]:
    """Export and read again."""
    chosen = FORMATS[format]
    out = workspace.exports / f"out{chosen.extension}"
    done = export(workspace, None, format, out, **options)
    if not done.files:
        assert done.lines == 0
        return done, []
    text = out.read_text(encoding="utf-8")
    records = json.loads(text) if chosen.array else [json.loads(line) for line in text.splitlines()]
    assert len(records) == done.lines
    assert done.checksum == hashlib.sha256(out.read_bytes()).hexdigest()
    return done, records


def pair(workspace: Workspace, good: int, bad: int | None) -> Sample:
    """The sample of two leaves."""
    return next(sample for sample in workspace.load_run().samples if (sample.good, sample.bad) == (good, bad))


# -- who is chosen -----------------------------------------------------------------------------------


def test_without_decisions_all_that_hold_are_exported(workspace: Workspace) -> None:
    done, _ = exported(workspace)
    assert (done.which, done.lines, done.dropped) == ("all that hold", 5, {"diverged": 1})
    assert done.verdicts == {"reobserved": 2, "verified": 3}


def test_with_decisions_only_accepted_samples_that_hold_are_exported(workspace: Workspace) -> None:
    mine = Decisions(workspace.decisions, "ada")
    mine.decide(pair(workspace, 2, 6).id, "accepted")
    mine.decide(pair(workspace, 2, 4).id, "accepted")  # diverged
    mine.decide(pair(workspace, 2, 8).id, "rejected", reason="dull")
    mine.decide(pair(workspace, 11, 6).id, "skipped")
    done, _ = exported(workspace)
    assert (done.which, done.lines) == ("accepted", 1)
    assert done.dropped == {"diverged": 1, "not decided": 2, "rejected": 1, "skipped": 1}
    assert sum(done.dropped.values()) + done.lines == sum(VERDICTS.values())  # every sample is accounted for
    for _ in range(4):
        mine.undo()
    assert exported(workspace)[0].which == "all that hold"


def test_a_mark_or_a_note_alone_is_no_verdict(workspace: Workspace) -> None:
    Decisions(workspace.decisions, "ada").decide(pair(workspace, 2, 6).id, note="hm", mark=2)
    assert exported(workspace)[0].which == "all that hold"


def test_good_trajectories_are_chosen_by_decisions_about_themselves(workspace: Workspace) -> None:
    Decisions(workspace.decisions, "ada").decide(pair(workspace, 2, 6).id, "accepted")
    done, records = exported(workspace, data_type="good")
    assert (done.which, done.lines) == ("all that hold", 2)
    assert [list(record) for record in records] == [["task_num", "revise_log", "revise"]] * 2


def test_all_takes_every_sample_whatever_was_said(workspace: Workspace) -> None:
    Decisions(workspace.decisions, "ada").decide_all([sample.id for sample in workspace.load_run().samples], "rejected")
    done, _ = exported(workspace, all=True)
    assert (done.which, done.lines, done.dropped) == ("all", 6, {})


def test_only_verified_narrows_either(workspace: Workspace) -> None:
    assert exported(workspace, only_verified=True)[0].dropped == {"diverged": 1, "reobserved": 2}
    done, _ = exported(workspace, only_verified=True, all=True)
    assert (done.lines, done.verdicts) == (3, {"verified": 3})


def test_the_newest_run_of_each_trace_is_exported_and_a_run_by_its_id(workspace: Workspace) -> None:
    first = workspace.run_info().id
    other = task_trace(workspace.traces / "other.trace.jsonl", 7)
    second = revised(workspace, other)
    out = workspace.exports / "x.jsonl"
    both = export(workspace, None, "agent-r", out)
    assert (both.lines, both.runs) == (10, [second, first])
    assert {row["run"] for row in map(json.loads, Path(both.provenance).read_text().splitlines())} == {first, second}
    assert (export(workspace, first, "agent-r", out).lines, export(workspace, second, "agent-r", out).lines) == (5, 5)
    third = revised(workspace, other, verifier="human")  # nobody marked anything: the newest run of that trace has none
    newest = export(workspace, None, "agent-r", out)
    assert (newest.lines, newest.runs, newest.dropped["no wrong step found"]) == (5, [third, first], 6)


def test_an_accepted_sample_that_only_an_older_run_holds_is_named(workspace: Workspace) -> None:
    mine = [sample.id for sample in workspace.load_run().samples if sample.bad is not None]
    Decisions(workspace.decisions, "ada").decide_all(mine, "accepted")
    settings = ReviseSettings(**AS_FOUND, verifier="value", max_pairs=1)
    trace = workspace.traces / "honey.trace.jsonl"
    with workspace.new_run(settings, [str(trace)]) as run:
        for sample in revise(load_any(trace).tree, str(trace), settings, run.figures):
            run.add(sample)
    done, _ = exported(workspace)
    assert done.warnings == ["5 accepted samples are not in the newest run of their trace: --run names an older one"]


def test_duplicates_are_exported_once_and_counted(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path, ROWS + TWIN)
    done, _ = exported(workspace, data_type="good")
    assert (done.lines, done.dropped) == (2, {"duplicate": 1})
    assert exported(workspace, data_type="good", all=True)[0].lines == 3
    centric, _ = exported(workspace)
    everything, _ = exported(workspace, all=True)
    assert everything.lines > everything.distinct  # equal but for the drawn thought
    assert (centric.lines, centric.dropped) == (6, {"diverged": 1, "duplicate": 2})
    assert (centric.lessons.exact, everything.lessons.exact) == (0, everything.lines - everything.distinct)


def test_a_sample_without_a_wrong_step_is_left_out_until_a_person_sets_one(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path, create=True)
    revised(workspace, honey_trace(workspace.traces / "honey.trace.jsonl"), verifier="human")
    assert exported(workspace)[0].dropped == {"no wrong step found": 6}
    assert exported(workspace, all=True)[0].lines == 6
    Decisions(workspace.decisions, "ada").decide(pair(workspace, 2, 6).id, "accepted", mark=1)
    done, records = exported(workspace)
    assert (done.lines, done.dropped) == (1, {"no wrong step found": 5})
    assert records[0]["revise"] is True


# -- what people changed -----------------------------------------------------------------------------


def test_a_persons_mark_and_thought_are_exported_and_told(workspace: Workspace) -> None:
    chosen = pair(workspace, 11, 6)
    Decisions(workspace.decisions, "ada").decide(chosen.id, "accepted", mark=2, thought="Too many.", note="n")
    done, records = exported(workspace)
    assert done.verdicts == {"reobserved": 1}  # replayed again at its new mark
    log = records[0]["revise_log"]
    assert [turn.get("loss") for turn in log[4::2]] == [False, False, True, True, True, True]
    assert log[8]["content"] == "Thought: Too many.\nAction: wait"
    assert log[13]["content"] == "Inventory: [honey bottle] (5) "  # the true observation
    origin = json.loads(Path(done.provenance).read_text())
    assert (origin["line"], origin["sample"], origin["good"], origin["bad"]) == (1, chosen.id, 11, 6)
    assert (origin["mark"], origin["mark_from"], origin["marked_by"], origin["thought_from"]) == (
        2,
        "person",
        "ada",
        "person",
    )
    assert (origin["decision"], origin["decisions"], origin["note"]) == ("accepted", {"ada": "accepted"}, "n")


def test_a_mark_that_a_person_moved_to_where_the_splice_no_longer_holds_is_dropped(tmp_path: Path) -> None:
    rows: list[Row] = [
        *ROWS[:2],
        (1, "What do I have?", "inventory", "Inventory: [honey bottle] (4) ", None, None),
        (3, "Sugar is nice.", "craft 3 sugar using 1 honey bottle", "Crafted 3 minecraft:sugar", 0, "depth"),
    ]
    workspace = made_workspace(tmp_path, rows)
    assert exported(workspace)[0].verdicts == {"verified": 1}
    Decisions(workspace.decisions, "ada").decide(pair(workspace, 2, 4).id, "accepted", mark=3)
    assert exported(workspace)[0].dropped == {"diverged": 1}


def test_a_mark_before_the_fork_is_dropped_with_its_reason(workspace: Workspace) -> None:
    Decisions(workspace.decisions, "ada").decide(pair(workspace, 2, 4).id, "accepted", mark=1)
    done, _ = exported(workspace)
    assert (done.lines, done.dropped["mark before the fork"]) == (0, 1)
    everything, _ = exported(workspace, all=True)
    assert everything.problems == {"mark before the fork": 1}  # written, but said


def test_a_repaired_tail_is_exported_and_its_search_is_told(workspace: Workspace) -> None:
    lost = pair(workspace, 2, 4)  # the honey is gone: the good steps no longer hold
    assert lost.verdict == "diverged"
    tree = load_any(lost.path).tree
    steps = [TailStep("Thought: One more.\nAction: get 1 honey bottle", "get 1 honey bottle", "Got 1 honey bottle")]
    steps.append(TailStep(f"Thought: Now.\nAction: {MAKE}", MAKE, MADE))
    found = Tail(mark=lost.mark, steps=steps, score=1, trace="beef", path="again.trace.jsonl", leaf=7)
    mended = replace(lost, tail=found, replay=None)
    replayer = Replayer(tree, opener(tree))
    mended.replay = replay_sample(tree, mended, replayer)
    replayer.close()
    with workspace.new_run(ReviseSettings(**AS_FOUND, verifier="value"), [lost.path]) as run:
        run.add(mended)
    expected = [turn.content for turn in turns_of(tree, mended)]
    assert steps[-1].response in expected
    for name, format in FORMATS.items():
        done, records = exported(workspace, name)
        assert (done.lines >= 1, done.verdicts) == (True, {"repaired": 1})
        if format.conversation is not None or name == "agent-r":
            assert steps[-1].response in [text for record in records for text in texts_of(record)]
    origin = json.loads(Path(exported(workspace)[0].provenance).read_text())
    assert (origin["replay"], origin["tail_trace"], origin["tail_path"], origin["tail_leaf"]) == (
        "repaired",
        "beef",
        "again.trace.jsonl",
        7,
    )


def test_a_thought_of_a_model_is_told(workspace: Workspace) -> None:
    with workspace.new_run(ReviseSettings(**AS_FOUND, verifier="value"), []) as run:
        run.add(replace(pair(workspace, 2, 6), thought="Hm.", thought_by="a-model"))
    done = export(workspace, workspace.run_info().id, "agent-r", workspace.exports / "o.jsonl")
    origin = json.loads(Path(done.provenance).read_text())
    assert (origin["thought_from"], origin["thought_by"]) == ("model", "a-model")


def test_a_thought_that_quotes_a_replaced_observation_is_a_warning(workspace: Workspace) -> None:
    sample = pair(workspace, 2, 6)
    stale = "Inventory: [honey bottle] (4) and nothing else"
    turns = [
        Turn("user", "Inventory: [honey bottle] (5) and sugar", None, "good", 1, stale),
        Turn("assistant", "Thought: honey bottle 4 and nothing else.\nAction: b", True, "good", 2),
    ]
    assert sample_warnings(sample, turns) == ["a thought quotes an observation that was replaced"]
    assert sample_warnings(sample, [turns[0]._replace(replaced=None), turns[1]]) == []


# -- files -------------------------------------------------------------------------------------------


def test_an_export_without_a_line_writes_nothing_and_names_the_older_file(workspace: Workspace) -> None:
    Decisions(workspace.decisions, "ada").decide(pair(workspace, 2, 6).id, "rejected")
    done, _ = exported(workspace)
    assert (done.lines, done.files, done.left, list(workspace.exports.iterdir())) == (0, [], "", [])
    out = workspace.exports / "out.jsonl"
    out.write_text("older")
    assert (exported(workspace)[0].left, out.read_text()) == (str(out), "older")
    assert [path.name for path in workspace.exports.iterdir()] == ["out.jsonl"]


def test_all_of_nothing_is_an_empty_file(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path, ROWS[:2])  # no bad leaf
    assert exported(workspace, all=True)[1] == []
    assert (workspace.exports / "out.jsonl").read_bytes() == b""
    assert exported(workspace, "agent-r-rewrite", all=True)[1] == []


def test_card_provenance_and_report_stand_beside_the_dataset_and_nothing_else(workspace: Workspace) -> None:
    done, _ = exported(workspace)
    names = ["out.jsonl", "out.jsonl.card.md", "out.jsonl.provenance.jsonl", "out.jsonl.report.json"]
    assert sorted(os.listdir(workspace.exports)) == names
    shown = Path(done.card).read_text(encoding="utf-8")
    for fact in (done.checksum, done.run, "5 records", "`diverged` | 1", "0.5 of", "`value`", "honey.trace.jsonl"):
        assert fact in shown
    lines = Path(done.provenance).read_text().splitlines()
    assert [json.loads(line)["line"] for line in lines] == [1, 2, 3, 4, 5]


def test_a_missing_trace_is_named_and_what_was_exported_before_stays(workspace: Workspace) -> None:
    exported(workspace)
    before = {path.name: path.read_bytes() for path in workspace.exports.iterdir()}
    trace = workspace.traces / "honey.trace.jsonl"
    trace.rename(workspace.path / "elsewhere")
    with pytest.raises(InputError, match=r"honey.trace.jsonl: the trace of sample \w+ is missing"):
        exported(workspace)
    honey_trace(trace, ROWS[:6], trace="aaaa")
    with pytest.raises(InputError, match="contains a different trace"):
        exported(workspace)
    assert {path.name: path.read_bytes() for path in workspace.exports.iterdir()} == before


ODD_SAMPLES: dict[str, dict[str, Any]] = {
    "node 99": {"good": 99},
    "node -1": {"bad": -1},
    "node 18446744073709551616": {"fork": 2**64},
    "node 1000": {"wrong": 1000},
    "node -9007199254740993": {"cut": [{"part": "tail", "node": -(2**53) - 1, "place": 0, "reason": "idle"}]},
    "node 999": {
        "tail": {
            "mark": 1,
            "score": 1.0,
            "steps": [{"response": "r", "action": "a", "observation": "o", "node": 999}],
        }
    },
    "fork at node 4": {"fork": 4},
    "step 0": {"mark": 0},
    "step 77": {"found": 77},
    "step -5": {"judgements": [{"step": -5, "word": "Good"}]},
    "step 10000000000": {"cut": [{"part": "tail", "node": 1, "place": 10**10 - 1, "reason": "idle"}]},
}
"""What a sample may say that its tree has not, and how it is named."""


@pytest.mark.parametrize("what", ODD_SAMPLES)
def test_a_sample_that_names_what_its_tree_has_not_is_one_line(what: str, workspace: Workspace) -> None:
    """Anybody may have written a run."""
    (file,) = workspace.runs_folder.iterdir()
    lines = file.read_text().splitlines()
    changed = {**json.loads(lines[1]), **ODD_SAMPLES[what]}
    file.write_text("\n".join([lines[0], json.dumps(changed, separators=(",", ":")), *lines[2:]]) + "\n")
    with pytest.raises(InputError, match=f"has no {what}, which sample {changed['id']} names"):
        export(workspace, None, "agent-r", workspace.exports / "o.jsonl", all=True)


def test_a_workspace_that_moved_still_finds_its_traces(tmp_path: Path) -> None:
    made_workspace(tmp_path / "w").path.rename(tmp_path / "moved")
    assert exported(Workspace.open(tmp_path / "moved"))[0].lines == 5


def test_an_export_through_a_link_leaves_the_link(workspace: Workspace) -> None:
    (workspace.exports / "link.jsonl").symlink_to("elsewhere.jsonl")
    export(workspace, None, "agent-r", workspace.exports / "link.jsonl")
    assert (workspace.exports / "link.jsonl").is_symlink()
    assert (workspace.exports / "elsewhere.jsonl").read_bytes().count(b"\n") == 5


def test_what_cannot_be_exported_is_refused_in_one_line(workspace: Workspace) -> None:
    out = workspace.exports
    with pytest.raises(InputError, match="unknown format 'parquet': one of agent-r, agent-r-rewrite"):
        export(workspace, None, "parquet", out / "x")
    with pytest.raises(InputError, match="is a directory: name a file"):
        export(workspace, None, "agent-r", out)
    os.mkfifo(out / "pipe")
    with pytest.raises(InputError, match="not a regular file"):  # a move would put a file in its place
        export(workspace, None, "agent-r", out / "pipe")
    with pytest.raises(InputError, match="unknown run"):
        export(workspace, "x", "agent-r", out / "x")
    with pytest.raises(InputError):
        export(workspace, None, "agent-r", workspace.run_info().file + "/x")


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.integers(0, 7), st.sampled_from(["accepted", "rejected", "skipped"])), st.booleans())
def test_the_same_decisions_give_the_same_bytes(verdicts: dict[int, Any], everything: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = made_workspace(Path(folder))
        samples = workspace.load_run().samples
        for name in ("one", "two"):
            mine = Decisions(workspace.decisions, name)
            for place, verdict in verdicts.items() if name == "one" else reversed(verdicts.items()):
                mine.decide(samples[place].id, verdict)
            for format in FORMATS.values():
                export(workspace, None, format.name, workspace.exports / f"{name}-{format.name}", all=everything)
        for known in FORMATS:
            one, two = (workspace.exports / f"{name}-{known}" for name in ("one", "two"))
            assert one.exists() == two.exists()
            if one.exists():
                assert one.read_bytes() == two.read_bytes()


# -- the mask and the rules --------------------------------------------------------------------------


def test_every_format_trains_the_thought_and_the_good_steps_and_nothing_else(workspace: Workspace) -> None:
    expected = []
    for sample in workspace.load_run().samples:
        if sample.bad is not None and sample.verdict != "diverged":
            turns = turns_of(load_any(sample.path).tree, sample)
            expected.append([turn.content for turn in turns if turn.part in ("thought", "good") and turn.loss])
    _, lines = exported(workspace)
    assert [[turn["content"] for turn in line["revise_log"] if turn.get("loss")] for line in lines] == expected
    _, rewritten = exported(workspace, "agent-r-rewrite")
    trained = [[turn["output"] for turn in each["conversation"] if turn["output_with_loss"]] for each in rewritten]
    assert trained == expected


def test_the_rewritten_form_holds_every_turn_but_a_last_observation(workspace: Workspace) -> None:
    _, lines = exported(workspace)
    _, rewritten = exported(workspace, "agent-r-rewrite")
    for line, each in zip(lines, rewritten, strict=True):
        rounds = each["conversation"]
        assert list(rounds[0]) == ["system", "input", "output", "output_with_loss"]
        assert all(list(row) == ["input", "output", "output_with_loss"] for row in rounds[1:])
        assert rounds[0]["output_with_loss"] is False  # the header's `Ok.`
        contents = [rounds[0]["system"]] + [text for row in rounds for text in (row["input"], row["output"])]
        assert contents == [turn["content"] for turn in line["revise_log"][:-1]]


def test_every_format_finds_a_lost_mask(workspace: Workspace) -> None:
    _, lines = exported(workspace)
    assert all(agent_r.validate(line) == [] for line in lines)
    del lines[0]["revise_log"][8]["loss"]
    assert agent_r.validate(lines[0]) == ["a turn without a mask"]
    lines[1]["revise_log"][3]["loss"] = True
    assert agent_r.validate(lines[1]) == ["a mask on a turn that is not the actor's"]
    lines[2]["revise_log"].insert(2, {"role": "user", "content": " "})
    assert agent_r.validate(lines[2]) == ["roles do not alternate", "empty text"]
    assert agent_r.validate({"a": 1}) == ["other keys than the format's"]
    _, rewritten = exported(workspace, "agent-r-rewrite")
    assert all(agent_r_rewrite.validate(each) == [] for each in rewritten)
    rewritten[0]["conversation"][1]["output_with_loss"] = "false"
    assert agent_r_rewrite.validate(rewritten[0]) == ["a turn without a mask"]
    for row in rewritten[1]["conversation"]:
        row["output_with_loss"] = False
    assert agent_r_rewrite.validate(rewritten[1]) == ["no trained turn"]


def test_rules_for_turns() -> None:
    user, said = Turn("user", "u", None, "header"), Turn("assistant", "a", True, "good", 1)
    assert turn_problems([Turn("system", "s", None, "header"), user, said]) == []
    assert turn_problems([user, user, said]) == ["roles do not alternate"]
    assert turn_problems([user, said._replace(content=" \n")]) == ["empty text"]
    assert turn_problems([user, said._replace(loss=None)]) == ["a turn without a mask", "no trained turn"]
    assert turn_problems([user, said._replace(content="my key: sk-" + "a1" * 12)]) == ["looks like a key"]


@pytest.mark.parametrize("key", ["sk-proj-" + "x" * 30, "hf_" + "x" * 34, "AKIA" + "A1" * 8, "ghp_" + "x" * 36])
def test_keys_are_recognised_and_ordinary_text_is_not(key: str) -> None:
    assert key_like(f"use {key} here")
    for text in ("task-management-for-large-teams", "B094JTNPWK", "desk-with-four-wooden-legs-and-drawers", "sk-1"):
        assert not key_like(text)


def test_rules_for_splices(workspace: Workspace) -> None:
    sample = pair(workspace, 2, 6)
    tree = load_any(sample.path).tree
    assert sample_problems(tree, sample) == []
    assert sample_problems(tree, replace(sample, replay=None)) == ["not replayed"]
    tree.nodes[6].terminal = "done"
    direct = replace(sample, mark=None, replay=None)
    assert sample_problems(tree, direct) == ["not replayed", "goes on after the episode's end"]
    tree.nodes[5].terminal = "done"
    assert sample_problems(tree, sample) == []  # it was replayed past there: the episode went on
    shared = replace(pair(workspace, 2, 4), mark=1)
    assert sample_problems(tree, shared) == ["mark before the fork"]
    assert sample_problems(tree, replace(shared, compat=True)) == []


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    rows = list(ROWS)
    rows[4] = (0, 'quote " and \u2028 and \x1b[31m </s> [/INST] | ` and \u202e', *rows[4][2:])
    workspace = made_workspace(tmp_path, rows)
    done, lines = exported(workspace)
    assert done.lines == 5
    assert any(rows[4][1] in turn["content"] for line in lines for turn in line["revise_log"])
    assert Path(done.out).read_bytes().count(b"\n") == 5


def test_formats_say_what_they_are() -> None:
    for name, format in FORMATS.items():
        assert format_named(name) is format
        assert format.summary
        assert format.mask
        assert format.extension.startswith(".")
    assert msgspec.to_builtins(FORMATS["agent-r"].data_types) == ("centric", "good")


def test_steps_that_a_person_wrote_and_whether_the_actor_recovered_are_told(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "w", create=True)
    search(tmp_path / "first.trace.jsonl", iterations=2)
    end = len(list(read_events(tmp_path / "first.trace.jsonl"))) - 1
    path = workspace.traces / "t.trace.jsonl"
    written = Intervention("edited", 0, "Thought: First the sand.\nAction: get 32 red sand")
    fork_job(tmp_path / "first.trace.jsonl", end, path, requests=[written], changes={"iterations": 7}).run_blocking()
    revised(workspace, path, verifier="progress")
    ((node, who),) = load(path).tree.written_by.items()
    run = workspace.load_run()
    sample = next(each for each in run.samples if each.mark is not None)
    tree, known = load(path).tree, Recoveries(workspace.path / "recoveries", sample.trace)
    marks = chosen_marks(marks_of(tree, sample, 20), sample, "mark")
    settings = RecoverySettings(continuations=2, max_depth=20)
    (figures,) = Recovery(tree, sample, marks, settings, known).run_blocking().figures
    done, _ = exported(workspace, all=True)
    told = [json.loads(line) for line in Path(done.provenance).read_text().splitlines()]
    by_hand = [each for each in told if each["written"]]
    assert by_hand
    assert all(each["written"] == {who: [node]} for each in by_hand)
    assert done.writers == {who: len(by_hand)}
    assert f"`{who}` | {len(by_hand)}" in Path(done.card).read_text(encoding="utf-8")
    (origin,) = [each for each in told if each["sample"] == sample.id]
    assert origin["recovery"] == {
        "actor": "scripted",
        "model": "",
        "without": str(figures.without),
        "with": str(figures.thought),
    }
    assert sum(each["recovery"] is not None for each in told) >= 1
