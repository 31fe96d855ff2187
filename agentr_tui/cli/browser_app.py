"""The app as `agentr serve` runs it, in a process of its own for every browser: `python -m
agentr_tui.cli.browser_app`."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from textual.messages import ExitApp

from agentr_tui.app.app import AgentrApp
from agentr_tui.app.detached import run_detached
from agentr_tui.app.preferences_file import read_preferences
from agentr_tui.app.signals import INTERRUPTED, LOG_VARIABLE, ends_cleanly
from agentr_tui.cli.commands.config import own_readers
from agentr_tui.cli.running import make_session
from agentr_tui.state.last_place import LastPlace
from agentr_tui.state.settings_files import user_file
from engine.trace.sources import find_sources
from engine.workspace.workspace import Workspace

END_SECONDS = 5.0
"""After which the process ends whatever it does, once its server is gone."""


class BrowserApp(AgentrApp):
    """Ends a search that it runs when the browser goes away: its trace can be resumed."""

    def on_ready(self) -> None:
        """Show what was asked for; the library reports what can't be opened."""
        if len(self.session.sources) == 1:
            self.open_path(self.session.sources[0])

    def on_exit_app(self, _: ExitApp) -> None:
        """The browser is gone."""
        live = self.session.live
        if live is not None and not live.over:
            live.control.stop("stopped")


def _errors_to_log() -> None:
    """What goes wrong here goes to the file that the server names; without one, where it went before."""
    path = os.environ.get(LOG_VARIABLE, "")
    with suppress(OSError):
        if path:
            log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, 2)
            os.close(log)


def _end_with_server(app: BrowserApp) -> None:
    """Without the server nobody is there any more: end cleanly, and anyway after `END_SECONDS`."""
    pipe = select.poll()
    pipe.register(0, 0)  # tells only that nobody can write to it any more
    while not any(events & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, events in pipe.poll(1000)):
        pass
    app.leave_soon(INTERRUPTED)
    time.sleep(END_SECONDS)
    os._exit(INTERRUPTED)


def main(arguments: list[str]) -> int:
    """Run it over a workspace and what is to be opened. The driver is textual-serve's, named in the environment."""
    _errors_to_log()
    workspace, *paths = map(Path, arguments)
    sources = find_sources(paths) if paths else []
    session = make_session(Workspace.open(workspace, create=True), sources)
    preferences = read_preferences([user_file(), session.workspace.settings_file])
    memory = LastPlace(session.workspace.path)
    place = memory.place()
    session.views = place.views
    own = own_readers(session.workspace.path)
    app = BrowserApp(session, "library", preferences, memory, None if sources else place, own=own)
    threading.Thread(target=_end_with_server, args=(app,), daemon=True).start()
    with ends_cleanly(app):
        result = app.run()
    if app.to_detach is not None:
        where = ["--resume", str(app.to_detach.resolve()), "--workspace", str(session.workspace.path)]
        run_detached(app.to_detach, where)
    return app.return_code or result or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
