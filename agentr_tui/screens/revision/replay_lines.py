"""Lines of a sample's replay: the verdict in short, and step by step."""

from __future__ import annotations

from pathlib import Path

from agentr_tui.state.review.shown_sample import Shown
from agentr_tui.terminal.safe_text import clip
from agentr_tui.terminal.theme import Role, glyphs
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.base.text import many
from engine.explain.alignment import Piece, word_diff
from engine.samples.sample import Sample, splice_of, steps_to_replay

DIFFERENCE_KEY = -3
"""Key of the line of the first step that the environment answers otherwise; the other keys are in `sample_lines`."""

IN_SHORT = 200
"""Cells of an observation beside the judgements and in the verdict; the tabs have all of it."""

VERDICTS: dict[str, tuple[str, Role]] = {
    "verified": ("✓ verified", "good"),
    "repaired": ("✓ repaired", "good"),
    "reobserved": ("≈ reobserved", "warn"),
    "diverged": ("✗ diverged", "bad"),
    "unreplayable": ("? unreplayable", "bad"),
    "unreplayed": ("? unreplayed", "warn"),
    "not replayed": ("… not replayed", "muted"),
}


AROUND = 40
"""Characters that stay before and after words that differ, in a long text."""


def difference_parts(expected: str, got: str, most: int = 0) -> list[tuple[str, Role]]:
    """Returns the text that came, with the words that were not expected marked; of equal text only the words next to
    them.

    `expected` and `got`: the two texts. `most`: cut a run of different characters after so many; 0: never.
    """
    _, pieces = word_diff(expected, got)
    parts: list[tuple[str, Role]] = []
    for place, piece in enumerate(pieces):
        text = piece.text
        if piece.changed and most:
            text = clip(text, most)
        if not piece.changed and len(text) > 2 * AROUND + 3:
            head = text[:AROUND] if place else ""
            tail = text[-AROUND:] if place + 1 < len(pieces) else ""
            text = f"{head} … {tail}"
        parts.append((text, "warn" if piece.changed else "muted"))
    return parts


def replay_lines(sample: Sample) -> list[Line]:
    """What the replay found, in short."""
    replay = sample.replay
    if replay is None:
        return [line(("… not replayed", "muted"))]
    text, role = VERDICTS[replay.verdict]
    steps = replay.steps
    if replay.verdict == "verified":
        told = f"{steps} of {steps} observations as written · return {replay.score:g}"
    elif replay.verdict == "reobserved":
        told = (
            f"return {replay.score:g} as expected · {len(replay.observations)} of {steps} observations were other ones"
        )
        if replay.ended is not None:
            told += f" · reached early: the tail is cut after step {replay.ended}"
    elif replay.verdict == "repaired" and sample.tail is not None:
        told = f"return {replay.score:g} by {many(len(sample.tail.steps), 'step')} of a search of its own"
    elif replay.verdict == "diverged":
        told = f"{replay.reason} · R replays it again, or searches another tail"
    elif replay.verdict == "unreplayed":
        safest = f" · safest: the wrong step changed nothing ({sample.harmless})" if sample.harmless else ""
        told = f"{replay.reason}: a default export takes it if you accept it{safest}"
    else:
        told = replay.reason
    lines = [line((f"{text} ", role), (f" {told}", "text"), indent=4)]
    if sample.tail is not None and sample.tail.path:
        lines.append(line((f"tail: leaf {sample.tail.leaf} of {Path(sample.tail.path).name}", "muted"), indent=6))
    if replay.step is not None and replay.verdict in ("diverged", "reobserved"):
        told = f"first at step {replay.step + 1}: "
        expected = difference_parts(replay.got, replay.expected, IN_SHORT // 2)
        got = difference_parts(replay.expected, replay.got, IN_SHORT // 2)
        lines.append(line((told, "muted"), ("expected ", "muted"), *expected, indent=4))
        lines.append(line(("    got ", "muted"), *got, indent=8))
    lines += seam_lines(sample)
    shape = (
        f"fork after step {sample.fork_depth} · {sample.bad_depth} bad and {sample.good_depth} good steps"
        f" · gap {sample.return_good - sample.return_bad:g}"
        if sample.bad is not None
        else f"the good trajectory recovered from step {sample.mark} of {sample.good_depth}"
    )
    lines.append(line((shape, "muted")))
    return lines


def replay_step_lines(shown: Shown) -> list[Line]:
    """The replay step by step: as written, or what was expected and what came."""
    sample, replay = shown.sample, shown.sample.replay
    if replay is None:
        return [line(("not replayed", "muted"))]
    signs = glyphs()
    text, role = VERDICTS[replay.verdict]
    lines = [line((text, role), (f"  {replay.reason}", "text"), indent=4), BLANK]
    bad = len(splice_of(shown.tree, sample).bad)
    for place, step in enumerate(steps_to_replay(shown.tree, sample)):
        if place == bad:
            lines.append(line(("── the revision turn: it takes no step in the environment ──", "person")))
        number = f" {place + 1:>3} "
        if place >= replay.steps:
            failed = replay.verdict == "unreplayable" and place == replay.step
            told = f"  refused: {replay.reason}" if failed else "  not taken: the episode was over"
            shown_role: Role = "bad" if failed else "muted"
            lines.append(
                line(("·", "muted"), (number, "muted"), (step.action, shown_role), (told, shown_role), indent=6)
            )
        elif place not in replay.observations:
            lost = place == replay.step and replay.verdict == "diverged"
            sign: tuple[str, Role] = (signs.bad, "bad") if lost else (signs.good, "good")
            lines.append(
                line(sign, (number, "muted"), (step.action, "text"), indent=6, key=DIFFERENCE_KEY if lost else None)
            )
            if lost:
                lines += _both_lines(step.observation, replay.got)
            else:
                lines.append(line(("      ", "muted"), (clip(step.observation, IN_SHORT), "muted"), indent=6))
        else:
            first = place == replay.step
            lines.append(
                line((signs.bad, "bad"), (number, "muted"), (step.action, "text"), indent=6,
                     key=DIFFERENCE_KEY if first else None)
            )  # fmt: skip
            lines += _both_lines(step.observation, replay.observations[place])
    holds = abs(float(replay.score) - float(sample.expected_return)) < 1e-9
    lines += [
        BLANK,
        line(
            (signs.good if holds else signs.bad, "good" if holds else "bad"),
            ("  return  ", "muted"),
            (f"expected {sample.expected_return:g} · got {replay.score:g}", "text"),
        ),
    ]
    return lines


def _both_lines(wanted: str, came: str) -> list[Line]:
    """What was expected and what came, below each other, with the words marked that differ."""
    expected, got = word_diff(wanted, came)
    sides: list[tuple[str, list[Piece], Role]] = [("expected ", expected, "warn"), ("got      ", got, "bad")]
    lines = []
    for name, pieces, other in sides:
        parts: list[tuple[str, Role]] = [(piece.text, other if piece.changed else "muted") for piece in pieces]
        lines.append(line(("      ", "muted"), (name, "muted"), *parts, indent=15))
    return lines


def seam_lines(sample: Sample) -> list[Line]:
    """Returns a model's judgement of an unreplayed seam (`--seam`); no lines where no model was asked."""
    if sample.seam is None:
        return []
    word = sample.seam.word
    role: Role = "good" if word == "Good" else "bad" if word == "Bad" else "warn"
    reason = sample.seam.reason or "it gave no reason"
    return [line(("seam ", "muted"), (word, role), (f" · {reason}", "text"), indent=5)]
