"""Figures of traces: what they say, where they are found, and that the index never changes them."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from engine.base.errors import InputError
from engine.search.job import new_job
from engine.trace.sources import find_sources, load_any
from engine.trace.trace_file import TraceWriter, load, read_events
from engine.tree.events import SearchSettings
from engine.workspace.figures import TraceFigures, cached_figures, figures, total
from engine.workspace.index import Index
from engine.workspace.workspace import Workspace
from tests.engine.made import honey_trace
from tests.fixtures import ABSENT, recording

FIELDS = [
    "path",
    "trace",
    "env",
    "task",
    "state",
    "algorithm",
    "nodes",
    "leaves",
    "good",
    "bad",
    "best_return",
    "max_depth",
    "pairs",
    "calls",
    "tokens_in",
    "tokens_out",
    "tokens_cached",
    "cost",
    "failures",
    "answers",
    "steps_per_node",
    "resets_per_node",
    "seconds",
    "lessons",
    "lessons_by_depth",
    "wrong_actions",
    "disasters",
    "repeats",
    "duplicates",
    "seconds_of_calls",
    "source",
    "attempts",
    "solved",
    "scored",
    "spread",
    "cut_off",
    "by_chance",
]


def searched(path: Path, seed: int = 1, iterations: int = 6) -> Path:
    """A real search with the scripted actor."""
    settings = SearchSettings(iterations=iterations, samples=3, max_depth=12, error_rate=0.5, seed=seed)
    new_job("textcraft", "12", settings, path).run_blocking()
    return path


# -- what is found -----------------------------------------------------------------------------------


def test_folders_are_searched_to_the_bottom_in_a_fixed_order_each_file_once(tmp_path: Path) -> None:
    names = [
        "b/2.trace.jsonl",
        "b/deep/1.trace.jsonl.zst",
        "a/search_results_7.json",
        "a/search_results_8.json.gz",
        "a/other.json",
        "a/lines.jsonl",
        "b/2.trace.jsonl.lock",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = find_sources([tmp_path / "b/2.trace.jsonl", tmp_path])
    assert [str(path.relative_to(tmp_path)) for path in found] == [names[0], names[2], names[3], names[1]]
    given = tmp_path / "a/other.json"
    assert find_sources([given]) == [given]  # a file that is named is taken


def test_nothing_found_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"no traces below {tmp_path}"):
        find_sources([tmp_path])
    with pytest.raises(InputError, match="gone: no such file or folder"):
        find_sources([tmp_path / "gone"])


# -- figures -----------------------------------------------------------------------------------------


def test_figures_have_the_fields_that_stats_prints(tmp_path: Path) -> None:
    shown = figures(load_any(honey_trace(tmp_path / "honey.trace.jsonl")))
    assert list(msgspec.to_builtins(shown)) == FIELDS
    assert (shown.nodes, shown.leaves, shown.good, shown.bad, shown.pairs) == (12, 5, 2, 3, 6)
    assert (shown.best_return, shown.max_depth, shown.state, shown.env) == (1.0, 3, "done", "textcraft")
    for unknown in ("tokens_in", "tokens_out", "cost", "steps_per_node", "resets_per_node", "seconds"):
        assert getattr(shown, unknown) is None  # unknown is not 0


def test_figures_of_a_search_come_from_its_events(tmp_path: Path) -> None:
    path = searched(tmp_path / "s.trace.jsonl")
    shown, events = figures(load_any(path)), list(read_events(path))
    kinds = [type(event).__name__ for event in events]
    assert (shown.state, shown.algorithm, shown.task) == ("done", "agent-r", "12")
    assert shown.calls == kinds.count("Sampled")
    assert shown.leaves == shown.good + shown.bad == kinds.count("BackedUp")
    assert shown.steps_per_node is not None
    assert shown.steps_per_node >= 1  # every node took at least its own step
    assert shown.seconds == events[-1].t
    assert shown.cost is None


@pytest.mark.parametrize(("name", "pairs"), [("textcraft/31", 168), ("textcraft/198", 0), ("webshop/6", 11)])
def test_figures_of_a_tree_of_the_original(name: str, pairs: int) -> None:
    if not recording(name).is_dir():
        pytest.skip(ABSENT)
    path = recording(name) / f"search_results_{name.split('/')[1]}.json.gz"
    shown = figures(load_any(path))
    assert (shown.pairs, shown.state, shown.task) == (pairs, "done", name.split("/")[1])


def test_default_thresholds_follow_the_score_range(tmp_path: Path) -> None:
    source = load_any(honey_trace(tmp_path / "honey.trace.jsonl"))
    assert source.tree.started is not None
    source.tree.started.score_range = (0.0, 100.0)  # where a return of 1 is a poor one
    shown = figures(source)
    assert (shown.good, shown.bad, shown.pairs) == (0, 5, 0)


def test_a_search_that_was_killed_is_crashed_and_a_live_one_running(tmp_path: Path) -> None:
    whole = searched(tmp_path / "whole.trace.jsonl")
    events = list(read_events(whole))
    path = tmp_path / "cut.trace.jsonl"
    with TraceWriter(path) as writer:
        for event in events[: len(events) // 2]:
            writer.write(event)
        assert figures(load_any(path)).state == "running"
        assert cached(None, path).state == "running"
    assert figures(load_any(path)).state == "crashed"


def test_a_total_adds_what_is_known(tmp_path: Path) -> None:
    rows = [
        figures(load_any(searched(tmp_path / "a.trace.jsonl"))),
        figures(load_any(honey_trace(tmp_path / "b.trace.jsonl"))),
    ]
    both = total(rows)
    assert (both.traces, both.states) == (2, {"done": 2})
    assert both.nodes == rows[0].nodes + 12
    assert both.seconds == rows[0].seconds
    assert both.steps_per_node == rows[0].steps_per_node
    assert both.cost is None
    rows[0].cost, rows[1].cost = 0.5, None
    assert total(rows).cost == 0.5
    assert total([]).best_return is None


# -- the index ---------------------------------------------------------------------------------------


def cached(workspace: Workspace | None, path: Path) -> TraceFigures:
    """Figures by way of the index."""
    (row,) = cached_figures(workspace, [path])
    return row


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with one trace."""
    workspace = Workspace.open(tmp_path / "w", create=True)
    searched(workspace.traces / "a.trace.jsonl")
    return workspace


