"""Lines of a sample: the judged bad trajectory, why its step is wrong, and the spliced conversation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agentr_tui.screens.revision.replay_lines import IN_SHORT, difference_parts
from agentr_tui.state.review.shown_sample import Shown
from agentr_tui.state.review.traces import PROGRESS
from agentr_tui.terminal.safe_text import clip
from agentr_tui.terminal.theme import Role, glyphs
from agentr_tui.widgets.text_pane import BLANK, Line, line, lines_of
from engine.base.text import many
from engine.samples.sample import Sample, whole_splice
from engine.samples.splice import Turn, quoting
from engine.samples.tails.tail import Cut, CutPart
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, Word, first_wrong_step

CHARACTERS_A_TOKEN = 4
"""A common estimate for English text; counts made with it are shown as ≈."""

THOUGHT_KEY, MARK_KEY = -1, -2
"""Keys of the lines of the revision thought and of the one that says where the mark is."""

_WORD_ROLES: dict[str, tuple[str, Role]] = {
    "Good": ("●", "good"),
    "Uncertain": ("○", "warn"),
    "Bad": ("✖", "bad"),
}

BLIND = "hidden until you decide (b shows it)"


class Cuts(NamedTuple):
    """What was cut out of a sample, as it is shown."""

    all: Sequence[tuple[Cut, bool]] = ()  # each with whether a person took it back
    open: bool = False  # step by step; else folded into a line

    def out(self, part: CutPart) -> list[Cut]:
        """What is out of a part now."""
        return [cut for cut, back in self.all if cut.part == part and not back]

    @property
    def back(self) -> dict[int, str]:
        """Nodes of the steps that were taken back, each with why it had been cut."""
        return {cut.node: cut.reason for cut, back in self.all if back}


NO_CUTS = Cuts()
CUT_KEY = -1000
"""Keys of the lines of cut steps are this less the node."""


def _folded_line(tree: SearchTree, cuts: Sequence[Cut], indent: int = 0) -> Line:
    """Steps that were cut, in one line."""
    actions = " · ".join(clip(tree.nodes[cut.node].action, 24) for cut in cuts[:4])
    more = f" · {len(cuts) - 4} more" if len(cuts) > 4 else ""
    reasons = ", ".join(dict.fromkeys(cut.reason for cut in cuts))
    return line((" " * indent, "muted"), (f"{glyphs().dash} cut: {actions}{more}", "muted"),
                (f"  ({reasons}; x shows)", "muted"), indent=indent + 2)  # fmt: skip


def _cut_lines(tree: SearchTree, cut: Cut, indent: int, judged: Judgement | None = None) -> list[Line]:
    """A step that was cut: struck through, with the reason."""
    node = tree.nodes[cut.node]
    key = CUT_KEY - cut.node
    told: list[tuple[str, Role]] = [(f"  cut: {cut.reason}", "muted")]
    if judged is not None:
        told.append((f"  {_WORD_ROLES[judged.word][0]} {judged.word}", "muted"))
    label = f"{glyphs().dash} "
    return [
        line((label.ljust(indent), "muted"), (node.action, "cut"), *told, indent=indent, key=key),
        line((" " * indent, "muted"), (clip(node.observation, IN_SHORT), "cut"), indent=indent, key=key),
    ]


class Voice(NamedTuple):
    """A verifier or a person with an opinion about the first wrong step."""

    name: str
    mark: int | None  # None: found nothing wrong
    role: Role
    judgements: Sequence[Judgement] = ()


def voices(shown: Shown) -> list[Voice]:
    """Returns who judged the bad trajectory: the verifier, `progress` where it is another, a model that was asked,
    every person who set a mark. In blind mode only people."""
    sample, found = shown.sample, []
    if not shown.hidden:
        if sample.judgements or sample.verifier:
            found.append(Voice(sample.verifier or "verifier", sample.found, "text", sample.judgements))
        if sample.verifier != PROGRESS and shown.progress:
            mark = first_wrong_step(list(shown.progress))
            found.append(Voice(PROGRESS, mark, "focus", shown.progress))
        if shown.by_model is not None:
            name, judgements = shown.by_model
            found.append(Voice(name, first_wrong_step(list(judgements)), "warn", judgements))
    found += [Voice(name, mark, "person") for name, mark in shown.people]
    return found


def voice_parts(shown: Shown) -> list[tuple[str, Role]]:
    """Everybody's mark in one line: `openai 4 · progress 3 · ann 4`."""
    parts: list[tuple[str, Role]] = []
    for voice in voices(shown):
        parts.append((" · " if parts else "", "muted"))
        parts.append((f"{voice.name} {voice.mark or 'none'}", voice.role))
        before = shown.sample.bad is not None and voice.mark is not None and voice.mark <= shown.sample.fork_depth
        if before:
            parts.append((" (shared)", "muted"))
    return parts


