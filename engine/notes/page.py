"""The page of notes: written from kinds of wrong actions, edited by people, read by actors.

Each kind is a block that begins with `<!-- kind ID DIGEST -->`; the digest is of the text as it was written. Written
again over an edited page, a block whose text a person changed stays as it is, and one that a person removed stays out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from engine.base.errors import InputError
from engine.base.untrusted_files import read_text
from engine.notes.kinds import Kind

_BLOCK = re.compile(r"<!-- kind ([0-9a-f]{8}) ([0-9a-f]{8}) -->\n")
_WRITTEN = re.compile(r"<!-- written:([0-9a-f ]*)-->")
_ENDS_LINK = re.compile(r"[<>()\x00-\x1f\x7f\x85\u2028\u2029]")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(r"\s*\(\[[^\]]*\]\([^)]*\)\)")
_STRUCK = re.compile(r"~~.*?~~", re.DOTALL)

MOST_SHOWN = 80
"""Letters of an action or an answer in an example."""

MOST_NOTES = 20_000
"""Letters of notes that an actor gets."""


class Page(NamedTuple):
    """A page, and what of it is a person's."""

    text: str
    kinds: int  # blocks that stand in it
    edited: int
    struck: int


def write_page(kinds: Sequence[Kind], old: str = "", folder: Path | None = None, most: int | None = None) -> Page:
    """Returns the page of these kinds.

    `kinds`: those of one environment side by side. `old`: the present page, whose edits are kept. `folder`: links are
    relative to it; None: they are the paths as stored. `most`: kinds of each environment; None: all.
    """
    kinds = [
        kind for each in (list(group) for _, group in groupby(kinds, lambda kind: kind.env)) for kind in each[:most]
    ]
    known = _blocks(old)
    written = {id for match in _WRITTEN.finditer(old) for id in match[1].split()}
    parts = ["# Notes\n", _intro(kinds)]
    shown = edited = struck = 0
    env = ""
    for kind in kinds:
        if kind.id in written and kind.id not in known:
            struck += 1
            continue
        if kind.env != env:
            env = kind.env
            parts.append(f"## {env}\n")
        text = _block(kind, folder)
        before = known.get(kind.id)
        if before is not None and _digest(before[1]) != before[0]:
            parts.append(f"<!-- kind {kind.id} {before[0]} -->\n{before[1].strip()}\n")
            edited += 1
        else:
            parts.append(f"<!-- kind {kind.id} {_digest(text)} -->\n{text}\n")
        shown += 1
    ids = " ".join(sorted(written | {kind.id for kind in kinds}))
    parts.append(f"<!-- written: {ids} -->\n")
    return Page("\n".join(parts), shown, edited, struck)


def _digest(text: str) -> str:
    return blake2b(text.strip().encode(), digest_size=4).hexdigest()


def _blocks(page: str) -> dict[str, tuple[str, str]]:
    """The blocks of a page: id → digest as written, text as it stands."""
    marks = list(_BLOCK.finditer(page))
    found = {}
    for place, mark in enumerate(marks):
        end = marks[place + 1].start() if place + 1 < len(marks) else len(page)
        text = _WRITTEN.sub("", page[mark.end() : end])
        found[mark[1]] = (mark[2], re.sub(r"\n## [^\n]*\n*$", "\n", text).strip())
    return found


class Piece(NamedTuple):
    """A part of a page as a person reads it, without comments."""

    text: str
    edited: bool = False  # the text of a kind that a person changed


class Standing(NamedTuple):
    """The present text of a page, and which parts of it are a person's."""

    pieces: list[Piece]
    kinds: int
    edited: int
    struck: int  # kinds that were written once and are gone


def standing(page: str) -> Standing:
    """Returns the present state of a page."""
    known = _blocks(page)
    written = {id for match in _WRITTEN.finditer(page) for id in match[1].split()}
    marks = list(_BLOCK.finditer(page))
    ends = [*(mark.start() for mark in marks), len(page)]
    pieces = [Piece(_COMMENT.sub("", page[: ends[0]]))]
    for mark, end in zip(marks, ends[1:], strict=True):
        before, text = known[mark[1]]
        pieces.append(Piece(_COMMENT.sub("", page[mark.end() : end]), _digest(text) != before))
    edited = sum(piece.edited for piece in pieces)
    return Standing(pieces, len(known), edited, len(written - set(known)))


def _intro(kinds: Sequence[Kind]) -> str:
    lessons = sum(kind.lessons for kind in kinds)
    return (
        f"Mistakes that were made, and what was needed instead: {lessons} lessons in {len(kinds)} kinds, the most"
        " frequent first.\n"
    )


def _block(kind: Kind, folder: Path | None) -> str:
    times = f"{kind.lessons} lesson{'s' * (kind.lessons != 1)} on {kind.tasks} task{'s' * (kind.tasks != 1)}"
    outcome = "is refused" if kind.refused else "is not needed, or leads away"
    lines = [f"**{_code(kind.pattern)} {outcome}**: the environment answers “{_plain(kind.answer)}”. {times}."]
    if kind.needed:
        total = sum(kind.needed.values())
        told = ", ".join(f"{_code(name)} ({count / total:.0%})" for name, count in list(kind.needed.items())[:3])
        lines.append(f"Needed instead: {told}.")
    lines.append("")
    for row in kind.examples:
        place = os.path.relpath(row.path, folder) if folder is not None else row.path
        place = _ENDS_LINK.sub(lambda sign: quote(sign[0]), place)
        needed = f"; needed: {_code(row.needed)}" if row.needed else ""
        task = _plain(row.task).replace("[", "(").replace("]", ")")
        link = f" ([task {task}, node {row.node}](<{place}#{row.node}>))"
        goal = f" To {_plain(row.instruction)}:" if row.instruction else ""
        lines.append(f"-{goal} {_code(row.action)} → “{_plain(row.answer)}”{needed}{link}")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """A text of an agent or environment in a line of Markdown."""
    line = " ".join(text.split())
    line = line if len(line) <= MOST_SHOWN else f"{line[: MOST_SHOWN - 1]}…"
    return line.replace("<", "‹").replace(">", "›").replace("`", "'").replace("~~", "~ ~")


def _code(text: str) -> str:
    return f"`{_plain(text)}`"


def read_notes(path: Path) -> str:
    """What an actor gets of the notes in a file. Raises `InputError`."""
    try:
        return notes_for_actor(read_text(path))
    except InputError as error:
        raise InputError(f"--notes {path}: {error}") from error


def notes_for_actor(page: str) -> str:
    """What an actor gets of a page: without comments, links and what is struck through. Raises `InputError`."""
    text = _STRUCK.sub("", _LINK.sub("", _COMMENT.sub("", page)))
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    if not text:
        raise InputError("the notes are empty")
    if len(text) > MOST_NOTES:
        raise InputError(f"the notes have {len(text):,} letters, at most {MOST_NOTES:,}: strike what helps least")
    return text
