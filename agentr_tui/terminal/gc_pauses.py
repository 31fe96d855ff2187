"""Garbage collections that nobody waits for.

A tree of 100,000 nodes is 350,000 objects; looking through them for cycles stops the screen for 150 ms. They are in
none: they go with their tree all the same. So they are left out of collections. With them is left out whatever else is
there at that moment, and some of that becomes garbage later (screens, dialogs, tasks): it is found when another tree is
opened, when what is kept is looked through once.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def keep() -> None:
    """What is there now is looked through no more, until `look_through`. Costs nothing, however much there is."""
    gc.freeze()


def keep_grown() -> None:
    """The same for a tree that grew a little since the last time. Costs what was made since: it is looked through."""
    gc.collect()
    gc.freeze()


def look_through() -> None:
    """Look through everything, also what was kept. Costs what there is: 30 ms, and 150 for a tree of 100,000 nodes."""
    gc.unfreeze()
    gc.collect()


@contextmanager
def loading() -> Iterator[None]:
    """Much is made and kept within this: collections would find nothing."""
    look_through()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        keep()
