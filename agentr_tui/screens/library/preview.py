"""A pane about the trace under the cursor: its goal in full, how it went, its first levels, what to do with it."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from agentr_tui.screens.library.rows import age, duration
from agentr_tui.screens.shared.services import Services
from agentr_tui.state.trace_row import TraceRow
from agentr_tui.terminal.safe_text import clip
from agentr_tui.terminal.theme import Role, format_value, glyphs, value_role
from agentr_tui.widgets.overview import layout
from agentr_tui.widgets.partial_repaint import plain_title
from agentr_tui.widgets.text_pane import BLANK, Line, TextPane, line
from engine.base.errors import InputError
from engine.base.text import many
from engine.datasets.sample_lengths import wrong_key, wrong_step
from engine.samples.sample import Sample
from engine.trace.sources import load_any
from engine.tree.tree import SearchTree
from engine.workspace.sample_tree import is_of

LARGEST = 8 << 20
"""Bytes of a file that is read for its preview."""

LABELLED = 8
"""Cells of a subtree from which its Q is written."""

LEVELS = 4
"""Levels of the tree that are drawn."""

CURVE_ROWS = 5

MOST_WRONG = 3
"""Wrong actions that are named."""

FULL = ("█", "#")
"""A full cell, and that of a terminal without such signs."""


class Reviewed(NamedTuple):
    """The number of revision samples of a trace, and of those with a decision."""

    samples: int
    accepted: int
    decided: int
    wrong: tuple[tuple[str, int], ...] = ()  # the wrong actions that most samples have, and in how many


class Seen(NamedTuple):
    """What was read of a trace for its preview."""

    tree: SearchTree | None
    reviewed: Reviewed | None


class Preview:
    """Shows the trace under the cursor; a thread reads it."""

    def __init__(self, services: Services, pane: Callable[[], TextPane]) -> None:
        self._services, self._pane = services, pane
        self._key: tuple[Path, float, bool] | None = None  # of what is shown or being read
        self._seen = Seen(None, None)
        self._reading = False

    def show(self, row: TraceRow | None, now: float) -> None:
        """Show a row; its tree follows when it is read."""
        pane = self._pane()
        if row is None:
            self._key = None
            pane.retitle("")
            pane.set_lines([])
            return
        key = _key_of(row)
        if key != self._key:
            same = self._key is not None and self._key[0] == row.path
            self._key, self._seen = key, self._seen if same else Seen(None, None)
            self._reading = row.figures is not None and not row.error
            if self._reading:
                self._services.in_thread(
                    lambda: self._read(row),
                    lambda seen: self._read_it(key, row, now, seen),
                    "preview",
                    failed=lambda told: None,  # the row says why
                )
        self._draw(row, now)

    def rests_on(self, row: TraceRow | None) -> bool:
        """Whether the row is shown, with all that is going to be read of it."""
        return self._key == (_key_of(row) if row is not None else None) and not self._reading

    def _read(self, row: TraceRow) -> Seen:
        trace = row.figures.trace if row.figures is not None else ""
        tree = load_any(row.path).tree if row.path.stat().st_size <= LARGEST else None
        try:
            selected = self._services.session.workspace.select().samples
            samples = [each for each in selected if each.trace == trace and each.kind != "good"]  # as Revision has them
        except InputError:  # no run yet
            return Seen(tree, None)
        decided = [found for each in samples if (found := self._services.session.decisions.current().get(each.id))]
        verdicts = [each.verdict for each in decided]
        done = sum(verdict is not None for verdict in verdicts)
        wrong = most_wrong(tree, [each for each in samples if is_of(tree, each)]) if tree is not None else ()
        return Seen(tree, Reviewed(len(samples), verdicts.count("accepted"), done, wrong) if samples else None)

    def _read_it(self, key: tuple[Path, float, bool], row: TraceRow, now: float, seen: Seen) -> None:
        if key == self._key:
            self._seen, self._reading = seen, False
            self._draw(row, now)

    def _draw(self, row: TraceRow, now: float) -> None:
        pane, seen = self._pane(), self._seen
        pane.retitle(plain_title(f"{row.kind} of {row.task}" if row.origin else row.task or row.name))
        pane.set_lines(lambda width: preview_lines(row, seen, now, width), keep_scroll=True)


def _key_of(row: TraceRow) -> tuple[Path, float, bool]:
    """What a preview is of. A row whose figures came since is read anew."""
    return row.path, row.modified, row.figures is not None


def preview_lines(row: TraceRow, seen: Seen, now: float, width: int) -> list[Line]:
    """Returns what the pane says about a trace.

    `row`: the trace. `seen`: what was read of it. `now`: seconds since 1970. `width`: cells.
    """
    figures = row.figures
    lines = [line((row.goal or row.name, "strong"))]
    if row.error:
        return [*lines, BLANK, line((row.error, "bad"))]
    if figures is None:
        return [*lines, BLANK, line(("being read …", "muted"))]
    cost = f" · ${figures.cost:.2f}" if figures.cost is not None else ""
    took = f" · {duration(figures.seconds)}" if figures.seconds is not None else ""
    when = f" · {age(now - row.modified)} ago".replace("now ago", "now") if row.modified else ""
    lines.append(line((f"{many(figures.nodes, 'node')} · {many(figures.calls, 'call')}{cost}{took}{when}", "muted")))
    if seen.tree is not None:
        lines += [line((_settings(seen.tree), "muted")), BLANK, *curve_lines(seen.tree, row.score_range, width)]
        lines += [BLANK, *_overview_lines(seen.tree, row.score_range, width)]
    lines += [BLANK, line((_funnel(row, seen.reviewed), "text"))]
    if seen.reviewed is not None and seen.reviewed.wrong:
        lines += _wrong_lines(seen.reviewed.wrong, width)
    if figures.failures:
        lines.append(line((f"{figures.failures} failed answers", "warn")))
    lines += [BLANK, *(_key_line(*each) for each in _steps(row, seen.reviewed)), BLANK, line((str(row.path), "muted"))]
    return lines


def _settings(tree: SearchTree) -> str:
    started = tree.started
    if started is None or tree.imported_from is not None:
        return "imported: no settings are known"
    settings = started.settings
    who = settings.model if settings.actor == "openai" and settings.model else settings.actor
    return f"{who} · {settings.algorithm} c {settings.c:g} · {settings.iterations} iterations × {settings.samples}"


def _funnel(row: TraceRow, reviewed: Reviewed | None) -> str:
    assert row.figures is not None
    ends = f"{row.figures.good:,} good and {row.figures.bad:,} bad leaves"
    if row.figures.attempts:  # several may end at one leaf
        ends = f"{row.figures.solved:,} of {many(row.figures.scored, 'attempt')} solved"
    parts = [ends, many(row.figures.pairs, "pair")]
    if reviewed is not None:
        parts += [many(reviewed.samples, "sample"), f"{reviewed.decided:,} reviewed", f"{reviewed.accepted:,} accepted"]
    elif row.figures.lessons:
        parts.append(many(row.figures.lessons, "lesson"))
    return " → ".join(parts)


def most_wrong(tree: SearchTree, samples: Sequence[Sample]) -> tuple[tuple[str, int], ...]:
    """Returns the actions that most samples disown, the most frequent first, and the number of samples of each, counted
    as on Dataset: amounts aside.

    `tree`: the search. `samples`: its revision samples.
    """
    wordings: dict[str, Counter[str]] = {}
    for sample in samples:
        node = wrong_step(tree, sample)
        if node is not None:
            wordings.setdefault(wrong_key("", node.action), Counter())[" ".join(node.action.split())] += 1
    found = sorted(wordings.values(), key=lambda each: -each.total())[:MOST_WRONG]
    return tuple((each.most_common(1)[0][0], each.total()) for each in found)


def _wrong_lines(wrong: Sequence[tuple[str, int]], width: int) -> list[Line]:
    room = max(1, width - 10)
    lines = [line(("most often wrong", "muted"))]
    return lines + [line((f"{count:>8}  ", "strong"), (clip(action, room), "bad")) for action, count in wrong]


def _steps(row: TraceRow, reviewed: Reviewed | None) -> list[tuple[str, str]]:
    figures = row.figures
    steps = [("enter", "look at the tree")]
    if figures is not None and figures.pairs:
        left = f" ({reviewed.samples - reviewed.decided} to go)" if reviewed is not None else ""
        steps.append(("enter 4", f"review its pairs{left}"))
    if row.state in ("stopped", "crashed"):
        steps.append(("r", "go on with it"))
    return [*steps, ("space", "mark it; e exports the marked"), ("o", "a new search like it")]


def _key_line(keys: str, told: str) -> Line:
    return line((f"{keys:>8}  ", "focus"), (told, "text"), indent=10)


def curve_lines(tree: SearchTree, score_range: tuple[float, float], width: int) -> list[Line]:
    """Returns the best return after each iteration, as columns of a plot, and the mean of the root.

    `tree`: the search. `score_range`: least and greatest return. `width`: cells.
    """
    returns = best_by_iteration(tree)
    low, high = score_range
    known = [value for value in returns if value is not None] or [leaf.reward for leaf in tree.leaves()]
    best = max(known, default=None)  # what was imported has no iterations
    title = f"best {format_value(best, low, high)} · mean {format_value(tree.q(0), low, high)}"
    if len(returns) < 2 or best is None or high <= low:
        return [line((title, "text"))]
    cells = max(1, min(6, (width - 2) // len(returns)))
    shown = returns[-(width // cells) :]
    lines = [line((title, "text"))]
    for level in range(CURVE_ROWS, 0, -1):
        least = low + (high - low) * (level - 0.5) / CURVE_ROWS
        parts: list[tuple[str, Role]] = [
            (
                (FULL[glyphs().guide.isascii()] if value is not None and value >= least else " ") * cells,
                value_role(value, low, high),
            )
            for value in shown
        ]
        lines.append(line(*parts))
    last = str(len(returns))
    first = f"iteration {len(returns) - len(shown) + 1}"
    lines.append(line((first + last.rjust(max(1, cells * len(shown) - len(first))), "muted")))
    return lines


def best_by_iteration(tree: SearchTree) -> list[float | None]:
    """The best return of the leaves that were there after each iteration; None before the first leaf."""
    ends = tree.iteration_seqs
    best: list[float | None] = [None] * len(ends)
    for node in tree.nodes:
        if node.terminal is not None and node.terminal != "dead_end" and not node.children and ends:
            at = min(bisect_right(ends, tree.born_at(node.id) - 1), len(ends) - 1)
            best[at] = max(node.reward, best[at]) if best[at] is not None else node.reward  # type: ignore[type-var]
    for at in range(1, len(best)):
        before = best[at - 1]
        if before is not None:
            best[at] = max(before, best[at]) if best[at] is not None else before  # type: ignore[type-var]
    return best


def _overview_lines(tree: SearchTree, score_range: tuple[float, float], width: int) -> list[Line]:
    low, high = score_range
    lines = []
    for cells in layout(tree, max(1, width - 1), LEVELS):
        parts: list[tuple[str, Role]] = []
        at = 0
        for cell in cells:
            q, full = tree.q(cell.id), max(1, cell.width - 1)
            told = f" {format_value(q, low, high)} " if q is not None and full >= LABELLED else ""
            block = glyphs().unseen if q is None else FULL[glyphs().guide.isascii()]
            left = (full - len(told)) // 2
            shown = block * left + told + block * (full - left - len(told))
            parts += [(" " * (cell.start - at), "text"), (shown, "faint" if q is None else value_role(q, low, high))]
            at = cell.start + full
        if parts:
            lines.append(line(*parts))
    return lines
