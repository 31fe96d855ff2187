"""The export of the run that is shown: asked for in a dialog, written beside the screen, reported line by line."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from textual.message import Message

from agentr_tui.screens.dataset.export_dialog import ExportDialog, ExportRequest
from agentr_tui.screens.dataset.funnel import Funnel, Which, funnel
from agentr_tui.screens.dataset.rows import progress_line, report_lines
from agentr_tui.screens.dataset.run_watch import RunWatch
from agentr_tui.screens.shared.services import Services, Stopped
from agentr_tui.widgets.text_pane import Line, line
from engine.base.errors import AgentrError
from engine.base.text import many
from engine.datasets.export import export
from engine.datasets.formats import DataType
from engine.datasets.options import Exported
from engine.datasets.sample_choice import nothing_line
from engine.environment.permission import NeedsConsent

TELL_EVERY = 0.2  # seconds, while an export goes on


class Exporter:
    """Writes datasets in a thread, which posts `Progress` and `Ended`."""

    class Progress(Message):
        """So many of the samples are written."""

        def __init__(self, done: int, of: int) -> None:
            super().__init__()
            self.done, self.of = done, of

    class Ended(Message):
        """What was written, or why nothing was."""

        def __init__(self, run: str | None, request: ExportRequest, came: Exported | NeedsConsent | str) -> None:
            super().__init__()
            self.run, self.request, self.came = run, request, came

    def __init__(self, services: Services, runs: RunWatch) -> None:
        self._services = services
        self._runs = runs
        self._exporting = False
        self._report: list[Line] = []

    @property
    def exporting(self) -> bool:
        """Whether an export is being written."""
        return self._exporting

    @property
    def report(self) -> Sequence[Line]:
        """The lines about the newest export."""
        return self._report

    def forget(self) -> None:
        """Drop the lines about the newest export, since another run is shown."""
        self._report = []

    def ask(self) -> None:
        """Ask what and where to, then write."""
        loaded, counted = self._runs.loaded, self._runs.counted
        if loaded is None or counted is None:
            self._services.say("There is no run to export: press 4 to make one from the open tree.", severity="warning")
        elif self._exporting:
            self._services.say("An export is being written.", severity="warning")
        else:
            samples, current = loaded.samples, counted.summary.current
            environments = sorted({sample.environment for sample in samples})

            def preview(data_type: DataType, which: Which, per_lesson: int) -> Funnel:
                return funnel(samples, current, data_type, which, per_lesson)

            dialog = ExportDialog(self._services.session.workspace.exports, environments, loaded.title, preview)
            self._services.open(dialog, partial(self._export, loaded.run))

    def _export(self, run: str | None, request: ExportRequest | None) -> None:
        if request is None:
            return
        self._exporting = True
        self._services.post(self.Progress(0, 0))
        told = time.monotonic()

        def progress(done: int, of: int) -> None:
            nonlocal told
            if time.monotonic() - told > TELL_EVERY:
                told = time.monotonic()
                self._services.post(self.Progress(done, of))

        workspace = self._services.session.workspace

        def work(stopped: Stopped) -> None:
            """In a worker thread: export, and post the figures, a question for permission, or an error's line."""
            came: Exported | NeedsConsent | str
            try:
                came = export(
                    workspace,
                    run,
                    request.format,
                    request.out,
                    data_type=request.data_type,
                    all=request.which == "all",
                    only_verified=request.which == "only verified",
                    options=request.options,
                    progress=progress,
                )
            except NeedsConsent as unasked:
                came = unasked
            except AgentrError as error:
                came = str(error)
            self._services.post(self.Ended(run, request, came))

        self._services.beside(work, "export")

    def went_on(self, event: Progress) -> None:
        """Takes up how far the export is."""
        self._report = [progress_line(event.done, event.of)]

    def ended(self, event: Ended) -> None:
        """Take up the result; where a person has to be asked first, ask, and write after a yes."""
        self._exporting = False
        came = event.came
        if isinstance(came, Exported):
            self._report = report_lines(came)
            if came.files:
                self._services.say(f"{many(came.lines, 'line')}: {came.out}")
            else:
                self._services.complain(nothing_line(came))
            return
        self._report = [line((f"✗ {came}", "bad"), indent=2)]
        self._services.complain(str(came))
        if isinstance(came, NeedsConsent):
            self._services.ask_yes(came, partial(self._export, event.run, event.request), lambda: None)
