"""What goes wrong with environments. Loads nothing: files are read without gymnasium."""

from __future__ import annotations


class EnvError(Exception):
    """An environment can't be made or reset: the message is one line with the remedy."""


class UnknownTask(EnvError):
    """There is no such task."""


class Unavailable(EnvError):
    """The environment can't be used now: nothing is known about the action."""


class InstanceDied(Unavailable):
    """This instance can't go on, since its process or server is gone; a new one may."""
