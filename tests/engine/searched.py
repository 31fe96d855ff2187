"""Real searches for tests of what looks at them: TextCraft with the scripted actor."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from engine.search.job import new_job
from engine.trace.trace_file import read_events
from engine.tree.events import AnyEvent, SearchSettings
from engine.tree.tree import SearchTree


def search(path: Path, task: str = "2", **settings: Any) -> list[AnyEvent]:
    """The events of a search that was run to its end and written to `path`."""
    chosen: dict[str, Any] = {"iterations": 6, "error_rate": 0.5, **settings}
    job = new_job("textcraft", task, SearchSettings(**chosen), path)
    with ThreadPoolExecutor(1) as thread:  # a test's own event loop may run in this one
        thread.submit(job.run_blocking).result()
    return list(read_events(path))


def tree_until(events: list[AnyEvent], seq: int) -> SearchTree:
    """The tree that the events up to `seq` make: what any view of that moment must agree with."""
    return SearchTree(event for event in events if event.seq <= seq)
