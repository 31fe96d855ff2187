"""The traces that a person marked in the library: revised together, deleted together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from agentr_tui.screens.library.families import counted
from agentr_tui.screens.shared.dialogs import Choice
from agentr_tui.screens.shared.services import Services
from agentr_tui.state.review.load import load_review
from agentr_tui.state.trace_row import TraceRow
from engine.base.text import many
from engine.base.untrusted_files import real_path
from engine.samples.settings import ReviseSettings
from engine.trace.trace_file import is_being_written


class MarkedTraces:
    """The marked files, and what is done with all of them."""

    def __init__(self, services: Services, to_dataset: Callable[[], object], delete: Callable[[Path], object]) -> None:
        """`to_dataset` goes to the Dataset screen; `delete` deletes one file without a question."""
        self._services, self._to_dataset, self._delete = services, to_dataset, delete
        self.paths: set[Path] = set()

    def toggle(self, row: TraceRow, below: Sequence[TraceRow] = ()) -> None:
        """Mark a trace, or take its mark away. `below`: the searches that began in it; each is marked by itself."""
        self.paths ^= {row.path}
        if below and row.path in self.paths:
            self._services.say(f"{row.name} is marked without the {counted(below)} below it.", seconds=3)

    def of(self, rows: Sequence[TraceRow], row: TraceRow | None) -> list[TraceRow]:
        """The marked rows; where none is marked, the one under the cursor."""
        marked = [each for each in rows if each.path in self.paths]
        return marked or ([row] if row is not None else [])

    def two(self, rows: Sequence[TraceRow], row: TraceRow | None) -> tuple[TraceRow, TraceRow] | None:
        """The two traces to compare, in the order of the list; None, and a word why, where there are not two."""
        marked = [each for each in rows if each.path in self.paths]
        if len(marked) == 1 and row is not None and row is not marked[0]:
            marked.append(row)
        broken = next((each for each in marked if each.error), None)
        if broken is not None:
            self._services.complain(f"{broken.path}: {broken.error}")
        elif len(marked) == 2:
            return marked[0], marked[1]
        else:
            self._services.say(
                f"Mark two traces with space, then = compares them: {len(marked)} marked.", severity="warning"
            )
        return None

    def export(self, rows: Sequence[TraceRow]) -> None:
        """Make samples of these traces where that was not done yet, then go to Dataset, which exports them."""
        usable = [row for row in rows if row.figures is not None and not row.error]
        if not usable:
            self._services.say(
                "No trace to export is marked: space marks the one under the cursor.", severity="warning"
            )
            return
        session = self._services.session
        settings = ReviseSettings(alpha=session.alpha, beta=session.beta)
        self._services.say(f"making samples of {_count(usable)} …", seconds=3)

        def work() -> int:
            reviews = [load_review(session.workspace, session.decisions, row.path, settings, None) for row in usable]
            for review in reviews:
                review.close()
            return sum(len(review.samples) for review in reviews)

        def done(samples: int) -> None:
            self._services.say(f"{many(samples, 'sample')} of {_count(usable)}: e exports them")
            self._to_dataset()

        self._services.in_thread(work, done, "library")

    def ask_delete(self, rows: Sequence[TraceRow], below: Sequence[TraceRow] = ()) -> None:
        """Ask whether to delete several traces; those that are written, or are not of the workspace, stay.

        `below`: the searches that began in them and are not marked; they stay, too.
        """
        inside = real_path(self._services.session.workspace.traces)
        mine = [row for row in rows if real_path(row.path).is_relative_to(inside) and not is_being_written(row.path)]
        if not mine:
            self._services.say(
                "None of the marked traces can be deleted: they are outside the workspace, or are written."
            )
            return
        stay = f" {len(rows) - len(mine)} stay." if len(rows) > len(mine) else ""
        stay += f" The {counted(below)} below them {'stays' if len(below) == 1 else 'stay'}." if below else ""

        def delete() -> None:
            for row in mine:
                self._delete(row.path)
                self.paths.discard(row.path)

        keep = Choice("escape", "keep them", lambda: None)
        self._services.choose(
            f"Delete {_count(mine)}? Their samples can't be exported without them.{stay}",
            [keep, Choice("y", "delete them from the disk", delete)],
        )


def _count(rows: Sequence[TraceRow]) -> str:
    return f"{len(rows)} trace{'s' * (len(rows) != 1)}"
