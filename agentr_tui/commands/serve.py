"""The command `serve`, and the process of the app that it starts for a browser."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agentr_tui.cli import DEFAULT_WORKSPACE, INTERRUPTED, WorkspaceOption
from agentr_tui.output import say, warn
from engine.errors import InputError
from engine.stats import find_sources
from engine.workspace import Workspace


def serve(
    paths: Annotated[list[Path] | None, Parameter(help="Traces, tree files, folders. Default: the workspace.")] = None,
    /,
    *,
    port: Annotated[int, Parameter(help="0 takes any that is free.")] = 8000,
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    allow_remote: Annotated[bool, Parameter(negative="", help="Let other machines in, over plain HTTP.")] = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """The same app in a browser: prints a link with a token that works once."""
    if importlib.util.find_spec("textual_serve") is None:
        raise InputError("agentr serve needs textual-serve: pip install 'agentr-tui[serve]'")
    from agentr_tui import serving

    if paths:
        find_sources(paths)
    Workspace.open(workspace, create=True)
    if not 0 <= port <= 65535:
        raise InputError(f"--port {port}: must be between 0 and 65535")
    if not serving.is_loopback(host):
        if not allow_remote:
            raise InputError(
                f"--host {host}: other machines could reach it: add --allow-remote if that is meant, or forward a port"
                " over SSH"
            )
        warn(
            f"warning: {host} is reached from other machines, unencrypted; who has the link runs searches here, with"
            " your keys and files"
        )
    listening = serving.bind(host, port)
    server = serving.AppServer(serving.arguments(paths or [], workspace), host, listening.getsockname()[1])
    say(f"{server.link}")
    say("the link works once, in one browser; ctrl+c ends it")
    sys.stdout.flush()
    serving.run(server, listening)
    return INTERRUPTED


def app_process(arguments: list[str]) -> int:
    """Run the app for one browser: workspace, then what was asked for. The driver is textual-serve's."""
    from textual.messages import ExitApp

    from agentr_tui.app import AgentrApp
    from agentr_tui.commands.run import make_session

    workspace, paths = arguments[0], [Path(path) for path in arguments[1:]]
    sources = find_sources(paths) if paths else []

    class BrowserApp(AgentrApp):
        """Ends a search that it runs when the browser goes away: its trace can be resumed."""

        def on_ready(self) -> None:
            """Show what was asked for; what can't be opened is told in the library."""
            if len(sources) == 1:
                self.open_path(sources[0])

        def on_exit_app(self, _: ExitApp) -> None:
            """The browser is gone."""
            live = self.session.live
            if live is not None and not live.over:
                live.control.stop("stopped")

    app = BrowserApp(make_session(Workspace.open(Path(workspace), create=True), sources), "library")
    result = app.run()
    return app.return_code or result or 0


if __name__ == "__main__":
    sys.exit(app_process(sys.argv[1:]))
