"""Lines around a sample: its place in the queue and what is left to do, its task, what was decided about it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from agentr_tui.screens.revision.replay_lines import VERDICTS
from agentr_tui.state.review.queue import Review
from agentr_tui.state.review.shown_sample import Shown
from agentr_tui.terminal.safe_text import clip
from agentr_tui.terminal.theme import Role, glyphs
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.samples.splice import Turn

VERDICT_ROLES: dict[str, Role] = {"accepted": "good", "rejected": "bad", "skipped": "warn"}

LEAST_SIGNS, MOST_SIGNS = 9, 61
"""Samples around the one in front that are shown."""


def decided_sign(verdict: str | None) -> tuple[str, Role]:
    """The sign of a decision, and of none."""
    signs = glyphs()
    if verdict is None:
        return signs.seen, "muted"
    sign = {"accepted": signs.good, "rejected": signs.bad, "skipped": signs.folded}[verdict]
    return sign, VERDICT_ROLES[verdict]


def queue_line(review: Review, shown: Shown, width: int) -> Line:
    """Returns the samples around the one in front, each with its decision; how many are left; order and filter.

    `review`: the queue. `shown`: the sample in front. `width`: cells.
    """
    counts = shown.counts
    done = [(counts.accepted, "accepted", "good"), (counts.rejected, "rejected", "bad"),
            (counts.skipped, "skipped", "warn")]  # fmt: skip
    told: list[tuple[str, Role]] = [(f"  {count} {name}", role) for count, name, role in done if count]  # type: ignore[misc]
    told.append((f"  {counts.undecided} to go", "strong" if counts.undecided else "good"))
    if review.query:
        told.append((f"  / {clip(review.query, 30)} (esc: all)", "focus"))
    elif review.folded:
        told.append((f"  {review.folded} alike folded", "muted"))
    if review.blind:
        told.append(("  blind", "person"))
    room = width - sum(cell_len(text) for text, _ in told) - len("queue ") - 2
    many = max(LEAST_SIGNS, min(MOST_SIGNS, room))
    count = len(review.samples)
    first = max(0, min(review.place - many // 2, count - many))
    parts: list[tuple[str, Role]] = [("queue ", "muted")]
    for place in range(first, min(first + many, count)):
        sign, role = decided_sign(review.verdict(review.samples[place]))
        parts += [("[", "focus"), (sign, role), ("]", "focus")] if place == review.place else [(sign, role)]
    return line(*parts, *told)


def decision_lines(shown: Shown) -> list[Line]:
    """What people decided about the sample, and how many are like it."""
    decided, lines = shown.decided, []
    count, is_open = shown.like
    if shown.faults and not shown.hidden:
        lines.append(line((f"! a default export leaves it out: it {shown.faults[0]}", "warn"), indent=2))
    if count and not shown.hidden:
        told = f"{count} more teach{'es' if count == 1 else ''} the same"
        lines.append(
            line(("= ", "focus"), (told, "text"), ("  = folds them" if is_open else "  = shows them", "muted"))
        )
    if decided is not None:
        for who, verdict in sorted(decided.by_reviewer.items()):
            reason = f": {decided.reason}" if who == decided.reviewer and decided.reason else ""
            sign, role = decided_sign(verdict)
            lines.append(line((f"{sign} {verdict} by {who}", role), (reason, "text"), indent=2))
    if decided is None or decided.verdict is None:
        lines.append(line((f"{glyphs().seen} undecided", "strong")))
    if decided is not None and decided.note:
        lines.append(line(("✎ ", "person"), (decided.note, "person"), indent=2))
    if decided is not None and decided.tags:
        lines.append(line(("# ", "person"), ("  ".join(decided.tags), "person"), indent=2))
    return lines


def verdict_line(shown: Shown) -> Line:
    """Replay verdict and decision in one line, for a window that shows one side at a time."""
    sample = shown.sample
    text, role = ("replay hidden (b shows it)", "muted") if shown.hidden else VERDICTS[sample.verdict]
    parts: list[tuple[str, Role]] = [(text, role)]  # type: ignore[list-item]
    replay = sample.replay
    if replay is not None and not shown.hidden:
        told = {"verified": f"  return {replay.score:g}", "diverged": f"  {replay.reason}"}.get(replay.verdict, "")
        parts.append((clip(told, 34), "muted"))
    verdict = shown.decided.verdict if shown.decided is not None else None
    sign, shade = decided_sign(verdict)
    parts.append((f"  {sign} {verdict or 'undecided'}", shade if verdict else "strong"))
    if shown.faults and not shown.hidden:
        parts.append(("  ! not exported by default", "warn"))
    count, is_open = shown.like
    if count and not is_open and not shown.hidden:
        parts.append((f"  = {count} alike", "muted"))
    parts.append(("  tab: the other side", "muted"))
    return line(*parts)


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
    """Returns all messages before the first step: rules, example, task."""
    lines: list[Line] = []
    for turn in header_of(shown.turns):
        lines += [line((turn.role, "focus")), *(line((row, "text"), indent=2) for row in turn.content.splitlines())]
        lines.append(BLANK)
    return lines
