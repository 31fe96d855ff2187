"""Lines of other datasets among those of this one (`--mix FILE:SHARE`): which are chosen, and what becomes of them.

Files are JSON Lines or one JSON array, gzip'd or not; each line (or item of the array) is a record of the format, or a
conversation in a form that people share (`engine.datasets.conversation_forms`). What does not fit is left out and
counted.
"""

from __future__ import annotations

import io
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from engine.base.compression import open_unpacked, reading
from engine.base.errors import InputError, NoFile
from engine.base.secrets import redacted_record
from engine.base.text import many
from engine.base.untrusted_files import MAX_LINE, lines_of, what_is
from engine.datasets.conversation_forms import TOOLS, Unfit, conversation_of, joined_record
from engine.datasets.formats.base import Format, Record
from engine.datasets.formats.options import FormatOptions
from engine.datasets.formats.preparation import CONTROL, escaped_record, holds_control
from engine.datasets.formats.rules import SHAPE, TOO_LONG, record_problems, texts_of, turn_problems
from engine.datasets.provenance import MixedOrigin
from engine.datasets.split import share_of
from engine.samples.splice import Turn

NOT_JSON = "not JSON"
CHUNK = 1 << 20  # signs read at a time from an array


class Mix(NamedTuple):
    """Lines of another dataset among those of this one."""

    path: Path
    share: float  # of the lines of the first part


def parse_mix(text: str) -> list[Mix]:
    """Other datasets from `FILE:SHARE`, several with commas between. Raises `InputError`."""
    found = []
    for part in _AFTER_SHARE.split(text):
        name, sign, share = part.rpartition(":")
        if not sign or not name:
            raise InputError(f"--mix {text!r}: write FILE:SHARE, such as general.jsonl:0.2")
        mix = Mix(Path(name), share_of(f"--mix {text!r}", share))
        if what_is(mix.path) is None:
            raise NoFile(f"{mix.path}: no such file (--mix)")
        found.append(mix)
    if sum(mix.share for mix in found) >= 1:
        raise InputError(f"--mix {text!r}: a share below 1 leaves room for the samples")
    return found


def mix_without_folders(text: str) -> str:
    """Returns the same option with file names alone, since a dataset must not show the names of folders."""
    return ",".join(part.replace("\\", "/").rpartition("/")[2] for part in _AFTER_SHARE.split(text))


_AFTER_SHARE = re.compile(r"(?<=\d),(?=[^,]*:)")  # a comma behind a share


@dataclass
class Choice:
    """Which lines of a file were chosen, and what of it does not fit."""

    chosen: list[int]  # numbers from 1, rising
    seen: int = 0  # lines that are not empty
    unfit: Counter[str] = field(default_factory=Counter)  # reason → lines left out
    first: dict[str, int] = field(default_factory=dict)  # reason → the first such line


def choose_lines(path: Path, count: int, seed: int, reason: Callable[[Any], str | None] = lambda _: None) -> Choice:
    """Returns lines of a file that were chosen at random, each of those that fit equally likely. Raises `InputError`.

    The file is read once and not kept (reservoir sampling). Empty lines do not count.

    `path`: the file. `count`: how many; all where fewer fit. `seed`: of the choice. `reason`: says why a line does not
    fit, None where it does.
    """
    rng = random.Random(f"mix/{seed}")
    choice = Choice([])
    fitting = 0
    for number, value in numbered_values(path):
        choice.seen += 1
        why = NOT_JSON if value is NOTHING else reason(value)
        if why is not None:
            choice.unfit[why] += 1
            choice.first.setdefault(why, number)
            continue
        fitting += 1
        if len(choice.chosen) < count:
            choice.chosen.append(number)
        elif (place := rng.randrange(fitting)) < count:
            choice.chosen[place] = number
    choice.chosen.sort()
    return choice


NOTHING = object()
"""In place of the value of a line that is not JSON."""


