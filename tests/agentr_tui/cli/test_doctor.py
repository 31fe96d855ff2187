"""`agentr doctor` says what is missing and how to get it, changes nothing and tells no key."""

from __future__ import annotations

import gzip
import json
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agentr_tui.cli.main import run
from tests.servers.llm_server import LLMServer

KEY = "sk-very-secret"


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """The checks by name."""
    assert run(["doctor", "--json", *arguments]) == code
    said = capsys.readouterr()
    assert KEY not in said.out + said.err
    found = json.loads(said.out)
    assert found["ok"] == (code == 0)
    return {check["name"]: check for check in found["checks"]}


def test_a_healthy_place_is_told_and_left_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "w").mkdir()
    checks = told(capsys, "--workspace", str(tmp_path / "w"))
    assert checks["workspace"]["state"] == checks["locks"]["state"] == "ok"
    assert checks["environment textcraft"]["state"] == "ok"
    assert "model server" not in checks, "no network unless it is asked for"
    assert [*(tmp_path / "w").iterdir()] == []
    missing = told(capsys, "--workspace", str(tmp_path / "none"))
    assert "made when it is needed" in missing["workspace"]["said"]
    assert not (tmp_path / "none").exists()


def test_what_is_missing_is_told_with_how_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("TERM", "xterm")
    for name in ("COLORTERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    checks = told(capsys, "--workspace", str(tmp_path))
    assert checks["environment scienceworld"]["state"] == "missing"
    assert "java" in checks["environment scienceworld"]["remedy"].lower()
    assert checks["model key"]["state"] == "missing"
    assert checks["colours"]["said"].startswith("16")
    assert run(["doctor", "--workspace", str(tmp_path)]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) < 200


def test_settings_that_are_wrong_are_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "agentr.toml").write_text('theme = "blue"\n', encoding="utf-8")
    assert "theme 'blue'" in told(capsys, "--workspace", str(tmp_path), code=1)["settings"]["said"]


ANSWERS = {
    "/deep/models": b"[" * 100_000,
    "/huge/models": b" " * (9 << 20),
    "/packed/models": gzip.compress(b" " * (9 << 20)),
    "/digits/models": b'{"data": [{"id": 1' + b"0" * 5000 + b"}]}",
    "/elsewhere/models": b"",
    "/list/models": b"[1]",
    "/bytes/models": bytes(range(256)),
}
"""What no list of models is."""

HEADERS = {"/packed/models": {"Content-Encoding": "gzip"}, "/elsewhere/models": {"Location": "/v1/models"}}


class Models(BaseHTTPRequestHandler):
    """Lists a model to whoever has the key; `/odd` is some other server."""

    def do_GET(self) -> None:
        status, body = 404, ""
        if self.path == "/v1/models":
            known = self.headers["Authorization"] == f"Bearer {KEY}"
            status, body = (200, '{"data": [{"id": "small"}]}') if known else (401, KEY)
        elif self.path == "/closed/models":
            status, body = 401, KEY
        elif self.path == "/odd/models":
            status, body = 200, "<html>"
        elif self.path in ANSWERS:
            status = 302 if "elsewhere" in self.path else 200
        self.send_response(status)
        for name, value in HEADERS.get(self.path, {}).items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):  # nobody reads it to the end
            self.wfile.write(ANSWERS.get(self.path, body.encode()))

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of such a server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Models) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()


def test_a_model_server_is_asked_only_when_it_is_named(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--workspace", str(tmp_path)]
    assert "small" in told(capsys, *place, "--base-url", f"{server}/v1")["model server"]["said"]
    closed = told(capsys, *place, "--base-url", f"{server}/closed/", code=1)["model server"]
    assert (closed["state"], closed["remedy"]) == ("wrong", "check the key")
    for url in (f"{server}/odd", f"{server}/nothing", "http://127.0.0.1:9/v1", "no url"):
        assert told(capsys, *place, "--base-url", url, code=1)["model server"]["state"] == "wrong"


@pytest.mark.parametrize("path", ANSWERS)
def test_a_server_that_answers_what_no_list_is_gets_one_line(
    path: str, server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracemalloc.start()
    try:
        said = told(
            capsys, "--workspace", str(tmp_path), "--base-url", f"{server}{path.removesuffix('/models')}", code=1
        )
        assert tracemalloc.get_traced_memory()[1] < 64 << 20, "bytes that were held at most"
    finally:
        tracemalloc.stop()
    check = said["model server"]
    assert (check["state"], "\n" in check["said"], KEY in check["said"]) == ("wrong", False, False)


def test_a_proxy_gets_no_key_of_a_server_on_this_machine(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    checks = told(capsys, "--workspace", str(tmp_path), "--base-url", f"{server}/v1")
    assert "small" in checks["model server"]["said"]


def test_a_model_that_is_named_is_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LLMServer() as model:
        place = ["--workspace", str(tmp_path), "--model", "m", "--base-url"]
        checks = told(capsys, *place, model.url, code=1)  # it lists no models
        assert "honours seed, no logprobs" in checks["model"]["said"]
        assert [checks[f"model{name}"]["state"] for name in ("", " answer", " seed", " system")] == ["ok"] * 4
        assert checks["model action"]["said"].startswith("'")
        assert checks["model stop"] == {
            "name": "model stop", "state": "hint", "said": "ignored", "remedy": "answers are cut here instead",
        }  # fmt: skip
        model.answer = lambda body: ""
        checks = told(capsys, *place, model.url, code=1)
        assert {checks[name]["state"] for name in ("model", "model answer", "model action")} == {"wrong"}
        model.faults = lambda call: "wrong model"
        assert "wrong model: 404" in told(capsys, *place, model.url, code=1)["model"]["said"]
