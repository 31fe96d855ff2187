"""What a workspace keeps: runs and decisions survive kills, other processes and undoing; indexes can be deleted."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.errors import InputError
from engine.environment.replay import Replayer, opener
from engine.review.curation import effective, marks_of, tally
from engine.review.decisions import Decided, Decision, Decisions, fold, fold_one, in_effect
from engine.samples.revise import revise
from engine.samples.sample import Sample
from engine.samples.settings import Revised, ReviseSettings
from engine.samples.thoughts.writers import REASON
from engine.trace.sources import load_any
from engine.workspace.workspace import Workspace, read_samples
from tests.engine.made import made_workspace, revised

ROOT = Path(__file__).parents[3]


def sample(id: str = "s", **fields: object) -> Sample:
    """A sample of which only the id matters."""
    return Sample(id=id, kind="revision", trace="t", path="p", environment="e", task="1", good=1, return_good=1, bad=2)


def text(decided: Decided | None) -> bytes:
    """Something to compare."""
    return msgspec.json.encode(decided)


# -- workspace ---------------------------------------------------------------------------------------


def test_a_missing_workspace_is_one_line_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such workspace: name one with --workspace"):
        Workspace.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"agentr search or agentr revise PATH makes one$"):
        Workspace.open(tmp_path / "nowhere")
    Workspace.open(tmp_path / "agentr-demo-1", create=True)
    with pytest.raises(InputError, match=r"with --workspace, here .*agentr-demo-1$"):
        Workspace.open(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is not a folder"):
        Workspace.open(tmp_path / "file")
    with pytest.raises(InputError, match="can't be made"):
        Workspace.open(tmp_path / "file" / "below", create=True)


READ_ONLY = """
import os, sys
sys.path.insert(0, sys.argv[1])
from engine.review.decisions import Decisions
from engine.base.errors import InputError
from engine.datasets.export import export
from engine.samples.settings import Revised
from engine.samples.settings import ReviseSettings
from engine.workspace.figures import cached_figures
from engine.workspace.workspace import Workspace
if os.getuid() == 0:
    os.setuid(65534)  # nothing is read-only to root
workspace = Workspace.open(sys.argv[2])
print(len(workspace.load_run().samples), cached_figures(workspace, [workspace.traces / "honey.trace.jsonl"])[0].pairs)
for work in (
    lambda: workspace.new_run(ReviseSettings(), []),
    lambda: Decisions(workspace.decisions).decide("s", "accepted"),
    lambda: export(workspace, None, "agent-r", workspace.exports / "x.jsonl"),
):
    try:
        work()
    except InputError as error:
        print("refused", "\\n" not in str(error), sys.argv[2] in str(error))
