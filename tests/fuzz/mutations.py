"""Bytes that a reader may meet: those of a good file with some changes, of its text and of the values in it."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

HUGE = "1" + "0" * 400
ODD = (
    "null", "true", "false", "0", "-1", "-0.0", "0.1", "1", "2", "7", "99999", "9007199254740993",
    "-9223372036854775809", "18446744073709551616", HUGE, "-" + HUGE, "1" + "0" * 5000, "1e308", "-1e308",
    "1e-320", "1e400", "NaN", "Infinity",
    '""', '"x"', '"\\u0000"', '"\\ud800"', '"\\u202e\\u001b[2J"', '"' + "x" * 10_000 + '"', '"../../etc/passwd"',
    '"2026-13-45T99:99:99Z"', '"9999-12-31T23:59:59Z"', '"-1"', '"NaN"', "[]", "[[]]", "{}", '{"a":1}', '[null]',
    "[0,0]",
    "[-1]", "[99999]", '["x"]', "[" * 2000, "[" * 2000 + "]" * 2000, '{"a":' * 2000 + "1" + "}" * 2000, "",
)  # fmt: skip
"""Texts of values that readers were seen to stumble over."""

LINES = (
    b"",
    b"{}",
    b"[]",
    b"null",
    b"{",
    b"\xff\xfe",
    b"\x00",
    b"[" * 5000,
    b'{"type":"ended","seq":1}',
    b" " * 3000,
    b"\xef\xbb\xbf",
)
HOSTILE = (
    "\x1b[2J\x1b]0;HOSTILE\x07", "\x1b]52;c;SE9TVElMRQ==\x07", "\x9b31m\x85", "[red]a[/red][/] [@click=app.quit]b",
    "$error", "\u202eelif\u2066x", "\u200b\u200d\ufeff\u00ad", "e" + "\u0301" * 2000, "\u0301a", "👩\u200d👧👍🏽🇩🇪",
    "a\tb\rc\x0bd\x0c\u2028e\u2029", "שלום עולם", "مرحبا بالعالم", "日本語" * 50, "x" * 20_000, "x\n" * 3000,
    "\\", "", " ", "\x00", "%s{}", "../" * 50, "－１", "ﷺ" * 20, "\U000e0041", "None", "-1", "<b>", "`", "|", '"',
)  # fmt: skip
"""Texts that a screen may stumble over."""

KINDS = ("value", "value", "value", "drop", "add", "rename", "cut", "byte", "line", "double", "swap", "join", "digits")

GENTLE = (*KINDS, *["like"] * len(KINDS))
"""Half of these changes put a value in the place of one of its kind, which readers take more often."""

Change = tuple[str, int, int]
"""A kind, where, and which."""

CHANGES = st.lists(st.tuples(st.sampled_from(GENTLE), st.integers(0, 1 << 30), st.integers(0, 1 << 30)), max_size=4)


def mutated(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of the seeds with up to four changes."""
    return st.builds(changed, st.sampled_from(seeds), CHANGES)


def changed(data: bytes, changes: Sequence[Change]) -> bytes:
    """The bytes with these changes, one after the other."""
    for kind, where, which in changes:
        data = _change(data, kind, where, which)
    return data


def _change(data: bytes, kind: str, where: int, which: int) -> bytes:
    if kind == "cut":
        return data[: where % (len(data) + 1)]
    if kind == "byte":
        at = where % (len(data) + 1)
        return data[:at] + bytes([which % 256]) + data[at + which // 256 % 2 :]
    if kind == "digits":
        return data.replace(b"%d" % (where % 4), ODD[which % len(ODD)].encode(), 1 + which % 3)
    lines = data.split(b"\n")
    at = where % len(lines)
    if kind == "line":
        lines.insert(at, LINES[which % len(LINES)])
    elif kind == "double":
        lines.insert(which % (len(lines) + 1), lines[at])
    elif kind == "swap":
        other = which % len(lines)
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == "join":
        del lines[at]
    else:
        lines[at] = _changed_value(lines[at], kind, which)
    return b"\n".join(lines)


def _changed_value(line: bytes, kind: str, which: int) -> bytes:
    """A line of JSON with one value that is another, gone, added or of another name; of TOML, with another value."""
    rng = random.Random(which)
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        name, equals, old = line.partition(b" = ")
        if kind == "rename":
            return rng.choice((b"x", b"env", b"seed", name + b"-x", b"'" + name + b"'")) + equals + old
        return name + equals + rng.choice((*ODD, f"[{old.decode(errors='replace')}, 1]")).encode() if equals else line
    places = list(_places(value))
    mark = "\0odd\0"
    if not places:
        return rng.choice(ODD).encode()
    holder, key = rng.choice(places)
    if kind == "like":
        holder[key] = _like(holder[key], [held[name] for held, name in places], rng)
        return json.dumps(value).encode()
    if kind == "drop":
        del holder[key]
    elif kind == "rename" and isinstance(holder, dict):
        holder[rng.choice(("x", "type", "", "seq", "node"))] = holder.pop(key)
    elif kind == "add" and isinstance(holder, dict):
        holder[rng.choice(("x", "raw", "terminal", "t", "child", "of", "state_key"))] = mark
    else:
        holder[key] = mark
    return json.dumps(value).replace(json.dumps(mark), rng.choice(ODD)).encode("utf-8", "surrogatepass")


def _like(value: Any, others: list[Any], rng: random.Random) -> Any:
    """Another value of the same kind: one of those around it, or an odd one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return rng.choice((*HOSTILE, value + rng.choice(HOSTILE), *[each for each in others if isinstance(each, str)]))
    if isinstance(value, int | float):
        near = (0, 1, -1, 2, 0.5, 3, 7, 1e300, -1e300, 1e-300, 1 << 53, -(1 << 53), value + 1, value - 1, value * 1000)
        return rng.choice((*near, *[each for each in others if type(each) is type(value)]))
    if isinstance(value, list):
        return rng.choice(([], value[::-1], value * 2, value[:1], value * 40))
    return rng.choice(({}, value, None)) if isinstance(value, dict) else rng.choice((0, "x", None, 0.5))


def _places(value: Any) -> Any:
    pairs = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    for key, inner in pairs:
        yield value, key
        yield from _places(inner)
