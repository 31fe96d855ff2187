"""What the Dataset screen shows about a run: counts, plots, a row a trace, what an export would write. No Textual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agentr_tui.screens.dataset.funnel import Funnel, funnel
from agentr_tui.terminal.theme import Role, bar, glyphs
from agentr_tui.widgets.row_table import Cell, Column, cell
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.base.text import many
from engine.datasets.card import trained_told
from engine.datasets.options import Exported
from engine.datasets.sample_choice import WHICH_WORDS, nothing_line
from engine.datasets.sample_lengths import Shape
from engine.environment.replay import HOLDS
from engine.query.grammar import QueryError
from engine.review.curation import Tally, decision_in, decision_of, tally
from engine.review.decisions import Decided
from engine.review.sample_query import parse
from engine.review.variety import tail_length
from engine.samples.sample import Sample
from engine.samples.thoughts.writers import REASON
from engine.samples.trained import Trained
from envs.base import title_of

COLUMNS = (
    Column("env task", 13),
    Column("goal", 14, flex=1, drop=1),
    Column("samples", 7, right=True),
    Column("pass", 5, right=True),
    Column("", 6, drop=2),
    Column("accepted", 8, right=True),
    Column("to review", 9, right=True),
)

VERDICTS = ("verified", "reobserved", "repaired", "diverged", "unreplayable", "unreplayed", "not replayed")
DECISIONS = ("accepted", "rejected", "skipped", "undecided")


@dataclass
class OfTrace:
    """The samples of one trace."""

    path: str
    task: str  # with its environment
    goal: str
    samples: int = 0  # good trajectories aside
    holds: int = 0
    accepted: int = 0
    undecided: int = 0


@dataclass
class RunSummary:
    """The samples of a run that a filter leaves, and what was decided about them."""

    left: list[Sample] = field(default_factory=list)  # what the filter leaves
    current: Mapping[str, Decided] = field(default_factory=dict)  # what people had decided
    samples: int = 0  # that the filter leaves; good trajectories aside, here and below
    good: int = 0  # good trajectories that the filter leaves
    kinds: Counter[str] = field(default_factory=Counter)  # of all
    verdicts: Counter[str] = field(default_factory=Counter)
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
    funnel: Funnel = field(default_factory=lambda: funnel((), {}))  # a default export, which knows no filter

    @property
    def decided_or_open(self) -> int:
        """Samples that can be reviewed."""
        return self.decided.decided + self.decided.undecided


def holds(sample: Sample) -> bool:
    """Whether a default export may take a sample, as the run has it."""
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
    """Whether a word is in the kind, verdict, decision, task, goal or file name of a sample.

    `sample`: the sample. `decided`: the decisions in force on it. `word`: in lower case.
    """
    told = [sample.kind, sample.verdict, decision_in(decided), sample.environment, sample.task]
    told += [sample.instruction, Path(sample.path).name]
    if sample.no_wrong_step:
        told.append("no wrong step")
    if sample.before_fork:
        told.append("before the fork")
    return word in " ".join(told).lower()


def summarise(
    samples: Sequence[Sample], current: Mapping[str, Decided], wanted: str = "", pairs: int = 0
) -> RunSummary:
    """Count samples.

    `samples`: of the run. `current`: the decisions in force, by sample id. `wanted`: the filter (`filter_of`); empty:
    all. `pairs`: number of pairs that the samples were made of; 0: not known.
    """
    summary = RunSummary()
    fits = filter_of(wanted)
    left = [sample for sample in samples if fits(sample, current.get(sample.id))]
    traces: dict[str, OfTrace] = {}
    lessons: set[str] = set()
    for sample in left:
        summary.kinds[sample.kind] += 1
        if sample.kind == "good":
            summary.good += 1
            continue
        summary.samples += 1
        summary.verdicts[sample.verdict] += 1
        summary.no_wrong_step += sample.no_wrong_step
        summary.before_fork += sample.before_fork
        if sample.mark is not None:
            summary.marks[sample.mark] += 1
        _lesson(summary, lessons, sample)
        trace = traces.get(sample.path)
        if trace is None:
            task = title_of(sample.environment, sample.task)
            trace = traces[sample.path] = OfTrace(sample.path, task, sample.instruction)
        decision = decision_of(sample.id, current)
        trace.samples += 1
        trace.holds += holds(sample)
        trace.accepted += decision == "accepted"
        trace.undecided += decision == "undecided"
    summary.left, summary.current, summary.lessons = left, current, len(lessons)
    summary.traces = list(traces.values())
    summary.decided = tally((sample for sample in left if sample.kind != "good"), current)
    summary.funnel = funnel(samples, current, pairs=pairs)
    return summary


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
        "reobserved": ("≈", "fair"),
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
    lines = [line(("replay", "focus"), ("  in the environment", "muted"))]
    for name in VERDICTS:
        if summary.verdicts[name] or name in ("verified", "reobserved", "diverged"):
            lines.append(_bar_line(name, summary.verdicts[name], of, *signs[name], room))
    lines += [BLANK, line(("judged", "focus"))]
    lines.append(_bar_line("no wrong step", summary.no_wrong_step, of, "!", "warn", room))
    lines.append(_bar_line("in shared steps", summary.before_fork, of, "!", "warn", room))
    lines += [BLANK, line(("decided", "focus"), ("  by people", "muted"))]
    decided = summary.decided
    reviewable = decided.decided + decided.undecided
    for name in DECISIONS:
        lines.append(_bar_line(name, getattr(decided, name), reviewable, *signs[name], room))
    if decided.disputed:
        lines.append(_bar_line("reviewers disagree", decided.disputed, reviewable, "!", "warn", room))
    lines += [BLANK, line(("kinds", "focus"))]
    for kind, count in sorted(summary.kinds.items()):
        if kind != "good":
            lines.append(_bar_line(kind, count, of, signs["undecided"][0], "focus", room))
    if summary.good:
        told = f"and {many(summary.good, 'good trajectory', 'good trajectories')} (an export of its own: contents good)"
        lines.append(line((told, "muted"), indent=4))
    return lines


_LEVELS = " ▁▂▃▄▅▆▇█"
_ROWS = 4


def histogram(name: str, counts: Mapping[int, int], width: int) -> list[Line]:
    """Returns columns of blocks, one a value from 1 on; no lines where there are no counts. Values beyond the width are
    added up in the last column. The count of the highest column stands before it.

    `name`: the title. `counts`: value → number of samples. `width`: cells.
    """
    if not counts:
        return []
    top = len(str(max(counts.values())))
    most = max(1, min(max(counts), (width - top - 2) // 2))
    columns = [0] * most
    for value, count in counts.items():
        columns[max(1, min(value, most)) - 1] += count
    highest = max(columns)
    top = len(str(highest))
    lines = [BLANK, line((name, "focus"), ("  samples a step", "muted"))]
    for row in range(_ROWS - 1, -1, -1):
        blocks = [round(8 * _ROWS * count / highest) or (count > 0) for count in columns]
        text = "".join(f"{_LEVELS[max(0, min(8, block - 8 * row))]} " for block in blocks)
        scale = str(highest) if row == _ROWS - 1 else ""
        lines.append(line((f"{scale:>{top}} ", "muted"), (text.rstrip(), "person")))
    marks = "".join(f"{value if value % 5 == 0 or value == 1 else '·':<2}" for value in range(1, most + 1))
    return [*lines, line((f"{'':{top}} {marks}".rstrip(), "muted"))]


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


VALUE_WIDTH = 22
"""Cells that a value has where two columns stand side by side."""


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
        return line((f"{name:<{wide}}", "muted"), (value, "strong"), sign, indent=wide)

    wide = 25
    lines = [line(("what is trained", "focus"), ("  by samples that pass", "muted"))]
    if read < len(mine):
        lines.append(line((f"reading traces {signs.ellipsis} {read} of {len(mine)}", "muted")))
    else:
        figures = (all.refused, all.bad, all.idle)
        lines += [
            row("trained turns", f"{all.turns:,}"),
            row("refused · Bad · idle", " · ".join(map(str, figures)), not any(figures)),
            row("repeats the wrong step", str(all.repeated), not all.repeated),
        ]
    lines.append(row("lessons", f"{summary.lessons}"))
    if summary.plans:
        ratio = summary.tails / summary.plans
        lines.append(row("tail beside the plan", f"{ratio:.2f}×", ratio <= 1.3))
    lines.append(row("mistake named by thought", f"{summary.named} of {summary.decided_or_open}"))
    made = _packed((f"{count} {how}" for how, count in summary.made.most_common()), VALUE_WIDTH)
    lines += [row("" if place else "tails", value) for place, value in enumerate(made)]
    mistakes = (f"{each or 'none'} in {count}" for each, count in sorted(summary.earlier.items()))
    earlier = _packed(mistakes, VALUE_WIDTH - 3)  # a sign follows
    for place, value in enumerate(earlier):
        last = place == len(earlier) - 1
        lines.append(row("" if place else "earlier mistakes", value, set(summary.earlier) <= {0} if last else None))
    return lines


def _packed(parts: Iterable[str], width: int) -> list[str]:
    """Parts in as few lines as fit beside another column."""
    lines = [""]
    for part in parts:
        longer = f"{lines[-1]} · {part}" if lines[-1] else part
        if len(longer) > width and lines[-1]:
            lines.append(part)
        else:
            lines[-1] = longer
    return lines


def progress_line(done: int, of: int) -> Line:
    """How far an export got."""
    if not of:
        return line(("exporting …", "focus"))
    return line(("exporting ", "focus"), (bar(done / of, 20), "focus"), (f"  {done:,} of {many(of, 'sample')}", "text"))


def report_lines(done: Exported) -> list[Line]:
    """What an export did."""
    signs = glyphs()
    if not done.files:
        return [line((f"{signs.bad} {nothing_line(done)}", "warn"), indent=2)]
    lines = [
        line(
            (f"{signs.good} {many(done.lines, 'line')} ", "good" if done.lines else "warn"),
            (f"{done.format}, {done.data_type}: {WHICH_WORDS[done.which]}", "text"),
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
