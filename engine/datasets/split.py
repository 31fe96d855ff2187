"""Around the records of a dataset: which part a task belongs to, what is mixed in, in what order, in which file.

Everything here follows from the seed and the records: the same input gives the same dataset.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, NamedTuple

from engine.base.errors import InputError
from engine.base.files import refusal
from engine.datasets.formats.base import Format, FormatOptions, Record
from engine.datasets.formats.rules import SHAPE, TOO_LONG, record_problems, turn_problems
from engine.datasets.provenance import MixedOrigin
from engine.samples.splice import Turn

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
TOLERANCE = 1e-9


class Part(NamedTuple):
    """A part of a dataset, such as `train`."""

    name: str  # "" for a dataset that is not split
    share: float  # of the tasks


class Mix(NamedTuple):
    """Lines of another dataset among those of this one."""

    path: Path
    share: float  # of the lines of the first part


WHOLE = (Part("", 1.0),)


def parse_split(text: str) -> tuple[Part, ...]:
    """Parts from `train=0.9,dev=0.1`. Raises `InputError`."""
    parts = []
    for piece in text.split(","):
        name, sign, share = piece.partition("=")
        name = name.strip()
        if not sign or not _NAME.fullmatch(name):
            raise InputError(f"--split {text!r}: write NAME=SHARE,NAME=SHARE, such as train=0.9,dev=0.1")
        parts.append(Part(name, _share(f"--split {text!r}", share)))
    if len({part.name for part in parts}) < len(parts):
        raise InputError(f"--split {text!r}: names a part twice")
    if abs(sum(part.share for part in parts) - 1) > TOLERANCE:
        raise InputError(f"--split {text!r}: the shares add up to {sum(part.share for part in parts):g}, not to 1")
    return tuple(parts)


def parse_mix(text: str) -> Mix:
    """Another dataset from `FILE:SHARE`. Raises `InputError`."""
    name, sign, share = text.rpartition(":")
    if not sign or not name:
        raise InputError(f"--mix {text!r}: write FILE:SHARE, such as general.jsonl:0.2")
    mix = Mix(Path(name), _share(f"--mix {text!r}", share))
    if mix.share >= 1:
        raise InputError(f"--mix {text!r}: a share below 1 leaves room for the samples")
    if not mix.path.is_file():
        raise InputError(f"{mix.path}: no such file (--mix)")
    return mix


def _share(option: str, text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise InputError(f"{option}: {text.strip()!r} is not a share between 0 and 1")
    return share


def part_of(environment: str, task: str, parts: Sequence[Part], seed: int) -> int:
    """Which part a task belongs to, as an index: by a digest, so it stays there whatever else is exported."""
    digest = blake2b(f"{seed}\n{environment}\n{task}".encode("utf-8", "replace"), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    for index, part in enumerate(parts):
        place -= part.share
        if place < 0:
            return index
    return len(parts) - 1


def lines_to_mix(share: float, own: int) -> int:
    """How many lines make up that share of all lines, beside `own` others."""
    return round(own * share / (1 - share))


def choose_lines(path: Path, count: int, seed: int) -> list[int]:
    """Numbers (from 1, rising) of `count` lines of a file, each equally likely; all where there are fewer.

    The file is read once and not kept (reservoir sampling). Empty lines do not count. Raises `InputError`.
    """
    rng = random.Random(f"mix/{seed}")
    chosen: list[int] = []
    seen = 0
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        seen += 1
        if len(chosen) < count:
            chosen.append(number)
        elif (place := rng.randrange(seen)) < count:
            chosen[place] = number
    return sorted(chosen)


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, gzip'd or not, counted from 1. Raises `InputError`."""
    try:
        with _opened(path) as stream:
            yield from enumerate(stream, 1)
    except OSError as error:  # gzip's own errors among them
        raise refusal(path, error) from error
    except EOFError as error:
        raise InputError(f"{path}: the file is cut short") from error


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")  # type: ignore[return-value]


