"""What each version of the format wrote is opened for ever, and is what it was.

A folder a version, written by the program of that time: a search, a packed one, a run of `revise` over it, decisions of
two people; since version 2 also a workspace with every kind of file (`make_workspace`). A version that is released adds
a folder and a row, and changes none.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agentr_tui.app.app import AgentrApp
from agentr_tui.cli.main import run
from agentr_tui.state.bookmarks import Bookmarks
from agentr_tui.state.session import Session
from engine.datasets.export import export
from engine.review.decisions import Decisions
from engine.trace.sources import load_any
from engine.trace.trace_file import load
from engine.tree.events import FORMAT_VERSION
from engine.tree.tree import SearchTree
from engine.workspace.figures import figures
from engine.workspace.workspace import Workspace
from tests.agentr_tui.apps import frame, notices, until

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
    loaded = workspace.load_run()
    assert Counter(sample.verdict for sample in loaded.samples) == written.verdicts
    assert (loaded.warnings, loaded.info.settings.tail) == ([], written.tail)
    decisions = Decisions(workspace.decisions, "me")
    both = {"ann": "accepted", "bea": "rejected"}
    assert [each.by_reviewer for each in decisions.current().values()] == [both] * written.rejected
    decisions.decide_all([sample.id for sample in loaded.samples], "accepted")
    done = export(workspace, None, "agent-r", tmp_path / "o.jsonl")
    assert done.lines > 0
    assert done.lines + sum(done.dropped.values()) == sum(sample.kind != "good" for sample in loaded.samples)


@pytest.fixture
def every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The workspace of version 2 with every kind of file, in another folder than the one that it was made in."""
    with tarfile.open(HERE / "version-2" / "all.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path / "all")
    return tmp_path / "all"


def told(capsys: pytest.CaptureFixture[str], words: str) -> Any:
    """What a command prints as JSON; it has nothing to complain of."""
    capsys.readouterr()
    assert run([*words.split(), "--json", "--workspace", "."]) == 0
    out, err = capsys.readouterr()
    assert "agentr: " not in err, err
    return json.loads(out)


def test_every_kind_of_file_is_gone_on_with(every_kind: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures are those of the day on which the files were written; work that was done is not done again."""
    stats = told(capsys, "stats traces collected episodes")
    assert (len(stats["traces"]), stats["total"]["nodes"]) == (18, 690)
    review = told(capsys, "review stats")
    assert (review["samples"], review["tally"]["accepted"], review["good"]["rejected"]) == (21, 2, 1)
    assert len(told(capsys, "review list")["samples"]) == 56
    collected = told(capsys, "collect --tasks 2,3 --iterations 2 --error-rate 0.5 --out collected")
    assert (collected["done"], collected["calls"], collected["lost"]) == (2, 40, 0)
    scores = told(capsys, "eval episodes")["scores"]
    assert (scores["episodes"], scores["score"]["value"], scores["calls"]) == (2, 1, 16)
    rounds = told(capsys, "round rounds.toml --yes")
    assert [(each["score"]["value"], each["lines"], each["done"][-1]) for each in rounds["rounds"]] == [
        (1, None, "eval"),
        (1, 10, "eval"),
    ]
    tried = told(
        capsys, "recover steps<=12 verdict:verified kind:revision --actor openai --model m --continuations 1 --price"
    )
    assert (tried["price"]["continuations"], tried["price"]["actor"]) == (10, "openai (m)")
    marks = Bookmarks(every_kind / "bookmarks", "ann").all()
    assert [(mark.node, mark.kind, mark.name) for mark in marks] == [(1, "good", "a start")]


async def test_every_kind_of_file_is_shown(every_kind: Path) -> None:
    shown = {
        "5": ("samples 21", "ann 2", "lines.jsonl"),
        "4": ("2 accepted", "8 to go", "trained agent"),
        "3": ("leaves  ", "trajectories"),
        "2": (" nodes · ", " pair"),
        "1": ("traces  14", "repair", "fork", "steered", "attempts"),
    }
    for name in ("attempts.trace.jsonl", "steered.trace.jsonl"):
        session = Session(Workspace.open(every_kind))
        session.open(every_kind / "traces" / name)
        app = AgentrApp(session, "search")
        async with app.run_test(size=(110, 32)) as pilot:
            for key, words in shown.items():
                await pilot.press(key)
                await until(pilot, partial(shows, app, words))
            assert notices(app) == ""


def shows(app: AgentrApp, words: Sequence[str]) -> bool:
    """Whether the screen in front has all these words."""
    text = "\n".join(strip.text for strip in frame(app))
    return all(word in text for word in words)
