"""Lines of the task: what the agent was asked for, and with what rules."""

from __future__ import annotations

from collections.abc import Sequence

from agentr_tui.state.review.queue import Shown
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.samples.splice import Turn


def header_of(turns: Sequence[Turn]) -> list[Turn]:
    """The turns before the first step."""
    return [turn for turn in turns if turn.part == "header"]


def task_lines(shown: Shown) -> list[Line]:
    """The goal, and what the agent saw first."""
    goal = " ".join(shown.sample.instruction.split())
    lines = [line(("Goal: ", "muted"), (goal or "the environment names none", "strong"), indent=6)]
    first = next((turn.content for turn in reversed(header_of(shown.turns)) if turn.role == "user"), "")
    told = [row for row in first.splitlines() if row.strip() and not _is_goal(row, goal)]
    return lines + [line((row.rstrip(), "text"), indent=2) for row in told]


def _is_goal(row: str, goal: str) -> bool:
    """Whether a line of the first observation says the goal once more, and nothing else."""
    said = row.strip().removeprefix("Goal:").strip().rstrip(".").casefold()
    return said == goal.rstrip(".").casefold()


def rules_lines(shown: Shown) -> list[Line]:
    """All that stands before the first step: rules, example, task."""
    lines: list[Line] = []
    for turn in header_of(shown.turns):
        lines += [line((turn.role, "focus")), *(line((row, "text"), indent=2) for row in turn.content.splitlines())]
        lines.append(BLANK)
    return lines
