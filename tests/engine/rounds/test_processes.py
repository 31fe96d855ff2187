"""Commands of the user's own: they fail with their last words, and end with all that they started."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from pathlib import Path

import pytest

from engine.base.errors import WorkFailed
from engine.rounds.processes import Server, filled, run_command

SERVES = """
import http.server, sys
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404); self.end_headers()
    def log_message(self, *said):
        pass
print("serving", sys.argv[2], flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_places_of_a_command_are_filled_and_quoted_and_other_braces_stay() -> None:
    command = "train --data {dataset} --out {out} ${HOME} {a,b} {other} '{\"x\": 1}'"
    values = {"dataset": "my data.jsonl", "out": "$(rm x)"}
    assert filled(command, values) == "train --data 'my data.jsonl' --out '$(rm x)' ${HOME} {a,b} {other} '{\"x\": 1}'"


def test_a_command_that_fails_says_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="exit code 3: loading \\| out of memory"):
        run_command("echo loading; echo out of memory >&2; exit 3", tmp_path / "x" / "train.log")
    with pytest.raises(WorkFailed, match="signal 9: it printed nothing"):
        run_command("kill -9 $$", tmp_path / "other.log")


def test_a_server_is_waited_for_serves_one_model_at_a_time_and_ends_with_all_that_it_started(tmp_path: Path) -> None:
    program, port, log = tmp_path / "serves.py", free_port(), tmp_path / "server.log"
    program.write_text(SERVES, encoding="utf-8")
    pids = tmp_path / "pids"
    # a shell that starts another process, as launchers of servers do
    command = f"echo $$ >> {pids}; {shlex.quote(sys.executable)} {program} {port} {{model}}; true"
    url = f"http://127.0.0.1:{port}/v1"
    with Server(command, url, log) as server:
        server.serve("one")
        server.serve("one")
        server.serve("two")
        with pytest.raises(WorkFailed, match="another server answers there already"):
            Server(command, url, log).serve("three")
    assert log.read_text(encoding="utf-8").splitlines() == ["serving one", "serving two"]
    started = [int(line) for line in pids.read_text().split()]
    assert len(started) == 2
    assert all(map(gone, started))
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the server itself has ended, too"


def test_a_server_that_ends_or_does_not_answer_is_an_error(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    with pytest.raises(WorkFailed, match="ended with exit code 1: no such model: m"):
        Server("echo no such model: {model}; exit 1", url, tmp_path / "a.log").serve("m")
    with pytest.raises(WorkFailed, match=r"did not answer at .* within 0.2 seconds"):
        Server("sleep 60", url, tmp_path / "b.log", seconds=0.2).serve("m")
    Server("", url, tmp_path / "c.log").serve("m")
    assert not os.path.exists(tmp_path / "c.log"), "a server of the user's own is left alone"
