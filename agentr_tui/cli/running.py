"""What commands that run a search, or the app, have in common."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentr_tui.app.detached import run_detached
from agentr_tui.cli.commands.config import foreign_settings, own_readers, own_settings
from agentr_tui.cli.options import INTERRUPTED
from agentr_tui.state.places import DEMO_DELAY
from agentr_tui.state.settings_files import user_file
from agentr_tui.state.workspace_contents import Contents, come_back_line, contents
from agentr_tui.terminal.output import say, warn
from agentr_tui.terminal.own_output import own_output
from engine.base.errors import InputError
from engine.base.text import many
from engine.explain.answer_warning import answer_warning
from engine.search.control import Control
from engine.search.job import SearchJob
from engine.search.outages import owed_words
from engine.trace.sources import Source
from engine.tree.answer_counts import answer_words, asks_model
from engine.tree.score_warnings import score_warnings
from engine.workspace.figures import figures
from engine.workspace.workspace import Workspace

AGAIN = 1.0
"""Seconds after a signal in which another one is the same: `timeout` sends it to a process and to its group."""


def has_terminal() -> bool:
    """Whether a person can see a screen and type."""
    return _is_terminal() and not _is_dumb()


def _is_terminal() -> bool:
    return sys.stdin.isatty() and own_output().isatty()


def _is_dumb() -> bool:
    """Whether the terminal says that it takes lines only, as an editor's shell does."""
    return os.environ.get("TERM") == "dumb"


@contextmanager
def stopping(control: Control) -> Iterator[list[int]]:
    """SIGINT and SIGTERM stop the work cleanly, one that comes `AGAIN` seconds later at once; the list holds those that
    came."""
    came: list[int] = []
    insisted = math.inf

    def stop(number: int, frame: object) -> None:
        nonlocal insisted
        came.append(number)
        if time.monotonic() > insisted:
            raise KeyboardInterrupt
        insisted = min(insisted, time.monotonic() + AGAIN)
        control.stop("interrupted")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_job(job: SearchJob) -> int:
    """Run a search without a screen and say how it ended; returns the exit code."""
    if job.warning:
        warn(job.warning)
    job.search.on_remark = lambda line: warn(f"{job.tree.started.environment if job.tree.started else ''}: {line}")
    with stopping(job.control) as came:
        reason = job.run_blocking()
    found = figures(Source(job.tree, str(job.path), "trace"))
    owed = job.tree.draws_owed
    if asks_model(job.tree.settings_at(job.tree.seq)) and (words := answer_words(job.tree.answers)):
        say(f"{many(job.tree.answers.answers, 'answer')}: {', '.join(words)}")
    say(
        f"{job.path}: {reason}; {many(found.nodes, 'node')}, {found.good} good and {found.bad} bad leaves,"
        f" {many(found.pairs, 'pair')}, {many(found.calls, 'call')}, {many(found.failures, 'failure')}"
        f"{', ' + many(owed, 'answer') + ' owed' if owed else ''}"
    )
    if warning := answer_warning(job.tree):
        warn(warning)
    for warning in score_warnings(job.tree):
        warn(warning)
    if (differences := job.search.differences) > 1:
        warn(f"{differences} repeated steps were answered otherwise than before: this tree can't be relied on")
    if came:
        return INTERRUPTED
    if why := job.search.outage or owed_words(job.tree):
        warn(f"{why}; fix the cause, then: agentr search --resume {job.path}")
        return 1
    return 0


def need_terminal(instead: str) -> None:
    """Raises `InputError` where there is no terminal for the app."""
    if not _is_terminal():
        raise InputError(f"the app needs a terminal; without one use {instead}")
    if _is_dumb():
        raise InputError(
            f"this terminal takes lines only (TERM=dumb): use {instead}; if that is wrong, export TERM=xterm-256color"
        )


def make_session(workspace: Workspace, sources: list[Path] | None = None) -> Any:
    """The state of the app over a workspace."""
    from agentr_tui.state.session import Session

    unasked = foreign_settings(workspace.path, ("search", "revise"))
    return Session(workspace, sources=sources or [], configured=own_settings(workspace.path), unasked=unasked)


def run_app(
    session: Any,
    mode: str,
    *,
    go_on: bool = False,
    opening: tuple[Path, bool] | None = None,
    made_by_us: Contents | None = None,
) -> int:
    """Run the app, and say how to come back to what was made; returns its exit code.

    `session`: what the screens share. `mode`: name of the first screen. `go_on`: whether to begin where the person was
    last. `opening`: see `AgentrApp`. `made_by_us`: what the workspace held before the command; None: what it holds now.
    """
    from agentr_tui.app.app import AgentrApp
    from agentr_tui.app.preferences_file import read_preferences
    from agentr_tui.app.print_log import kept_off_screen
    from agentr_tui.app.signals import ends_cleanly
    from agentr_tui.state.last_place import LastPlace
    from agentr_tui.state.tour import Tour
    from agentr_tui.terminal.escape_keys import escape_is_a_key
    from agentr_tui.terminal.odd_input import odd_input_is_passed_over

    preferences = read_preferences([user_file(), session.workspace.settings_file])
    memory = LastPlace(session.workspace.path)
    place = memory.place()
    session.views = place.views
    own = own_readers(session.workspace.path)
    tour = Tour()
    if tour.first_start:
        tour.begin()
    app = AgentrApp(session, mode, preferences, memory, place if go_on else None, opening, own, tour)
    before = contents(session.workspace) if made_by_us is None else made_by_us
    with (
        ends_cleanly(app),
        kept_off_screen(app) as printed,
        escape_is_a_key(preferences.keys),
        odd_input_is_passed_over(),
    ):
        result = app.run()
    for line in printed:
        warn(line)
    if app.to_detach is not None:
        where = ["--resume", str(app.to_detach.resolve()), "--workspace", str(session.workspace.path)]
        return run_detached(app.to_detach, [*where, "--delay", str(DEMO_DELAY)])
    session.flush()  # how the search ended
    if session.path is not None and session.tree is not None and session.tree.state == "stopped":
        say(f"stopped; to continue: agentr search --resume {session.path}")
    if told := come_back_line(session.workspace, before):
        say(told)
    return app.return_code or result or 0
