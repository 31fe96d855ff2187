"""What is told of a sample, as lines: the judged bad trajectory, the spliced conversation, the replay verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from agentr_tui.theme import Role, glyphs
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.revision import Turn, quoting
from engine.samples import Sample
from engine.tree import SearchTree
from engine.verifier import Judgement

CHARACTERS_A_TOKEN = 4
"""A common estimate for English text; counts made with it are shown as ≈."""

THOUGHT_KEY = -1
"""Key of the lines of the revision thought."""

VERDICTS: dict[str, tuple[str, Role]] = {
    "verified": ("✓ verified", "good"),
    "repaired": ("✓ repaired", "good"),
    "reobserved": ("≈ reobserved", "warn"),
    "diverged": ("✗ diverged", "bad"),
    "unreplayable": ("? unreplayable", "bad"),
    "not replayed": ("… not replayed", "muted"),
}
_WORD_ROLES: dict[str, tuple[str, Role]] = {
    "Good": ("●", "good"),
    "Uncertain": ("○", "warn"),
    "Bad": ("✖", "bad"),
}


BLIND = "hidden until you decide (b shows it)"


def bad_lines(tree: SearchTree, sample: Sample, blind: bool = False, own_mark: bool = False) -> list[Line]:
    """The bad trajectory step by step: judgement, fork, mark; what follows the mark is not part of the sample.

    `blind`: nothing of what the verifier said; the mark only where it is the person's own.
    """
    if blind:
        sample = replace(sample, judgements=[], found=None, mark=sample.mark if own_mark else None)
    assert sample.bad is not None
    judged = {judgement.step: judgement for judgement in sample.judgements}
    lines: list[Line] = []
    for step, id in enumerate(tree.ancestors(sample.bad)[1:], 1):
        lines += _bad_step(tree, sample, step, id, judged.get(step))
        if step == sample.fork_depth:
            lines.append(line(("── fork: here the good trajectory leaves ──", "focus")))
        if step == sample.mark:
            lines.append(line(("━━ first wrong step ━━", "bad"), (_marked_by(sample), "muted")))
    if sample.fork_depth == 0:
        lines.insert(0, line(("── fork at the root: no step is shared ──", "focus")))
    if blind and not own_mark:
        lines.append(line(("━━ blind: J from the fork on, K from the end: mark the first wrong step ━━", "person")))
    elif sample.mark is None:
        lines.append(line(("━━ no wrong step marked: the whole trajectory is taken ━━", "warn")))
    return lines


def _marked_by(sample: Sample) -> str:
    if sample.found == sample.mark:
        return f"  {sample.verifier} {sample.found}"
    if sample.found is None:
        return "  moved by hand"
    why = " (it lies before the fork)" if sample.before_fork else ""
    return f"  {sample.verifier} said {sample.found}{why}"


def _bad_step(tree: SearchTree, sample: Sample, step: int, id: int, judgement: Judgement | None) -> list[Line]:
    node = tree.nodes[id]
    after = sample.mark is not None and step > sample.mark
    glyph, role = _WORD_ROLES[judgement.word] if judgement else ("·", "muted")
    word: str = judgement.word if judgement else "not judged"
    if step <= sample.fork_depth:
        word = f"shared · {word}" if judgement and judgement.word != "Good" else "shared"
    action_role: Role = "muted" if after else "bad" if step == sample.mark else "text"
    label = "left out" if after else word
    return [
        line((f"{glyph} {step:>2} ", role), (node.action, action_role), (f"  {label}", "muted"), indent=5, key=step),
        line(("     ", "muted"), (node.observation, "muted"), indent=5),
    ]


def why_mark_lines(sample: Sample) -> list[Line]:
    """Why the marked step is wrong, in the verifier's words."""
    if sample.kind == "direct":
        return [line(("direct revision: nobody judged the steps", "muted"))]
    if sample.mark is None and sample.whole:
        return [line(("the verifier found no wrong step: the whole bad trajectory is taken", "warn"))]
    if sample.mark is None:
        return [line(("the verifier found no wrong step: J or K sets a mark by hand", "warn"))]
    lines = []
    for judgement in sample.judgements:
        if judgement.step in (sample.mark, sample.found):
            glyph, role = _WORD_ROLES[judgement.word]
            reason = judgement.reason or "no reason given"
            lines.append(line((f"{glyph} {judgement.step} {judgement.word}  ", role), (reason, "text"), indent=4))
    if sample.before_fork and sample.mark == sample.fork_depth + 1:
        lines.append(
            line(
                (f"Step {sample.found} is shared by the good trajectory: a mark there would disown what led to"
                 f" the goal, so it stands at step {sample.mark}.", "warn"),
            )
        )  # fmt: skip
    if not lines:
        lines.append(line((f"step {sample.mark} was marked by hand", "person")))
    return lines


