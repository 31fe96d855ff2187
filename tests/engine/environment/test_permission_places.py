"""What a trace of somebody else's names is not opened, imported, read or asked before a person said yes."""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies

from agentr_tui.cli.main import run
from engine.actors.request_log import request_of
from engine.base.errors import InputError
from engine.environment.consent_store import consent_folder
from engine.environment.permission import UntrustedTrace, check_server, digest_of, permit, settings_claims
from engine.samples.settings import ReviseSettings
from engine.search.job import fork_job, new_job, resume_job
from engine.trace.trace_file import load
from engine.tree.events import SearchSettings, SettingsChanged
from engine.workspace.workspace import Workspace
from envs.base import EnvError, EnvironmentInfo, names_place, register
from envs.recorded import read_recording
from envs.regular_files import read_whole
from tests.fixtures import own_environments

MODULE = """
import pathlib
import gymnasium
from gymnasium.spaces import Text
with open({marker!r}, "a") as file:
    file.write("imported ")
class Lock(gymnasium.Env):
    action_space = observation_space = Text(100)
    at = 0
    def reset(self, *, seed=None, options=None):
        self.at = 0
        return "Goal: open the door.", {{}}
    def step(self, action):
        self.at += action == "walk"
        opened = action == "open" and self.at == 2
        return f"You are at {{self.at}}.", float(opened), opened, False, {{}}
    def plan(self): return ("walk", 3 - self.at) if self.at < 2 else ("open", 1)
    def valid_actions(self): return ["walk", "open", "wait"]
gymnasium.register({id!r}, entry_point=Lock)
"""


def module(folder: Path, name: str) -> Path:
    """A module that registers an environment, and leaves a marker where it is imported."""
    folder.mkdir(exist_ok=True)
    marker = folder / "imported"
    (folder / f"{name}.py").write_text(MODULE.format(marker=str(marker), id=f"{name}-v0"))
    return marker


def foreign(folder: Path, environment: str, **settings: Any) -> Path:
    """A trace of a search that was stopped, which names this environment."""
    made, path = folder / "made.trace.jsonl", folder / "foreign.trace.jsonl"
    if not made.exists():
        new_job("textcraft", "2", SearchSettings(iterations=4, error_rate=0.5), made).run_blocking()
    first, *rest = made.read_text().splitlines()[:-1]
    started = json.loads(first)
    started["environment"] = environment
    started["settings"] |= settings
    path.write_text("\n".join([json.dumps(started), *rest]) + "\n")
    return path


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# -- environments --------------------------------------------------------------------------------------------

