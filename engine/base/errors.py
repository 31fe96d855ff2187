"""Errors as types with the facts in them. One place (the command line, a toast) turns them into a line."""

from __future__ import annotations

from os import PathLike

from envs.errors import in_words


class AgentrError(Exception):
    """Base of every error that a person can mend. `str(error)` is one line: place, fact, remedy."""

    def __str__(self) -> str:
        # Half a surrogate pair, as a name in JSON may hold it, can be written nowhere.
        return " ".join(super().__str__().split()).encode("utf-8", "backslashreplace").decode("utf-8")


class InputError(AgentrError):
    """A file, setting, name or path given by a person is unusable (exit code 2)."""


class NoFile(InputError):
    """There is no file or folder of that name."""


class TraceError(InputError):
    """A trace file is unusable at one line."""

    def __init__(self, path: str | PathLike[str], line: int | None, reason: str) -> None:
        self.path, self.line, self.reason = str(path), line, reason
        place = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{place}: {reason}")


class WorkFailed(AgentrError):
    """The work itself failed although the input was usable (exit code 1)."""


def foreign_line(what: str, error: BaseException) -> str:
    """An exception of another package's code, in a line."""
    return " ".join(f"{what}: {in_words(error)}".split())