def spliced_lines(turns: Sequence[Turn]) -> list[Line]:
    """The revision trajectory with its mask: a glyph, a word and a colour for what is trained."""
    signs = glyphs()
    lines: list[Line] = []
    stale = set(quoting(turns))
    for at, turn in enumerate(turns):
        if turn.part == "header":
            continue
        if turn.role == "assistant":
            if turn.part == "thought" or (lines and turn.part == "good" and _last_part(lines) == "thought"):
                lines.append(BLANK)
            sign, word = (signs.trained, "trained") if turn.loss else (signs.untrained, "masked ")
            role: Role = "good" if turn.loss else "muted"
            text: Role = "person" if turn.part == "thought" else "good" if turn.loss else "text"
            key = THOUGHT_KEY if turn.part == "thought" else None
            for place, part in enumerate(turn.content.splitlines() or [""]):
                label = f"{sign} {'':<14}" if place else f"{sign} {word} agent "
                lines.append(line((label, role), (part, text), indent=16, key=key))
            if at in stale:
                told = "quotes an observation that was replaced by the true one"
                lines.append(line((" " * 16, "muted"), (told, "warn"), indent=16))
        else:
            lines.append(line((f"  {'':<8}env   ", "muted"), (turn.content, "muted"), indent=16))
            if turn.replaced is not None:
                lines.append(
                    line((" " * 16, "muted"), (f"true observation; stored was: {turn.replaced}", "warn"), indent=16)
                )
    return lines


def _last_part(lines: list[Line]) -> str:
    """Whether the last answered turn was the thought: its answer is `ok.`"""
    return "thought" if lines[-1].parts[-1][0] == "ok." else ""


def token_line(turns: Sequence[Turn]) -> str:
    """How much is trained, estimated from the characters."""
    total = sum(len(turn.content) for turn in turns)
    trained = sum(len(turn.content) for turn in turns if turn.loss)
    return f"trained ≈{trained // CHARACTERS_A_TOKEN} of ≈{total // CHARACTERS_A_TOKEN} tokens"


def replay_lines(sample: Sample) -> list[Line]:
    """What the replay found."""
    replay = sample.replay
    if replay is None:
        return [line(("… replaying", "muted"))]
    text, role = VERDICTS[replay.verdict]
    steps = replay.steps
    if replay.verdict == "verified":
        told = f"{steps} of {steps} observations as written · return {replay.score:g}"
    elif replay.verdict == "reobserved":
        told = f"return {replay.score:g} holds · {len(replay.observations)} of {steps} observations were false"
        if replay.ended is not None:
            told += f" · reached early: the tail is cut after step {replay.ended}"
    elif replay.verdict == "repaired" and sample.tail is not None:
        told = f"return {replay.score:g} by {len(sample.tail.steps)} steps of a search of its own"
    elif replay.verdict == "diverged":
        told = f"{replay.reason} · R mends it"
    else:
        told = replay.reason
    lines = [line((f" {text} ", role), (f" {told}", "text"), indent=4)]
    if sample.tail is not None and sample.tail.path:
        lines.append(line((f"tail: leaf {sample.tail.leaf} of {Path(sample.tail.path).name}", "muted"), indent=6))
    if replay.step is not None and replay.verdict in ("diverged", "reobserved"):
        lines.append(
            line((f"first at step {replay.step + 1}: ", "muted"), (replay.expected, "text"), (" → ", "muted"),
                 (replay.got, "warn"), indent=4)
        )  # fmt: skip
    shape = (
        f"fork after step {sample.fork_depth} · {sample.bad_depth} bad and {sample.good_depth} good steps"
        f" · gap {sample.return_good - sample.return_bad:g}"
    )
    lines.append(line((shape, "muted")))
    return lines


def trajectory_lines(tree: SearchTree, leaf: int, fork_depth: int) -> list[Line]:
    """One whole trajectory, its shared steps muted."""
    lines = []
    for step, id in enumerate(tree.ancestors(leaf)[1:], 1):
        node = tree.nodes[id]
        shared = step <= fork_depth
        lines.append(line((f"{step:>3}  ", "muted"), (node.action, "muted" if shared else "text"), indent=5, key=step))
        lines.append(line(("     ", "muted"), (node.observation, "muted"), indent=5))
        if step == fork_depth:
            lines.append(line(("── fork ──", "focus")))
    return lines
