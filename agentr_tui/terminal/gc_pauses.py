"""Keeps garbage collections from stopping the screen.

A tree of 100,000 nodes is a million objects; a search for cycles among them stops the screen for 150 ms. They are in no
cycle, and are freed with their tree anyway. So collections skip them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def keep() -> None:
    """Let collections skip all present objects. Costs next to nothing, however many there are."""
    gc.collect(1)
    gc.freeze()


@contextmanager
def loading() -> Iterator[None]:
    """Turns collections off while many objects are made that stay: a collection would free nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        keep()
