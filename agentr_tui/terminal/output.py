"""Printing for people and for programs. Texts of agents and environments are escaped, never markup."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.cells import cell_len

from agentr_tui.terminal.safe_text import escape


def say(text: str = "") -> None:
    """One line on standard output, escaped."""
    print(escape(text).rstrip())


def warn(text: str) -> None:
    """One line on standard error, escaped."""
    print(f"agentr: {escape(text)}", file=sys.stderr)


def emit_json(value: Any) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Columns as wide as their widest cell; `right` names those that are set to the right."""
    cells = [[escape(cell) for cell in row] for row in [list(head), *rows]]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        parts = [
            " " * (width - cell_len(cell)) + cell if column in right else cell + " " * (width - cell_len(cell))
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(parts).rstrip())
