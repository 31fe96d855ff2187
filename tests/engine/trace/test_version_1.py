"""Traces of version 1 open, and give the same exports, for ever: this one was written before tools could be called."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from engine.base.errors import InputError
from engine.datasets.export import export
from engine.samples.revise import revise
from engine.samples.settings import ReviseSettings
from engine.trace.sources import load_any
from engine.trace.trace_file import load, read_events
from engine.trace.treefile.write import save_tree
from engine.tree.events import event_encoder
from engine.workspace.workspace import Workspace
from tests.engine.datasets.test_tool_calls import tree as tree_with_calls
from tests.engine.made import AS_FOUND

TRACE = Path(__file__).parents[2] / "recordings" / "traces" / "version-1.trace.jsonl"


def test_it_opens_and_every_event_is_written_again_as_it_was() -> None:
    loaded = load(TRACE)
    started = loaded.tree.started
    assert started is not None
    assert (started.version, len(loaded.tree), loaded.tree.state, loaded.warnings) == (1, 311, "done", [])
    assert loaded.tree.nodes[0].value_sum == 25
    written = [event_encoder.encode(event) for event in read_events(TRACE)][1:]
    assert written == TRACE.read_bytes().splitlines()[1:]  # `started` has the settings that came later besides


@pytest.mark.parametrize(("name", "digest"), [("agent-r", "000b3df6f58a44c5"), ("openai", "8fa8566305b5efdc")])
def test_its_exports_are_those_of_version_1(name: str, digest: str, tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "w", create=True)
    settings = ReviseSettings(**AS_FOUND, repair=None, max_pairs=40)
    with workspace.new_run(settings, [str(TRACE)]) as run:
        for sample in revise(load_any(TRACE).tree, str(TRACE), settings, run.figures):
            run.add(sample)
    export(workspace, None, name, tmp_path / "out", all=True)
    assert sha256((tmp_path / "out").read_bytes()).hexdigest()[:16] == digest


def test_a_tree_file_of_the_original_has_no_place_for_calls(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no place for calls of tools"):
        save_tree(tree_with_calls(), tmp_path / "x.json")
    assert not (tmp_path / "x.json").exists()
