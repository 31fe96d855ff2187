"""Keeps garbage collections from stopping the screen.

A tree of 100,000 nodes is 350,000 objects; a search for cycles among them stops the screen for 150 ms. They are in no
cycle, and are freed with their tree anyway. So collections skip them, and with them whatever else is there at that
moment. Some of that becomes garbage later (screens, dialogs, tasks): it is freed when another tree is opened.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def keep() -> None:
    """Let collections skip all present objects until `look_through`. Costs nothing, however many there are."""
    gc.freeze()


def keep_grown() -> None:
    """Let collections skip a tree that grew, or a screen that was made, since the last time. Costs a collection of what
    was made since: 10 ms after 500 nodes."""
    gc.collect()
    gc.freeze()


def look_through() -> None:
    """Free all garbage, also among skipped objects. Takes 30 ms, and 150 ms more with a tree of 100,000 nodes."""
    gc.unfreeze()
    gc.collect()


@contextmanager
def loading() -> Iterator[None]:
    """Turns collections off while many objects are made that stay: a collection would free nothing."""
    look_through()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        keep()


@contextmanager
def listing() -> Iterator[None]:
    """Turns collections off while thousands of rows are made that stay, for some tenths of a second."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
