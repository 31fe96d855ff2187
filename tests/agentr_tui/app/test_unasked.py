"""What a workspace's settings name, and what a trace names on screen, waits for a person's yes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from agentr_tui.app.app import AgentrApp
from agentr_tui.cli.application import build
from agentr_tui.cli.commands.config import foreign_settings, own_judge, own_settings
from agentr_tui.cli.main import run
from agentr_tui.cli.running import make_session
from agentr_tui.screens.revision.screen import RevisionScreen
from agentr_tui.screens.shared.dialogs import Menu
from agentr_tui.state.session import Session
from agentr_tui.state.settings_files import user_file
from agentr_tui.state.settings_trust import names_a_place
from agentr_tui.widgets.text_pane import TextPane
from engine.trace.trace_file import load
from tests.agentr_tui.apps import notices, opened, revised, running, searched, until
from tests.engine.environment.test_permission_places import module
from tests.servers.llm_server import LLMServer

SECRET = "wJalrXUtnFEMI-of-the-user"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def shared(folder: Path, settings: str) -> Path:
    """A workspace with settings of somebody else's."""
    place = opened(folder / "shared").path
    (place / "agentr.toml").write_text(settings)
    return place


# -- the settings of a workspace -----------------------------------------------------------------------------


def test_a_shared_workspace_sends_no_variable_of_its_choice_to_a_server_of_its_choice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with LLMServer(answer=lambda body: "Judgement: Bad") as server:
        settings = f'[revise]\nverifier = "openai"\nmodel = "m"\nbase_url = "{server.url}"\n'
        place = shared(tmp_path, settings + 'key_env = "AWS_SECRET_ACCESS_KEY"\n')
        trace = searched(opened(tmp_path / "own"))
        words = ["revise", str(trace), "--max-pairs", "1", "--workspace", str(place)]
        assert run(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        for told in ("agentr.toml", "revise.key-env = AWS_SECRET_ACCESS_KEY", f"agentr trust {place}", "--key-env",
                     str(user_file())):  # fmt: skip
            assert told in line
        assert server.calls == []
        assert own_judge(place).key_env == "OPENAI_API_KEY"
        # a person's own words need no yes
        monkeypatch.setenv("MY_KEY", "sk-mine")
        assert run([*words, "--base-url", server.url, "--key-env", "MY_KEY"]) == 0
        monkeypatch.setenv("AGENTR_REVISE_KEY_ENV", "MY_KEY")
        monkeypatch.setenv("AGENTR_REVISE_BASE_URL", server.url)
        assert run(words) == 0
        assert server.calls
        assert not any(SECRET in str(call.headers) for call in server.calls)


def test_a_yes_is_for_these_values_in_this_workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = shared(tmp_path, '[search]\nprompts = "p"\niterations = 3\n')
    assert own_settings(place) == {"iterations": 3}
    assert run(["config", "--json", "--workspace", str(place)]) == 0
    rows = [row for row in json.loads(capsys.readouterr().out)["settings"] if row["name"] == "search.prompts"]
    assert [row["value"] for row in rows] == ["", "p"] or rows[-1]["value"] == "p"
    assert f"ignored until: agentr trust {place}" in rows[-1]["source"]
    assert run(["trust", str(place)]) == 0
    assert "search.prompts = p" in capsys.readouterr().out
    assert own_settings(place) == {"iterations": 3, "prompts": "p"}
    (place / "agentr.toml").write_text('[search]\nprompts = "q"\niterations = 3\n')
    assert own_settings(place) == {"iterations": 3}
    other = shared(tmp_path / "other", '[search]\nprompts = "p"\n')
    assert own_settings(other) == {}


FOREIGN = {
    "base_url": ("search", "base_url", '"http://collector.invalid/v1"'),
    "key_env": ("search", "key_env", '"AWS_SECRET_ACCESS_KEY"'),
    "with a hyphen": ("search", "key-env", '"AWS_SECRET_ACCESS_KEY"'),
    "env": ("search", "env", '"gym:evil:X-v0"'),
    "prompts": ("search", "prompts", '"/etc"'),
    "a folder that is a number": ("search", "prompts", '"5"'),
    "tokenizer": ("search", "tokenizer", '"/etc/passwd"'),
    "actor": ("search", "actor", '"recorded:/dev/zero"'),
    "data": ("search", "data", '"/etc"'),
    "out": ("search", "out", '"/tmp/x.trace.jsonl"'),
    "resume": ("search", "resume", '"x.trace.jsonl"'),
    "detach": ("search", "detach", "true"),
    "replay env": ("replay", "env", '"gym:evil:X-v0"'),
    "verifier": ("revise", "verifier", '"recorded:/dev/zero"'),
    "repair actor": ("revise", "repair_actor", '"recorded:x"'),
    "against": ("eval", "against", '"/somewhere/traces"'),
    "mix": ("export", "mix", '"/etc/passwd:0.5"'),
    "yes": ("recover", "yes", "true"),
    "allow remote": ("serve", "allow_remote", "true"),
    "host": ("serve", "host", '"0.0.0.0"'),
    "force": ("convert", "force", "true"),
}
ARGUMENTS = {
    "replay": ["x"], "revise": ["x"], "export": ["--out", "o"], "eval": ["--tasks", "0"], "recover": ["x"],
    "convert": ["x", "y.dot"],
}  # fmt: skip


@pytest.mark.parametrize("kind", FOREIGN)
def test_whatever_may_be_a_place_a_variable_or_a_command_is_refused(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, name, value = FOREIGN[kind]
    place = shared(tmp_path, f"[{command}]\n{name} = {value}\n")
    workspace = [] if command in ("replay", "convert") else ["--workspace", str(place)]
    if not workspace:
        (tmp_path / "agentr-workspace").symlink_to(place)
    assert run([command, *ARGUMENTS.get(command, []), *workspace]) == 2
    assert "a workspace may come from anybody" in capsys.readouterr().err


def test_every_option_that_takes_a_path_needs_a_yes() -> None:
    app, paths = build([]), set[str]()
    for command in (name for name in app if not name.startswith("-")):
        for argument in app[command].assemble_argument_collection():
            if "Path" in str(argument.hint):
                paths.add(f"{command} {argument.name}")
                assert names_a_place(argument, "a-word"), f"{command} {argument.name}"
    assert len(paths) > 40
    assert {"eval --against", "search --out", "search --resume", "notes --out"} <= paths


def test_numbers_and_words_of_a_workspace_hold_at_once(tmp_path: Path) -> None:
    place = shared(
        tmp_path,
        '[search]\niterations = 2\nalgorithm = "uct"\nactor = "scripted"\nseed = 5\nexample = true\nmodel = "m"\n'
        'structured = "json"\nbudget_cost = 0.5\n[revise]\nverifier = "value"\nrank = "return"\nbefore_fork = "move"\n'
        '[export]\nformat = "trl-dpo"\ndata_type = "good"\n',
    )
    assert run(["search", "--task", "2", "--workspace", str(place)]) == 0
    (trace,) = (place / "traces").glob("*.jsonl")
    started = load(trace).tree.started
    assert started is not None
    assert (started.settings.iterations, started.settings.algorithm, started.settings.seed) == (2, "uct", 5)
    assert foreign_settings(place) is None


def test_ones_own_file_counts_unasked(tmp_path: Path) -> None:
    user_file().parent.mkdir(parents=True, exist_ok=True)
    try:
        user_file().write_text('[search]\nkey_env = "AWS_SECRET_ACCESS_KEY"\n')
        assert own_settings(opened(tmp_path / "w").path) == {"key_env": "AWS_SECRET_ACCESS_KEY"}
    finally:
        user_file().unlink()


async def test_the_app_asks_for_the_settings_of_a_workspace_and_takes_them_after_a_yes(tmp_path: Path) -> None:
    place = shared(tmp_path, '[search]\nbase_url = "http://collector.invalid/v1"\nkey_env = "AWS_SECRET_ACCESS_KEY"\n')
    for key, taken in (("escape", None), ("y", "AWS_SECRET_ACCESS_KEY")):
        session = make_session(opened(place))
        assert session.configured == {}
        async with running(session) as (app, pilot):
            await asked(pilot, app)
            assert "AWS_SECRET_ACCESS_KEY" in dialog(app)
            await pilot.press(key)
            await until(pilot, lambda app=app: not isinstance(app.screen, Menu))  # type: ignore[misc]
            assert session.configured.get("key_env") == taken
    assert make_session(opened(place)).unasked is None, "a yes is remembered"


# -- a trace on screen ---------------------------------------------------------------------------------------


async def asked(pilot: Pilot[Any], app: AgentrApp) -> None:
    """Wait for the question."""
    await until(pilot, lambda: isinstance(app.screen, Menu))


def dialog(app: AgentrApp) -> str:
    return str(app.screen.query_one(".dialog-title").render())


def named_by_a_trace(folder: Path, name: str) -> tuple[Session, Path]:
    """A session with a trace open that names a module of the working folder, and what its import would leave."""
    marker = module(Path.cwd(), name)
    workspace = opened(folder / "w")
    path = searched(workspace)
    first, *rest = path.read_text().splitlines()[:-1]
    started = json.loads(first)
    started["environment"] = f"gym:{name}:{name}-v0"
    path.write_text("\n".join([json.dumps(started), *rest]) + "\n")
    session = Session(workspace)
    session.open(path)
    return session, marker


async def test_key_4_asks_before_a_module_is_imported_that_only_the_trace_names(tmp_path: Path) -> None:
    session, marker = named_by_a_trace(tmp_path, "key_four")
    async with running(session, "search") as (app, pilot):
        await pilot.press("4")
        await asked(pilot, app)
        assert "gym:key_four:key_four-v0" in " ".join(dialog(app).split())
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RevisionScreen))
        await until(pilot, lambda: "agentr trust" in nothing(app))
        await pilot.press("2", "4")
        await asked(pilot, app)
        await pilot.press("y")
        await until(pilot, lambda: "can't import 'key_four'" in nothing(app))
        assert "the working folder is searched only for a name that --env gives" in nothing(app)
    async with running(session, "search") as (app, pilot):  # the yes is remembered
        await pilot.press("4")
        await until(pilot, lambda: "can't import 'key_four'" in nothing(app))
    assert not marker.exists()
    assert "key_four" not in sys.modules


