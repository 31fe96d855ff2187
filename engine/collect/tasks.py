"""Which tasks are meant: ranges, lists, files of ids, and the shard of a batch system."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from engine.base.errors import InputError
from engine.base.untrusted_files import MAX_LINE, read_text
from engine.datasets.split import parse_split, part_of
from envs.numbers import whole

_RANGE = re.compile(r"(\d+)-(\d+)")

MOST_TASKS = 1_000_000
"""Tasks of one collection."""


def task_ids(text: str) -> list[str]:
    """The tasks that a text names, each once, in its order: `0-99,120`, any ids with commas, or `@FILE` (one a line).

    Raises `InputError` naming the part that is unusable.
    """
    if text.startswith("@"):
        parts = _lines(Path(text[1:]))
    else:
        parts = [part.strip() for part in text.split(",")]
        if not all(parts):
            raise InputError(f"--tasks {text[:60]!r}: an id is missing between commas; write for example 0-99,120")
    found: dict[str, None] = {}
    for part in parts:
        match = _RANGE.fullmatch(part)
        if match is None:
            found[part] = None
            continue
        first, last = whole(match[1]), whole(match[2])
        if first is None or last is None:
            raise InputError(f"--tasks {part[:40]}…: a number of too many digits")
        if last < first:
            raise InputError(f"--tasks {part}: the range ends before it begins; write {last}-{first}")
        if last - first >= MOST_TASKS:
            raise InputError(f"--tasks {part}: more than {MOST_TASKS:,} tasks; give each collection a part of them")
        found.update(dict.fromkeys(map(str, range(first, last + 1))))
    if not found:
        raise InputError(f"--tasks {text[:60]}: names no task")
    return list(found)


def _lines(path: Path) -> list[str]:
    try:
        lines = read_text(path, MAX_LINE).removeprefix("\ufeff").splitlines()
    except InputError as error:
        raise InputError(f"--tasks @{error}") from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def tasks_of_part(environment: str, tasks: Sequence[str], split: str, part: str, seed: int = 0) -> list[str]:
    """Returns the tasks that fall into one part of a split; all where there is no split. Raises `InputError`.

    The digest is that of an export with `--split`: so a model that was trained on one part is evaluated on another.

    `environment`: its name. `tasks`: their ids. `split`: the parts with their shares, such as `train=0.9,dev=0.1`.
    `part`: the name of the part. `seed`: as given to the export.
    """
    if not split:
        if part:
            raise InputError(f"--part {part}: needs --split, for example --split train=0.9,dev=0.1")
        return list(tasks)
    parts = parse_split(split)
    names = [each.name for each in parts]
    if part not in names:
        raise InputError(f"--part {part!r}: one of {', '.join(names)}, the parts of --split")
    chosen = [task for task in tasks if names[part_of(environment, task, parts, seed)] == part]
    if not chosen:
        raise InputError(f"--part {part}: none of {len(tasks)} tasks falls into it: name more tasks")
    return chosen


def shard_of(tasks: Sequence[str], shard: str | None) -> list[str]:
    """The tasks of shard I of N (`I/N`, I from 1): every N-th of them. All where there is no shard. Raises
    `InputError`."""
    if shard is None:
        return list(tasks)
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    number, count = (whole(match[1]), whole(match[2])) if match is not None else (None, None)
    if number is None or count is None or not 1 <= number <= count:
        raise InputError(f"--shard {shard[:40]}: write I/N with I from 1 to N, for example 1/8")
    return list(tasks[number - 1 :: count])
