"""Things that are opened and stay open, unless what follows fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar


class Closable(Protocol):
    """A file, a connection, an environment."""

    def close(self) -> None:
        """Let go of it."""
        ...


T = TypeVar("T", bound=Closable)


@contextmanager
def closed_on_failure(thing: T) -> Iterator[T]:
    """Closes the thing where what is done within fails; else it stays open, and is the caller's."""
    try:
        yield thing
    except BaseException:
        thing.close()
        raise