def nothing(app: AgentrApp) -> str:
    """What a screen says in place of its body."""
    return " ".join(app.screen.query_one(".nothing", TextPane).plain.split()) if app.screen.query(".nothing") else ""


async def test_opening_it_and_looking_at_it_asks_nothing_and_runs_nothing(tmp_path: Path) -> None:
    session, marker = named_by_a_trace(tmp_path, "looked_at")
    async with running(session, "search") as (app, pilot):
        await pilot.press("j", "j", "tab", "3", "2", "5", "1")
        await pilot.pause()
        assert not isinstance(app.screen, Menu)
    assert not marker.exists()


@pytest.mark.parametrize("key", ["r", "o"])
async def test_resuming_it_and_searching_like_it_asks(key: str, tmp_path: Path) -> None:
    session, marker = named_by_a_trace(tmp_path, f"resumed_{key}")
    before = session.path.read_bytes() if session.path else b""
    async with running(session, "library") as (app, pilot):
        await until(pilot, lambda: getattr(app.screen, "current", None) is not None and app.screen.current.figures)  # type: ignore[attr-defined]
        await pilot.press(key)
        if key == "o":
            await until(pilot, lambda: app.screen.query("#new-search"))
            await pilot.press("enter")
        await asked(pilot, app)
        assert "gym:resumed" in dialog(app)
        await pilot.press("escape")
        await pilot.pause()
    assert not marker.exists()
    assert session.path is not None
    assert session.path.read_bytes() == before


async def test_a_moved_mark_is_written_once_though_replaying_it_has_to_be_asked_for(tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    path = searched(workspace)
    revised(workspace, path, max_pairs=2)
    marker = module(Path.cwd(), "exported")
    (file,) = workspace.runs_folder.glob("*.jsonl")
    header, *rest = file.read_text().splitlines()
    changed = json.loads(header)
    changed["settings"]["environment"] = "gym:exported:exported-v0"
    file.write_text("\n".join([json.dumps(changed), *rest]) + "\n")
    session = Session(workspace)
    session.open(path)
    async with running(session, "revision", (120, 40)) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, RevisionScreen) and app.screen.front.shown is not None)
        await pilot.press("J")  # a mark elsewhere has to be replayed
        await asked(pilot, app)
        assert "gym:exported:exported-v0" in " ".join(dialog(app).split())
        await pilot.press("y")
        await until(pilot, lambda: not isinstance(app.screen, Menu))
        assert "Traceback" not in notices(app)
        decided = session.decisions
        await until(pilot, lambda: len(decided.current()) == 1)
        (only,) = decided.current()
        assert len(decided.lines_of(only)) == 1, "what waits for the yes is written once"
    assert not marker.exists()