def columns_told(shown: Shown) -> str:
    """What the columns before the steps are."""
    names = [voice.name for voice in voices(shown) if voice.judgements]
    if shown.people:
        names.append("people")
    return " | ".join(names) if len(names) > 1 else ""


def bad_path(tree: SearchTree, sample: Sample) -> list[int]:
    """The nodes of the bad trajectory; of a recovery, which has none, those up to its wrong step."""
    if sample.bad is not None:
        return tree.ancestors(sample.bad)[1:]
    return tree.ancestors(sample.good)[1 : 1 + (sample.mark or 0)]


def bad_lines(shown: Shown, cuts: Cuts = NO_CUTS) -> list[Line]:
    """Returns the bad trajectory step by step: a column of judgements for each who judged, fork, mark. What follows the
    mark is not part of the sample, nor is what was cut out of it.

    In blind mode: nothing of what the verifier said, and the mark only where it is this reviewer's own.
    """
    tree, sample = shown.tree, shown.sample
    mark = sample.mark if not shown.hidden or shown.own_mark else None
    said = voices(shown)
    judged = [{each.step: each for each in voice.judgements} for voice in said if voice.judgements]
    marked = {voice.mark for voice in said if voice.role == "person"} if shown.people else None
    lines: list[Line] = []
    if sample.kind == "recovery":
        lines.append(line(("── the good trajectory itself, up to the step that it recovered from ──", "muted")))
    elif sample.fork_depth == 0:
        lines.append(line(("── fork at the root: no step is shared ──", "focus")))
    else:
        lines.append(line(("── shared with the good trajectory ──", "muted")))
    gone = {cut.node: cut for cut in cuts.out("context")} if not shown.hidden else {}
    folded: list[Cut] = []
    path = bad_path(tree, sample)
    for step, id in enumerate(path, 1):
        if id in gone and not cuts.open:
            folded.append(gone[id])
            if step == len(path) or path[step] not in gone:
                lines.append(_folded_line(tree, folded))
                folded = []
        elif id in gone:
            lines += _cut_lines(tree, gone[id], 4)
        else:
            if step == mark:
                told = voice_parts(shown)
                lines.append(line(("━━ first wrong step ━━  ", "bad"), *told, indent=4, key=MARK_KEY))
            words = [each[step].word if step in each else None for each in judged]
            lines += _bad_step(tree, sample, step, id, mark, words, marked)
            if step == mark and not shown.hidden:
                lines += why_mark_lines(shown, indent=max(1, len(judged)) + (marked is not None) + 4)
        if step == sample.fork_depth and sample.kind != "recovery":
            lines.append(line(("── fork: the good trajectory leaves ──", "focus")))
    if shown.veiled:
        lines.append(
            line(("━━ blind: J from the fork on, K from the end: mark the first wrong step ━━", "person"), key=MARK_KEY)
        )
    elif mark is None and not shown.hidden:
        lines.append(line(("━━ no wrong step marked: the whole trajectory is taken ━━", "warn"), key=MARK_KEY))
        lines += why_mark_lines(shown)
    return lines


