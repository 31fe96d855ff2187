"""Around the records of a dataset: which part a task belongs to, in what order, in which file.

Everything here follows from the seed and the records: the same input gives the same dataset.
"""

from __future__ import annotations

import random
import re
from array import array
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from engine.base.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
TOLERANCE = 1e-9


class Part(NamedTuple):
    """A part of a dataset, such as `train`."""

    name: str  # "" for a dataset that is not split
    share: float  # of the tasks


WHOLE = (Part("", 1.0),)


def parse_split(text: str) -> tuple[Part, ...]:
    """Parts from `train=0.9,dev=0.1`. Raises `InputError`."""
    parts = []
    for piece in text.split(","):
        name, sign, share = piece.partition("=")
        name = name.strip()
        if not sign or not _NAME.fullmatch(name):
            raise InputError(f"--split {text!r}: write NAME=SHARE,NAME=SHARE, such as train=0.9,dev=0.1")
        parts.append(Part(name, share_of(f"--split {text!r}", share)))
    if len({part.name for part in parts}) < len(parts):
        raise InputError(f"--split {text!r}: names a part twice")
    if abs(sum(part.share for part in parts) - 1) > TOLERANCE:
        raise InputError(f"--split {text!r}: the shares add up to {sum(part.share for part in parts):g}, not to 1")
    return tuple(parts)


def share_of(option: str, text: str) -> float:
    """The share that a text names, from 0 (excluded) to 1. Raises `InputError`, which begins with `option`."""
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise InputError(f"{option}: {text.strip()!r} is not a share between 0 and 1")
    return share


def part_of(environment: str, task: str, parts: Sequence[Part], seed: int) -> int:
    """Returns the index of the part that a task belongs to. It follows from a digest, so it stays the same whatever
    else is exported.

    `environment` and `task`: as the trace names them. `parts`: with their shares, which add up to 1. `seed`: another
    seed gives another split.
    """
    digest = blake2b(f"{seed}\n{environment}\n{task}".encode("utf-8", "replace"), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    for index, part in enumerate(parts):
        place -= part.share
        if place < 0:
            return index
    return len(parts) - 1


def lines_to_mix(share: float, own: int, other: float = 0.0) -> int:
    """Returns how many lines of another dataset to add, so that they make up their share of all lines.

    `share`: their share, 0 to 1. `own`: number of lines of this dataset. `other`: the share of further datasets.
    """
    return round(own * share / (1 - share - other))


def orders(of_part: Sequence[int], parts: int, shuffle: bool, seed: int) -> list[array[int]]:
    """For each part, the records of it: in their order, or shuffled.

    `of_part`: for each record the index of its part. `parts`: how many there are. `shuffle`: whether, by `seed`.
    """
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
    """Name of a file of a dataset: `data.jsonl`, `data.train.jsonl`, `data.train-00001-of-00004.jsonl`.

    `base` and `extension`: of the dataset's own file. `part`: its name, empty where there is one part. `shard`: its
    number of `shards`; one alone gets none.
    """
    stem = base[: -len(extension)] if extension and base.endswith(extension) else base
    ending = extension if base.endswith(extension) else ""
    name = f"{stem}.{part}" if part else stem
    if shards > 1:
        name += f"-{shard:05d}-of-{shards:05d}"
    return name + ending
