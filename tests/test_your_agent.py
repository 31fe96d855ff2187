"""docs/your-agent.md: its program is run, its commands, and what they give is asserted."""

from __future__ import annotations

import re
import shlex
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agentr_tui.cli.main import run
from engine.trace.sources import load_any

PAGE = (Path(__file__).parents[1] / "docs" / "your-agent.md").read_text(encoding="utf-8")
PROGRAM = re.findall(r"```python agent.py\n(.*?)```", PAGE, re.S)[0]
COMMANDS = re.findall(r"```console agent\n(.*?)```", PAGE, re.S)[0].splitlines()


def test_text_json_and_calls_give_the_same_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {"__name__": "agent"}
    exec(PROGRAM, names)
    names["Handler"].log_message = lambda *_: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), names["Handler"])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.chdir(tmp_path)
    try:
        for command in COMMANDS:
            assert run(shlex.split(command.replace(":8123/", f":{server.server_address[1]}/"))[1:]) == 0
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    traces = sorted((tmp_path / "agentr-workspace" / "traces").glob("*.trace.jsonl"))
    trees = {tree.started.settings.model: tree for tree in (load_any(path).tree for path in traces) if tree.started}
    states = {model: [(node.parent, node.state_key) for node in tree.nodes] for model, tree in trees.items()}
    assert len(states["text"]) == 4
    assert states["text"] == states["json"] == states["tools"]
    thought = "The trapdoor is made of planks, and these of stems."
    assert {tree.nodes[1].thought for tree in trees.values()} == {thought}
    assert {model: tree.nodes[1].action for model, tree in trees.items()} == {
        "text": "get 2 warped stems",
        "json": "get 2 warped stems",
        "tools": 'get(count=2, item="warped stems")',
    }
    assert not capfd.readouterr().err