def _bad_step(
    tree: SearchTree,
    sample: Sample,
    step: int,
    id: int,
    mark: int | None,
    words: Sequence[Word | None],
    marked: set[int | None] | None,
) -> list[Line]:
    node = tree.nodes[id]
    after = mark is not None and step > mark
    signs: list[tuple[str, Role]] = [_WORD_ROLES[word] if word else ("·", "muted") for word in words or [None]]
    if marked is not None:
        signs.append((glyphs().edited if step in marked else " ", "person"))
    label: str = "left out" if after else (words[0] if words and words[0] not in (None, "Good") else "")
    action_role: Role = "muted" if after else "bad" if step == mark else "text"
    indent = len(signs) + 4
    return [
        line(*signs, (f" {step:>2} ", "muted"), (node.action, action_role), (f"  {label}" if label else "", "muted"),
             (_written(tree, id), "person"), indent=indent, key=step),
        line((" " * indent, "muted"), (clip(node.observation, IN_SHORT), "muted"), indent=indent),
    ]  # fmt: skip


def why_mark_lines(shown: Shown, indent: int = 0) -> list[Line]:
    """Why the marked step is wrong, in the words of everybody who judged it; where it is shown, set in by `indent`."""
    sample = shown.sample
    before = (" " * indent, "muted")
    lines = []

    def add(*parts: tuple[str, Role]) -> None:
        lines.append(line(before, *parts, indent=indent + 2))  # type: ignore[arg-type]

    if sample.kind == "direct":
        add(("direct revision: nobody judged the steps", "muted"))
        return lines
    if sample.mark is None and sample.whole:
        add(("the verifier found no wrong step: the whole bad trajectory is taken", "warn"))
    elif sample.mark is None:
        add(("the verifier found no wrong step: J or K sets a mark by hand", "warn"))
    for voice in voices(shown):
        told = [each for each in voice.judgements if each.step in (sample.mark, voice.mark)]
        for judgement in told:
            glyph, role = _WORD_ROLES[judgement.word]
            place = f" (step {judgement.step})" if judgement.step != sample.mark else ""
            reason = judgement.reason or "no reason given"
            add((f"why {glyph} ", role), (f"{voice.name}{place}: ", "muted"), (reason, "text"))
        if voice.judgements and not told and voice.mark is None:
            add((f"{voice.name} calls no step bad", "muted"))
    if sample.before_fork and sample.mark == sample.fork_depth + 1:
        add(
            (f"Step {sample.found} is called Bad, but the good trajectory took it, too, and reached the goal all the"
             f" same. So step {sample.mark} is disowned, the first that only the bad one took.", "warn")
        )  # fmt: skip
    if shown.own_mark:
        who = shown.decided.marked_by if shown.decided is not None else ""
        add((f"{glyphs().edited} step {sample.mark} was marked by {who or 'hand'}", "person"))
    if not lines:
        add((f"step {sample.mark} was marked", "muted"))
    return lines


def tail_judged(tree: SearchTree, sample: Sample) -> dict[int, Judgement]:
    """Returns the verifier's judgements of the good steps after the fork in the state of the splice, by node."""
    good = whole_splice(tree, sample).good
    return {good[each.step - 1]: each for each in sample.tail_judgements if 0 < each.step <= len(good)}


def _cuts_at(tree: SearchTree, cuts: Cuts, part: CutPart, place: int, judged: Mapping[int, Judgement]) -> list[Line]:
    """What was cut at a place of a part: behind so many kept steps."""
    here = [cut for cut in cuts.out(part) if cut.place == place]
    if not here:
        return []
    if not cuts.open:
        return [_folded_line(tree, here)]
    return [row for cut in here for row in _cut_lines(tree, cut, 16, judged.get(cut.node))]


