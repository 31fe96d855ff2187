"""Whole commands and the whole app over a folder in which some files are broken, or are no files at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from agentr_tui.app.app import AgentrApp
from agentr_tui.cli.main import run
from agentr_tui.screens.library.screen import LibraryScreen
from agentr_tui.screens.shared.mode_screen import ModeScreen
from agentr_tui.state.error_log import error_line
from agentr_tui.state.last_place import LastPlace
from agentr_tui.state.session import Session
from agentr_tui.state.tour import Tour
from engine.base.errors import WorkFailed
from engine.environment.consent_store import consent_folder
from engine.search.control_file import RemoteControl, control_path
from engine.trace.sources import load_any
from engine.workspace.workspace import Workspace
from tests.agentr_tui.apps import opened, until
from tests.agentr_tui.cli.test_cli import Called, agentr
from tests.engine.made import honey_trace


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good trace and others: broken ones, and two whose search was killed at once."""
    monkeypatch.chdir(tmp_path)
    honey_trace(tmp_path / "traces" / "m.trace.jsonl")
    good = (tmp_path / "traces" / "m.trace.jsonl").read_bytes()
    for name, data in {
        "a-garbage.trace.jsonl": b"garbage\n",
        "b-middle.trace.jsonl": good.replace(b'"type":"imported"', b'"type":"impo', 1),
        "c-deep.trace.jsonl": good.splitlines(keepends=True)[0] + b'{"type":"expanded","seq":' + b"[" * 100_000 + b"\n",
        "d-huge-number.trace.jsonl": good.replace(b'"value":', b'"value":1' + b"0" * 400, 1),
        "e-binary.trace.jsonl.zst": b"\x28\xb5\x2f\xfd" + bytes(range(200)),
        "x-empty.trace.jsonl": b"",
        "y-begun.trace.jsonl": good[:90],
    }.items():
        (tmp_path / "traces" / name).write_bytes(data)
    os.mkfifo(tmp_path / "traces" / "f-pipe.trace.jsonl")
    (tmp_path / "traces" / "g-nowhere.trace.jsonl").symlink_to(tmp_path / "gone")
    return tmp_path