def numbered_values(path: Path) -> Iterator[tuple[int, Any]]:
    """The values of a file's lines, or of its one array, counted from 1; empty lines are passed over.

    Raises `InputError` where the file can't be read, or its array is broken.
    """
    try:
        with reading(path), open_unpacked(path) as stream:
            if stream.peek(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
                yield from _items(path, stream)
                return
            for number, line in enumerate(lines_of(stream, path), 1):
                if line.strip():
                    yield number, _value(line)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (--mix)") from error


def _value(line: bytes) -> Any:
    try:
        return json.loads(line.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return NOTHING


def _items(path: Path, stream: BinaryIO) -> Iterator[tuple[int, Any]]:
    """The items of an array, of which little is held at a time. Raises `InputError` where it is broken."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig")
    decoder = json.JSONDecoder()
    buffer, at, number, more = text.read(CHUNK), 0, 0, CHUNK
    at = buffer.index("[") + 1
    while True:
        while at < len(buffer) and buffer[at] in " \t\r\n,":
            at += 1
        if at < len(buffer) and buffer[at] == "]":
            return
        try:
            value, end = decoder.raw_decode(buffer, at)
            if end == len(buffer):  # a number may go on
                raise ValueError("cut")
        except (ValueError, RecursionError) as error:
            if isinstance(error, RecursionError) or len(buffer) - at > MAX_LINE:
                raise InputError(f"{path}: item {number + 1} of its array is nested too deep, or too large") from error
            read = text.read(more)
            if not read:
                raise InputError(f"{path}: item {number + 1} of its array is not JSON ({error})") from error
            buffer, at, more = buffer[at:] + read, 0, more * 2
            continue
        more = CHUNK
        number, at = number + 1, end
        yield number, value


def mixed_records(
    mix: Mix, count: int, seed: int, format: Format, options: FormatOptions, warnings: list[str]
) -> Iterator[tuple[Record, MixedOrigin]]:
    """Yields records from lines of another dataset, chosen by the seed among those that fit.

    Lines that do not fit are left out, and counted in a warning. Raises `InputError` where no line fits.

    `mix`: the dataset, and the share that it makes up. `count`: most records. `seed`: of the choice. `format`,
    `options`: what a line has to be, and what is left out of it. `warnings`: the warning is added to it.
    """

    def reason(value: Any) -> str | None:
        return mixed_line(value, format, options)[1]

    choice = choose_lines(mix.path, count, seed, reason)
    if choice.seen and not choice.chosen and count:
        why, lines = choice.unfit.most_common(1)[0]
        raise InputError(
            f"{mix.path}:{choice.first[why]}: none of {choice.seen} lines fits the format {format.name}; {why}"
            f" ({lines} lines). --mix takes conversations (messages, conversations with from and value, prompt and"
            " completion) and records of the format"
        )
    made = control = 0
    chosen = iter(choice.chosen)
    wanted = next(chosen, None)
    for number, value in numbered_values(mix.path):
        if number != wanted:
            continue
        wanted = next(chosen, None)
        records, _ = mixed_line(value, format, options)
        held = any(holds_control(text, options.control) for text in texts_of(value))
        for record in records:
            if made < count:
                made += 1
                control += held
                yield record, MixedOrigin(mixed_from=mix.path.name, mixed_line=number)
        if wanted is None:
            break
    warnings += [f"{mix.path}: {many(n, 'line')} left out: {problem}" for problem, n in sorted(choice.unfit.items())]
    if control and not options.escape:
        warnings.append(f"{mix.path}: {many(control, 'record')}: {CONTROL} (--control-tokens escape)")
    if made < count:
        warnings.append(f"{mix.path}: gave {many(made, 'record')}, where {count} make up a share of {mix.share:g}")


def mixed_line(value: Any, format: Format, options: FormatOptions) -> tuple[list[Record], str | None]:
    """Returns the records that a line of another dataset gives, or why it gives none.

    `value`: decoded JSON. `format`: of the records. `options`: how they are made.
    """
    if options.redact:
        value = redacted_record(value)[0]
    if isinstance(value, dict):
        own = _own(value, format, options)
        if own is not None:
            return own
    if format.conversation is None:
        return [], f"not a record of the format {format.name}"
    try:
        turns = conversation_of(value)
    except Unfit as error:
        if str(error) == TOOLS and format.with_tools is not None:
            return _with_tools(value, format, options)
        return [], str(error)
    problems = turn_problems(turns)
    if problems:
        return [], problems[0]
    records = format.of_turns(turns, options)
    problems = [problem for record in records for problem in format.validate(record)]
    return ([], problems[0]) if problems else (records, None if records else TOO_LONG)


def _own(value: Record, format: Format, options: FormatOptions) -> tuple[list[Record], str | None] | None:
    """A line that is a record of the format already; None where it is something else."""
    try:
        problems = format.validate(value)
    except (KeyError, TypeError, AttributeError, IndexError):  # other things under the format's keys
        return None
    if SHAPE in problems or tuple(value) != _keys(format, options, value):
        return None
    problems = problems + record_problems(value)
    if problems:
        return [], problems[0]
    record = joined_record(value) if options.no_system or options.markup.system is None else value
    return [escaped_record(record, options.control) if options.escape else record], None


def _with_tools(value: Any, format: Format, options: FormatOptions) -> tuple[list[Record], str | None]:
    """A conversation with tool turns, for a format that has a place for them."""
    assert format.with_tools is not None
    record = format.with_tools(value)
    if record is None:
        return [], TOOLS
    problems = record_problems(record)
    if problems:
        return [], problems[0]
    return [escaped_record(record, options.control) if options.escape else record], None


def _keys(format: Format, options: FormatOptions, record: Record) -> tuple[str, ...]:
    """The keys that this format's records have with these options."""
    if format.conversation is None:
        return tuple(record)
    shortest = [Turn("user", "?", None, "good"), Turn("assistant", "!", True, "good")]
    made = format.conversation(shortest, replace(options, max_length=None))
    return tuple(made[0])