def spliced_lines(
    turns: Sequence[Turn],
    got: Mapping[int, str] | None = None,
    written: Mapping[int, str] | None = None,
    tree: SearchTree | None = None,
    cuts: Cuts = NO_CUTS,
    judged: Mapping[int, Judgement] | None = None,
) -> list[Line]:
    """Returns the revision trajectory with its mask: a glyph, a word and a colour for what is trained.

    `turns`: the conversation. `got`: what the environment says at some steps of a trajectory that does not hold, by
    place among the executed steps. `written`: nodes whose steps people wrote in the search → who. `tree`: the sample's;
    None: cut steps are not shown. `cuts`: what was cut. `judged`: the verifier's judgements of steps of the tail, by
    node.
    """
    signs = glyphs()
    lines: list[Line] = []
    stale = set(quoting(turns))
    place = -1
    judged, back = judged or {}, cuts.back
    kept: Counter[str] = Counter()  # steps of each part so far that were never cut
    ends = {"bad": "context", "good": "tail"}
    last = {part: max((at for at, turn in enumerate(turns) if turn.part == part), default=-1) for part in ends}
    for at, turn in enumerate(turns):
        if turn.part == "header":
            continue
        if turn.role == "assistant" and turn.part in ends and tree is not None and turn.node not in back:
            lines += _cuts_at(tree, cuts, _part(turn.part), kept[turn.part], judged)
            kept[turn.part] += 1
        if turn.role == "assistant":
            if turn.part == "thought" or (lines and turn.part == "good" and _last_part(lines) == "thought"):
                lines.append(BLANK)
            sign, word = (signs.trained, "trained") if turn.loss else (signs.untrained, "masked ")
            role: Role = "good" if turn.loss else "muted"
            text: Role = "person" if turn.part == "thought" or turn.revises else "good" if turn.loss else "text"
            key = THOUGHT_KEY if turn.part == "thought" or turn.revises else None
            place += turn.part in ("bad", "good")
            called: Role = "good" if turn.loss else "text"  # a call is the agent's own, also below a thought of ours
            rows = [(part, text) for part in lines_of(turn.content)] if turn.content or not turn.calls else []
            rows += [(part, called) for part in lines_of(turn.action)] if turn.calls else []
            for row, (part, shade) in enumerate(rows):
                label = f"{sign} {'':<14}" if row else f"{sign} {word} agent "
                lines.append(line((label, role), (part, shade), indent=16, key=key, gutter=(sign, role)))
            said = judged.get(turn.node) if turn.node is not None and turn.part == "good" else None
            if said is not None:
                mark, shade = _WORD_ROLES[said.word]
                lines[-1] = lines[-1]._replace(parts=(*lines[-1].parts, (f"  {mark} {said.word}", shade)))
                if said.word != "Good" and said.reason:
                    lines.append(line((" " * 16, "muted"), (said.reason, "muted"), indent=16))
            if turn.node is not None and turn.node in back:
                told = f"{signs.edited} taken back; it was cut: {back[turn.node]}"
                lines.append(line((" " * 16, "muted"), (told, "person"), indent=16, key=CUT_KEY - turn.node))
            if written and turn.node is not None and turn.node in written:
                told = f"{signs.edited} written by {written[turn.node]}"
                lines.append(line((" " * 16, "muted"), (told, "person"), indent=16))
            if at in stale:
                told = "quotes an observation that was replaced by the true one"
                lines.append(line((" " * 16, "muted"), (told, "warn"), indent=16))
        else:
            mask: tuple[str, Role] = (signs.untrained, "faint")
            lines.append(line(mask, (f" {'':<8}env   ", "muted"), (turn.content, "muted"), indent=16, gutter=mask))
            if turn.replaced is not None:
                lines.append(
                    line((" " * 16, "muted"), (f"true observation; stored was: {turn.replaced}", "warn"), indent=16)
                )
            elif got and turn.part in ("bad", "good") and place in got:
                said_now = difference_parts(turn.content, got[place])
                told = f"{signs.bad} the environment says: "
                lines.append(line((" " * 16, "muted"), (told, "bad"), *said_now, indent=16))
        if turn.role != "assistant" and tree is not None and at == last.get(turn.part):
            lines += _cuts_at(tree, cuts, _part(turn.part), kept[turn.part], judged)
    return lines


