"""The exports in a workspace, read from the reports beside them. No Textual."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from agentr_tui.widgets.row_table import Cell, Column, cell
from engine.base.untrusted_files import read_struct
from engine.datasets.options import Exported, Report
from engine.review.decisions import Decided

COLUMNS = (
    Column("when", 5),
    Column("format", 12),
    Column("lines", 6, right=True),
    Column("file", 14, flex=1, tail=True),
    Column("since then", 10, drop=1),
)

ENDING = ".report.json"
MOST = 50
"""Exports that are listed."""


class PastExport(NamedTuple):
    """One export, by its report."""

    path: str  # the dataset
    when: float  # seconds since the epoch
    told: Exported

    @property
    def command(self) -> str:
        """The first command that trains on it; "" where none is known."""
        return self.told.commands[0] if self.told.commands else ""


def past_exports(folder: Path, known: Mapping[str, PastExport] = {}) -> list[PastExport]:
    """The exports of a folder, the newest first; what `known` holds, by path, is not read again. What can't be read,
    and what was refused, is left out."""
    found = []
    with suppress(OSError):
        for report in folder.glob(f"*{ENDING}"):
            with suppress(OSError):
                when = report.stat().st_mtime
                path = str(report)[: -len(ENDING)]
                before = known.get(path)
                if before is not None and before.when == when:
                    found.append(before)
                    continue
                read = read_struct(report, Report)
                if read is not None and not read.refused:
                    found.append(PastExport(path, when, read.exported))
    return sorted(found, key=lambda each: -each.when)[:MOST]


def decided_since(export: PastExport, current: Mapping[str, Decided]) -> int:
    """Number of samples that were accepted, rejected or skipped after an export."""
    return sum(each.verdict is not None and _seconds(each.time) > export.when for each in current.values())


def _seconds(time: str) -> float:
    with suppress(ValueError, OverflowError):
        return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()
    return 0.0


def export_cells(export: PastExport, current: Mapping[str, Decided], now: float) -> list[Cell]:
    """Returns the cells of an export, one for each of `COLUMNS`.

    `export`: the export. `current`: the decisions in force, by sample id. `now`: seconds since 1970.
    """
    when = ""
    with suppress(ValueError, OverflowError, OSError):  # a file from a year that there is not
        then, today = (datetime.fromtimestamp(time, UTC).astimezone() for time in (export.when, now))
        when = f"{then:%H:%M}" if then.date() == today.date() else f"{then:%m-%d}"
    told = export.told
    since = decided_since(export, current)
    kind = told.format if told.data_type == "centric" else f"{told.format} {told.data_type}"
    return [
        cell(when, "muted"),
        cell(kind, "text"),
        cell(f"{told.lines:,}", "strong" if told.lines else "warn"),
        cell(Path(export.path).name, "text"),
        cell(f"{since} decided" if since else "up to date", "warn" if since else "muted"),
    ]
