"""The lines of the tabs of the Dataset screen, by name. No Textual."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agentr_tui.screens.dataset.rows import count_lines, histogram, trained_lines
from agentr_tui.screens.dataset.run import Counted, LoadedRun
from agentr_tui.screens.dataset.tabs import beside, coverage_lines, plot_lines, trust_lines
from agentr_tui.widgets.text_pane import Line
from engine.datasets.sample_lengths import Shape
from engine.review.curation import reviewable

COUNTS_WIDTH = 47
"""Cells of each column of the counts."""


def tab_lines(
    name: str, loaded: LoadedRun, counted: Counted, shapes: Mapping[str, Shape | None], notes: Sequence[Line]
) -> Callable[[int], Sequence[Line]]:
    """Returns the function that makes the lines of a tab for a pane of some width.

    `name`: of the tab. `loaded`: the run. `counted`: what was counted of it. `shapes`: by sample id, as far as the
    traces were read. `notes`: the lines of the tab `notes`.
    """
    summary, samples = counted.summary, reviewable(loaded.samples)

    def lines(width: int) -> Sequence[Line]:
        if name == "plots":
            return plot_lines(summary.left, shapes, width, samples)
        if name == "coverage":
            return coverage_lines(summary.left, loaded.chosen.paths, shapes, width, samples)
        if name == "review":
            return trust_lines(counted.trust, width, shapes)
        if name == "notes":
            return notes
        trained = trained_lines(summary, shapes)
        counts = [*trained, *histogram("first wrong step", summary.marks, width // 2)]
        return beside([count_lines(summary, width), counts], width, COUNTS_WIDTH)

    return lines
