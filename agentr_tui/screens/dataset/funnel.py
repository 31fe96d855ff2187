"""From samples to lines: how many are left after each condition of an export, and why. No Textual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len

from agentr_tui.terminal.safe_text import clip
from agentr_tui.terminal.theme import Role, bar
from agentr_tui.widgets.text_pane import Line, line
from engine.base.text import many
from engine.datasets.formats import DataType, data_type_of
from engine.datasets.sample_choice import Expected, does_not_hold, expected
from engine.review.curation import moves_mark
from engine.review.decisions import Decided
from engine.samples.sample import Sample

Which = Literal["default", "all", "only verified"]

WHICH: dict[Which, str] = {
    "default": "accepted samples that pass the replay; while nobody accepted or rejected one: all that pass",
    "all": "every sample, whatever its decision and replay; duplicates too",
    "only verified": "as default, and the replay gave every observation word for word",
}
DATA_TYPE_WORDS: dict[DataType, str] = {
    "centric": "revision trajectories: a bad start, a thought that says what was wrong, a good end",
    "good": "good trajectories alone, from the first step on",
}

LEAST_COLUMN = 17
"""Cells of a stage; where there is no room for all side by side, they stand in one line."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The number of samples that are left after one condition."""

    name: str
    count: int
    role: Role
    note: str


@dataclass(frozen=True)
class Funnel:
    """The stages of an export, and what each sample that is left out is left out for."""

    stages: tuple[Stage, ...]
    left_out: tuple[tuple[str, int], ...]
    expected: Expected

    @property
    def lines(self) -> int:
        """Lines that are written, as far as that is known without the traces."""
        return self.expected.lines


def funnel(
    samples: Sequence[Sample],
    current: Mapping[str, Decided],
    data_type: DataType = "centric",
    which: Which = "default",
    per_lesson: int = 1,
    pairs: int = 0,
) -> Funnel:
    """Returns what an export of some samples takes, step by step.

    `samples`: of the run. `current`: the decisions in force, by sample id. `data_type`: revision or good trajectories.
    `which`: default, all, or verified only. `per_lesson`: most samples of one lesson; 0: all. `pairs`: number of pairs
    that the samples were made of; 0: not known.
    """
    mine = [sample for sample in samples if data_type_of(sample) == data_type]
    verified = which == "only verified"
    found = expected(mine, current, data_type, which == "all", verified, per_lesson)
    stages = [Stage("pairs", pairs, "muted", "good leaf × bad leaf")] if pairs and data_type == "centric" else []
    lessons = len({sample.lesson or sample.id for sample in mine})
    told = f"in {many(lessons, 'lesson')}" if data_type == "centric" else "good trajectories"
    stages.append(Stage("samples", len(mine), "focus", told))
    if which != "all":
        passing = [
            sample
            for sample in mine
            if moves_mark(sample, current.get(sample.id)) or does_not_hold(sample, found.which, verified) is None
        ]
        told = "word for word" if verified else "environment agrees"
        stages.append(Stage("pass the replay", len(passing), "good", told))
        stages.append(_accepted(passing, current, found.which))
    stages.append(Stage("lines", found.lines, "person", "at most; e writes"))
    return Funnel(tuple(stages), tuple(found.dropped.items()), found)


def _accepted(passing: Sequence[Sample], current: Mapping[str, Decided], rule: str) -> Stage:
    """Whom people accepted."""
    if rule != "accepted":
        return Stage("undecided", len(passing), "muted", "all of them count")
    accepted = [said for sample in passing if (said := current.get(sample.id)) and said.verdict == "accepted"]
    by = Counter(said.reviewer for said in accepted)
    disputed = sum(len(set(said.by_reviewer.values()) - {"skipped"}) > 1 for said in accepted)
    told = ", ".join(f"{who} {count}" for who, count in by.most_common(2))
    more = f" · {disputed} disputed" if disputed else ""
    return Stage("accepted", len(accepted), "good", told + more or "4 reviews them")


def funnel_lines(shown: Funnel, width: int) -> list[Line]:
    """The stages side by side with bars, and what is left out; in a narrow pane in one line."""
    stages = shown.stages
    room = width // len(stages)
    if room < LEAST_COLUMN:
        return [stage_line(shown), *left_out_lines(shown)]
    most = max(stage.count for stage in stages if stage.name != "pairs")
    rows: list[list[tuple[str, Role]]] = [[], [], [], []]
    for place, stage in enumerate(stages):
        cells = max(4, min(24, room - 6))
        arrow = "→ " if place + 1 < len(stages) else ""
        count = f"{stage.count:,}"
        share = bar(min(1.0, stage.count / most) if most else 0.0, cells)
        _put(rows[0], stage.name, "muted", room)
        _put(rows[1], count, "strong" if stage.count else "warn", room - len(arrow))
        rows[1].append((arrow, "faint"))
        _put(rows[2], share, stage.role, room)
        _put(rows[3], clip(stage.note, room - 2), "muted", room)
    return [*(line(*row) for row in rows), *left_out_lines(shown)]


def _put(row: list[tuple[str, Role]], text: str, role: Role, room: int) -> None:
    row += [(text, role), (" " * max(0, room - cell_len(text)), "text")]


def stage_line(shown: Funnel) -> Line:
    """The stages in one line."""
    parts: list[tuple[str, Role]] = []
    for stage in shown.stages:
        if parts:
            parts.append((" → ", "muted"))
        name = stage.name[:-1] if stage.count == 1 and stage.name in ("lines", "samples", "pairs") else stage.name
        parts += [(f"{stage.count:,}", "strong" if stage.count else "warn"), (f" {name}", "text")]
    return line(*parts, indent=2)


def left_out_lines(shown: Funnel) -> list[Line]:
    """What is left out, and for what; what is replayed first."""
    lines = []
    if shown.left_out:
        parts: list[tuple[str, Role]] = [("left out: ", "muted")]
        for place, (reason, count) in enumerate(shown.left_out):
            role: Role = "bad" if reason in ("diverged", "unreplayable") else "warn"
            parts += [(" · " if place else "", "muted"), (f"{count:,} {reason}", role)]
        lines.append(line(*parts, indent=10))
    if shown.expected.moved:
        told = "1 was" if shown.expected.moved == 1 else f"{shown.expected.moved} were"
        told += " changed by hand: replayed first, and kept if the replay passes"
        lines.append(line((told, "person"), indent=2))
    return lines
