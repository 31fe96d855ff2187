"""Every command of `agentr`, by name. What they do stands in `agentr_tui.cli.commands`, loaded when it is called.

Exit codes: 0 done, 1 the work failed, 2 bad usage or input, 130 interrupted. An error is one line on standard
error; `--debug` adds the traceback.
"""

from __future__ import annotations

import difflib
import os
import signal
import sys
import traceback
from collections.abc import Iterable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter, UnknownOptionError, UnusedCliTokensError
from cyclopts.config import Dict, Env

from agentr_tui.cli.config import APP_NAMES, check_names, read_settings, user_file, workspace_file
from agentr_tui.cli.config import DEFAULT_WORKSPACE as DEFAULT_WORKSPACE
from agentr_tui.cli.output import warn
from agentr_tui.state.settings_trust import WorkspaceSettings
from agentr_tui.terminal.safe_text import escape
from engine import __version__
from engine.base.errors import AgentrError, InputError
from engine.environment.trust import Unasked
from envs.base import EnvError

INTERRUPTED = 130

WorkspaceOption = Annotated[
    Path, Parameter(env_var="AGENTR_WORKSPACE", help="Folder of traces, decisions, runs and exports.")
]
JsonOption = Annotated[bool, Parameter(name="--json", help="Print one JSON object.")]

_COMMANDS = {
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
ALL_COMMANDS = tuple(_COMMANDS)
_HELP = {
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
        check_names(settings, tuple(_COMMANDS), file)
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
    for name, target in _COMMANDS.items():
        app.command(target, name=name, help=_HELP[name])
    return app


def _goes_on(arguments: Sequence[str]) -> bool:
    """Whether a search has its settings from a trace: then only what stands on the command line changes them."""
    names = [argument.partition("=")[0] for argument in arguments]
    command = next((name for name in names if name in _COMMANDS), "")
    return command == "search" and not {"--resume", "--from"}.isdisjoint(names)


def _library(*, workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE)) -> int:
    """Open the library of a workspace."""
    from agentr_tui.cli.commands.run import library

    return library(workspace)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a locale that lacks a letter is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # so that what a command began is put away
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run a command; returns the exit code. Every error becomes one line here."""
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    while True:
        try:
            return _run(arguments, debug)
        except Unasked as unasked:
            if not _agreed(unasked):
                return _failed(2, str(unasked), unasked, debug)
            unasked.allow()


def _agreed(unasked: Unasked) -> bool:
    """Whether a person at this terminal says yes."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    question = f"{escape(unasked.question)}\nIs that right? It is remembered on this machine. [y/N] "
    print(question, end="", file=sys.stderr, flush=True)
    try:
        return sys.stdin.readline().strip().casefold() in ("y", "yes")
    except KeyboardInterrupt:
        return False


def _run(arguments: list[str], debug: bool) -> int:
    """The same, less the question to a person. Raises `Unasked`."""
    try:
        result = build(arguments)(arguments)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except CycloptsError as error:
        return _failed(2, _usage_line(error, arguments), error, debug)
    except Unasked:
        raise
    except (InputError, EnvError) as error:
        return _failed(2, str(error), error, debug)
    except AgentrError as error:
        return _failed(1, str(error), error, debug)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except Exception as error:  # a defect of ours: still one line
        return _failed(1, f"unexpected {type(error).__name__}: {error}; --debug shows where", error, debug)


def _failed(code: int, line: str, error: BaseException, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    warn(" ".join(line.split()))
    return code


def _usage_line(error: CycloptsError, arguments: Sequence[str]) -> str:
    command = next((argument for argument in arguments if argument in _COMMANDS), "")
    if isinstance(error, UnusedCliTokensError) and not command and error.unused_tokens:
        name = error.unused_tokens[0]
        return f"unknown command {name!r}{_meant(name, _COMMANDS)} (agentr --help lists them)"
    if isinstance(error, UnknownOptionError) and error.token.source not in ("cli", "env"):
        table = " ".join(error.command_chain or ())
        name = (error.token.keyword or error.token.value).strip("[]")
        meant = _meant(name, [argument.name.removeprefix("--") for argument in error.argument_collection])
        return f"{error.token.source}: [{table}] has no setting {name!r}{meant} (agentr {table} --help lists them)"
    try:
        said = " ".join(str(error).split())
    except Exception:  # a library's message that can't be put together must not hide the error
        said = type(error).__name__
    return f"{said} (agentr {command + ' ' if command else ''}--help)"


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""
