"""A collection on Ray: the same traces as elsewhere, and a worker that is killed loses nothing."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from engine.base.errors import InputError
from engine.collect.messages import Finished, RunTask, from_worker, line_of
from engine.collect.ray_link import RayWorker, ray_workers
from engine.collect.run import collected, prepare
from engine.search.job import new_job
from engine.trace.diff import compare
from engine.trace.trace_file import read_events
from engine.tree.events import SearchSettings
from tests.engine.collect.test_collect import orders, plan


async def test_the_worker_of_ray_hears_and_says_what_a_process_does(tmp_path: Path) -> None:
    """Without Ray: the same object, called as Ray calls it."""
    worker, path = RayWorker(), tmp_path / "t.trace.jsonl"
    assert await worker.begin() == os.getpid()
    await worker.tell(line_of(orders()))
    await worker.tell(line_of(RunTask("2", str(path))))
    said: list[object] = []
    while lines := await worker.hear():
        said += [from_worker.decode(line) for line in lines]
        if isinstance(said[-1], Finished):
            await worker.tell(b"")
    assert isinstance(said[-1], Finished)
    assert said[-1].outcome == "done"
    assert await worker.hear() == [], "it has ended"


def test_without_ray_the_option_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"--ray needs Ray: pip install 'agentr-tui\[ray\]'"), ray_workers("", 1):
        pass


async def test_a_collection_on_a_ray_of_its_own_survives_a_killed_worker(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'agentr-tui[ray]'")
    settings = SearchSettings(algorithm="lessons", iterations=60, max_depth=8)
    chosen = plan(tmp_path / "c", tasks="0 1 2", settings=settings, workers=2, choose_actor=True, ray="")
    with ray_workers("", 2) as start:
        collector = prepare(chosen, start)
        killed = list[int]()

        def kill_one() -> None:
            if collector.ledger.under_way and not killed:
                killed.append(collector.pids[0])
                os.kill(killed[-1], signal.SIGKILL)

        collector.changed = kill_one
        await collector.run()
    found = collected(chosen, collector.ledger, collector.halted)
    assert (found.done, found.failed, found.lost) == (3, [], 1)
    calls = 0
    for task in chosen.tasks:
        alone = new_job("textcraft", task, settings, tmp_path / f"{task}.trace.jsonl", choose_actor=True)
        await alone.run()
        assert compare(read_events(alone.path), read_events(collector.ledger.paths[task])) == []
        calls += alone.tree.calls
    assert found.calls == calls
