"""The samples on which reviewers differ: who decided what, and what the sample is about. No Textual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from agentr_tui.terminal.theme import Role, glyphs
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.datasets.sample_lengths import Shape
from engine.review.decisions import Decided
from engine.samples.sample import Sample
from envs.base import title_of

MOST = 100
"""Disputed samples that are listed."""


def is_disputed(decided: Decided | None) -> bool:
    """Whether the latest verdicts of its reviewers differ, skips aside."""
    return decided is not None and len(set(decided.by_reviewer.values()) - {"skipped"}) > 1


def disputed(samples: Sequence[Sample], current: Mapping[str, Decided]) -> list[Sample]:
    """The samples on which reviewers differ, those decided last first."""
    found = [sample for sample in samples if is_disputed(current.get(sample.id))]
    return sorted(found, key=lambda sample: current[sample.id].time, reverse=True)


def disputed_lines(
    samples: Sequence[Sample], current: Mapping[str, Decided], shapes: Mapping[str, Shape | None]
) -> list[Line]:
    """Returns a line for each disputed sample: its task, the wrong action, each reviewer's verdict, the replay's. No
    lines where there are no samples.

    `samples`: those on which reviewers differ. `current`: the decisions in force, by sample id. `shapes`: by sample id,
    as far as the traces were read.
    """
    if not samples:
        return []
    signs = glyphs()
    marks: dict[str, tuple[str, Role]] = {"accepted": (signs.good, "good"), "rejected": (signs.bad, "bad")}
    count = f"{len(samples)} sample{'s' * (len(samples) != 1)}"
    lines = [line(("disputed", "focus"), (f"  {count} on which reviewers differ: d reviews them", "muted"))]
    for sample in samples[:MOST]:
        decided, shape = current[sample.id], shapes.get(sample.id)
        parts: list[tuple[str, Role]] = []
        for who, verdict in sorted(decided.by_reviewer.items()):
            sign, role = marks.get(verdict, (signs.seen, "muted"))
            why = f": {decided.reason}" if verdict == decided.verdict == "rejected" and decided.reason else ""
            parts += [(f" {sign} ", role), (f"{who}{why}", "person")]
        wrong = shape.wrong if shape is not None else f"mark {sample.mark}"
        lines.append(
            line(
                (f"  {title_of(sample.environment, sample.task)}  ", "text"),
                (" ".join(wrong.split())[:200], "bad"),
                *parts,
                (f"  {sample.verdict} · {Path(sample.path).name}", "muted"),
                indent=4,
            )
        )
    if len(samples) > MOST:
        lines.append(line((f"  and {len(samples) - MOST} more", "muted")))
    return [*lines, BLANK]
