"""What goes wrong with environments. Loads nothing: files are read without gymnasium."""

from __future__ import annotations


class EnvError(Exception):
    """An environment can't be made or reset: the message is one line with the remedy."""


class UnknownTask(EnvError):
    """There is no such task."""


class Unavailable(EnvError):
    """The environment can't be used now: nothing is known about the action."""


class Malformed(EnvError):
    """What an environment gives has another form than it has to: no other action would help."""


class InstanceDied(Unavailable):
    """This instance can't go on, since its process or server is gone; a new one may."""


def in_words(error: BaseException) -> str:
    """The type of an exception of another package's code and its message, in a line."""
    try:
        said = " ".join(str(error).split())
    except Exception:  # the message can't be put together
        said = ""
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