"""


def test_a_workspace_that_cannot_be_written_can_be_read_and_refuses_in_one_line() -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = made_workspace(Path(folder) / "w")
        folders = [folder, *(below for below, _, _ in os.walk(workspace.path))]
        for each in folders:
            os.chmod(each, 0o555)
        command = [sys.executable, "-c", READ_ONLY, str(ROOT), str(workspace.path)]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
        for each in folders:
            os.chmod(each, 0o755)
    assert done.stdout.splitlines() == ["8 6"] + ["refused True True"] * 3, done.stderr


# -- runs --------------------------------------------------------------------------------------------


def test_runs_are_listed_newest_first_and_loaded_by_id(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path / "w")
    trace = workspace.traces / "honey.trace.jsonl"
    later = [revised(workspace, trace) for _ in range(5)]
    known = [info.id for info in workspace.runs()]
    assert known[:5] == later[::-1]
    assert workspace.load_run().info.id == later[-1]
    first = workspace.load_run(known[-1])
    assert first.info.id == known[-1]
    assert first.info.paths == [str(trace)]
    assert first.info.settings.verifier == "value"
    assert first.info.figures is not None
    assert first.info.figures.pairs == 6
    assert len(first.samples) == first.info.samples == 8
    assert not first.warnings


def test_an_unknown_run_names_those_there_are(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path, create=True)
    with pytest.raises(InputError, match="no run of `revise` in this workspace: agentr revise"):
        workspace.load_run()
    with workspace.new_run(ReviseSettings(), []) as run:
        pass
    with pytest.raises(InputError, match=f"unknown run 'x': one of {run.id}"):
        workspace.load_run("x")


def interrupted(workspace: Workspace, samples: list[Sample]) -> None:
    """A run that Ctrl-C ends after these samples."""
    with suppress(KeyboardInterrupt), workspace.new_run(ReviseSettings(), []) as run:
        for made in samples:
            run.add(made)
        raise KeyboardInterrupt


def test_a_run_that_was_interrupted_keeps_its_samples_and_is_never_the_newest(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path / "w")
    whole = workspace.load_run()
    interrupted(workspace, whole.samples[:1])
    assert workspace.load_run().info.id == whole.info.id
    left = workspace.load_run(workspace.runs()[0].id)
    assert left.samples == whole.samples[:1]
    assert not left.info.sealed
    assert left.warnings == [f"{left.info.file}: the run was not finished; it holds 1 sample"]
    interrupted(workspace, [])
    assert len(workspace.runs()) == 2  # one that made nothing leaves nothing


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_run_cut_at_any_byte_loses_at_most_the_line_being_written(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = made_workspace(Path(folder))
        whole = workspace.load_run()
        file = Path(whole.info.file)
        content = file.read_bytes()
        cut = data.draw(st.integers(0, len(content) - 1))
        file.write_bytes(content[:cut])
        lines = content[:cut].count(b"\n")
        if lines == 0:
            assert workspace.runs() == []
            return
        left = workspace.load_run(whole.info.id)
        assert left.samples == whole.samples[: lines - 1]
        assert not left.info.sealed


def test_a_broken_line_in_a_run_names_file_and_line(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path)
    file = Path(workspace.run_info().file)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], lines[1], b'{"id": 3}\n', *lines[3:]]))
    with pytest.raises(InputError, match=rf"{file.name}:3: not a line of a run"):
        workspace.load_run()
    file.write_bytes(b"".join([*lines[:3], *lines[4:]]))
    with pytest.raises(InputError, match="holds 7 samples, its last line says 8"):
        workspace.load_run()
    file.write_bytes(lines[0].replace(b'"version":2', b'"version":9'))
    with pytest.raises(InputError, match="run format 9"):
        workspace.runs()


# -- decisions ---------------------------------------------------------------------------------------


def test_the_latest_verdict_mark_thought_and_note_win_each_for_itself(tmp_path: Path) -> None:
    ada, ben = Decisions(tmp_path, "ada"), Decisions(tmp_path, "ben")
    ada.decide("s", "accepted", mark=3)
    ben.decide("s", "rejected", reason="loops", thought="Wrong turn.")
    ada.decide("s", note="look again")
    for reader in (Decisions(tmp_path, "zoe"), ada, ben):
        reader.refresh()
        now = reader.current()["s"]
        assert (now.verdict, now.reason, now.reviewer) == ("rejected", "loops", "ben")
        assert (now.mark, now.marked_by, now.thought, now.thought_by) == (3, "ada", "Wrong turn.", "ben")
        assert now.note == "look again"
        assert now.by_reviewer == {"ada": "accepted", "ben": "rejected"}


def test_undo_gives_back_what_held_before_and_redo_takes_it_again(tmp_path: Path) -> None:
    other, mine = Decisions(tmp_path, "ben"), Decisions(tmp_path, "ada")
    other.decide("s", "rejected", reason="no")
    mine.refresh()
    before = text(mine.current().get("s"))
    mine.decide("s", "accepted")
    mine.decide("s", mark=2)
    after = text(mine.current().get("s"))
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert [line.mark for line in mine.undo()] == [2]
    assert [line.verdict for line in mine.undo()] == ["accepted"]
    assert mine.undo() == []
    assert text(mine.current().get("s")) == before
    assert [line.verdict for line in mine.redo()] == ["accepted"]
    assert [line.mark for line in mine.redo()] == [2]
    assert mine.redo() == []
    assert text(mine.current().get("s")) == after
    mine.undo()
    mine.undo()
    assert text(mine.current().get("s")) == before
    mine.decide("s", "skipped")
    assert mine.redo() == []  # a new decision ends what could be redone
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) > size  # all of it was appended
    fresh = Decisions(tmp_path, "zoe")
    assert text(fresh.current().get("s")) == text(mine.current().get("s"))


def test_several_at_once_are_one_undo(tmp_path: Path) -> None:
    mine = Decisions(tmp_path, "ada")
    mine.decide_all(["a", "b", "c"], "accepted")
    assert len(mine.undo()) == 3
    assert mine.current() == {}
    mine.redo()
    assert set(mine.current()) == {"a", "b", "c"}


def test_watching_reads_only_what_grew(tmp_path: Path) -> None:
    reader, writer = Decisions(tmp_path, "ada"), Decisions(tmp_path, "ben")
    assert reader.refresh() == set()
    writer.decide("s", "accepted")
    assert reader.refresh() == {"s"}
    assert reader.refresh() == set()
    file = next(tmp_path.iterdir())
    with file.open("ab") as stream:
        stream.write(b'{"id":"x","sample":"s","reviewer"')
    assert reader.refresh() == set()
    assert reader.warnings == [f"{file}: the last line is not whole and was left out"]
    with file.open("ab") as stream:
        stream.write(b':"ben","time":"9","verdict":"rejected"}\n')
    assert reader.refresh() == {"s"}
    assert reader.warnings == []
    assert reader.current()["s"].verdict == "rejected"
    file.unlink()
    assert reader.refresh() == {"s"}
    assert reader.current() == {}


def test_two_pens_of_one_process_write_two_files(tmp_path: Path) -> None:
    for _ in range(2):
        Decisions(tmp_path, "ada").decide("s", "accepted")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_broken_decision_names_file_and_line(tmp_path: Path) -> None:
    Decisions(tmp_path, "ada").decide("s", "accepted")
    file = next(tmp_path.iterdir())
    file.write_bytes(file.read_bytes() + b'{"sample": 3}\n')
    with pytest.raises(InputError, match=rf"{file.name}:2: not a decision"):
        Decisions(tmp_path, "ada")


def test_names_of_reviewers_make_safe_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTR_REVIEWER", "../../Ada \x1b[31m Lovelace\n")
    mine = Decisions(tmp_path / "d")
    mine.decide("s", "accepted", note="half a pair: \ud800")
    (file,) = (tmp_path / "d").iterdir()
    assert file.name.startswith("Ada_31m_Lovelace-")
    assert Decisions(tmp_path / "d").current()["s"].reviewer == "../../Ada [31m Lovelace"
    with pytest.raises(InputError, match="counted from 1"):
        mine.decide("s", mark=0)


WRITE = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from engine.review.decisions import Decisions
mine = Decisions(Path(sys.argv[2]), "ada")
for number in range(40):
    mine.decide(f"s{number}", "accepted", note=sys.argv[3])
"""


