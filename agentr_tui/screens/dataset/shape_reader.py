"""What the texts of a run say of its samples, read from its traces once a run, beside the screen."""

from __future__ import annotations

import time

from textual.message import Message

from agentr_tui.screens.dataset.run import LoadedRun
from agentr_tui.screens.shared.services import Services, Stopped
from engine.datasets.sample_lengths import Shape, shapes

TELL_EVERY = 0.2  # seconds, while the traces are read


class ShapeReader:
    """Reads in a thread, which posts `Read` with what is known so far."""

    class Read(Message):
        """A thread read some traces of a run, or all."""

        def __init__(self, run: str, found: dict[str, Shape | None]) -> None:
            super().__init__()
            self.run, self.found = run, found

    def __init__(self, services: Services) -> None:
        self._services = services
        self._run: str | None = None  # whose traces are read
        self._shapes: dict[str, Shape | None] = {}

    @property
    def shapes(self) -> dict[str, Shape | None]:
        """By sample, as far as the traces of the run were read."""
        return self._shapes

    def read(self, loaded: LoadedRun) -> None:
        """Read the traces of a run, where that was not begun yet."""
        if self._run == loaded.chosen.name:
            return
        run = self._run = loaded.chosen.name
        self._shapes = {}
        workspace, samples, environment = self._services.session.workspace, loaded.samples, loaded.chosen.environment_of

        def work(stopped: Stopped) -> None:
            """In a worker thread: read the traces, and post what is known of them now and then."""
            found: dict[str, Shape | None] = {}
            told = time.monotonic()
            for sample, shape in shapes(workspace, samples, environment):
                if stopped():
                    return
                found[sample.id] = shape
                if time.monotonic() - told > TELL_EVERY:
                    told = time.monotonic()
                    self._services.post(self.Read(run, dict(found)))
            self._services.post(self.Read(run, found))

        self._services.beside(work, "shapes")

    def was_read(self, event: Read) -> bool:
        """Takes up what was read; whether it is of the run that is shown."""
        if event.run != self._run:
            return False
        self._shapes = event.found
        return True
