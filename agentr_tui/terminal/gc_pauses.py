"""Garbage collections that nobody waits for.

A tree of 100,000 nodes is a million objects; looking through them for cycles stops the screen for 150 ms. They are in
none: they go with their tree all the same. So they are left out of collections.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def keep() -> None:
    """What is there now is looked through no more. Costs next to nothing, however much there is."""
    gc.collect(1)
    gc.freeze()


@contextmanager
def loading() -> Iterator[None]:
    """Much is made and kept within this: collections would find nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        keep()
