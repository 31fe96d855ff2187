"""What the Dataset screen tells of a run: counts, plots, a row a trace, what an export would write. No Textual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agentr_tui.terminal.theme import Role, bar, glyphs
from agentr_tui.widgets.row_table import Cell, Column, cell
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.datasets.card import trained_told
from engine.datasets.choice import Expected, expected, nothing_line, tail_length
from engine.datasets.export import Exported
from engine.datasets.formats import data_type_of
from engine.datasets.sizes import Shape
from engine.environment.replay import HOLDS
from engine.query.grammar import QueryError
from engine.review.curation import Tally, decision_in, decision_of, tally
from engine.review.decisions import Decided
from engine.review.sample_query import parse
from engine.samples.sample import Sample
from engine.samples.thoughts import REASON
from engine.samples.trained import Trained
from envs.base import title_of

COLUMNS = (
    Column("env task", 13),
    Column("goal", 14, flex=1, drop=1),
    Column("samples", 7, right=True),
    Column("hold", 5, right=True),
    Column("", 6, drop=2),
    Column("accepted", 8, right=True),
    Column("open", 5, right=True),
)

VERDICTS = ("verified", "reobserved", "repaired", "diverged", "unreplayable", "unreplayed", "not replayed")
DECISIONS = ("accepted", "rejected", "skipped", "undecided")


@dataclass
class OfTrace:
    """The samples of one trace."""

    path: str
    task: str  # with its environment
    goal: str
    samples: int = 0
    holds: int = 0
    accepted: int = 0
    undecided: int = 0


@dataclass
class RunSummary:
    """The samples of a run that a filter leaves, and what was decided about them."""

    left: list[Sample] = field(default_factory=list)  # what the filter leaves
    current: Mapping[str, Decided] = field(default_factory=dict)  # what people had decided
    samples: int = 0  # that the filter leaves
    kinds: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)  # of all kinds
    no_wrong_step: int = 0
    before_fork: int = 0
    decided: Tally = field(default_factory=Tally)  # of samples that can be reviewed: not of good trajectories
    marks: Counter[int] = field(default_factory=Counter)  # first wrong step → samples
    traces: list[OfTrace] = field(default_factory=list)
    lessons: int = 0  # distinct ones of what the filter leaves
    wrong_actions: int = 0
    named: int = 0  # thoughts that name the mistake
    tails: int = 0  # steps of all tails whose plan is known
    plans: int = 0  # steps that the plan had left there
    earlier: Counter[int] = field(default_factory=Counter)  # earlier mistakes in the context → samples
    made: Counter[str] = field(default_factory=Counter)  # how tails came about
    # A default export, which knows no filter:
    centric: int = 0
    holds: int = 0
    accepted: int = 0
    expected: Expected = field(default_factory=lambda: Expected(which="all that hold", samples=0, lines=0))

    @property
    def decided_or_open(self) -> int:
        """Samples that can be reviewed."""
        return self.decided.decided + self.decided.undecided

    @property
    def any_verdict(self) -> bool:
        """Whether anybody decided about a revision sample."""
        return self.expected.which == "accepted"


def holds(sample: Sample) -> bool:
    """Whether a default export may take it, as the run has it."""
    return sample.verdict in HOLDS and not sample.no_wrong_step


def filter_of(wanted: str) -> Callable[[Sample, Decided | None], bool]:
    """Which samples a query names (`engine.review.sample_query`); its words alone are what `in_row` looks for.

    What can't be read yet, since it is being typed, is words.
    """
    try:
        return parse(wanted, in_row)
    except QueryError:
        words = wanted.lower().split()
        return lambda sample, decided: all(in_row(sample, decided, word) for word in words)


def in_row(sample: Sample, decided: Decided | None, word: str) -> bool:
    """Whether a word (in lower case) stands in kind, verdict, decision, task, goal or file name."""
    told = [sample.kind, sample.verdict, decision_in(decided), sample.environment, sample.task]
    told += [sample.instruction, Path(sample.path).name]
    if sample.no_wrong_step:
        told.append("no wrong step")
    if sample.before_fork:
        told.append("before the fork")
    return word in " ".join(told).lower()


def summarise(samples: Sequence[Sample], current: Mapping[str, Decided], wanted: str = "") -> RunSummary:
    """Count the samples that `wanted` names (`filter_of`)."""
    summary = RunSummary()
    fits = filter_of(wanted)
    left = [sample for sample in samples if fits(sample, current.get(sample.id))]
    traces: dict[str, OfTrace] = {}
    lessons: set[str] = set()
    for sample in left:
        summary.kinds[sample.kind] += 1
        summary.verdicts[sample.verdict] += 1
        summary.no_wrong_step += sample.no_wrong_step
        summary.before_fork += sample.before_fork
        if sample.mark is not None:
            summary.marks[sample.mark] += 1
        if sample.kind != "good":
            _lesson(summary, lessons, sample)
        trace = traces.get(sample.path)
        if trace is None:
            task = title_of(sample.environment, sample.task)
            trace = traces[sample.path] = OfTrace(sample.path, task, sample.instruction)
        decision = decision_of(sample.id, current)
        trace.samples += 1
        trace.holds += holds(sample)
        trace.accepted += decision == "accepted"
        trace.undecided += decision == "undecided" and sample.kind != "good"
    summary.left, summary.current, summary.lessons = left, current, len(lessons)
    summary.samples, summary.traces = len(left), list(traces.values())
    summary.decided = tally((sample for sample in left if sample.kind != "good"), current)
    _preview(summary, samples, current)
    return summary


def _preview(summary: RunSummary, samples: Sequence[Sample], current: Mapping[str, Decided]) -> None:
    centric = [sample for sample in samples if data_type_of(sample) == "centric"]
    summary.centric = len(centric)
    summary.holds = sum(holds(sample) for sample in centric)
    summary.accepted = sum(decision_of(sample.id, current) == "accepted" for sample in centric)
    summary.expected = expected(centric, current)


def _lesson(summary: RunSummary, lessons: set[str], sample: Sample) -> None:
    """Count what a sample teaches."""
    lessons.add(sample.lesson or sample.id)
    summary.named += sample.thought_by == REASON
    summary.earlier[sample.earlier] += 1
    summary.made[sample.tail.made if sample.tail is not None else "as found"] += 1
    if sample.plan_left:
        summary.tails += tail_length(sample)
        summary.plans += sample.plan_left


# -- lines -----------------------------------------------------------------------------------------------

_LABEL, _BAR = 18, 20


def _signs() -> dict[str, tuple[str, Role]]:
    signs = glyphs()
    return {
        "verified": (signs.good, "good"),
        "repaired": (signs.good, "good"),
        "reobserved": ("~", "fair"),
        "diverged": (signs.bad, "bad"),
        "unreplayable": ("?", "poor"),
        "unreplayed": ("?", "warn"),
        "not replayed": (signs.ellipsis, "muted"),
        "accepted": (signs.good, "good"),
        "rejected": (signs.bad, "bad"),
        "skipped": (signs.folded, "warn"),
        "undecided": (signs.seen, "muted"),
    }


def _bar_line(name: str, count: int, of: int, sign: str, role: Role, width: int) -> Line:
    shown: Role = role if count else "muted"
    return line(
        (f"{sign} ", shown),
        (f"{name:<{_LABEL}}", "text" if count else "muted"),
        (f"{count:>5}  ", "strong" if count else "muted"),
        (bar(count / of if of else None, width) if count else "", role),
    )


def count_lines(summary: RunSummary, width: int) -> list[Line]:
    """The counts of a run with bars, for a pane of that width."""
    of, room = summary.samples, max(4, min(_BAR, width - _LABEL - 10))
    signs = _signs()
    lines = [line(("in the environment", "focus"))]
    for name in VERDICTS:
        if summary.verdicts[name] or name in ("verified", "reobserved", "diverged"):
            lines.append(_bar_line(name, summary.verdicts[name], of, *signs[name], room))
    lines += [BLANK, line(("judged", "focus"))]
    lines.append(_bar_line("no wrong step", summary.no_wrong_step, of, "!", "warn", room))
    lines.append(_bar_line("before the fork", summary.before_fork, of, "!", "warn", room))
    lines += [BLANK, line(("decided", "focus"), ("  by people, good trajectories aside", "muted"))]
    decided = summary.decided
    reviewable = decided.decided + decided.undecided
    for name in DECISIONS:
        lines.append(_bar_line(name, getattr(decided, name), reviewable, *signs[name], room))
    if decided.disputed:
        lines.append(_bar_line("reviewers disagree", decided.disputed, reviewable, "!", "warn", room))
    lines += [BLANK, line(("kinds", "focus"))]
    for kind, count in sorted(summary.kinds.items()):
        lines.append(_bar_line(kind, count, of, signs["undecided"][0], "focus", room))
    lines += histogram("first wrong step", summary.marks, width)
    return lines


_LEVELS = " ▁▂▃▄▅▆▇█"
_ROWS = 4


def histogram(name: str, counts: Mapping[int, int], width: int) -> list[Line]:
    """Columns of blocks, one a value from 1 on; what lies beyond the width is added up in the last."""
    if not counts:
        return []
    most = max(1, min(max(counts), (width - 4) // 2))
    columns = [0] * most
    for value, count in counts.items():
        columns[max(1, min(value, most)) - 1] += count
    top = max(columns)
    lines = [BLANK, line((name, "focus"), (f"  at step 1 to {max(counts)} · highest bar {top}", "muted"))]
    for row in range(_ROWS - 1, -1, -1):
        blocks = [round(8 * _ROWS * count / top) or (count > 0) for count in columns]
        text = "".join(f"{_LEVELS[max(0, min(8, block - 8 * row))]} " for block in blocks)
        lines.append(line((f"  {text}".rstrip(), "person")))
    marks = "".join(f"{value if value % 5 == 0 or value == 1 else '·':<2}" for value in range(1, most + 1))
    return [*lines, line((f"  {marks}", "muted"))]


def trace_cells(trace: OfTrace) -> list[Cell]:
    """The cells of a trace, one for each of `COLUMNS`."""
    share = trace.holds / trace.samples if trace.samples else 0.0
    return [
        cell(trace.task, "text"),
        cell(trace.goal, "text"),
        cell(str(trace.samples), "text"),
        cell(str(trace.holds), "good" if trace.holds else "bad"),
        cell(bar(share, 6), "good"),
        cell(str(trace.accepted), "good" if trace.accepted else "muted"),
        cell(str(trace.undecided), "warn" if trace.undecided else "muted"),
    ]


def preview_lines(summary: RunSummary) -> list[Line]:
    """What a default export would write."""
    if not summary.centric:
        return [line(("There are no revision samples: no leaf was good enough, or none bad enough.", "warn"))]
    told: list[tuple[str, Role]] = [
        (f"{summary.holds} of {summary.centric}", "strong"),
        (" samples hold in the environment", "text"),
    ]
    found = summary.expected
    lines = f"{found.lines} lines" if found.lines != 1 else "1 line"
    if not summary.any_verdict:
        told += [
            (", and nobody decided anything yet: a default export writes ", "text"),
            (lines if found.lines != summary.holds else f"all {summary.holds} that hold", "good"),
            (", duplicates aside.", "text"),
        ]
    else:
        told += [
            (f", {summary.accepted} were accepted: a default export writes ", "text"),
            (lines, "good" if found.lines else "warn"),
            (", duplicates aside.", "text"),
        ]
    shown = [line(*told)]
    if found.moved:
        told_moved = f"{found.moved} of them were changed by hand: they are replayed first, and kept if they hold."
        shown.append(line((told_moved, "person")))
    if found.dropped:
        left = ", ".join(f"{count} {reason}" for reason, count in found.dropped.items())
        shown.append(line(("left out: ", "muted"), (left, "warn")))
    return shown


def trained_lines(summary: RunSummary, shapes: Mapping[str, Shape | None]) -> list[Line]:
    """What is trained, and what must not be; as far as the traces were read."""
    signs = glyphs()
    mine = [sample for sample in summary.left if sample.kind != "good" and holds(sample)]
    if not mine:
        return []
    all = Trained()
    read = 0
    for sample in mine:
        shape = shapes.get(sample.id)
        if shape is not None:
            read += 1
            all.add(shape.faults)

    def row(name: str, value: str, ok: bool | None = None) -> Line:
        sign: tuple[str, Role] = ("", "text") if ok is None else (f"  {signs.good}", "good") if ok else ("  !", "bad")
        return line((f"{name:<26}", "muted"), (value, "strong"), sign, indent=26)

    lines = [BLANK, line(("what is trained", "focus"), ("  by the samples that hold", "muted"))]
    if read < len(mine):
        lines.append(line((f"reading traces {signs.ellipsis} {read} of {len(mine)}", "muted")))
    else:
        figures = (all.refused, all.bad, all.idle)
        lines += [
            row("trained turns", f"{all.turns:,}"),
            row("refused · Bad · idle", " · ".join(map(str, figures)), not any(figures)),
            row("repeats the disowned step", str(all.repeated), not all.repeated),
        ]
    lines.append(row("lessons", f"{summary.lessons}"))
    if summary.plans:
        ratio = summary.tails / summary.plans
        lines.append(row("tail beside the plan", f"{ratio:.2f}×", ratio <= 1.3))
    lines.append(row("thought names the mistake", f"{summary.named} of {summary.decided_or_open}"))
    made = " · ".join(f"{count} {how}" for how, count in sorted(summary.made.items()))
    lines.append(row("tails", made))
    earlier = " · ".join(f"{count} with {many or 'none'}" for many, count in sorted(summary.earlier.items()))
    lines.append(row("earlier mistakes", earlier, set(summary.earlier) <= {0}))
    return lines


def progress_line(done: int, of: int) -> Line:
    """How far an export got."""
    if not of:
        return line(("exporting …", "focus"))
    return line(("exporting ", "focus"), (bar(done / of, 20), "focus"), (f"  {done} of {of} samples", "text"))


def report_lines(done: Exported) -> list[Line]:
    """What an export did."""
    signs = glyphs()
    if not done.files:
        return [line((f"{signs.bad} {nothing_line(done)}", "warn"), indent=2)]
    lines = [
        line(
            (f"{signs.good} {done.lines} lines ", "good" if done.lines else "warn"),
            (f"{done.format}, {done.data_type}: {done.which}", "text"),
            indent=2,
        ),
        line(("  ", "muted"), (done.out, "focus"), indent=2),
    ]
    if done.parts:
        parts = ", ".join(f"{name} {count}" for name, count in done.parts.items())
        lines.append(line((f"  parts: {parts}", "text"), indent=4))
    if done.dropped:
        left = ", ".join(f"{count} {reason}" for reason, count in sorted(done.dropped.items()))
        lines.append(line((f"  left out: {left}", "warn"), indent=4))
    if done.problems:
        broken = ", ".join(f"{count} {reason}" for reason, count in sorted(done.problems.items()))
        lines.append(line((f"  written although: {broken}", "bad"), indent=4))
    lines += [line((f"  {told}", "text"), indent=4) for told in trained_told(done)]
    lines += [line((f"  ! {warning}", "warn"), indent=4) for warning in done.warnings]
    lines += [line(("  train: ", "muted"), (command, "person"), indent=4) for command in done.commands]
    lines.append(line((f"  beside it: {Path(done.card).name}, {Path(done.provenance).name}", "muted"), indent=4))
    return lines
