"""Printing for people and for programs. Texts of agents and environments are escaped, never markup."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.cells import cell_len

from agentr_tui.terminal.safe_text import escape, in_escapes
from engine.base.text import clean_values


def say(text: str = "") -> None:
    """One line on standard output, escaped."""
    print(escape(text).rstrip())


def warn(text: str) -> None:
    """One line on standard error, escaped."""
    print(f"agentr: {escape(text)}", file=sys.stderr)


def emit_json(value: Any) -> None:
    """One JSON object on standard output, which a terminal may show: its texts have no sign that a terminal obeys."""
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:  # the name of a file that is not UTF-8
        encoded = msgspec.json.encode(clean_values(msgspec.to_builtins(value)))
    sys.stdout.write(in_escapes(encoded.decode(), ascii_only=not _takes_unicode(sys.stdout.encoding)) + "\n")


def _takes_unicode(encoding: str | None) -> bool:
    """Whether every letter can be printed. Where one can't, what Python prints in its place is no JSON."""
    return encoding is None or encoding.lower().replace("-", "").startswith("utf")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print columns as wide as their widest cell.

    `head`: titles, one a column. `rows`: cells, one a column. `right`: indexes of the columns that are aligned right.
    """
    cells = [[escape(cell) for cell in row] for row in [list(head), *rows]]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        parts = [
            " " * (width - cell_len(cell)) + cell if column in right else cell + " " * (width - cell_len(cell))
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(parts).rstrip())
