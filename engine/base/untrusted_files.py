"""Opening files that anybody may have written: regular files only, lines and texts of a bounded size.

Whatever this program reads (traces, settings, decisions, prompts, state files) may come from somebody else, or may be
damaged. So every such file is opened here: what is no regular file is refused before it is opened, and no line, text
or packed file (`engine.base.compression`) takes all memory.
"""

from __future__ import annotations

import io
import os
import secrets
import stat
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from engine.base.errors import InputError, NoFile, TraceError
from envs.errors import EnvError
from envs.regular_files import MAX_BYTES, not_regular, open_regular

MAX_LINE = MAX_BYTES
"""Bytes of a line, as of a recording or a tokenizer."""

MAX_TEXT = 16 << 20
"""Bytes of a file that is read whole: a prompt, a chat template, a state file."""

MAX_SETTINGS = 1 << 18
"""Bytes of a settings file."""

UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError)
"""What decoding JSON with msgspec may raise, whatever the bytes are."""

T = TypeVar("T")


def refusal(path: str | os.PathLike[str], error: OSError) -> InputError:
    """The line for a file or folder that can't be opened, read or made; `NoFile` where there is none."""
    kind = NoFile if isinstance(error, (FileNotFoundError, NotADirectoryError)) else InputError
    return kind(f"{os.fspath(path)}: {error.strerror or error}")


@contextmanager
def refused(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn a system error about a file into an `InputError`, `NoFile` where the file is missing."""
    try:
        yield
    except EnvError as error:
        raise InputError(str(error)) from error
    except OSError as error:
        raise refusal(path, error) from error


def open_given(path: str | os.PathLike[str]) -> io.BufferedReader:
    """A file, open for reading. Raises `NoFile`, and `InputError` where it is no regular file or can't be read."""
    with refused(path):
        return open_regular(path)


def read_given(path: str | os.PathLike[str], most: int = MAX_TEXT) -> bytes:
    """The bytes of a file of at most `most` bytes. Raises `NoFile`, `InputError`."""
    with open_given(path) as file, refused(path):
        data = file.read(most + 1)
    if len(data) > most:
        raise InputError(f"{os.fspath(path)}: is larger than {in_words(most)}: name another file, or shorten it")
    return data


def open_to_append(path: str | os.PathLike[str], anew: bool = False) -> io.FileIO:
    """Returns a file beside somebody's traces, open for appending, made where it is missing; `anew` empties it.

    A link is not followed, since it may lead to a file of somebody else. Raises `InputError`, also where there is
    something that is not a regular file.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | (os.O_TRUNC if anew else 0)
    for name in ("O_NOFOLLOW", "O_BINARY", "O_NONBLOCK", "O_NOCTTY"):  # not on every system
        flags |= getattr(os, name, 0)
    check_place(path)
    with refused(path):
        return os.fdopen(os.open(path, flags, 0o666), "ab", buffering=0)


def read_text(path: str | os.PathLike[str], most: int = MAX_TEXT) -> str:
    """The text of a file. Raises `NoFile`, `InputError`, also where it is not UTF-8."""
    try:
        return read_given(path, most).decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{os.fspath(path)}: not UTF-8 text: {error}") from error


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the content of a TOML file. Raises `NoFile`, `InputError`."""
    try:
        return tomllib.loads(read_text(path, MAX_SETTINGS))
    except (ValueError, RecursionError) as error:
        told = "nested too deep" if isinstance(error, RecursionError) else error
        raise InputError(f"{os.fspath(path)}: not TOML: {told}") from error


def read_struct(path: str | os.PathLike[str], type: type[T]) -> T | None:
    """The value in a file of JSON that this program wrote; None where there is none, or none that can be read."""
    try:
        return msgspec.json.decode(read_given(path), type=type)
    except (InputError, *UNREADABLE):
        return None


def lines_of(file: Any, path: str | os.PathLike[str], first: int = 1, most: int = MAX_LINE) -> Iterator[bytes]:
    """Yields the lines of an open file; the last one may lack its line end. Raises `TraceError` for a line that is too
    long.

    `file`: open for reading bytes. `path`: its name, for the message. `first`: the number of the first line, for the
    message. `most`: bytes that a line may have.
    """
    readline: Callable[[int], bytes] = file.readline
    number = first
    while line := readline(most + 1):
        if len(line) > most:
            raise TraceError(path, number, f"the line is longer than {in_words(most)}: remove it")
        yield line
        number += 1


def in_words(size: int) -> str:
    """Bytes as people say them."""
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"


def what_is(path: str | os.PathLike[str]) -> os.stat_result | None:
    """Returns what is at a path; None where nothing is.

    Raises `InputError` where that can't be found out: no permission, a loop of links, a name too long.
    """
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise refusal(path, error) from error
    except ValueError as error:
        raise InputError(f"{os.fspath(path)!a}: no name of a file ({error})") from error


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder at a path. Raises `InputError` where that can't be found out."""
    there = what_is(path)
    return there is not None and stat.S_ISDIR(there.st_mode)


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is a regular file at a path. Raises `InputError` where that can't be found out."""
    there = what_is(path)
    return there is not None and stat.S_ISREG(there.st_mode)


def holds_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is a regular file at a path that somebody typed or wrote down; False where that can't be found
    out."""
    try:
        return is_file(path)
    except InputError:
        return False


def real_path(path: str | os.PathLike[str]) -> Path:
    """A path with its links followed, as far as they lead: a loop of them, and a name that no file has, stay."""
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):
        return Path(os.path.abspath(path))


def typed_path(text: str) -> Path:
    """The path that a person typed; `~` is their home, where it is known."""
    return Path(os.path.expanduser(text))


def check_place(path: str | os.PathLike[str], device: bool = False) -> None:
    """Raises `InputError` where there is something at a path that is not a regular file: writing there would harm it,
    or wait. With `device`, a character device is accepted (`/dev/null`)."""
    there = what_is(path)
    if there is not None and not (stat.S_ISREG(there.st_mode) or (device and stat.S_ISCHR(there.st_mode))):
        raise InputError(not_regular(path, there.st_mode))


def check_no_link(path: str | os.PathLike[str]) -> None:
    """Raises `InputError` for a link, unless it leads to a character device (`/dev/stdout`): who put it there may be
    anybody, and it may lead to any file of this user."""
    if os.path.islink(path) and not ((there := what_is(path)) and stat.S_ISCHR(there.st_mode)):
        raise InputError(f"{os.fspath(path)}: is a link, and nothing is written through it: remove it")


def place_and_part(out: Path, *, follow: bool) -> tuple[Path, Path]:
    """Where a file will stand, and the name beside it under which it is written until it is whole.

    Raises `InputError` for a folder, and for a device or a pipe, which moving a file there would destroy.

    `out`: the file. `follow`: whether a link there leads to the place, as for a name that a person gave; else
    `InputError` is raised for a link.
    """
    if not follow:
        check_no_link(out)
    place = Path(os.path.realpath(out))
    check_place(place)
    return place, place.with_name(f".{place.name}.{os.getpid()}-{secrets.token_hex(3)}.part")


def names_in(folder: str | os.PathLike[str]) -> list[str]:
    """The names in a folder, sorted; none where there is no folder. Raises `InputError` where it can't be read."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise refusal(folder, error) from error
