"""The command `trust`: say yes, once, to what a trace, a workspace or a file of rounds names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agentr_tui.cli.commands.config import foreign_settings
from agentr_tui.cli.options import TASK
from agentr_tui.cli.round_file import read_round_file, unasked
from agentr_tui.state.settings_files import SETTINGS_FILE
from agentr_tui.terminal.output import say
from engine.base.untrusted_files import is_folder, what_is
from engine.environment.permission import NeedsConsent, UntrustedTrace, environment_claims, settings_claims
from engine.trace.sources import find_sources, load_any

ROUNDS = ".toml"
"""Ending of a file of rounds."""


def trust(
    paths: Annotated[
        list[Path], Parameter(help="Traces, tree files, folders of them, workspaces, or files of rounds (.toml).")
    ],
    /,
    *,
    env: Annotated[
        str | None, Parameter(group=TASK, name="--env", help="Environment that a run of `agentr revise` names.")
    ] = None,
) -> int:
    """Permit, once, what a trace or a workspace names."""
    for path in paths:
        settings = foreign_settings(path) if is_folder(path) else None
        asked: list[NeedsConsent] = [] if settings is None else [settings]
        if path.suffix == ROUNDS:
            rounds = unasked(read_round_file(path))
            asked += [rounds] if rounds is not None else []
        elif not is_folder(path) or what_is(path / SETTINGS_FILE) is None:
            asked += [found for source in find_sources([path]) for found in _named_in(source, env)]
        for each in asked:
            each.allow()
            say(each.told)
        if not asked:
            say(f"{path}: names nothing that needs permission")
    return 0


def _named_in(path: Path, environment: str | None) -> list[NeedsConsent]:
    """What one trace names."""
    started = load_any(path).tree.started
    assert started is not None
    names = [started.environment, started.opened, environment or ""]
    claims = [*environment_claims(*names), *settings_claims(started.settings)]
    return [UntrustedTrace(path, claims, started)] if claims else []