BROKEN = 7
COMMANDS: dict[str, list[str]] = {
    "stats": ["stats", "traces"],
    "grep": ["grep", "depth>0", "traces"],
    "revise": ["revise", "traces"],
    "verify": ["verify", "traces", "--against", "value"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_broken_file_of_a_folder_is_told_once_and_the_good_one_is_worked_on(command: str, folder: Path) -> None:
    done = agentr(*COMMANDS[command])
    assert done.code == 1
    for name in "abcdefg":
        assert done.err.count(f"traces/{name}-") == 1, (name, done.err)
    assert "Traceback" not in done.err
    worked = {"stats": "m.trace.jsonl", "grep": "of 1 trace\n", "revise": "13 pairs", "verify": "of 1 tree;"}[command]
    assert worked in done.out or command == "revise", done.out
    if command == "revise":
        assert " samples (" in done.out


def test_a_trace_whose_search_was_killed_at_once_is_crashed_with_0_nodes(folder: Path) -> None:
    done = agentr("stats", "traces", "--json")
    rows = {Path(row["path"]).name: (row["state"], row["nodes"]) for row in done.json["traces"]}
    assert rows["x-empty.trace.jsonl"] == rows["y-begun.trace.jsonl"] == ("crashed", 0)
    assert rows["m.trace.jsonl"][1] > 5
    assert len(rows) == 3
    assert len(done.json["unreadable"]) == BROKEN
    for name in "abcdefg":
        next((folder / "traces").glob(f"{name}-*")).unlink()
    done = agentr("stats", "traces", "--json")
    assert (done.code, done.err, "unreadable" in done.json) == (0, "", False)
    assert agentr("revise", "traces").code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_a_broken_file_that_was_named_itself_is_bad_input(command: str, folder: Path) -> None:
    words = ["traces/m.trace.jsonl" if word == "traces" else word for word in COMMANDS[command]]
    done = agentr(*words, "traces/a-garbage.trace.jsonl")
    assert (done.code, done.err.count("\n")) == (2, 1)


def _as_nobody(*words: str) -> Called:
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        return agentr(*words)
    finally:
        if root:
            os.seteuid(0)


def test_a_folder_without_permission_is_not_told_as_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    monkeypatch.chdir(tmp_path)
    honey_trace(tmp_path / "traces" / "m.trace.jsonl")
    honey_trace(tmp_path / "traces" / "shut" / "n.trace.jsonl")
    agentr("stats", "traces")  # modules are loaded before rights are given away
    (tmp_path / "traces" / "shut").chmod(0)
    done = _as_nobody("stats", "traces")
    assert (done.code, "m.trace.jsonl" in done.out, done.err) == (1, True, "agentr: traces/shut: Permission denied\n")
    for words in (
        ["stats", "traces/shut"],
        ["stats", "traces/shut/n.trace.jsonl"],
        ["show", "traces/shut/n.trace.jsonl"],
    ):
        done = _as_nobody(*words)
        assert (done.code, "Permission denied" in done.err) == (2, True), done.err
    (tmp_path / "traces").chmod(0)
    for words in (
        ["stats", "traces"],
        ["convert", "traces/m.trace.jsonl", "o.json"],
        ["export", "--workspace", "traces/w"],
    ):
        done = _as_nobody(*words)
        assert (done.code, "Permission denied" in done.err, done.err.count("\n")) == (2, True, 1), done.err
    (tmp_path / "traces").chmod(0o755)


LONG = "x" * 300


@pytest.mark.parametrize(
    "words",
    [
        ["stats", LONG],
        ["show", f"{LONG}.trace.jsonl"],
        ["convert", f"{LONG}.trace.jsonl", "o.json"],
        ["attach", f"{LONG}.trace.jsonl"],
        ["open", LONG],
        ["search", "--task", "2", "--out", f"{LONG}.trace.jsonl"],
        ["search", "--env", f"recorded:{LONG}"],
        ["search", "--prompts", LONG, "--actor", "openai", "--model", "m"],
        ["search", "--tokenizer", LONG, "--context", "9", "--actor", "openai", "--model", "m"],
        ["trust", LONG],
        ["export", "--out", LONG],
        ["export", "--out", "o.jsonl", "--mix", f"{LONG}:0.1"],
        ["export", "--out", "o.jsonl", "--for-model", f"./{LONG}"],
        ["export", "--out", "o.jsonl", "--workspace", LONG],
        ["revise", f"{LONG}.trace.jsonl"],
        ["review", "list", "--workspace", LONG],
        ["config", "--workspace", LONG],
        ["replay", f"{LONG}.trace.jsonl"],
        ["diff", f"{LONG}.trace.jsonl", f"{LONG}.trace.jsonl"],
    ],
    ids=lambda words: " ".join(word.replace(LONG, "LONG") for word in words[:3]),
)  # fmt: skip
def test_a_name_that_is_too_long_is_one_line_that_names_it(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    honey_trace(tmp_path / "m.trace.jsonl")
    agentr("revise", "m.trace.jsonl", "--max-pairs", "2")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    done = agentr(*words)
    *told, line = done.err.splitlines()  # `export` says first what it is about to write
    assert (done.code, len(told) <= (words[0] == "export")) == (2, True), done.err
    assert LONG in line
    assert "unexpected" not in done.err


BYTES = "a\udcff"
"""What Python makes of an argument that is not UTF-8."""


@pytest.mark.parametrize(
    "words",
    [
        ["export", "--all", "--out", "o.jsonl", "--licence", BYTES],
        ["export", "--all", "--out", "o.jsonl", "--split", f"{BYTES}=0.5,b=0.5"],
        ["revise", "m.trace.jsonl", "--verifier", BYTES],
        ["revise", "m.trace.jsonl", "--thought", BYTES],
        ["review", "note", "verdict:verified", "--note", BYTES],
        ["review", "accept", "verdict:verified", "--reviewer", BYTES],
        ["grep", f"text~{BYTES}", "m.trace.jsonl"],
        ["collect", "--tasks", f"1,{BYTES}"],
        ["search", "--task", BYTES],
        ["search", "--actor", "openai", "--model", BYTES],
        ["search", "--actor", "openai", "--model", "m", "--send-reasoning", BYTES],
        ["search", "--actor", "openai", "--model", "m", "--header", f"X={BYTES}"],
    ],
    ids=lambda words: ascii(" ".join(words[::-1][:2][::-1])),
)
def test_a_text_that_is_not_utf_8_is_refused_before_anything_is_written(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    honey_trace(tmp_path / "m.trace.jsonl")
    done = agentr(*words)
    assert (done.code, done.err.endswith("is not UTF-8 text\n"), done.err.count("\n")) == (2, True, 1), done.err
    assert [path.name for path in tmp_path.iterdir()] == ["m.trace.jsonl"]


def test_a_file_whose_name_is_not_utf_8_is_read_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    honey_trace(tmp_path / f"{BYTES}.trace.jsonl")
    assert agentr("stats", f"{BYTES}.trace.jsonl").code == 0
    assert agentr("convert", f"{BYTES}.trace.jsonl", f"{BYTES}.json").code == 0
    assert agentr("replay", f"{BYTES}.json").code == 0


# -- state files -----------------------------------------------------------------------------------------

GARBAGE: dict[str, bytes] = {
    "bytes": bytes(range(256)),
    "deep": b'{"a":' * 50_000,
    "a number": b"1" + b"0" * 5000,
    "another kind": b'{"mode": [1], "trace": {}, "views": 7, "theme": 1}\n',
    "a step that there is none": b'{"step": 99, "over": false}',
    "an odd time": b'{"id":"a","sample":"b","reviewer":"c","time":"0"}\n{"id":"d","sample":"b","reviewer":"c",'
    b'"time":"\xc3\xa9","verdict":"accepted","count":9007199254740992}\n',
}


@pytest.mark.parametrize("what", [*GARBAGE, "a pipe"])
async def test_no_state_file_keeps_the_app_from_starting(what: str, tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    trace = honey_trace(workspace.traces / "m.trace.jsonl")
    memory = LastPlace(workspace.path, tmp_path / "state")
    tour_folder = tmp_path / "state"
    places = [
        memory._place,
        memory._theme,
        workspace.decisions / "me-here-1-abcdef.jsonl",
        workspace.path / "bookmarks" / "me-here-1-abcdef.jsonl",
        workspace.path / "planted" / "x.jsonl",
        workspace.judgements / "x.jsonl",
        workspace.index_file,
        control_path(trace),
        workspace.traces / "recoveries" / "x.jsonl",
        workspace.runs_folder / "20260101-000000-0000000.jsonl",
        workspace.exports / "o.jsonl.report.json",
        tour_folder / "hints.json",
        consent_folder() / "0123.json",
    ]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        if what == "a pipe":
            os.mkfifo(place)
        else:
            place.write_bytes(GARBAGE[what])
    session = Session(Workspace.open(workspace.path))
    app = AgentrApp(session, "library", memory=memory, tour=Tour(tour_folder))
    async with app.run_test(size=(110, 32)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, LibraryScreen) and app.screen.is_mounted)
        session.open(trace)
        for key in ("2", "3", "4", "5", "1"):
            await pilot.press(key)
            await pilot.pause()
        assert app.is_running
    assert app.return_code in (None, 0)


ODD_PLACES: dict[str, str] = {
    "a screen that there is none": '{"mode": "nowhere", "trace": "TRACE"}',
    "a path with a zero byte": '{"mode": "pairs", "trace": "a\\u0000b"}',
    "a name that is too long": '{"mode": "pairs", "trace": "' + "x" * 5000 + '"}',
    "a loop of links": '{"mode": "search", "trace": "LOOP"}',
    "nodes and a tab that there are none": '{"mode": "search", "trace": "TRACE", "views": {"ID": {"cursor":'
    ' 999999999999, "top": -99999999999, "folds": [-1, 999999999999], "tab": 99999999999}}}',
}


@pytest.mark.parametrize("what", ODD_PLACES)
async def test_an_odd_place_that_was_remembered_keeps_nobody_out(what: str, tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    trace = honey_trace(workspace.traces / "m.trace.jsonl")
    (loop := workspace.traces / "l.trace.jsonl").symlink_to(loop)
    started = load_any(trace).tree.started
    assert started is not None
    memory = LastPlace(workspace.path, tmp_path)
    told = ODD_PLACES[what].replace("TRACE", str(trace)).replace("LOOP", str(loop)).replace("ID", started.trace)
    memory._place.write_text(told)
    session = Session(Workspace.open(workspace.path))
    place = memory.place()
    session.views = place.views
    app = AgentrApp(session, "library", memory=memory, place=place)
    async with app.run_test(size=(110, 32)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ModeScreen) and app.screen.is_mounted)
        if "nodes" in what:
            await until(pilot, lambda: app.current_mode == "search" and session.tree is not None)
        for key in ("1", "slash", "x", "escape", "2", "1"):
            await pilot.press(key)
            await pilot.pause()
        assert app.is_running
    assert app.return_code in (None, 0)


def test_a_link_beside_a_trace_leads_nobody_to_write_where_it_points(tmp_path: Path) -> None:
    (mine := tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "w").mkdir()
    for name in ("errors.log", "t.trace.jsonl.control", "t.trace.jsonl.log"):
        (tmp_path / "w" / name).symlink_to(mine)
    told = error_line(tmp_path / "w", ValueError("odd"))
    assert told == "unexpected ValueError: odd"
    with pytest.raises(WorkFailed):
        RemoteControl(tmp_path / "w" / "t.trace.jsonl").stop()
    done = agentr("search", "--task", "2", "--detach", "--out", tmp_path / "w" / "t.trace.jsonl")
    assert (done.code, "t.trace.jsonl.log" in done.err) == (2, True), done.err
    assert mine.read_text() == "mine"
    for name in ("errors.log", "t.trace.jsonl.log"):
        (tmp_path / "w" / name).unlink()
        os.mkfifo(tmp_path / "w" / name)
    assert error_line(tmp_path / "w", ValueError("odd")) == "unexpected ValueError: odd"
    done = agentr("search", "--task", "2", "--detach", "--out", tmp_path / "w" / "t.trace.jsonl")
    assert (done.code, "not a regular file" in done.err) == (2, True), done.err


def test_a_broken_settings_file_is_named_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings: dict[str, Any] = {
        "deep": b"a = " + b"[" * 20_000,
        "bytes": b"\xff",
        "large": b"#" * 300_000,
        "deep table": b"[a" + b".a" * 50_000 + b"]",
        "a huge number": b"[search]\nseed = 1" + b"0" * 5000,
    }
    workspace = opened(tmp_path / "w")
    for what, data in settings.items():
        workspace.settings_file.write_bytes(data)
        assert run(["config", "--workspace", str(workspace.path)]) == 2, what
        assert run(["stats", str(tmp_path), "--workspace", str(workspace.path)]) == 2, what
        lines = capsys.readouterr().err.splitlines()
        assert [str(workspace.settings_file) in line for line in lines] == [True, True], (what, lines)
