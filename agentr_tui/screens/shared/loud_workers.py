"""No worker of a screen fails silently."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.worker import Worker, WorkerState

from agentr_tui.screens.shared.host import Host


def line_of(app: App[Any], error: Exception) -> str:
    """One line about what a worker ran into; what was not foreseen is logged (`agentr_tui.state.error_log`)."""
    return app.error_line(error) if isinstance(app, Host) else f"{type(error).__name__}: {error}"


class LoudWorkers:
    """A widget or screen whose workers do not end the app: an error of one is a notice, and is logged."""

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Say what a worker ran into."""
        worker = event.worker
        if event.state is WorkerState.ERROR and not worker.exit_on_error and isinstance(worker.error, Exception):
            app = worker.node.app
            app.notify(line_of(app, worker.error), severity="error", timeout=8, markup=False)
