"""Texts that differ from run to run without meaning: times, process ids, addresses, temporary paths.

`masked` replaces each by a sign, line by line. It is for comparing only: the original text is stored.
"""

from __future__ import annotations

import re
from functools import lru_cache

_WEEKDAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_CLOCK = r"\d{1,2}:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?:\s?[AaPp][Mm]\b)?"
_ZONE = r"(?:\s?(?:Z|UTC|GMT|[A-Z]{3,4}(?=\s\d{4}\b)|[+-]\d\d:?\d\d))?"
_UNIT = r"(?:ns|us|µs|μs|ms|s|secs?|seconds?|mins?|minutes?|hours?|milliseconds?|microseconds?|nanoseconds?)"

_CLOCK_ON = _CLOCK.removeprefix(r"\d{1,2}")
_NUMBERS = re.compile(
    r"\d(?<!\w\d)"  # the first digit, which begins a word: a search for it is fast
    r"(?=\d*[-/:.,\snuµμsmhx])(?:"  # what comes of none of these is found out at once
    + "|".join(
        (
            rf"(?<!-\d)\d{{3}}-\d\d-\d\d(?:[T _]{_CLOCK}{_ZONE})?(?![\w-])",  # 2026-11-28T12:56:33Z
            rf"(?<!/\d)\d{{3}}/\d\d/\d\d(?: {_CLOCK}{_ZONE})?(?![\w/])",
            r"(?<![/.]\d)\d?/\d{1,2}/(?:\d{4}|\d\d)(?![\w/])",
            rf"\d?\s+{_MONTH}(?:,?\s+\d{{4}})?(?:,?\s+{_CLOCK}{_ZONE})?\b",
            rf"(?<![.:/-]\d)\d?{_CLOCK_ON}{_ZONE}(?![\w:])",
            r"\d*m\d+(?:\.\d+)?s\b",  # 1m2.3s
            rf"(?<![.-]\d)\d*(?:[.,]\d+)?\s?{_UNIT}\b",
            r"(?<=0)x[0-9a-fA-F]{6,}\b",
        )
    )
    + ")"
)
_HAS_MONTH = re.compile(r"Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec")
_DATES = re.compile(
    rf"(?=[A-Z])(?:{_WEEKDAY},?\s+)?"
    rf"(?:{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?(?:\s+{_CLOCK}{_ZONE})?(?:,?\s+\d{{4}})?"
    rf"|\d{{1,2}}\s+{_MONTH}(?:,?\s+\d{{4}})?(?:,?\s+{_CLOCK}{_ZONE})?)\b"
)
_IDS = re.compile(
    r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"
    r"|(?i:\b(?:pid|ppid|tid|process(?:\s+id)?)\b\s*[:=#(\[]*\s*)\d+"
    r"|^\[\d+\]\s+\d+$"  # of a shell's job
    r"|(?<=@)[0-9a-f]{12}\b"  # root@0123456789ab
    r"|(?i:\b(?:container|sandbox)[\s:=/-]+)[0-9a-f]{12,64}\b"
    r"|/pytest-\d+(?=/)"
)
_TEMPORARY = re.compile(r"((?:/private)?(?:/var)?/tmp/|/var/folders/\w+/\w+/T/|\\Temp\\)([\w.+-]+)")
_RANDOM = re.compile(
    r"tmp[\w-]{4,}|(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9_]{6,}|(?=\w*[a-z])(?=\w*[A-Z])\w{8,}|\d{4,}"
)
_SIGN = "\x00"
_MAY_BE = re.compile(r"\d|[/\\]Te?mp", re.IGNORECASE)


def masked(text: str) -> str:
    """The text with a sign for everything in it that is volatile."""
    if _MAY_BE.search(text) is None:
        return text
    if "\n" not in text:
        return masked_line(text)
    return "\n".join(map(masked_line, text.split("\n")))


def masked_line(line: str) -> str:
    """A line with a sign for everything in it that is volatile."""
    if "tmp" in line or "emp\\" in line or "/T/" in line:
        line = _TEMPORARY.sub(_without_random, line)
    small = line.lower()
    if small != line and _HAS_MONTH.search(line) is not None:
        line = _DATES.sub(_SIGN, line)
    if (
        "id" in small
        or "process" in small
        or "container" in small
        or "sandbox" in small
        or "pytest-" in small
        or "@" in small
        or small.startswith("[")
        or small.count("-") > 3
    ):
        line = _IDS.sub(_SIGN, line)
    return _NUMBERS.sub(_SIGN, line)


remembered_line = lru_cache(maxsize=1 << 12)(masked_line)
"""`masked_line` for lines that are compared with many others."""


def _without_random(found: re.Match[str]) -> str:
    return found[1] + _RANDOM.sub(_SIGN, found[2])
