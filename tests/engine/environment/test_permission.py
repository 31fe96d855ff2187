"""Somebody else's trace can't have a key sent where it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.environment.permission import UntrustedTrace, check_server
from engine.search.interventions import Intervention
from engine.search.job import branch_job, fork_job, new_job, resume_job
from engine.trace.trace_file import load
from engine.tree.events import SearchSettings
from tests.servers.llm_server import LLMServer

FAR = "http://collector.invalid/v1"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user-0001")
    monkeypatch.setenv("SECRET_TOKEN", "another-secret-0002")
    monkeypatch.delenv("UNSET_KEY", raising=False)


@pytest.mark.parametrize(
    ("url", "key", "own", "refused"),
    [
        (FAR, "OPENAI_API_KEY", [], True),
        (FAR, "OPENAI_API_KEY", [{"base_url": "http://other.invalid/v1"}], True),
        (FAR, "OPENAI_API_KEY", [{}, {"base_url": FAR}], False),
        (FAR, "SECRET_TOKEN", [{"base_url": FAR}], True),
        (FAR, "SECRET_TOKEN", [{"base_url": FAR}, {"key_env": "SECRET_TOKEN"}], False),
        (FAR, "UNSET_KEY", [], True),  # no key, but another machine is told that the trace was gone on with
        (FAR, "UNSET_KEY", [{"base_url": FAR}], False),
        ("http://127.0.0.1:8000/v1", "UNSET_KEY", [], False),
        ("", "OPENAI_API_KEY", [], False),
        ("", "SECRET_TOKEN", [], True),
        ("http://127.0.0.1:8000/v1", "SECRET_TOKEN", [], True),  # a port of another user of this machine, say
        ("http://127.0.0.1:8000/v1", "SECRET_TOKEN", [{"key_env": "SECRET_TOKEN"}], False),
        ("http://127.0.0.1:8000/v1", "OPENAI_API_KEY", [], False),
        ("http://localhost/v1", "OPENAI_API_KEY", [], False),
        ("http://[::1]:80/v1", "OPENAI_API_KEY", [], False),
        ("http://127.0.0.1.collector.invalid/v1", "OPENAI_API_KEY", [], True),
        ("http://127.collector.invalid/v1", "OPENAI_API_KEY", [], True),
        ("http://127.0.0.1@collector.invalid/v1", "OPENAI_API_KEY", [], True),
        ("no URL [", "OPENAI_API_KEY", [], True),
    ],
)
def test_only_servers_of_ones_own_are_asked_with_keys_of_ones_own(
    url: str, key: str, own: list[dict[str, Any]], refused: bool
) -> None:
    settings = SearchSettings(actor="openai", model="m", base_url=url, key_env=key)
    if refused:
        with pytest.raises(UntrustedTrace) as error:
            check_server(settings, own, "t.trace.jsonl")
        assert "secret" not in str(error.value)
        check_server(settings, [*own, error.value.named], "t.trace.jsonl")
    else:
        check_server(settings, own, "t.trace.jsonl")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A trace of a search that was stopped, which names a far server."""
    path = tmp_path / "foreign.trace.jsonl"
    with LLMServer() as server:
        job = new_job(
            "textcraft", "2", SearchSettings(actor="openai", model="m", base_url=server.url, budget_calls=4), path
        )
        job.run_blocking()
        path.write_text(path.read_text().replace(server.url, FAR).replace('"budget_calls":4', '"budget_calls":null'))
    return path


def test_whatever_goes_on_from_such_a_trace_writes_nothing_and_asks_nobody(foreign: Path, tmp_path: Path) -> None:
    before, out = foreign.read_bytes(), tmp_path / "new.trace.jsonl"
    with pytest.raises(UntrustedTrace, match="collector"):
        resume_job(foreign)
    with pytest.raises(UntrustedTrace):
        fork_job(foreign, load(foreign).tree.seq, out, requests=[Intervention("note", 0, "x")])
    with pytest.raises(UntrustedTrace):
        branch_job(foreign, 0, out)
    assert foreign.read_bytes() == before
    assert not out.exists()


def agentr(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agentr_tui", "search", *arguments],
        capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **environment},
    )  # fmt: skip


def test_resume_says_how_to_allow_it_and_a_file_of_settings_does_not_change_a_resumed_search(
    foreign: Path, tmp_path: Path
) -> None:
    place = tmp_path / "w"
    place.mkdir()
    refused = agentr("--resume", str(foreign), "--workspace", str(place))
    assert refused.returncode == 2
    assert f"--base-url {FAR} --key-env OPENAI_API_KEY" in refused.stderr
    with LLMServer() as server:
        (place / "agentr.toml").write_text(f'[search]\niterations = 99\nbase_url = "{FAR}"\nkey_env = "SECRET_TOKEN"\n')
        moved = agentr("--resume", str(foreign), "--workspace", str(place), "--base-url", server.url)
        assert moved.returncode == 0, moved.stderr
        assert {call.headers["authorization"] for call in server.calls} == {"Bearer sk-of-the-user-0001"}
    tree = load(foreign).tree
    assert tree.started is not None
    assert tree.started.settings.iterations == SearchSettings().iterations
    assert tree.state == "done"
