"""The command line application: its commands, and where their settings come from."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App
from cyclopts.config import Dict, Env

from agentr_tui.cli.options import WorkspaceOption
from agentr_tui.state.settings_files import (
    APP_NAMES,
    DEFAULT_WORKSPACE,
    check_names,
    read_settings,
    user_file,
    workspace_file,
)
from agentr_tui.state.settings_trust import WorkspaceSettings
from engine.base.version import __version__

COMMANDS = {
    "demo": "agentr_tui.cli.commands.run:demo",
    "open": "agentr_tui.cli.commands.run:open_",
    "search": "agentr_tui.cli.commands.run:search",
    "attach": "agentr_tui.cli.commands.run:attach",
    "revise": "agentr_tui.cli.commands.data:revise",
    "review": "agentr_tui.cli.commands.review:review",
    "recover": "agentr_tui.cli.commands.recover:recover",
    "verify": "agentr_tui.cli.commands.verify:verify",
    "export": "agentr_tui.cli.commands.data:export",
    "convert": "agentr_tui.cli.commands.data:convert",
    "replay": "agentr_tui.cli.commands.data:replay",
    "stats": "agentr_tui.cli.commands.look:stats",
    "show": "agentr_tui.cli.commands.look:show",
    "grep": "agentr_tui.cli.commands.grep:grep",
    "diff": "agentr_tui.cli.commands.look:diff",
    "serve": "agentr_tui.cli.commands.serve:serve",
    "envs": "agentr_tui.cli.commands.look:envs",
    "config": "agentr_tui.cli.commands.config:config",
    "trust": "agentr_tui.cli.commands.trust:trust",
    "doctor": "agentr_tui.cli.commands.doctor:doctor",
}
ALL_COMMANDS = tuple(COMMANDS)


HELP = {
    "demo": "Watch a TextCraft search live; without a terminal: the whole way to a JSONL file.",
    "open": "Open traces, original tree files or folders in the app.",
    "search": "Run one search and write its trace.",
    "attach": "Show and steer a search that runs elsewhere.",
    "revise": "Make revision samples of the pairs in traces or tree files.",
    "review": "List, accept, reject samples without a screen; figures of the review.",
    "recover": "Let the actor go on from wrong steps, with the revision thought and without it.",
    "verify": "Measure one verifier's marks against another's or a person's.",
    "export": "Write a dataset of samples that hold in the environment.",
    "convert": "Turn a trace into an original tree file or a graph, or a tree file into a trace.",
    "replay": "Execute every step of a tree again and list what differs.",
    "stats": "Figures of traces.",
    "show": "A node, or the way to it, as text.",
    "grep": "Nodes that match a query, over many traces.",
    "diff": "Compare two traces, less what depends on the machine.",
    "serve": "The same app in a browser: prints a link with a token that works once.",
    "envs": "Environments there are, and what is missing.",
    "config": "Every setting, its value and where it comes from.",
    "trust": "Say yes, once, to what a trace or a workspace names.",
    "doctor": "What is missing and how to get it.",
}


def layers(arguments: Sequence[str], refuse: bool = True) -> tuple[WorkspaceSettings, Dict]:
    """The settings files that hold for a call, the strongest first. Raises `InputError` naming file and place."""
    read = []
    for file in (workspace_file(arguments), user_file()):
        settings = read_settings(file)
        check_names(settings, ALL_COMMANDS, file)
        read.append((file, {name: value for name, value in settings.items() if name not in APP_NAMES}))
    (shared, of_workspace), (mine, of_user) = read
    return WorkspaceSettings(shared, of_workspace, refuse), Dict(of_user, source=str(mine))


def build(arguments: Sequence[str], refuse: bool = True) -> App:
    """The command line application: flags over environment (`AGENTR_SEARCH_SEED`) over files over defaults.

    `refuse`: whether a call fails for a setting of the workspace that has to be asked for; else it is left out.
    """
    app = App(
        name="agentr",
        help="Watch, rewind and audit Monte Carlo tree searches over agent trajectories; export revision datasets.",
        version=__version__,
        config=() if _goes_on(arguments) else (Env("AGENTR_"), *layers(arguments, refuse)),
        help_format="plaintext",
        print_error=False,
        exit_on_error=False,
        result_action="return_value",
    )
    app.default(_library)
    for name, target in COMMANDS.items():
        app.command(target, name=name, help=HELP[name])
    return app


def _goes_on(arguments: Sequence[str]) -> bool:
    """Whether a search has its settings from a trace: then only what stands on the command line changes them."""
    names = [argument.partition("=")[0] for argument in arguments]
    command = next((name for name in names if name in COMMANDS), "")
    return command == "search" and not {"--resume", "--from"}.isdisjoint(names)


def _library(*, workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE)) -> int:
    """Open the library of a workspace."""
    commands = importlib.import_module("agentr_tui.cli.commands.run")  # by name, as every other command
    code: int = commands.library(workspace)
    return code
