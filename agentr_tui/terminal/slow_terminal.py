"""Whether the terminal takes what is written as fast as it is made: over a slow line it does not."""

from __future__ import annotations

from textual.driver import Driver


def is_behind(driver: Driver | None) -> bool:
    """Whether something waits that the terminal has not begun to take.

    Textual queues thirty writes in a thread, then stops the app: a key would show minutes later.
    """
    queue = getattr(getattr(driver, "_writer_thread", None), "_queue", None)  # of drivers that write to a terminal
    return queue is not None and queue.qsize() > 0
