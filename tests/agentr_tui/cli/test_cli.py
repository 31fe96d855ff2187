"""The commands, as a person calls them: real files, real exit codes, one line for every error."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from agentr_tui.cli.main import run
from engine.trace.trace_file import TraceWriter, read_events
from envs.base import info_of, missing
from sample_trees import __file__ as samples_file
from sample_trees.make_attempts import make as make_attempts

SAMPLES = Path(samples_file).parent
MANY = SAMPLES / "textcraft-many-pairs.trace.jsonl"
DRY = SAMPLES / "textcraft-no-good-leaf.trace.jsonl"


class Called:
    """What a command printed and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        """The one object that was printed."""
        return json.loads(self.out)


def agentr(*arguments: object) -> Called:
    """Call a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(argument) for argument in arguments])
    return Called(code, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("AGENTR_"):
            monkeypatch.delenv(name)


# -- the whole way -------------------------------------------------------------------------------------


def test_demo_without_a_terminal_ends_in_a_dataset_with_a_verdict_for_every_line(tmp_path: Path) -> None:
    done = agentr("demo", "--headless")
    assert done.code == 0
    path = Path(done.out.strip().splitlines()[-1])
    lines = path.read_text().splitlines()
    assert len(lines) >= 5
    assert all(json.loads(line)["revise_log"] for line in lines)
    runs = list(tmp_path.glob("agentr-demo-1/runs/*.jsonl"))
    samples = [json.loads(line) for line in runs[0].read_text().splitlines()[1:-1]]
    assert len(samples) >= len(lines)
    assert all(sample["replay"]["verdict"] for sample in samples)


def test_demo_twice_takes_fresh_workspaces() -> None:
    first, second = agentr("demo", "--headless"), agentr("demo", "--headless")
    assert first.out.splitlines()[-1] != second.out.splitlines()[-1]


def test_search_revise_export_with_json(tmp_path: Path) -> None:
    done = agentr("search", "--env", "textcraft", "--task", "2", "--iterations", "4", "--error-rate", "0.5",
                  "--out", "t.trace.jsonl")  # fmt: skip
    assert done.code == 0, done.err
    revised = agentr("revise", "t.trace.jsonl", "--json").json
    counted = {"run", "pairs", "samples", "by_verdict", "before_fork", "no_wrong_step", "lessons", "steps"}
    assert set(revised) == counted | {"judge", "tails"}
    assert set(revised["tails"]) == {"straight", "joined", "repaired", "as_found", "left_out"}
    assert {"calls", "tokens_in", "tokens_out", "cost", "unread", "failed"} <= set(revised["judge"])
    assert revised["judge"]["calls"] == 0
    assert revised["samples"] == sum(revised["tails"].values()) - revised["tails"]["left_out"]
    assert revised["samples"] == sum(revised["by_verdict"].values()) > 0
    exported = agentr("export", "--format", "agent-r", "--out", "o.jsonl", "--json").json
    assert set(exported) == {"out", "lines", "dropped"}
    assert exported["lines"] == len(Path("o.jsonl").read_text().splitlines())
    assert exported["lines"] + sum(exported["dropped"].values()) == revised["samples"]
    good = agentr("export", "--data-type", "good", "--out", "g.jsonl", "--json").json
    assert all(json.loads(line)["revise"] is False for line in Path("g.jsonl").read_text().splitlines())
    assert good["lines"] > 0


def test_an_export_that_is_terminated_leaves_nothing_behind(tmp_path: Path) -> None:
    agentr("revise", DRY)
    program = (
        "import os, signal\n"
        "from agentr_tui.cli.main import main\n"
        "os.fsync = lambda number: os.kill(os.getpid(), signal.SIGTERM)\n"  # a file is written and not yet moved
        "main(['export', '--out', 'out/o.jsonl', '--all', '--json'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "")
    assert os.listdir("out") == []


def test_a_tree_without_pairs_is_done_all_the_same() -> None:
    revised = agentr("revise", DRY, "--json")
    assert (revised.code, revised.json["pairs"], revised.json["samples"]) == (0, 0, 0)
    exported = agentr("export", "--out", "o.jsonl", "--json")
    assert (exported.code, exported.json["lines"]) == (1, 0)
    assert "no file was written" in exported.err
    assert not Path("o.jsonl").exists()
    everything = agentr("export", "--out", "o.jsonl", "--json", "--all")
    assert (everything.code, everything.json["lines"], Path("o.jsonl").read_bytes()) == (0, 0, b"")
    assert Path("o.jsonl").read_bytes() == b""


def test_two_runs_with_one_seed_do_not_differ_and_concurrency_changes_nothing() -> None:
    for name, extra in (("a", []), ("b", []), ("c", ["--concurrency", "1"]), ("d", ["--concurrency", "16"])):
        assert agentr("search", "--task", "2", "--iterations", "2", "--out", f"{name}.trace.jsonl", *extra).code == 0
    for other in "bcd":
        done = agentr("diff", "a.trace.jsonl", f"{other}.trace.jsonl")
        assert (done.code, done.out) == (0, "no differences\n")
    agentr("search", "--task", "2", "--iterations", "2", "--seed", "1", "--out", "e.trace.jsonl")
    assert agentr("diff", "a.trace.jsonl", "e.trace.jsonl", "--json").json["differences"]


MADE = [line.split()[1:] for line in (SAMPLES / "make.sh").read_text().splitlines() if line.startswith("agentr s")]


@pytest.mark.parametrize("words", MADE, ids=lambda words: words[-1])
def test_the_sample_trees_are_those_that_their_script_makes(words: list[str], tmp_path: Path) -> None:
    """Node for node: a change of search, actor or environment would show here."""
    lacking = missing(info_of(words[words.index("--env") + 1]))
    if lacking:
        pytest.skip(lacking)
    assert agentr(*words).code == 0
    assert agentr("diff", SAMPLES / words[-1], tmp_path / words[-1], "--json").json["differences"] == []


def test_the_bundled_attempts_are_those_that_their_script_makes_and_part_at_wrong_steps(tmp_path: Path) -> None:
    make_attempts(tmp_path / "attempts")
    solved = {"2": 3, "5": 4, "10": 6}
    for task, good in solved.items():
        raw, name = f"attempts/textcraft-tools-{task}.atif.jsonl", f"textcraft-tools-{task}-attempts.trace.jsonl"
        assert (tmp_path / raw).read_bytes() == (SAMPLES / raw).read_bytes()
        assert agentr("convert", raw, name).code == 0
        assert agentr("diff", SAMPLES / name, name, "--json").json["differences"] == []
        assert agentr("replay", name, "--json").json["differences"] == []
        row = agentr("stats", name, "--forks", "--json").json["traces"][0]
        assert (row["env"], row["attempts"], row["solved"]) == ("textcraft:tools", 8, good)
        assert row["pairs"] >= 12
        assert len(row["forks"]) >= 4
    revised = agentr("revise", "attempts", "--json").json
    assert revised["by_verdict"] == {"verified": revised["samples"]}
    assert revised["samples"] >= 25


def test_the_shipped_tree_of_a_real_model_holds_in_the_environment_and_names_its_cost() -> None:
    shipped = SAMPLES / "textcraft-local-model.trace.jsonl"
    told = agentr("replay", shipped, "--json").json
    assert (told["nodes"], told["differences"]) == (50, [])
    row = agentr("stats", shipped, "--json").json["traces"][0]
    assert (row["calls"], row["tokens_in"], row["cost"]) == (51, 75308, None)  # no price was given: unknown, not 0


def test_stats_tell_what_the_contract_names() -> None:
    told = agentr("stats", SAMPLES, "--json").json
    names = {
        "path", "trace", "env", "task", "state", "algorithm", "nodes", "leaves", "good", "bad", "best_return",
        "max_depth", "pairs", "calls", "tokens_in", "tokens_out", "tokens_cached", "cost", "failures", "answers",
        "steps_per_node",
        "resets_per_node", "seconds", "lessons", "lessons_by_depth", "wrong_actions",
        "disasters", "repeats", "duplicates", "seconds_of_calls", "source", "attempts", "solved", "scored", "spread",
        "cut_off", "by_chance",
    }  # fmt: skip
    assert len(told["traces"]) == len(MADE) + 1 + 3  # and the local model's, and those of attempts
    assert all(set(row) == names for row in told["traces"])
    by_name = {Path(row["path"]).name: row for row in told["traces"]}
    assert by_name[MANY.name]["pairs"] == 266
    assert by_name[DRY.name]["good"] == 0
    assert by_name[DRY.name]["cost"] is None
    assert set(told) == {"traces", "total", "rates"}
    good = told["rates"]["good"]
    assert good["count"] == told["total"]["good"]
    assert good["per_1000_calls"] == pytest.approx(1000 * good["count"] / told["total"]["calls"])


def test_convert_there_and_back_and_replay(tmp_path: Path) -> None:
    assert agentr("convert", MANY, "search_results_2.json").code == 0
    assert agentr("convert", "search_results_2.json", "back.trace.jsonl").code == 0
    assert agentr("convert", "back.trace.jsonl", "again.json").code == 0
    assert json.loads(Path("again.json").read_text()) == json.loads(Path("search_results_2.json").read_text())
    packed = tmp_path / "search_results_2.json.gz"
    packed.write_bytes(gzip.compress(Path("search_results_2.json").read_bytes()))
    for path in (MANY, Path("back.trace.jsonl"), packed):
        told = agentr("replay", path, "--json").json
        assert set(told) == {"path", "env", "nodes", "differences"}
        assert (told["env"], told["nodes"], told["differences"]) == ("textcraft", 255, [])


def test_replay_that_finds_differences_is_done(tmp_path: Path) -> None:
    text = MANY.read_text().replace('Got 6 red sand"', 'Got 7 red sand"', 3)
    path = tmp_path / "changed.trace.jsonl"
    path.write_text(text)
    done = agentr("replay", path, "--json")
    assert done.code == 0
    for difference in done.json["differences"]:
        assert set(difference) == {"node", "field", "expected", "got"}


def test_show_envs_and_config() -> None:
    assert "red sandstone" in agentr("show", MANY).out
    assert agentr("show", MANY, "5", "--path").out.splitlines()[0].strip().startswith("1")
    assert "Goal:" in agentr("show", MANY, "5", "--conversation").out
    assert "textcraft" in agentr("envs").out
    assert "default" in agentr("config").out


def test_settings_come_from_the_command_line_over_the_environment_over_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace = Path("agentr-workspace")
    workspace.mkdir()
    (workspace / "agentr.toml").write_text("[search]\niterations = 2\nseed = 5\n[revise]\nalpha = 0.6\n")
    monkeypatch.setenv("AGENTR_SEARCH_SEED", "7")
    rows = {row["name"]: row for row in agentr("config", "--json").json["settings"]}
    assert (rows["search.iterations"]["value"], rows["search.iterations"]["source"]) == (
        "2", str(workspace / "agentr.toml"))  # fmt: skip
    assert (rows["search.seed"]["value"], rows["search.seed"]["source"]) == ("7", "environment AGENTR_SEARCH_SEED")
    assert rows["search.task"]["source"] == "default"
    assert (rows["search.max-depth"]["value"], rows["revise.votes"]["value"]) == ("10", "1")  # the value that holds
    assert agentr("search", "--task", "2", "--iterations", "1", "--out", "t.trace.jsonl").code == 0
    started = next(iter(read_events("t.trace.jsonl")))
    assert (started.settings.iterations, started.settings.seed) == (1, 7)  # type: ignore[union-attr]


# -- bad input -----------------------------------------------------------------------------------------


def _deep() -> bytes:
    return b'{"children":[' * 20_000


def _tree_with(**fields: object) -> bytes:
    return json.dumps({"visits": 1, "value": 1.0, **fields}).encode()


BAD_FILES: dict[str, tuple[str, bytes]] = {
    "json that is no tree": ("a.json", b'{"hello": [1, 2]}'),
    "a list": ("a.json", b"[1]"),
    "json 20,000 deep and cut off": ("a.json", _deep()),
    "a trace line 20,000 deep": ("a.trace.jsonl", b'{"type":' + b"[" * 20_000),
    "binary": ("a.json", bytes(range(256)) * 10),
    "binary trace": ("a.trace.jsonl", bytes(range(256)) * 10),
    "empty trace": ("a.trace.jsonl", b""),
    "a newer version": ("a.trace.jsonl", b'{"type":"started","seq":0,"version":99,"trace":"x"}\n'),
    "an unknown event": ("a.trace.jsonl", MANY.read_bytes().split(b"\n")[0] + b"\n" + b'{"type":"what","seq":1}\n{}\n'),
    "a broken middle line": ("a.trace.jsonl", MANY.read_bytes().replace(b'"type":"expanded"', b'"type":"exp', 1)),
    "broken gzip": ("a.json.gz", gzip.compress(b"x" * 1000)[:20]),
    "wrong kinds": ("a.json", _tree_with(visits="many", children=[])),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_FILES)
@pytest.mark.parametrize("command", ["stats", "revise", "replay", "show"])
def test_a_bad_file_is_one_line_and_exit_2(what: str, command: str) -> None:
    name, data = BAD_FILES[what]
    Path(name).write_bytes(data)
    done = agentr(command, name)
    assert done.code == 2
    assert name in done.err
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err
    assert len(done.err) < 400


BAD_CALLS: dict[str, tuple[list[str], str]] = {
    "missing file": (["stats", "nowhere.trace.jsonl"], "nowhere.trace.jsonl"),
    "folder without traces": (["stats", "."], "no traces"),
    "alpha not a number": (["revise", str(MANY), "--alpha", "much"], "much"),
    "unknown environment": (["search", "--env", "chess"], "textcraft"),
    "unknown task": (["search", "--env", "textcraft", "--task", "99999"], "418"),
    "unknown actor": (["search", "--actor", "oracle"], "scripted"),
    "unknown algorithm": (["search", "--algorithm", "oracle"], "agent-r"),
    "unknown verifier": (["revise", str(MANY), "--verifier", "oracle"], "progress"),
    "unknown option": (["search", "--speed", "9"], "--speed"),
    "unknown command": (["dance"], "unknown command 'dance'"),
    "a command misspelt": (["serch"], "did you mean search?"),
    "a command misspelt, with options": (["serch", "--task", "2"], "unknown command 'serch'; did you mean search?"),
    "a word before a command": (["help", "search"], "unknown command 'help'"),
    "a file without a command": ([str(MANY)], f"agentr open {MANY} opens it"),
    "missing workspace": (["export", "--out", "o.jsonl", "--workspace", "none"], "none"),
    "missing argument": (["convert", str(MANY)], "OUT is missing (agentr convert --help)"),
    "an option that is needed": (["export"], "--out is missing"),
    "an option without its value": (["search", "--task"], "--task needs a value"),
    "a setting out of range": (["search", "--iterations", "0"], "iterations: must be a whole number, 1 or more"),
    "a share out of range": (["search", "--error-rate", "2"], "error_rate: must be a number, 1 or less"),
    "a time out of range": (["search", "--budget-seconds", "0"], "budget_seconds: must be a number, more than 0"),
    "a node that is not there": (["show", str(MANY), "99999"], "254"),
    "an output that exists": (["search", "--task", "2", "--out", str(MANY)], "exists"),
    "an output in a folder that takes no files": (["search", "--task", "2", "--out", "/proc/t.trace.jsonl"], "no file"),
    "no terminal for the app": (["open", str(MANY)], "terminal"),
    "nothing to open": (["open"], "--shipped"),
    "a recording that is none": (["search", "--env", f"recorded:{MANY}x"], "No such file"),
    "a name that says nothing": (["convert", str(MANY), "out.txt"], "--to"),
}


@pytest.mark.parametrize("what", BAD_CALLS)
def test_a_bad_call_is_one_line_that_names_the_remedy_and_exit_2(what: str) -> None:
    arguments, named = BAD_CALLS[what]
    done = agentr(*arguments)
    assert done.code == 2, done.err
    assert named in done.err
    assert done.err.count("\n") == 1


def test_an_unknown_format_and_run_name_those_there_are() -> None:
    assert agentr("revise", MANY, "--max-pairs", "3").code == 0
    for arguments, named in ((["--format", "oracle"], "agent-r-rewrite"), (["--run", "20200101"], "one of")):
        done = agentr("export", "--out", "o.jsonl", *arguments)
        assert done.code == 2
        assert named in done.err
        assert not Path("o.jsonl").exists()


def test_a_torn_last_line_warns_and_goes_on() -> None:
    data = MANY.read_bytes()
    Path("torn.trace.jsonl").write_bytes(data[:-40])
    done = agentr("stats", "torn.trace.jsonl", "--json")
    assert done.code == 0
    assert "torn" in done.err
    assert done.json["traces"][0]["state"] == "crashed"


def test_a_trace_that_another_writer_holds_is_refused() -> None:
    path = Path("held.trace.jsonl")
    path.write_bytes(b"".join(MANY.read_bytes().splitlines(keepends=True)[:50]))
    with TraceWriter(path, append_to=path.stat().st_size):
        done = agentr("search", "--resume", path)
    assert done.code == 2
    assert "another process" in done.err


def test_a_read_only_workspace_is_one_line(tmp_path: Path) -> None:
    agentr("revise", MANY, "--workspace", "warm")  # modules are loaded before rights are given away
    Path("locked").mkdir(mode=0o555)
    root = os.geteuid() == 0
    for folder in (tmp_path, *tmp_path.parents):
        if root and folder.is_relative_to(tempfile.gettempdir()) and folder != Path(tempfile.gettempdir()):
            folder.chmod(folder.stat().st_mode | 0o055)
    try:
        if root:  # whom no mode holds back
            os.seteuid(65534)
        done = agentr("revise", MANY, "--workspace", "locked/w")
    finally:
        if root:
            os.seteuid(0)
    assert done.code == 2
    assert "locked/w" in done.err
    assert done.err.count("\n") == 1


def test_a_workspace_that_can_not_be_made_is_one_line() -> None:
    Path("file").write_text("")
    done = agentr("revise", MANY, "--workspace", "file/w")
    assert done.code == 2
    assert "file/w" in done.err
    assert done.err.count("\n") == 1


def test_an_unknown_name_in_the_settings_file_is_named() -> None:
    Path("agentr-workspace").mkdir()
    Path("agentr-workspace/agentr.toml").write_text("[search]\nspeed = 2\n")
    done = agentr("search", "--task", "2", "--out", "t.trace.jsonl")
    assert done.code == 2
    assert "agentr.toml: [search] has no setting 'speed'" in done.err


def test_a_settings_file_that_is_no_toml_is_one_line() -> None:
    Path("agentr-workspace").mkdir()
    Path("agentr-workspace/agentr.toml").write_text("[search\n")
    done = agentr("search", "--task", "2", "--out", "t.trace.jsonl")
    assert done.code == 2
    assert "agentr.toml" in done.err
    assert done.err.count("\n") == 1


def test_hostile_texts_are_printed_escaped() -> None:
    lines = MANY.read_text().splitlines(keepends=True)
    Path("evil.trace.jsonl").write_text("".join(lines).replace("Got 6 red sand", "\\u001b]0;owned\\u0007\\u202e[bold]"))
    for arguments in (["show", "evil.trace.jsonl", "--depth", "20"], ["replay", "evil.trace.jsonl"]):
        done = agentr(*arguments)
        assert not any(ord(letter) < 32 and letter != "\n" for letter in done.out)
        assert "\u202e" not in done.out


def test_a_search_that_is_interrupted_ends_cleanly_and_resumes(tmp_path: Path) -> None:
    import signal
    import time

    path = tmp_path / "t.trace.jsonl"
    command = [sys.executable, "-m", "agentr_tui", "search", "--task", "2", "--delay", "0.05", "--iterations", "8"]
    for number in (signal.SIGTERM, signal.SIGINT):
        path.unlink(missing_ok=True)
        process = subprocess.Popen([*command, "--out", str(path)], stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 60
        while not path.exists() or path.read_bytes().count(b"\n") < 12:
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(30) == 130
        assert json.loads(path.read_bytes().splitlines()[-1])["type"] == "ended"
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert agentr("search", "--resume", path).code == 0
    agentr("search", "--task", "2", "--iterations", "8", "--out", "whole.trace.jsonl")
    assert agentr("diff", path, "whole.trace.jsonl").out == "no differences\n"


def test_debug_adds_the_traceback() -> None:
    done = agentr("--debug", "stats", "nowhere")
    assert "Traceback" in done.err
    assert done.code == 2


def test_every_setting_of_a_search_is_an_option_and_the_other_way_round() -> None:
    from agentr_tui.cli.search_options import SearchOptions
    from engine.tree.events import SearchSettings

    assert set(SearchOptions.__annotations__) == set(SearchSettings.__struct_fields__)


def test_lessons_at_many_depths_are_told_in_ranges_that_hold_all_of_them() -> None:
    deep = SAMPLES / "textcraft-deep.trace.jsonl"
    depths = agentr("stats", deep, "--json").json["total"]["lessons_by_depth"]
    assert len(depths) > 8
    ranges = re.findall(r"(\d+) at depth (\d+) to (\d+)", agentr("stats", deep).out)
    assert [int(count) for count, _, _ in ranges] == [
        sum(count for depth, count in depths.items() if int(low) <= int(depth) <= int(high)) for _, low, high in ranges
    ]
    assert sum(int(count) for count, _, _ in ranges) == sum(depths.values())


@pytest.mark.parametrize("command", ["doctor", "stats x", "search", "demo --headless"])
def test_a_command_in_a_folder_that_is_gone_says_so_in_one_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    done = agentr(*command.split())
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "unexpected" not in done.err


def test_a_terminal_that_takes_lines_only_gets_no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentr_tui.cli.running._is_terminal", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    done = agentr("open", str(MANY))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "TERM=dumb" in done.err
    assert "export TERM=xterm-256color" in done.err
