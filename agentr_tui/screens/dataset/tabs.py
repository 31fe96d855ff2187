"""What the Dataset screen shows besides counts: plots, coverage, how far a review can be trusted. No Textual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from rich.cells import cell_len

from agentr_tui.screens.dataset.disputed import disputed, disputed_lines
from agentr_tui.screens.dataset.rows import holds
from agentr_tui.terminal.safe_text import clip, escape
from agentr_tui.terminal.theme import Role, bar, glyphs
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.base.errors import InputError
from engine.datasets.sample_lengths import Shape
from engine.review.agreement import Agreement, DefectRate, HitRate, agreement, defect_rate, hit_rates, read_planted
from engine.review.curation import reviewable
from engine.review.decisions import Decided, Decisions
from engine.review.variety import tail_length
from engine.samples.duplicates import EXACT, NEAR
from engine.samples.sample import Sample
from engine.workspace.workspace import Workspace
from envs.base import title_of

# -- plots -----------------------------------------------------------------------------------------------

_LEVELS = " ▁▂▃▄▅▆▇█"
_ROWS = 3
_LEAST_PLOT = 34
"""Cells that a plot wants; where there is room for two, two stand beside each other."""


def plot(name: str, values: Sequence[float], width: int, role: Role = "focus", rows: int = _ROWS) -> list[Line]:
    """Returns how often the values of a range occur, as columns of blocks; one column a whole number where that fits.

    `name`: the title. `values`: one a sample. `width`: most cells. `role`: the colour. `rows`: lines of the plot.
    """
    if not values:
        return [line((name, "focus"), ("  nothing", "muted"))]
    low, high = min(values), max(values)
    if low == high:
        return [line((name, "focus"), (f"  always {_figure(low)}", "text"), (f" · {len(values)}", "muted"))]
    most = max(2, (width - 2) // 2)
    whole = all(float(value).is_integer() for value in values)
    if whole and high - low < most:
        bins = int(high - low) + 1
        places = [int(value - low) for value in values]
    else:
        bins = min(most, 20)
        step = (high - low) / bins or 1.0
        places = [min(bins - 1, int((value - low) / step)) for value in values]
    columns = [0] * bins
    for place in places:
        columns[place] += 1
    top = max(columns)
    middle = sorted(values)[len(values) // 2]
    lines = [line((name, "focus"), (f"  median {_figure(middle)}", "text"), (f" · at most {top}", "muted"))]
    blocks = [round(8 * rows * count / top) or (count > 0) for count in columns]
    for row in range(rows - 1, -1, -1):
        lines.append(line(("".join(f"{_LEVELS[max(0, min(8, block - 8 * row))]} " for block in blocks), role)))
    first, last = _figure(low), _figure(high)
    room = 2 * bins - 1
    axis = f"{first}{last:>{max(len(last) + 1, room - len(first))}}"
    return [*lines, line((axis, "muted"))]


def _figure(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.2f}"


def beside(blocks: Sequence[list[Line]], width: int, least: int = _LEAST_PLOT) -> list[Line]:
    """Returns blocks of lines one under the other, or two in a row where there is room.

    `blocks`: lists of lines. `width`: cells. `least`: cells that each of two in a row needs.
    """
    if width < 2 * least:
        return [row for block in blocks for row in [*block, BLANK]]
    half = width // 2
    lines: list[Line] = []
    nothing: list[Line] = []
    for left, right in zip_longest(blocks[::2], blocks[1::2], fillvalue=nothing):
        for one, other in zip_longest(left, right, fillvalue=BLANK):
            used = sum(cell_len(escape(text)) for text, _ in one.parts)
            lines.append(line(*one.parts, (" " * max(1, half - used), "text"), *other.parts))
        lines.append(BLANK)
    return lines


Measure = Callable[[Sample], float]

MEASURES: tuple[tuple[str, Measure], ...] = (
    ("fork depth", lambda sample: sample.fork_depth),
    ("revision length", lambda sample: sample.mark if sample.mark is not None else sample.bad_depth),
    ("tail length", tail_length),
    ("gap of returns", lambda sample: float(sample.return_good) - float(sample.return_bad)),
    ("return of the good leaf", lambda sample: float(sample.expected_return)),
)
"""What needs no trace. Revision length (as in the paper): steps from the start to the first wrong one."""


def plot_lines(
    samples: Sequence[Sample],
    shapes: Mapping[str, Shape | None],
    width: int,
    wanted: Sequence[Sample] = (),
    rows: int = _ROWS,
) -> list[Line]:
    """Returns plots of the revision samples that are shown.

    `samples`: those that are shown. `shapes`: by sample id, as far as the traces were read. `width`: cells. `wanted`:
    the samples whose traces are being read, to tell how many are left. `rows`: lines of a plot.
    """
    mine = [sample for sample in samples if sample.kind != "good"]
    if not mine:
        return [line(("no revision samples", "muted"))]
    half = width // 2 - 2 if width >= 2 * _LEAST_PLOT else width
    blocks = [plot(name, [measure(sample) for sample in mine], half, rows=rows) for name, measure in MEASURES]
    known = [shape for sample in mine if (shape := shapes.get(sample.id)) is not None]
    blocks += [
        plot("turns", [shape.turns for shape in known], half, "person", rows),
        plot("tokens ≈", [shape.tokens for shape in known], half, "person", rows),
        plot("trained tokens ≈", [shape.trained for shape in known], half, "good", rows),
    ]
    return _reading(shapes, wanted) + beside(blocks, width)


def _reading(shapes: Mapping[str, Shape | None], wanted: Sequence[Sample]) -> list[Line]:
    """How far the traces were read."""
    if len(shapes) >= len(wanted):
        return []
    return [line(("reading traces … ", "focus"), (f"{len(shapes)} of {len(wanted)}", "muted")), BLANK]


def duplicate_lines(samples: Sequence[Sample], shapes: Mapping[str, Shape | None]) -> list[Line]:
    """How many samples repeat another."""
    counts = Counter(shape.duplicate for sample in samples if (shape := shapes.get(sample.id)) is not None)
    missing = sum(sample.id in shapes and shapes[sample.id] is None for sample in samples)
    distinct = counts[""]
    lines = [
        line(("duplicates", "focus"), ("  of trained part and flagged step", "muted")),
        line((f"{distinct:>6} ", "strong"), ("say something of their own", "text")),
        line((f"{counts[EXACT]:>6} ", "warn" if counts[EXACT] else "muted"), ("repeat another word for word", "text")),
        line((f"{counts[NEAR]:>6} ", "warn" if counts[NEAR] else "muted"), ("are alike (MinHash, 0.9)", "text")),
    ]
    if counts[EXACT] or counts[NEAR]:
        lines.append(line(("agentr revise --duplicates 0.9 takes one of each", "muted")))
    if missing:
        lines.append(line((f"{missing:>6} ", "warn"), ("could not be read: traces missing or changed", "warn")))
    return lines


# -- coverage --------------------------------------------------------------------------------------------


def coverage_lines(
    samples: Sequence[Sample],
    paths: Sequence[str],
    shapes: Mapping[str, Shape | None],
    width: int,
    wanted: Sequence[Sample] = (),
) -> list[Line]:
    """How much the samples differ: which tasks and trees give how many, the fullest first, which trees gave
    none; duplicates.

    `samples`: of the run. `paths`: the traces that it was made from. `shapes`: by sample id, as far as they are
    read. `width`: cells. `wanted`: the samples that an export takes.
    """
    mine = [sample for sample in samples if sample.kind != "good"]
    of_task = Counter(title_of(sample.environment, sample.task) for sample in mine)
    held = Counter(title_of(sample.environment, sample.task) for sample in mine if holds(sample))
    of_trace = Counter(sample.path for sample in mine)
    forks = {(sample.path, sample.fork) for sample in mine}
    names = {Path(path).name for path in of_trace}
    without = [path for path in paths if Path(path).name not in names]
    lines = [
        line((f"{len(of_trace)} of {max(len(paths), len(of_trace))} ", "strong"), ("trees give samples", "text")),
        line((f"{len(of_task)} ", "strong"), ("tasks, ", "text"), (f"{len(forks)} ", "strong"), ("forks", "text")),
    ]
    if of_task:
        fullest = of_task.most_common(1)[0][1]
        even = len(mine) / len(of_task)
        lines.append(
            line((f"{fullest / len(mine):.0%} ", "warn" if fullest > 3 * even and len(of_task) > 1 else "strong"),
                 (f"of all from the fullest task · {even:.0f} a task on average", "text"))
        )  # fmt: skip
    lines += [BLANK, *_reading(shapes, wanted), *duplicate_lines(mine, shapes)]
    lines += [BLANK, line(("samples by task", "focus"), ("  and how many pass the replay", "muted"))]
    most = max(of_task.values(), default=1)
    room = max(4, width - 36)
    for task, count in of_task.most_common():
        lines.append(
            line((f"{clip(task, 20):<20} ", "text"), (f"{count:>6} ", "strong"), (f"{held[task]:>6} ", "good"),
                 (bar(count / most, room), "focus"))
        )  # fmt: skip
    if without:
        lines += [BLANK, line((f"{len(without)} trees without a sample", "warn"))]
        lines += [line((f"  {Path(path).name}", "muted")) for path in without]
    return lines


# -- review ----------------------------------------------------------------------------------------------


@dataclass
class Trust:
    """How far the review of some samples got, and how far it can be trusted."""

    rate: DefectRate
    by_verdict: dict[str, DefectRate] = field(default_factory=dict)  # of each replay verdict
    agreed: Agreement | None = None
    hits: list[HitRate] = field(default_factory=list)
    planted: int = 0
    reviewers: dict[str, Counter[str]] = field(default_factory=dict)  # reviewer → verdicts
    reasons: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    warning: str = ""
    disputed: list[Sample] = field(default_factory=list)
    current: Mapping[str, Decided] = field(default_factory=dict)


def trust(workspace: Workspace, runs: Sequence[str], samples: Sequence[Sample], decisions: Decisions) -> Trust:
    """Returns figures over the samples that are shown, as `agentr review stats` prints them. Raises `InputError` for a
    broken file of planted faults.

    `workspace`: holds the planted faults. `runs`: ids of the runs. `samples`: those that are shown. `decisions`: of the
    workspace.
    """
    mine = reviewable(samples)
    current = decisions.current()
    found = Trust(defect_rate(mine, current), disputed=disputed(mine, current), current=current)
    for verdict in dict.fromkeys(sample.verdict for sample in mine):
        found.by_verdict[verdict] = defect_rate((each for each in mine if each.verdict == verdict), current)
    try:
        found.agreed = agreement(mine, current)
    except InputError as error:
        found.warning = str(error)
    planted = [each for each in read_planted(workspace.path / "planted") if each.run in runs]
    found.planted, found.hits = len(planted), hit_rates(planted, decisions.lines_of)
    for sample in mine:
        decided = current.get(sample.id)
        if decided is None:
            continue
        for who, verdict in decided.by_reviewer.items():
            found.reviewers.setdefault(who, Counter())[verdict] += 1
        if decided.verdict == "rejected" and decided.reason:
            found.reasons[decided.reason] += 1
        found.tags.update(decided.tags)
    return found


def trust_lines(found: Trust, width: int, shapes: Mapping[str, Shape | None] = {}) -> list[Line]:
    """Returns lines about disputed samples, the defect rate with its interval, agreement, planted faults, reasons and
    tags.

    `found`: the figures. `width`: cells. `shapes`: by sample id, as far as the traces were read.
    """
    lines = disputed_lines(found.disputed, found.current, shapes)
    lines += [line(("defect rate", "focus"), ("  rejected of what was reviewed", "muted"))]
    if found.rate.rate is None:
        lines.append(line((found.rate.line, "muted"), indent=2))
        lines.append(
            line(
                (
                    "4 reviews samples; o there takes them at random, so that the rate speaks for all",
                    "muted",
                )
            )
        )
    else:
        lines += [*_interval("all", found.rate, width)]
        if len(found.by_verdict) > 1:
            for verdict, rate in found.by_verdict.items():
                lines += _interval(verdict, rate, width)
        lines.append(line(("95 % interval; it speaks for all where samples were drawn at random (order stratified)",
                           "muted")))  # fmt: skip
    lines += [BLANK, line(("reviewers", "focus"))]
    for who, verdicts in sorted(found.reviewers.items()):
        told = " · ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
        lines.append(line((f"  {who}  ", "person"), (told, "text"), indent=4))
    if not found.reviewers:
        lines.append(line(("  nobody yet", "muted")))
    lines += [BLANK, line(("agreement", "focus"), ("  Krippendorff's alpha: 1 agree, 0 chance", "muted"))]
    agreed = found.agreed
    if agreed is None:
        lines.append(line((found.warning, "warn")))
    elif not agreed.both:
        lines.append(line(("  nothing was decided by two reviewers", "muted")))
    else:
        alpha = "not defined: all verdicts are the same" if agreed.alpha is None else f"{agreed.alpha:.3f}"
        lines.append(line((f"  {alpha}", "strong"), (f"  {agreed.same} of {agreed.both} agree", "text")))
    lines += [BLANK, line(("planted faults", "focus"))]
    if not found.planted:
        lines.append(line(("  none: agentr review plant puts some among the samples", "muted")))
    for hit in found.hits:
        kinds = ", ".join(f"{kind} {right}/{shown}" for kind, (right, shown) in sorted(hit.by_fault.items()))
        role: Role = "good" if hit.found == hit.shown else "warn"
        lines.append(
            line((f"  {hit.reviewer}  ", "person"), (f"found {hit.found} of {hit.shown}", role),
                 (f"  {kinds}", "muted"), indent=4)
        )  # fmt: skip
    if found.planted and not found.hits:
        lines.append(line((f"  {found.planted} stand in the queue, nobody met one yet", "muted")))
    for name, counts in (("reasons to reject", found.reasons), ("tags", found.tags)):
        if counts:
            lines += [BLANK, line((name, "focus"))]
            lines += [
                line((f"{count:>6} ", "strong"), (what, "text"), indent=7) for what, count in counts.most_common()
            ]
    return lines


def _interval(name: str, rate: DefectRate, width: int) -> list[Line]:
    """A share and its interval as a bar from 0 to 1."""
    if rate.rate is None or rate.low is None or rate.high is None:
        return [line((f"  {name:<13}", "muted"), ("none reviewed", "muted"))]
    room = max(8, min(30, width - 46))
    low, high = int(rate.low * (room - 1)), int(rate.high * (room - 1))
    at = max(low, min(high, round(rate.rate * (room - 1))))
    dash = glyphs().dash
    sketch = "".join("●" if cell == at else "━" if low <= cell <= high else dash for cell in range(room))
    role: Role = "good" if rate.high <= 0.1 else "warn" if rate.low <= 0.1 else "bad"
    told = f" {rate.rate:>6.1%}"
    return [
        line(
            (f"  {name:<13}", "text"),
            (sketch, role),
            (told, "strong"),
            (f"  {100 * rate.low:.1f}–{rate.high:.1%}", "text"),
            (f"  {rate.defects}/{rate.reviewed}", "muted"),
        )
    ]
