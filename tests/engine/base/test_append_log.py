"""The five append-only logs of a workspace: nothing that stands in them is lost, whatever befalls one line."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from agentr_tui.state.bookmarks import Bookmarks
from engine.base.errors import WorkFailed
from engine.models.reply_cache import JudgementCache
from engine.recovery.continuation_store import ContinuedStep, Recoveries, new_arm
from engine.review.agreement import Planted, keep_planted, read_planted
from engine.review.decisions import Decisions
from engine.tree.events import SearchSettings
from tests.engine.made import made_workspace

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file of this process can grow past so many bytes: a write that would is cut off there."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Log(NamedTuple):
    """A log as its users see it."""

    writer: Callable[[Path], Callable[[str], object]]  # folder → what writes a line that holds a name
    names: Callable[[Path], list[str]]  # folder → the names that are read
    warnings: Callable[[Path], list[str]]


def _decision_writer(folder: Path) -> Callable[[str], object]:
    mine = Decisions(folder, "ann")
    return lambda name: mine.decide(name, "accepted")


def _mark_writer(folder: Path) -> Callable[[str], object]:
    mine = Bookmarks(folder, "ann")
    return lambda name: mine.set(name, 1, "bookmark", name)


def _recovery_writer(folder: Path) -> Callable[[str], object]:
    known = Recoveries(folder, "t")
    return lambda name: known.add(
        arm := new_arm("t", 1, 1, name, SearchSettings()),
        ContinuedStep(key=arm.key, number=0, step=1, response=name, action=name, observation="o"),
    )


def _steps(folder: Path) -> list[str]:
    known = Recoveries(folder, "t")
    return [step.action for key in known.arms for steps in known.of(key).values() for step in steps]


def _plant_writer(folder: Path) -> Callable[[str], object]:
    workspace = made_workspace(folder.parent / f"w-{folder.name}")
    sample = workspace.load_run().samples[0]
    return lambda name: keep_planted(folder, [Planted(id=name, of="s", run="r", fault="mark", sample=sample)])


def _plant_warnings(folder: Path) -> list[str]:
    warnings: list[str] = []
    read_planted(folder, warnings)
    return warnings


def _cache_writer(folder: Path) -> Callable[[str], object]:
    cache = JudgementCache(folder)
    return lambda name: cache.put(name, name)


LOGS = {
    "decisions": Log(
        _decision_writer,
        lambda folder: list(Decisions(folder).current()),
        lambda folder: Decisions(folder).warnings,
    ),
    "bookmarks": Log(
        _mark_writer,
        lambda folder: [mark.name for mark in Bookmarks(folder).all()],
        lambda folder: Bookmarks(folder).warnings,
    ),
    "recoveries": Log(_recovery_writer, _steps, lambda folder: Recoveries(folder, "t").warnings),
    "judgements": Log(
        _cache_writer,
        lambda folder: [name for name in ("one", "two", "three") if JudgementCache(folder).get(name)],
        lambda folder: JudgementCache(folder).warnings,
    ),
    "planted": Log(_plant_writer, lambda folder: [each.id for each in read_planted(folder)], _plant_warnings),
}


@pytest.fixture(params=LOGS)
def log(request: pytest.FixtureRequest) -> Log:
    return LOGS[request.param]


def test_a_line_torn_by_a_kill_is_dropped_and_said_and_what_is_written_later_is_read(log: Log, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    write = log.writer(folder)
    write("one")
    write("two")
    torn = max(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    torn.write_bytes(torn.read_bytes()[:-9])
    before = torn.read_bytes()
    assert sorted(log.names(folder)) in (["one"], [])
    log.writer(folder)("three")
    assert "three" in log.names(folder)
    assert torn.read_bytes() == before, "nobody writes to the file of another process"
    assert log.warnings(folder) == [f"{torn}: the last line is not whole and was left out"]


def test_half_a_line_is_taken_back_when_the_disk_is_full(log: Log, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    write = log.writer(folder)
    write("one")
    size = max(path.stat().st_size for path in folder.glob("*.jsonl"))
    with room(size + 10 if log is not LOGS["planted"] else 10), pytest.raises(WorkFailed, match="was not kept"):
        write("two")
    write("three")
    assert sorted(log.names(folder)) == ["one", "three"]
    assert log.warnings(folder) == []


def test_where_half_a_line_can_not_be_taken_back_the_next_goes_to_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Decisions(tmp_path, "ann")
    mine.decide("one", "accepted")
    (file,) = tmp_path.iterdir()
    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.open", _without_truncate(Path.open))
        with room(file.stat().st_size + 10), pytest.raises(WorkFailed):
            mine.decide("two", "accepted")
    mine.decide("three", "accepted")
    assert len(list(tmp_path.iterdir())) == 2
    assert set(Decisions(tmp_path).current()) == {"one", "three"}
    assert Decisions(tmp_path).warnings == [f"{file}: the last line is not whole and was left out"]


def _without_truncate(real: Callable[..., object]) -> Callable[..., object]:
    def opened(path: Path, mode: str = "r", *more: object, **named: object) -> object:
        if mode == "r+b":
            raise PermissionError(13, "Permission denied")
        return real(path, mode, *more, **named)

    return opened


def test_a_process_writes_a_file_of_its_own_also_after_a_fork(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from engine.review.decisions import Decisions\n"
        "mine = Decisions(Path(sys.argv[1]), 'ann'); mine.decide('before', 'accepted')\n"
        "child = os.fork(); mine.decide(f'in {child == 0}', 'accepted')\n"
        "if child: os.waitpid(child, 0)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=ROOT)
    assert len(list(tmp_path.iterdir())) == 2
    assert set(Decisions(tmp_path).current()) == {"before", "in True", "in False"}


def test_a_pipe_or_a_device_among_the_files_holds_nobody_up(log: Log, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log.writer(folder)("one")
    os.mkfifo(folder / "t-pipe.jsonl")
    (folder / "t-zero.jsonl").symlink_to("/dev/zero")
    assert log.names(folder) == ["one"]


def test_somebody_elses_unreadable_line_keeps_nobody_from_writing(log: Log, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    write = log.writer(folder)
    write("one")
    (folder / "t-other.jsonl").write_bytes(b'{"half a li{"and more"}\n\xff\n[[[[\n')
    write("two")
    (folder / "t-other.jsonl").unlink()
    assert sorted(log.names(folder)) == ["one", "two"]


def test_every_writer_of_append_only_lines_of_a_workspace_is_this_one() -> None:
    """A sixth log that is written by hand would have the old faults again."""
    appending = {
        str(path.relative_to(ROOT))
        for package in ("engine", "agentr_tui", "envs")
        for path in (ROOT / package).rglob("*.py")
        if '"ab"' in path.read_text()
    }
    assert appending == {
        "engine/base/append_log.py",
        "engine/base/untrusted_files.py",  # requests to a running search; what processes and defects of ours print
    }
