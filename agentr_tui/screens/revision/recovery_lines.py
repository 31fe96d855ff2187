"""What continuations with and without the revision thought say, as lines: the mark, and the curve over all marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agentr_tui.terminal.glyphs import encoding_is_ascii
from agentr_tui.terminal.theme import Role, bar
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.base.text import many
from engine.recovery.continuation_figures import EFFECTS, Effect, MarkFigures, Share
from engine.recovery.continuation_plan import IGNORES_CONVERSATION_LINE, reads_thoughts

BAR = 6  # cells
WIDE = 64  # cells from which on the curve names the steps
ROLES: dict[Effect, Role] = {"": "muted", "pays": "good", "harms": "bad", "unclear": "warn", "none": "muted"}
WORDS: dict[Effect, str] = {"": "not tried", "pays": "pays", "harms": "harms", "unclear": "?", "none": "not read"}


def recovery_lines(figures: Sequence[MarkFigures], mark: int | None, actor: str, width: int) -> list[Line]:
    """Returns the figures of the sample's own mark in full, then a row a mark where others were tried.

    `figures`: one entry a mark. `mark`: the sample's own, counted from 1. `actor`: the one that continued. `width`:
    cells.
    """
    lines: list[Line] = []
    if not reads_thoughts(actor):
        lines += [line((IGNORES_CONVERSATION_LINE.format(actor), "warn")), BLANK]
    own = next((each for each in figures if each.mark == mark), None)
    if own is not None:
        lines += _mark_lines(own)
    tried = [each for each in figures if each.without.of or each.thought.of]
    if [each.mark for each in tried] not in ([], [mark]):
        lines += [BLANK, line(("after step, without → with the thought", "muted"))]
        lines += [_curve_row(each, each.mark == mark, width) for each in figures]
        lines.append(line(("  in all    ", "muted"), (f"{_sum(each.without for each in tried):>9} → ", "muted"),
                          (_sum(each.thought for each in tried), "strong")))  # fmt: skip
    return lines


def _sum(shares: Iterable[Share]) -> str:
    """Of all marks together."""
    found = list(shares)
    return f"{sum(share.good for share in found)}/{sum(share.of for share in found)}"


def curve_told(figures: Sequence[MarkFigures]) -> str:
    """All marks in a few words."""
    tried = [each for each in figures if each.without.of and each.thought.of]
    counts = [
        f"{told} at {count}"
        for effect, told in EFFECTS.items()
        if (count := sum(each.effect == effect for each in tried)) and effect
    ]
    return f"{many(len(tried), 'step')}: {', '.join(counts)}"


def recovery_told(figures: MarkFigures) -> str:
    """One mark in a few words."""
    if figures.over:
        return f"step {figures.mark}: {figures.over}"
    return f"step {figures.mark}: {figures.without} → {figures.thought}, {EFFECTS[figures.effect]}"


def _mark_lines(own: MarkFigures) -> list[Line]:
    if own.over:
        return [line((f"after step {own.mark}: {own.over}", "warn"))]
    if not own.without.of and not own.thought.of:
        return [line((f"after step {own.mark}: not tried", "muted"))]
    lines = [line((f"after step {own.mark} · {many(own.room, 'step')} to the depth limit", "muted"))]
    lines += [*_share_lines("without", own.without, "text"), *_share_lines("with", own.thought, ROLES[own.effect])]
    if own.difference is not None and own.low is not None and own.high is not None:
        told = f"{own.difference:+.2f} ({own.low:+.2f} to {own.high:+.2f}): "
        lines.append(line((told, "muted"), (EFFECTS[own.effect], ROLES[own.effect]), indent=2))
    return lines


def _share_lines(name: str, share: Share, role: Role) -> list[Line]:
    if share.mean is None or share.low is None or share.high is None:
        return [line((f"{name:<8}", "muted"), ("none yet", "muted"))]
    told = f" {share.low:.0%} to {share.high:.0%} · mean {share.mean:.2g}"
    ends = [f"{count} {WHY[end]}" for end, count in sorted(share.ends.items()) if end != "done"]
    return [
        line((f"{name:<8}", "muted"), (_bar(share), role), (f" {share!s:<5}", role), (told, "muted"),
             (f" · {', '.join(ends)}" if ends else "", "muted"), indent=9)
    ]  # fmt: skip


WHY = {"depth": "at the depth limit", "disaster": "disasters"}
"""How a continuation ended that was not done."""


def _bar(share: Share) -> str:
    return bar(share.rate, BAR, ascii=encoding_is_ascii()).ljust(BAR, "." if encoding_is_ascii() else "░")


def _curve_row(each: MarkFigures, marked: bool, width: int) -> Line:
    sign: tuple[str, Role] = ("✖" if marked else " ", "bad")
    head: tuple[str, Role] = (f"{each.mark:>3} ", "strong" if marked else "muted")
    action: tuple[str, Role] = (f" {each.action}" if width >= WIDE else "", "muted")
    if each.over:
        return line(sign, head, (each.over, "muted"), action, indent=5)
    role = ROLES[each.effect]
    return line(
        sign,
        head,
        (_bar(each.without), "text"),
        (f" {each.without!s:>5} → ", "muted"),
        (_bar(each.thought), role),
        (f" {each.thought!s:>5} ", role),
        (f"{WORDS[each.effect]:<9}", role),
        action,
        indent=5,
    )
