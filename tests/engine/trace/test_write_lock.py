"""Locks: of a trace, an import, an export; where the file system has none, the file is the lock."""

from __future__ import annotations

import errno
import fcntl
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.base.errors import TraceError, WorkFailed
from engine.datasets.files import Outputs
from engine.imports.trace_store import store
from engine.imports.trees import ImportOptions, import_rollouts
from engine.trace.trace_file import TraceWriter, is_being_written, load
from engine.trace.write_lock import alone, held, let_go, lock_path
from tests.engine.imports import samples


@pytest.fixture(params=["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on NFS without its lock server, or Lustre that is mounted without locks."""

    def refuse(fd: int, operation: int) -> None:
        number = getattr(errno, request.param)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_locks")
def test_two_writers_exclude_each_other_without_locks_of_the_system(tmp_path: Path) -> None:
    trace = tmp_path / "t.trace.jsonl"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is said on standard error
        with TraceWriter(trace):
            assert is_being_written(trace)
            with pytest.raises(TraceError, match=rf"process {os.getpid()} on .*remove .*\.lock"):
                TraceWriter(trace)
    assert not is_being_written(trace)
    assert [path.name for path in tmp_path.iterdir()] == ["t.trace.jsonl"]


@pytest.mark.usefixtures("no_locks")
def test_a_lock_of_a_killed_process_is_none_and_that_of_another_machine_is_one(tmp_path: Path) -> None:
    trace = tmp_path / "t.trace.jsonl"
    if not (child := os.fork()):
        kept = held(lock_path(trace), 1.0)  # noqa: F841 - it ends when it is no longer referred to
        os._exit(0)  # as a kill: nothing is put away
    os.waitpid(child, 0)
    lock = Path(lock_path(trace))
    whose = lock.read_text().split()
    assert whose[0] == str(child)
    assert not is_being_written(trace)
    let_go(held(str(lock), 5.0))
    lock.write_text(f"{whose[0]}\nanother-machine\n")
    assert is_being_written(trace), "nobody here can know"
    with pytest.raises(TraceError, match="on another-machine"):
        TraceWriter(trace)


def test_two_imports_into_one_folder_take_turns(tmp_path: Path) -> None:
    """Each looks which traces are there, and writes the others: the second failed at a trace of the first."""
    rows = [{"task_id": f"t{n % 3}", "messages": samples.CHAT, "reward": n % 2, "id": str(n)} for n in range(9)]
    found = import_rollouts([samples.write(tmp_path, "chat", rows, "chat.jsonl")], ImportOptions())
    traces = tmp_path / "traces"
    with ThreadPoolExecutor(4) as threads:
        stored = list(threads.map(lambda _: store(found, traces, "action"), range(4)))
    assert sorted(each.new for each in stored) == [0, 0, 0, 9]
    assert sum(len(load(path).tree.attempts) for path in traces.iterdir()) == 9
    assert len(list(traces.iterdir())) == 3, "no lock is left"


def test_the_files_of_an_export_take_their_places_with_no_other_in_between(tmp_path: Path) -> None:
    def export(text: str) -> None:
        with Outputs() as outputs:
            outputs.text(tmp_path / "o.jsonl", text)
            outputs.text(tmp_path / "o.jsonl.card.md", text)

    with ThreadPoolExecutor(1) as threads:
        with alone(tmp_path / ".export.lock", "another export"):
            (tmp_path / "o.jsonl").write_text("theirs")
            ours = threads.submit(export, "ours")
            while len(list(tmp_path.glob(".o.*.part"))) < 2:
                pass
            assert (tmp_path / "o.jsonl").read_text() == "theirs"
            (tmp_path / "o.jsonl.card.md").write_text("theirs")
        ours.result()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        ("o.jsonl", "o.jsonl.card.md"), "ours"
    )
    with (
        alone(tmp_path / ".export.lock", ""),
        pytest.raises(WorkFailed, match="another export: the same command again"),
        alone(tmp_path / ".export.lock", "another export", 0.0),
    ):
        pass