def test_two_processes_of_one_reviewer_never_collide(tmp_path: Path) -> None:
    names = ["1", "2", "3"]
    running = [subprocess.Popen([sys.executable, "-c", WRITE, str(ROOT), str(tmp_path), name]) for name in names]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert len(list(tmp_path.iterdir())) == 3
    all_of_them = Decisions(tmp_path, "zoe")
    assert sum(len(all_of_them.lines_of(f"s{number}")) for number in range(40)) == 120
    assert not all_of_them.warnings


@st.composite
def decision_lines(draw: st.DrawFn) -> list[Decision]:
    """Lines of several reviewers; undoings come later than what they undo, as a process writes them."""
    lines: list[Decision] = []
    for number in range(draw(st.integers(1, 12))):
        undone = draw(st.sampled_from([None, *lines]))
        lines.append(
            Decision(
                id=f"{number:03}",
                sample=undone.sample if undone else draw(st.sampled_from("ab")),
                reviewer=draw(st.sampled_from(["ada", "ben"])),
                time=f"{number:03}",
                verdict=None if undone else draw(st.sampled_from([None, "accepted", "rejected", "skipped"])),
                mark=None if undone else draw(st.sampled_from([None, 1, 2])),
                undo_of=undone.id if undone else None,
            )
        )
    return lines


@settings(max_examples=100, deadline=None)
@given(lines=decision_lines(), data=st.data())
def test_what_holds_does_not_depend_on_how_lines_are_spread_over_files(
    lines: list[Decision], data: st.DataObject
) -> None:
    expected = {name: text(decided) for name, decided in fold(lines).items()}
    mixed = data.draw(st.permutations(lines))
    with tempfile.TemporaryDirectory() as folder:
        reader = Decisions(Path(folder), "zoe")
        for line in mixed:
            name = data.draw(st.sampled_from(["a", "b", "c"]))
            with (Path(folder) / f"{name}.jsonl").open("ab") as stream:
                stream.write(msgspec.json.encode(line) + b"\n")
            if data.draw(st.booleans()):
                reader.refresh()
        reader.refresh()
        for those in (reader, Decisions(Path(folder), "ada")):
            assert {name: text(decided) for name, decided in those.current().items()} == expected


