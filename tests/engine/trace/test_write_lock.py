"""The lock of a trace where the file system has no locks: the file is the lock, and one of a dead process is none."""

from __future__ import annotations

import errno
import fcntl
import os
import warnings
from pathlib import Path

import pytest

from engine.base.errors import TraceError
from engine.trace.trace_file import TraceWriter, is_being_written
from engine.trace.write_lock import held, let_go, lock_path


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
