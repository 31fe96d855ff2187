"""A workspace of somebody else's may hold links: nothing is written through one whose name this program chose."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agentr_tui.cli.commands.scale.round import Rounds
from agentr_tui.cli.round_file import read_round_file
from engine.base.errors import InputError
from engine.base.files import write_beside
from engine.rounds.record import Round, write_round
from engine.trace.trace_file import TraceWriter, load, read_events, write_trace
from engine.workspace.workspace import Workspace
from tests.agentr_tui.cli.test_cli import agentr
from tests.engine.imports import samples
from tests.engine.made import honey_trace

WRITES: dict[str, tuple[str, list[str]]] = {
    "notes": ("w/notes.md", ["notes", "--workspace", "w"]),
    "card": ("o.jsonl.card.md", []),
    "provenance": ("o.jsonl.provenance.jsonl", []),
    "report": ("o.jsonl.report.json", []),
    "configuration": ("o.jsonl.trl.yaml", []),
    "template": ("o.jsonl.chat_template.jinja", []),
    "lock": (".export.lock", []),
    "part": ("o.dev-00001-of-00002.jsonl", ["--split", "train=0.5,dev=0.5", "--shards", "2"]),
}
"""What a command writes under a name of its own, and the command; of most an export."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workspace in which there is a run, and with rollouts beside it."""
    folder = tmp_path_factory.mktemp("made")
    honey_trace(folder / "w" / "traces" / "m.trace.jsonl")
    assert agentr("revise", folder / "w" / "traces", "--workspace", folder / "w").code == 0
    samples.write(folder / "rollouts", "chat")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which the test is."""
    shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def linked(place: Path, there: bool) -> Path:
    """Put a link at a place, to a file of the user's or to where none is; returns where it leads."""
    mine = place.parent / "mine.txt"
    mine.parent.mkdir(parents=True, exist_ok=True)
    if there:
        mine.write_text("mine")
    place.unlink(missing_ok=True)
    place.symlink_to(mine)
    return mine


def untouched(place: Path, there: bool) -> bool:
    """Whether the link is as it was, and so is what it leads to."""
    mine = place.parent / "mine.txt"
    return place.is_symlink() and (mine.read_text() if mine.exists() else None) == ("mine" if there else None)


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nowhere"])
@pytest.mark.parametrize("what", WRITES)
def test_what_a_command_names_itself_is_written_through_no_link(what: str, there: bool, folder: Path) -> None:
    name, words = WRITES[what]
    linked(folder / name, there)
    if words[:1] != ["notes"]:
        words = ["export", "--all", "--out", "o.jsonl", "--format", "trl-sft", "--config", "--workspace", "w", *words]
    before = sorted(path.name for path in folder.iterdir())
    done = agentr(*words)
    told = "link" in done.err and (what == "lock" or name in done.err)
    assert (done.code, told) == (2, True), done.err
    assert untouched(folder / name, there)
    assert sorted(path.name for path in folder.iterdir()) == before, "nothing else was written either"


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nowhere"])
def test_the_trace_of_rollouts_is_written_through_no_link(there: bool, folder: Path) -> None:
    words = ["revise", "rollouts", "--verifier", "value", "--workspace", "w"]
    agentr(*words)
    (place,) = (path for path in (folder / "w" / "traces").iterdir() if path.name != "m.trace.jsonl")
    linked(place, there)
    done = agentr(*words)
    assert (done.code, place.name in done.err) == (2, True), done.err
    assert untouched(place, there)


def _rounds(workspace: Path) -> Rounds:
    (workspace / "r.toml").write_text('[collect]\ntasks = "2"\n[learn]\nnotes = true\n')
    return Rounds(read_round_file(workspace / "r.toml"), Workspace(workspace), workspace)


TRACE = "t.trace.jsonl"
MAKERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a trace": (TRACE, lambda w: TraceWriter(w / TRACE)),
    "a trace in place of another": (TRACE, lambda w: TraceWriter(w / TRACE, overwrite=True)),
    "a whole trace": (TRACE, lambda w: write_trace(w / TRACE, [], overwrite=True)),
    "a state file": (TRACE, lambda w: write_beside(w / TRACE, lambda stream: stream.write(b"x"))),
    "the record of a round": ("round-1.json", lambda w: write_round(w, Round(round=1))),
    "the notes of a round": ("round-1/notes.md", lambda w: _rounds(w)._learn_notes(Round(round=1))),
    "the dataset of a round": (
        "exports/r/round-1/dataset.jsonl",
        lambda w: _rounds(w)._export(Round(round=1), "r"),
    ),
}


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nowhere"])
@pytest.mark.parametrize("what", MAKERS)
def test_no_maker_of_files_writes_through_a_link(what: str, there: bool, tmp_path: Path) -> None:
    name, make = MAKERS[what]
    linked(tmp_path / name, there)
    with pytest.raises(InputError, match="is a link, and nothing is written through it"):
        make(tmp_path)
    assert untouched(tmp_path / name, there)


@pytest.mark.parametrize("name", ["t.trace.jsonl", "t.trace.jsonl.zst"])
def test_a_trace_goes_on_where_the_link_to_it_leads(name: str, tmp_path: Path) -> None:
    honey_trace(tmp_path / "m.trace.jsonl")
    events = list(read_events(tmp_path / "m.trace.jsonl"))
    (tmp_path / "disk").mkdir()
    write_trace(tmp_path / "disk" / name, events[:-1])
    (tmp_path / name).symlink_to(tmp_path / "disk" / name)
    loaded = load(tmp_path / name)
    with TraceWriter(tmp_path / name, append_to=loaded.end) as writer:
        writer.write(events[-1])
    assert (tmp_path / name).is_symlink()
    assert list(read_events(tmp_path / "disk" / name)) == events
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == [name]
