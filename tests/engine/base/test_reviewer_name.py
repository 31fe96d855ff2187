"""One function says who decides, also where the user id has no name, as in `docker run -u 1000:1000`."""

from __future__ import annotations

import getpass
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agentr_tui.cli.main import run
from engine.base.reviewer_name import MAX_NAME, reviewer_name
from engine.search.control_file import Inbox, RemoteControl
from engine.search.interventions import Intervention
from engine.search.job import branch_job, fork_job, new_job, resume_job
from engine.trace.trace_file import read_events
from engine.tree.events import Intervened, SearchSettings, SettingsChanged

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> str:
    """This process has a user id without a name."""
    for name in ("AGENTR_REVIEWER", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    with pytest.raises((KeyError, OSError)):
        getpass.getuser()
    return "user-54321"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "t.trace.jsonl"
    new_job("textcraft", "2", SearchSettings(iterations=3, error_rate=0.5), path).run_blocking()
    return path


def test_a_user_id_without_a_name_is_a_name(nameless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reviewer_name() == nameless
    monkeypatch.setenv("AGENTR_REVIEWER", " \x1b\n ")
    assert reviewer_name() == nameless, "blank is nobody"
    monkeypatch.setenv("AGENTR_REVIEWER", "x" * 1000)
    assert reviewer_name() == "x" * MAX_NAME


def test_resume_with_changes_works_without_a_name(nameless: str, trace: Path) -> None:
    assert run(["search", "--resume", str(trace), "--iterations", "4"]) == 0
    changed = [event for event in read_events(trace) if isinstance(event, SettingsChanged)]
    assert [(event.who, event.changes) for event in changed] == [(nameless, {"iterations": 4})]


def test_forks_branches_and_interventions_work_without_a_name(nameless: str, trace: Path, tmp_path: Path) -> None:
    fork = tmp_path / "fork.trace.jsonl"
    asked = [Intervention("pruned", 1)]
    fork_job(trace, 40, fork, requests=asked, changes={"iterations": 4}).run_blocking()
    said = [event for event in read_events(fork) if isinstance(event, Intervened | SettingsChanged)]
    assert [event.who for event in said] == [nameless, nameless]
    branch_job(trace, 1, tmp_path / "branch.trace.jsonl").run_blocking()
    resume_job(trace, changes={"iterations": 5}).run_blocking()


def test_requests_to_a_search_elsewhere_work_without_a_name(nameless: str, trace: Path) -> None:
    inbox = Inbox(trace)
    RemoteControl(trace).intervene(Intervention("pruned", 1))
    RemoteControl(trace).change({"c": 1.0})
    assert [command.who for command in inbox.take()] == [nameless, nameless]


def test_nobody_asks_the_system_for_a_name_but_that_function() -> None:
    asking = {
        str(path.relative_to(ROOT))
        for package in ("engine", "agentr_tui", "envs")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"getpass|getlogin|getpwuid|\bimport pwd\b", path.read_text())
    }
    assert asking == {"engine/base/reviewer_name.py"}


def test_a_user_without_a_home_has_folders_that_hold_nothing_and_take_nothing(tmp_path: Path) -> None:
    """As a container's user id without a name and without HOME: nothing is remembered, and nothing fails."""
    program = (
        "import os, pwd, sys\n"
        "pwd.getpwuid = lambda id: {}[id]\n"
        "from agentr_tui.cli.main import run\n"
        "sys.exit(run(['search', '--task', '2', '--iterations', '1']) or run(['config']) or run(['doctor']))\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_") and name != "HOME"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["agentr-workspace"]