def test_the_index_gives_what_reading_gives_also_deleted_damaged_or_of_another_version(workspace: Workspace) -> None:
    path = workspace.traces / "a.trace.jsonl"
    expected = figures(load_any(path))
    assert cached(workspace, path) == expected
    assert cached(workspace, path) == expected
    workspace.index_file.unlink()
    assert cached(workspace, path) == expected
    content = workspace.index_file.read_bytes()
    for broken in (b"no database at all" * 100, content[: len(content) // 2], b"", content[:100] + b"\xff" * 4000):
        workspace.index_file.write_bytes(broken)
        assert cached(workspace, path) == expected
    shutil.rmtree(workspace.path / "index.sqlite", ignore_errors=True)
    workspace.index_file.unlink(missing_ok=True)
    workspace.index_file.mkdir()
    assert cached(workspace, path) == expected


def test_the_index_is_used(workspace: Workspace) -> None:
    path = workspace.traces / "a.trace.jsonl"
    before = cached(workspace, path)
    stat = path.stat()
    path.write_bytes(b"x" * stat.st_size)  # unreadable now, but as large and as old
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert cached(workspace, path) == before


def test_a_trace_that_grew_is_read_again(workspace: Workspace) -> None:
    path = workspace.traces / "grows.trace.jsonl"
    events = list(read_events(workspace.traces / "a.trace.jsonl"))
    with TraceWriter(path) as writer:
        for event in events[:20]:
            writer.write(event)
        early = cached(workspace, path)
        assert early.state == "running"
        for event in events[20:]:
            writer.write(event)
        late = cached(workspace, path)
        assert late.nodes > early.nodes
        assert late.state == "done"


def test_a_cached_search_whose_writer_died_is_crashed(workspace: Workspace) -> None:
    path = workspace.traces / "dies.trace.jsonl"
    with TraceWriter(path) as writer:
        for event in list(read_events(workspace.traces / "a.trace.jsonl"))[:20]:
            writer.write(event)
        assert cached(workspace, path).state == "running"
    assert cached(workspace, path).state == "crashed"  # the file did not change


def test_one_broken_file_does_not_hide_the_others(workspace: Workspace) -> None:
    broken = workspace.traces / "broken.trace.jsonl"
    broken.write_text("nonsense\n")
    errors: list[str] = []
    paths = find_sources([workspace.traces])
    rows = cached_figures(workspace, paths, lambda path, error: errors.append(str(error)))
    assert [row.path for row in rows] == [str(workspace.traces / "a.trace.jsonl")]
    assert len(errors) == 1
    assert errors[0].startswith(str(broken))
    with pytest.raises(InputError, match="broken"):
        cached_figures(workspace, paths)


def test_an_index_that_another_process_holds_is_done_without(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    stat = tmp_path.stat()
    with Index(path) as first, Index(path) as second:
        first.put("k", "p", stat, b"1")
        first.commit()
        assert second.get("k", "p", stat) == b"1"
        assert second.get("k", "q", stat) is None
    nowhere = Index(tmp_path / "no" / "folder" / "index.sqlite")
    assert nowhere.in_memory
    nowhere.put("k", "p", stat, b"2")
    assert nowhere.get("k", "p", stat) == b"2"


# -- reading either kind -----------------------------------------------------------------------------


def test_packed_and_plain_traces_read_the_same(tmp_path: Path) -> None:
    plain = searched(tmp_path / "a.trace.jsonl")
    packed = tmp_path / "b.trace.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    one, other = figures(load_any(plain)), figures(load_any(packed))
    other.path = one.path
    assert one == other
    assert load(plain).warnings == load_any(plain).warnings == []


def test_a_torn_trace_says_so(tmp_path: Path) -> None:
    path = searched(tmp_path / "a.trace.jsonl")
    path.write_bytes(path.read_bytes()[:-7])
    source = load_any(path)
    assert source.torn
    assert len(source.warnings) == 1
