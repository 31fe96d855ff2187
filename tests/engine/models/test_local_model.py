"""A real model on loopback grows a real tree. Runs where the extra `local` is installed."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from engine.base.errors import InputError
from engine.environment.replay import opener, replay_tree
from engine.models.local_server import CONTEXT, INSTALL, command, missing
from engine.search.job import new_job
from engine.tree.events import SearchSettings


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, server: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """Until the server answers."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.2)


def test_what_is_missing_is_named_with_the_remedy() -> None:
    why = missing()
    if why is None:
        assert "llama_cpp.server" in command()
        return
    assert INSTALL in why
    with pytest.raises(InputError, match="agentr-tui"):
        command()


def test_a_small_model_with_an_example_grows_a_tree_that_replays(tmp_path: Path) -> None:
    if why := missing():
        pytest.skip(why)
    port = free_port()
    server = subprocess.Popen(command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/v1/models", server)
        settings = SearchSettings(
            actor="openai",
            model="smollm2",
            base_url=f"http://127.0.0.1:{port}/v1",
            example=True,
            iterations=1,
            max_depth=3,
            samples=2,
            max_tokens=80,
            context=CONTEXT,
            concurrency=1,
        )
        began = time.monotonic()
        job = new_job("textcraft", "5", settings, tmp_path / "local.trace.jsonl")
        job.run_blocking()
        seconds = time.monotonic() - began
    finally:
        server.terminate()
        server.wait(20)
    tree = job.tree
    made = tree.nodes[1:]
    parsed = sum("Action:" in node.response for node in made)
    print(f"{len(made)} nodes, {parsed} with an action, {seconds / max(len(made), 1):.2f} s a node, {tree.failures}")
    assert made
    assert parsed >= len(made) / 2
    assert tree.tokens_in
    assert tree.tokens_out
    assert list(replay_tree(tree, opener(tree)())) == []