def _part(part: str) -> CutPart:
    return "context" if part == "bad" else "tail"


def _last_part(lines: list[Line]) -> str:
    """Whether the last answered turn was the thought: its answer is `ok.`"""
    return "thought" if lines[-1].parts[-1][0] == "ok." else ""


def token_line(turns: Sequence[Turn]) -> str:
    """How much is trained, estimated from the characters."""
    total = sum(len(turn.said) for turn in turns)
    trained = sum(len(turn.said) for turn in turns if turn.loss)
    return f"trained ≈{trained // CHARACTERS_A_TOKEN} of ≈{total // CHARACTERS_A_TOKEN} tokens"


def made_lines(sample: Sample, cuts: Cuts) -> list[Line]:
    """What was cut, joined and repaired, in short; how clean the lesson is."""
    signs = glyphs()
    lines = []
    tail = sample.tail
    if tail is not None:
        counts = Counter(cut.reason for cut in cuts.out("tail"))
        told = ", ".join(f"{count} {reason}" for reason, count in counts.items())
        told = f": {many(sum(counts.values()), 'step')} cut ({told})" if told else ""
        plan = (
            f" · tail {many(len(tail.steps), 'step')}, plan {sample.plan_left}" if sample.plan_left is not None else ""
        )
        straight = "tail straightened" if counts else "tail straight as found"
        how = {"straight": straight, "joined": "tail joined another way of the tree",
               "repaired": "tail searched anew"}[tail.made]  # fmt: skip
        hint = "  x folds, X takes back" if cuts.open else "  x shows" if counts else ""
        lines.append(line((f"{signs.edited} {how}{told}", "warn"), (plan, "text"), (hint, "muted"), indent=4))
        masked = sum(not step.loss for step in tail.steps)
        if masked:
            lines.append(line((f"{many(masked, 'step')} of the tail masked: wrong, but needed", "warn"), indent=4))
    context = cuts.out("context")
    if context:
        reasons = ", ".join(dict.fromkeys(cut.reason for cut in context))
        lines.append(
            line((f"{signs.edited} {many(len(context), 'step')} of the context cut ({reasons})", "warn"), indent=4)
        )
    if sample.earlier:
        lines.append(
            line((f"{many(sample.earlier, 'earlier mistake')} in the context, not disowned", "warn"), indent=4)
        )
    if sample.unfinished:
        lines.append(line(("nobody saw the end of the bad trajectory", "warn"), indent=4))
    return lines


def _written(tree: SearchTree, id: int) -> str:
    """Who wrote a step by hand, to stand behind its action; nothing where the actor made it."""
    return f"  {glyphs().edited} by {tree.written_by[id]}" if id in tree.written_by else ""


def trajectory_lines(tree: SearchTree, leaf: int, fork_depth: int) -> list[Line]:
    """Returns one whole trajectory as lines, its shared steps muted.

    `tree`: the search. `leaf`: the last node. `fork_depth`: number of shared steps.
    """
    lines = []
    for step, id in enumerate(tree.ancestors(leaf)[1:], 1):
        node = tree.nodes[id]
        shared = step <= fork_depth
        action: tuple[str, Role] = (node.action, "muted" if shared else "text")
        lines.append(line((f"{step:>3}  ", "muted"), action, (_written(tree, id), "person"), indent=5, key=step))
        lines.append(line(("     ", "muted"), (node.observation, "muted"), indent=5))
        if step == fork_depth:
            lines.append(line(("── fork ──", "focus")))
    return lines
