"""`agentr demo --local-model`: a small real model plays TextCraft, on screen or, without a terminal, to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from agentr_tui.cli.running import has_terminal, make_session, run_app, run_job
from agentr_tui.state.places import free_name, fresh_folder
from agentr_tui.terminal.output import say
from engine.models import local_server as local_model
from engine.search.control import Control
from engine.search.job import SearchJob, new_job
from engine.workspace.workspace import Workspace


def demo_model(task: str, iterations: int, seed: int, headless: bool, workspace: Path | None) -> int:
    """Search by the model, which is served while this runs; returns the exit code. Raises `InputError`.

    `task`: its id. `iterations`: walks from the root. `seed`: of the search. `headless`: whether to run without a
    screen. `workspace`: its folder; None: a new one.
    """
    local_model.command()  # says what is missing before a folder is made
    place = Workspace.open(workspace or fresh_folder(Path("agentr-demo")), create=True)
    out = free_name(place.traces, "textcraft-local-model", task, seed)
    say("loading the model …")
    with local_model.served() as url:
        settings = replace(local_model.settings_of(url), iterations=iterations, seed=seed)
        if headless or not has_terminal():
            return run_job(new_job("textcraft", task, settings, out))

        def make(listener: Any) -> SearchJob:
            control = Control(waits_on_failures=True)
            return new_job("textcraft", task, settings, out, listener=listener, control=control)

        session = make_session(place)
        session.start(make)
        return run_app(session, "search")