def orders(of_part: Sequence[int], parts: int, shuffle: bool, seed: int) -> list[array[int]]:
    """For each part, the records of it: in their order, or shuffled."""
    found: list[array[int]] = [array("Q") for _ in range(parts)]
    for record, part in enumerate(of_part):
        found[part].append(record)
    if shuffle:
        for index, order in enumerate(found):
            random.Random(f"shuffle/{seed}/{index}").shuffle(order)
    return found


def shard_bounds(records: int, shards: int) -> list[tuple[int, int]]:
    """Where each shard begins and ends: whole records, sizes that differ by one at most."""
    return [(records * shard // shards, records * (shard + 1) // shards) for shard in range(shards)]


def file_name(base: str, extension: str, part: str, shard: int, shards: int) -> str:
    """Name of a file of a dataset: `data.jsonl`, `data.train.jsonl`, `data.train-00001-of-00004.jsonl`."""
    stem = base[: -len(extension)] if extension and base.endswith(extension) else base
    ending = extension if base.endswith(extension) else ""
    name = f"{stem}.{part}" if part else stem
    if shards > 1:
        name += f"-{shard:05d}-of-{shards:05d}"
    return name + ending


def mixed_records(
    mix: Mix, count: int, seed: int, format: Format, options: FormatOptions, warnings: list[str]
) -> Iterator[tuple[Record, MixedOrigin]]:
    """At most `count` records from lines of another dataset, chosen by the seed.

    A line is a record of the format, or a conversation `{"messages": [{role, content}, …]}`, of which every turn of
    the assistant is trained. Lines that break a rule are left out, and counted in a warning. Raises `InputError` for a
    line of another form.
    """
    made = 0
    left_out: Counter[str] = Counter()
    chosen = iter(choose_lines(mix.path, count, seed))
    wanted = next(chosen, None)
    for number, line in numbered_lines(mix.path):
        if number != wanted:
            continue
        wanted = next(chosen, None)
        records, problem = _read_mixed(f"{mix.path}:{number}", line, format, options)
        if problem is not None:
            left_out[problem] += 1
        for record in records:
            if made < count:
                made += 1
                yield record, MixedOrigin(mixed_from=mix.path.name, mixed_line=number)
    warnings += [f"{mix.path}: {n} lines left out: {problem}" for problem, n in sorted(left_out.items())]
    if made < count:
        warnings.append(f"{mix.path}: gave {made} records, where {count} make up a share of {mix.share:g}")


def _read_mixed(place: str, line: bytes, format: Format, options: FormatOptions) -> tuple[list[Record], str | None]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: not JSON ({error}): --mix takes JSON Lines") from error
    turns = _plain_turns(record)
    if turns is not None and format.conversation is not None:
        problems = turn_problems(turns)
        records = [] if problems else format.conversation(turns, options)
        return records, problems[0] if problems else None if records else TOO_LONG
    problems = format.validate(record) if isinstance(record, dict) else [SHAPE]
    if SHAPE in problems or tuple(record) != _keys(format, options, record):
        raise InputError(
            f"{place}: neither a record of the format {format.name} nor a conversation"
            ' {"messages": [{"role": …, "content": …}, …]}'
        )
    problems += record_problems(record)
    return ([], problems[0]) if problems else ([record], None)


def _plain_turns(record: object) -> list[Turn] | None:
    """A conversation without a mask as turns; None where it is something else."""
    messages = record.get("messages") if isinstance(record, dict) and tuple(record) == ("messages",) else None
    if not isinstance(messages, list) or not messages:
        return None
    turns = []
    for message in messages:
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            return None
        role, content = message["role"], message["content"]
        if role not in ("system", "user", "assistant") or not isinstance(content, str):
            return None
        turns.append(Turn(role, content, True if role == "assistant" else None, "good"))
    return turns


def _keys(format: Format, options: FormatOptions, record: Record) -> tuple[str, ...]:
    """The keys that this format's records have with these options."""
    if format.conversation is None:
        return tuple(record)
    shortest = [Turn("user", "?", None, "good"), Turn("assistant", "!", True, "good")]
    made = format.conversation(shortest, replace(options, max_length=None))
    return tuple(made[0])
