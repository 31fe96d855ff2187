"""Errors as types with the facts in them. One place (the command line, a toast) turns them into a line."""

from __future__ import annotations

import errno
import re
from os import PathLike, fspath

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


class NameTaken(InputError):
    """There is a file of that name already."""


class TraceError(InputError):
    """A trace file is unusable at one line."""

    def __init__(self, path: str | PathLike[str], line: int | None, reason: str) -> None:
        self.path, self.line, self.reason = str(path), line, reason
        place = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{place}: {reason}")

    @property
    def of_system(self) -> bool:
        """Whether the system could not read the file: what is in it may be right."""
        cause = self.__cause__
        while cause is not None:
            if isinstance(cause, OSError) and cause.errno is not None:  # none for a damaged gzip file
                return True
            cause = cause.__cause__
        return False


class WorkFailed(AgentrError):
    """The work itself failed although the input was usable (exit code 1)."""


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_DISK = {
    getattr(errno, name)
    for name in ("EIO", "ESTALE", "ENODEV", "ENXIO", "ENOTCONN", "EREMOTEIO", "EHOSTDOWN", "EHOSTUNREACH", "ETIMEDOUT")
    if hasattr(errno, name)
}
_REMEDIES = {
    **dict.fromkeys(_NO_ROOM, "make room"),
    errno.EFBIG: "allow larger files (ulimit -f), or choose another disk",
    **dict.fromkeys(_NO_DISK, "check the disk, or the server that it is on"),
    errno.EROFS: "make it writable, or choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def unusable(
    path: str | PathLike[str],
    error: OSError,
    fact: str = "",
    remedy: str = "choose another place or fix its permissions",
) -> AgentrError:
    """The error for a place that can't be written: `WorkFailed` where room ran out or the disk failed, else
    `InputError`.

    `path`: the place. `error`: what the system said. `fact`: what that means. `remedy`: where the system's error tells
    none.
    """
    said = error.strerror or str(error)
    told = f"{fspath(path)}: {f'{fact} ({said})' if fact else said}: {_REMEDIES.get(error.errno or 0, remedy)}"
    return WorkFailed(told) if error.errno in _NO_ROOM | _NO_DISK else InputError(told)


def unwritten(path: str | PathLike[str], error: OSError, fact: str = "") -> WorkFailed:
    """The error for a place where a write failed in the middle.

    `path`: the place. `error`: what the system said. `fact`: what that means.
    """
    parts = [f"{fspath(path)}: {error.strerror or error}", fact, _REMEDIES.get(error.errno or 0, "")]
    return WorkFailed(": ".join(part for part in parts if part))


def foreign_line(what: str, error: BaseException) -> str:
    """An exception of another package's code, in a line."""
    return " ".join(f"{what}: {in_words(error)}".split())


_KINDS = {"int": "a whole number", "float": "a number"}
_BOUNDS = {">=": "{} or more", ">": "more than {}", "<=": "{} or less", "<": "less than {}"}
_EXPECTED = re.compile(r"Expected `(int|float)(?: \| null)?`(?: (>=|>|<=|<) (-?[\d.]+))?(?:, got .*)?")


def refused_value(error: Exception) -> tuple[str, str]:
    """Returns which value msgspec does not take (`repair.calls`), and why: `must be a whole number, 1 or more`.

    `error`: its `ValidationError`.
    """
    reason, _, place = str(error).partition(" - at `$.")
    return place.rstrip("`"), _expected_words(reason)


def _expected_words(reason: str) -> str:
    found = _EXPECTED.fullmatch(reason)
    if found is None:
        return reason[:1].lower() + reason[1:]
    kind, sign, bound = found.groups()
    return f"must be {_KINDS[kind]}" + (f", {_BOUNDS[sign].format(f'{float(bound):g}')}" if sign else "")