COMMANDS = {
    "replay": ["replay", "T"],
    "revise": ["revise", "T"],
    "revise --repair": ["revise", "T", "--repair"],
    "revise by value": ["revise", "T", "--verifier", "value"],
    "resume": ["search", "--resume", "T"],
    "from": ["search", "--from", "T:1"],
    "verify": ["verify", "T", "--against", "value"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_module_that_only_a_trace_names_is_not_imported_and_nothing_is_written(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = module(tmp_path, "evil_one")
    trace = foreign(tmp_path, "gym:evil_one:evil_one-v0")
    before = trace.read_bytes()
    code = run([word.replace("T", str(trace)) if word in ("T", "T:1") else word for word in COMMANDS[command]])
    said = capsys.readouterr().err
    assert code == 2
    assert len(said.splitlines()) == 1
    assert "--env gym:evil_one:evil_one-v0" in said
    assert f"agentr trust {trace}" in said
    assert not marker.exists()
    assert "evil_one" not in sys.modules
    assert trace.read_bytes() == before
    assert not list(tmp_path.glob("agentr-workspace/*/*"))


def test_the_command_line_names_it_and_that_holds_for_this_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = module(tmp_path, "named_one")
    trace = foreign(tmp_path, "gym:named_one:named_one-v0")
    assert run(["replay", str(trace), "--env", "gym:named_one:named_one-v0"]) == 0
    assert marker.exists()
    assert run(["replay", str(trace)]) == 0
    capsys.readouterr()
    other = tmp_path / "other.trace.jsonl"
    other.write_text(trace.read_text().replace(load(trace).tree.started.trace, "00112233aabbccdd"))  # type: ignore[union-attr]
    assert run(["replay", str(other)]) == 2, "a yes is for one trace"
    changed = foreign(tmp_path, "gym:named_one:named_one-v1")
    assert run(["replay", str(changed)]) == 2, "and for one environment"


def test_after_a_yes_the_working_folder_is_still_not_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = module(tmp_path, "beside_one")
    trace = foreign(tmp_path, "gym:beside_one:beside_one-v0")
    assert run(["trust", str(trace)]) == 0
    assert "gym:beside_one:beside_one-v0" in capsys.readouterr().out
    assert run(["replay", str(trace)]) == 2
    assert "can't import 'beside_one'" in capsys.readouterr().err
    assert not marker.exists()


def test_a_search_that_was_started_here_goes_on_with_the_module_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    my_marker, their_marker = module(mine, "own_one"), module(theirs, "own_one")
    monkeypatch.chdir(mine)
    trace = theirs / "t.trace.jsonl"
    name = "gym:own_one:own_one-v0"
    assert run(["search", "--env", name, "--max-depth", "5", "--out", str(trace)]) == 0
    monkeypatch.chdir(theirs)
    for command in (["replay"], ["revise"], ["search", "--iterations", "6", "--resume"]):
        del sys.modules["own_one"]  # as in another process
        assert run([*command, str(trace)]) == 0, command
    assert my_marker.read_text().count("imported") == 4
    assert not their_marker.exists()


def test_branches_and_forks_take_over_the_yes(tmp_path: Path) -> None:
    module(tmp_path, "branched_one")
    trace, branch, fork = (tmp_path / f"{name}.trace.jsonl" for name in "tbf")
    name = "gym:branched_one:branched_one-v0"
    assert run(["search", "--env", name, "--max-depth", "5", "--out", str(trace)]) == 0
    tree = load(trace).tree
    inner = next(node.id for node in tree.nodes if node.children and node.depth)
    assert run(["search", "--from", f"{trace}:{inner}", "--out", str(branch)]) == 0
    assert run(["replay", str(branch)]) == 0
    fork_job(trace, tree.seq - 1, fork).writer.close()
    assert run(["replay", str(fork)]) == 0


def test_a_fork_of_a_trace_of_somebody_else_is_asked_for_once(tmp_path: Path) -> None:
    trace, out = foreign(tmp_path, "recorded:made.json"), tmp_path / "f.trace.jsonl"
    for _ in range(2):
        with pytest.raises(UntrustedTrace) as error:
            fork_job(trace, 3, out)
    error.value.allow()
    with pytest.raises(InputError, match="No such file"):
        fork_job(trace, 3, out)


def test_a_yes_to_one_name_in_a_first_line_is_none_to_the_other(tmp_path: Path) -> None:
    marker = module(tmp_path, "second_one")
    trace = foreign(tmp_path, "gym:second_one:second_one-v0")
    first, *rest = trace.read_text().splitlines()
    trace.write_text("\n".join([json.dumps(json.loads(first) | {"opened": "textcraft"}), *rest]) + "\n")
    assert run(["search", "--resume", str(trace)]) == 0, "it is resumed in TextCraft, which takes no place"
    assert run(["replay", str(trace)]) == 2
    assert not marker.exists()


def test_what_a_recording_says_its_environment_is_gets_no_yes_from_it(tmp_path: Path) -> None:
    recording, out = tmp_path / "r.json", tmp_path / "t.trace.jsonl"
    header = [{"role": "user", "content": "Goal: x."}]
    name = "gym:json:Z-v0"
    step = {"observation": "Done.", "score": 1, "done": True}
    content = {"environment_name": name, "task": "0", "header": header, "environment": {"reset": {"0": ""}}}
    content["environment"]["step"] = {json.dumps(["go"]): step}  # type: ignore[index]
    content["responses"], content["actions"] = ["Action: go"] * 4, ["go"] * 4
    recording.write_text(json.dumps(content))
    new_job(f"recorded:{recording}", None, SearchSettings(actor=f"recorded:{recording}"), out).run_blocking()
    started = load(out).tree.started
    assert started is not None
    assert started.environment == name
    assert permit(started.opened, started) == (f"recorded:{recording}", str(tmp_path))
    with pytest.raises(UntrustedTrace):
        permit(name, started)


@pytest.fixture(scope="module", autouse=True)
def castle() -> Iterator[None]:
    """An environment of an installed package; other files see only those there are."""
    with own_environments():
        register(EnvironmentInfo("castle", "of a package", "nowhere:make", "rules"))
        yield


@pytest.mark.parametrize("name", [
    "gym:json:X-v0", "gym::json:X-v0", "gym:antigravity:X", "recorded:/dev/zero", "recorded:x.json", "webshop:/tmp",
    "webshop:data", "agentgym:textcraft@http://127.0.0.1:1", "agentgym:textcraft@http://collector.invalid",
    "textcraft:../x", "castle:/etc", "castle:http://collector.invalid", "castle:~/x", "castle:there", "castle:a.b",
    "castle:host:80",
])  # fmt: skip
def test_a_name_that_takes_a_place_is_asked_for(name: str, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    started = load(foreign(tmp_path, name)).tree.started
    with pytest.raises(UntrustedTrace) as error:
        permit(name, started)
    assert error.value.named == {"env": name}
    error.value.allow()
    assert permit(name, started) == (name, "")


@pytest.mark.parametrize(
    "name", ["textcraft", "textcraft:tools", "webshop", "scienceworld", "scienceworld:easy", "castle", "castle:blue",
             "castle:blue=2,red"]
)  # fmt: skip
def test_a_name_that_takes_no_place_is_not(name: str) -> None:
    assert permit(name, None) == (name, "")


@drawn(strategies.text(max_size=30))
def test_no_argument_with_a_separator_of_paths_or_hosts_passes(argument: str) -> None:
    if set(argument) & set("/\\:@~.%$"):
        assert names_place(f"castle:{argument}")


def test_the_environment_of_a_run_of_somebody_else_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = module(tmp_path, "run_one")
    trace = tmp_path / "own.trace.jsonl"
    new_job("textcraft", "2", SearchSettings(iterations=4, error_rate=0.5), trace).run_blocking()
    workspace = ["--workspace", str(tmp_path / "w")]
    assert run(["revise", str(trace), *workspace]) == 0
    (file,) = (tmp_path / "w" / "runs").glob("*.jsonl")
    header, *samples = file.read_text().splitlines()
    run_header = json.loads(header)
    run_header["settings"]["environment"] = "gym:run_one:run_one-v0"
    file.write_text("\n".join([json.dumps(run_header), *samples]) + "\n")
    sample = json.loads(samples[0])["id"]
    assert run(["recover", sample, "--yes", *workspace]) == 2
    assert "gym:run_one:run_one-v0" in capsys.readouterr().err
    mark = str(json.loads(samples[0])["bad_depth"])
    assert run(["review", "mark", sample, mark, *workspace]) in (0, 2)
    assert run(["export", "--all", "--out", str(tmp_path / "x.jsonl"), *workspace]) in (0, 2)
    assert not marker.exists()


def test_a_yes_can_be_taken_back(tmp_path: Path) -> None:
    started = load(foreign(tmp_path, "gym:json:Y-v0")).tree.started
    before = set(consent_folder().glob("*.json")) if consent_folder().exists() else set()
    UntrustedTrace("t", [], started).allow()
    with pytest.raises(UntrustedTrace) as error:
        permit("gym:json:Y-v0", started)
    error.value.allow()
    (file,) = set(consent_folder().glob("*.json")) - before
    kept = json.loads(file.read_text())
    assert (kept["about"], kept["name"], kept["value"]) == (digest_of(started), "env", "gym:json:Y-v0")


# -- settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["prompts", "tokenizer"])
def test_files_and_folders_that_a_trace_names_are_asked_for(name: str, tmp_path: Path) -> None:
    trace = foreign(tmp_path, "textcraft", actor="openai", model="m", **{name: "/etc"})
    with pytest.raises(UntrustedTrace, match=f"--{name} /etc"):
        resume_job(trace)
    started = load(trace).tree.started
    assert started is not None
    check_server(started.settings, [{name: "/etc"}], trace, started)


def test_looking_at_a_request_reads_no_folder_that_only_the_trace_names(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    os.mkfifo(prompts / "stop.txt")  # whoever opened it would wait for ever
    trace = foreign(tmp_path, "textcraft", actor="openai", model="m", prompts=str(prompts))
    tree = load(trace).tree
    with pytest.raises(UntrustedTrace, match="prompts"):
        request_of(tree, 1)
    (prompts / "stop.txt").unlink()
    (prompts / "stop.txt").write_text("Observation:")
    assert run(["trust", str(trace)]) == 0
    assert request_of(tree, 1)


def test_settings_that_were_changed_later_in_a_trace_are_asked_for_too(tmp_path: Path) -> None:
    out = tmp_path / "t.trace.jsonl"
    settings = SearchSettings(actor="openai", model="m", base_url="http://127.0.0.1:1/v1", max_failures=1)
    job = new_job("textcraft", "2", settings, out)
    job.writer.write(SettingsChanged(seq=1, who="somebody", changes={"prompts": "/etc"}))
    job.writer.close()
    with pytest.raises(UntrustedTrace, match="prompts"):
        resume_job(out)


def test_answers_that_a_trace_says_are_elsewhere_are_asked_for(tmp_path: Path) -> None:
    trace = foreign(tmp_path, "textcraft", actor="recorded:/dev/zero")
    with pytest.raises(UntrustedTrace, match="--actor recorded:/dev/zero"):
        resume_job(trace)


def test_a_setting_that_nobody_thought_of_is_a_place() -> None:
    harmless = {"algorithm", "model", "structured", "actor", "base_url", "key_env", "reasoning_effort", "parse"}
    harmless |= {"tools", "send_reasoning"}  # words of a closed set
    for name in SearchSettings.__struct_fields__:
        if name not in harmless and isinstance(getattr(SearchSettings(), name), str):
            claims = settings_claims(SearchSettings(actor="openai", **{name: "x"}))  # type: ignore[arg-type]
            assert [claim.name for claim in claims] == [name]


def test_a_search_that_was_started_with_its_prompts_may_go_on_with_them(tmp_path: Path) -> None:
    prompts, out = tmp_path / "prompts", tmp_path / "t.trace.jsonl"
    prompts.mkdir()
    (prompts / "stop.txt").write_text("Observation:")
    settings = SearchSettings(
        actor="openai", model="m", base_url="http://127.0.0.1:1/v1", prompts=str(prompts), max_failures=1, retries=0
    )
    assert new_job("textcraft", "2", settings, out).run_blocking() == "failures"
    assert resume_job(out).run_blocking() == "failures"


# -- files that are read whole -------------------------------------------------------------------------------


def test_a_recording_is_a_regular_file_whoever_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    os.mkfifo(tmp_path / "pipe.trace.jsonl")
    trace = tmp_path / "t.trace.jsonl"
    new_job("textcraft", "2", SearchSettings(iterations=4, error_rate=0.5), trace).run_blocking()
    for path in ("/dev/zero", str(pipe), f"{pipe}.trace.jsonl"):
        for words in (["search", "--env", f"recorded:{path}"], ["search", "--actor", f"recorded:{path}"]):
            assert run(words) == 2
            assert f"{path}: is not a regular file" in capsys.readouterr().err, words
    for path in ("/dev/zero", str(pipe)):
        assert run(["revise", str(trace), "--verifier", f"recorded:{path}"]) == 2
        assert f"{path}: is not a regular file" in capsys.readouterr().err


def test_a_recording_has_a_bounded_size_packed_and_unpacked(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain.json", tmp_path / "packed.json.gz"
    plain.write_bytes(b"0" * 2_000)
    packed.write_bytes(gzip.compress(b"0" * 2_000))
    assert read_whole(plain, 2_000) == read_whole(packed, 2_000) == b"0" * 2_000
    for path in (plain, packed):
        with pytest.raises(EnvError, match="holds more than"):
            read_whole(path, 1_999)
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(1 << 40)  # a hole: a tebibyte that takes no room
    with pytest.raises(EnvError, match="holds more than 128 MB"):
        read_recording(str(huge))


def test_a_sample_that_names_a_pipe_as_its_trace_holds_nothing_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "t.trace.jsonl"
    new_job("textcraft", "2", SearchSettings(iterations=4, error_rate=0.5), trace).run_blocking()
    workspace = Workspace.open(tmp_path / "w", create=True)
    assert run(["revise", str(trace), "--workspace", str(workspace.path)]) == 0
    (file,) = workspace.runs_folder.glob("*.jsonl")
    os.mkfifo(tmp_path / "pipe.trace.jsonl")
    file.write_text(file.read_text().replace(str(trace.resolve()), str(tmp_path / "pipe.trace.jsonl")))
    capsys.readouterr()
    assert run(["export", "--all", "--out", str(tmp_path / "x.jsonl"), "--workspace", str(workspace.path)]) == 2
    assert "is missing" in capsys.readouterr().err
    assert ReviseSettings().environment is None