@settings(max_examples=60, deadline=None)
@given(lines=decision_lines(), data=st.data())
def test_decisions_cut_at_any_byte_lose_at_most_the_last_line(lines: list[Decision], data: st.DataObject) -> None:
    content = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    cut = data.draw(st.integers(0, len(content)))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.jsonl").write_bytes(content[:cut])
        left = Decisions(Path(folder), "zoe")
        kept = lines[: content[:cut].count(b"\n")]
        assert {name: text(decided) for name, decided in left.current().items()} == {
            name: text(decided) for name, decided in fold(kept).items()
        }
        assert len(left.warnings) == (cut > 0 and content[cut - 1 : cut] != b"\n")


def test_undoing_an_undoing_brings_the_line_back() -> None:
    first = Decision(id="1", sample="s", reviewer="a", time="1", verdict="accepted")
    undo = Decision(id="2", sample="s", reviewer="a", time="2", undo_of="1")
    redo = Decision(id="3", sample="s", reviewer="a", time="3", undo_of="2")
    assert in_effect([undo, first]) == []
    assert fold_one("s", [undo, first]) is None
    assert in_effect([redo, undo, first]) == [first]


# -- samples and decisions ---------------------------------------------------------------------------


def test_a_moved_mark_is_replayed_again_and_a_thought_replaced(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path)
    run = workspace.load_run()
    stored = next(one for one in run.samples if (one.good, one.bad) == (11, 6))
    assert (stored.mark, stored.verdict) == (1, "verified")
    tree = load_any(stored.path).tree
    replayer = Replayer(tree, opener(tree))
    mine = Decisions(workspace.decisions, "ada")
    assert effective(stored, mine.current().get(stored.id), tree, replayer) is stored
    mine.decide(stored.id, mark=2, thought="I took one bottle too many.")
    moved = effective(stored, mine.current()[stored.id], tree, replayer)
    assert (moved.mark, moved.found, moved.verdict) == (2, 1, "reobserved")
    assert moved.replay is not None
    assert list(moved.replay.observations.values()) == ["Inventory: [honey bottle] (5) "]
    assert moved.thought == "I took one bottle too many."
    assert stored.mark == 1  # the run is as it was
    assert marks_of(mine.current())(stored.id) == 2
    mine.decide(stored.id, mark=9)
    with pytest.raises(InputError, match="step 9 is not on the bad trajectory"):
        effective(stored, mine.current()[stored.id], tree, replayer)


def test_a_thought_never_speaks_of_a_step_from_which_the_mark_was_moved_away(tmp_path: Path) -> None:
    path = Path(__file__).parents[3] / "sample_trees" / "textcraft-many-pairs.trace.jsonl"
    tree = load_any(path).tree
    replayer, mine, seen = Replayer(tree, opener(tree)), Decisions(tmp_path, "ada"), Counter[str]()
    samples = [each for each in revise(tree, str(path), ReviseSettings(), Revised()) if each.bad is not None]
    for stored in samples[:8]:
        assert stored.thought_by == REASON
        assert stored.bad is not None
        for mark in range((stored.mark or 0) + 1, stored.bad_depth + 1):
            mine.decide(stored.id, mark=mark)
            moved = effective(stored, mine.current()[stored.id], tree, replayer)
            assert moved.thought != stored.thought
            seen[moved.thought_by] += 1
            quoted = re.search(r"`(.+?)`", moved.thought)
            if moved.thought_by == REASON and quoted:
                assert quoted[1] == tree.nodes[tree.ancestors(stored.bad)[mark]].action
    assert min(seen[REASON], seen[""]) >= 3, "marks on mistakes, and marks on steps of which nothing is known"


def test_tally_counts_verdicts_and_disputes(tmp_path: Path) -> None:
    ada, ben = Decisions(tmp_path, "ada"), Decisions(tmp_path, "ben")
    ada.decide_all(["a", "b", "c"], "accepted")
    ben.decide("b", "rejected")
    ben.decide("c", "skipped")
    ben.refresh()
    count = tally([sample(id) for id in "abcd"], ben.current())
    assert (count.accepted, count.rejected, count.skipped, count.undecided, count.disputed) == (1, 1, 1, 1, 1)
    assert count.decided == 3


def test_building_again_loses_no_decision(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path)
    first = workspace.load_run()
    Decisions(workspace.decisions, "ada").decide(first.samples[0].id, "accepted")
    revised(workspace, workspace.traces / "honey.trace.jsonl")
    second = workspace.load_run()
    assert second.info.id != first.info.id
    assert tally(second.samples, Decisions(workspace.decisions).current()).accepted == 1


def test_samples_are_read_one_at_a_time(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path)
    info = workspace.run_info()
    shutil.copy(info.file, tmp_path / "copy")
    assert next(read_samples(info)).id == workspace.load_run().samples[0].id
