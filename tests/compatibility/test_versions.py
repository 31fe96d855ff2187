"""What each version of the format wrote is opened for ever, and is what it was.

A folder a version, written by the program of that time: a search, a packed one, a run of `revise` over it, decisions of
two people. A version that is released adds a folder and a row, and changes none.
"""

from __future__ import annotations

import shutil
from collections import Counter
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.datasets.export import export
from engine.review.decisions import Decisions
from engine.trace.sources import load_any
from engine.trace.trace_file import load
from engine.tree.events import FORMAT_VERSION
from engine.tree.tree import SearchTree
from engine.workspace.figures import figures
from engine.workspace.workspace import Workspace

HERE = Path(__file__).parent


class Written(NamedTuple):
    """What a version wrote."""

    parse: str  # how answers were read
    nodes: tuple[int, int]  # of the search, and of the packed one
    texts: tuple[str, str]  # digests of all conversations
    pairs: int
    verdicts: dict[str, int]  # of samples
    tail: str  # a setting of the run that did not exist in version 1
    rejected: int  # samples, by the second person


TEXTS = ("28e281f6c3baa337", "b12467795fbb94fc")
VERSIONS = {
    1: Written("agent-r", (49, 5), TEXTS, 10, {"verified": 11, "reobserved": 4}, "as-found", 11),
    2: Written("first", (49, 5), TEXTS, 10, {"verified": 8}, "straight", 8),
}


def texts_of(tree: SearchTree) -> str:
    """A digest of the conversation at every node."""
    digest = blake2b(digest_size=8)
    for id in range(len(tree)):
        for message in tree.conversation(id):
            digest.update(f"{message.role}\0{message.content}\0".encode())
    return digest.hexdigest()


def test_every_version_has_a_folder() -> None:
    assert sorted(VERSIONS) == list(range(1, FORMAT_VERSION + 1))
    assert sorted(path.name for path in HERE.glob("version-*")) == [f"version-{number}" for number in VERSIONS]


@pytest.mark.parametrize("version", VERSIONS)
def test_traces_are_read_as_they_were(version: int) -> None:
    written = VERSIONS[version]
    folder = HERE / f"version-{version}" / "traces"
    for place, name in enumerate(("search.trace.jsonl", "packed.trace.jsonl.zst")):
        source = load_any(folder / name)
        told, started = figures(source), source.tree.started
        assert started is not None
        assert (started.version, started.settings.parse) == (version, written.parse)
        assert (told.nodes, told.state, source.warnings) == (written.nodes[place], "done", [])
        assert texts_of(source.tree) == written.texts[place]
    told = figures(load_any(folder / "search.trace.jsonl"))
    assert (told.pairs, told.good, told.leaves, told.best_return) == (written.pairs, 5, 7, 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_trace_that_was_cut_by_a_kill_is_read_as_far_as_it_goes(version: int, tmp_path: Path) -> None:
    data = (HERE / f"version-{version}" / "traces" / "search.trace.jsonl").read_bytes()
    (tmp_path / "t.trace.jsonl").write_bytes(data[: len(data) // 2])
    loaded = load(tmp_path / "t.trace.jsonl")
    assert loaded.torn
    assert loaded.tree.seq + 1 == data[: len(data) // 2].count(b"\n") > 20


@pytest.mark.parametrize("version", VERSIONS)
def test_runs_and_decisions_are_read_and_exported(version: int, tmp_path: Path) -> None:
    shutil.copytree(HERE / f"version-{version}", tmp_path / "w")
    workspace, written = Workspace.open(tmp_path / "w"), VERSIONS[version]
    run = workspace.load_run()
    assert Counter(sample.verdict for sample in run.samples) == written.verdicts
    assert (run.warnings, run.info.settings.tail) == ([], written.tail)
    decisions = Decisions(workspace.decisions, "me")
    both = {"ann": "accepted", "bea": "rejected"}
    assert [each.by_reviewer for each in decisions.current().values()] == [both] * written.rejected
    decisions.decide_all([sample.id for sample in run.samples], "accepted")
    done = export(workspace, None, "agent-r", tmp_path / "o.jsonl")
    assert done.lines > 0
    assert done.lines + sum(done.dropped.values()) == sum(sample.kind != "good" for sample in run.samples)
