"""The command `serve`: the app in a browser."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agentr_tui.cli.options import INTERRUPTED, SERVER, WorkspaceOption
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.terminal.output import say, warn
from agentr_tui.terminal.own_output import own_output
from engine.base.errors import InputError
from engine.trace.sources import find_sources
from engine.workspace.workspace import Workspace


def serve(
    paths: Annotated[
        list[Path] | None, Parameter(help="Traces, tree files or folders. The default is the workspace.")
    ] = None,
    /,
    *,
    port: Annotated[int, Parameter(group=SERVER, help="Port to listen on. With 0, any free port is taken.")] = 8000,
    host: Annotated[str, Parameter(group=SERVER, help="Address to listen on.")] = "127.0.0.1",
    allow_remote: Annotated[
        bool, Parameter(group=SERVER, negative="", help="Let other machines connect, over unencrypted HTTP.")
    ] = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Show the app in a browser. Prints a link with a token that works once."""
    if importlib.util.find_spec("textual_serve") is None:
        raise InputError("agentr serve needs textual-serve: pip install 'agentr-tui[serve]'")
    from agentr_tui.web import server as serving

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
    log = workspace.absolute() / serving.LOG_FILE
    listening = serving.bind(host, port)
    server = serving.AppServer(serving.arguments(paths or [], workspace), host, listening.getsockname()[1], log)

    def ready() -> None:
        say(f"{server.link}")
        say("the link works once, in one browser; ctrl+c ends it")
        own_output().flush()

    serving.run(server, listening, ready)
    return INTERRUPTED
