"""Every command of `agentr`, by name. The commands are in `agentr_tui.cli.commands`; each is loaded when it is called.

Exit codes: 0 done, 1 the work failed, 2 bad usage or input, 130 interrupted. An error is one line on standard error;
`--debug` adds the traceback.
"""

from __future__ import annotations

import difflib
import errno
import os
import shlex
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from io import TextIOWrapper

from cyclopts import CycloptsError, MissingArgumentError, UnknownOptionError, UnusedCliTokensError

from agentr_tui.cli import interrupts
from agentr_tui.cli.application import COMMANDS, build
from agentr_tui.cli.options import INTERRUPTED
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE as DEFAULT_WORKSPACE
from agentr_tui.terminal import streams
from agentr_tui.terminal.glyphs import ERRORS
from agentr_tui.terminal.output import warn
from agentr_tui.terminal.own_output import claim_stdout, own_output
from agentr_tui.terminal.safe_text import escape
from engine.base.errors import AgentrError, InputError, unusable
from engine.environment.permission import NeedsConsent
from envs.base import EnvError

SHOWN = frozenset(("--help", "-h", "--version"))
"""Options whose answer the library prints itself."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code."""
    streams.fill_in()
    streams.drop_odd_sizes()
    claim_stdout()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a locale that lacks a letter is no reason to fail
            stream.reconfigure(errors=ERRORS)
    code = INTERRUPTED
    with suppress(KeyboardInterrupt), interrupts.heard():  # it may come between two lines of a command
        code = run(list(sys.argv[1:] if arguments is None else arguments))
    if lost := streams.failed():  # by what waited in a buffer while the command failed
        code = code or _failed(1, lost)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run a command; returns the exit code. Every error becomes one line here."""
    debug = "--debug" in arguments
    arguments = command_first([argument for argument in arguments if argument != "--debug"])
    while True:
        try:
            return _run(arguments, debug)
        except NeedsConsent as unasked:
            if not _agreed(unasked):
                return _failed(2, str(unasked), unasked, debug)
            unasked.allow()


def command_first(arguments: list[str]) -> list[str]:
    """The same with a workspace that was named before the command put behind it: `agentr --workspace W open F`."""
    named = 0
    while named < len(arguments) and arguments[named].partition("=")[0] == "--workspace":
        named += 1 if "=" in arguments[named] else 2
    if not named or named >= len(arguments) or arguments[named] not in COMMANDS:
        return arguments
    rest = arguments[named:]
    end = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:end], *arguments[:named], *rest[end:]]


def _agreed(unasked: NeedsConsent) -> bool:
    """Whether a person at this terminal says yes."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    question = f"{escape(unasked.question)}\nPermit this? The answer is remembered on this machine. [y/N] "
    print(question, end="", file=sys.stderr, flush=True)
    try:
        return sys.stdin.readline().strip().casefold() in ("y", "yes")
    except KeyboardInterrupt:
        return False


def _run(arguments: list[str], debug: bool) -> int:
    """The same, less the question to a person. Raises `NeedsConsent`."""
    try:
        with _showing() if SHOWN & set(arguments) else nullcontext():
            result = build(arguments)(arguments)
        own_output().flush()
        return result if isinstance(result, int) else 0
    except CycloptsError as error:
        return _failed(2, _usage_line(error, arguments), error, debug)
    except NeedsConsent:
        raise
    except (InputError, EnvError) as error:
        return _failed(2, str(error), error, debug)
    except AgentrError as error:
        return _failed(1, str(error), error, debug)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has had enough
        streams.give_up(own_output())
        return 0
    except OSError as error:  # of a file that only its user knows: a name too long, a folder without permission
        if _is_nowhere():
            return _failed(2, "the current folder is gone: change to another", error, debug)
        if error.filename is None:
            if lost := streams.failed(error):
                return _failed(1, lost, error, debug)
            if error.errno in (errno.EMFILE, errno.ENFILE):
                return _failed(1, f"{error.strerror}: allow more (ulimit -n), or use fewer --workers", error, debug)
            return _failed(1, f"unexpected {type(error).__name__}: {error}; --debug shows where", error, debug)
        told = unusable(os.fsdecode(error.filename), error)
        return _failed(2 if isinstance(told, InputError) else 1, str(told), error, debug)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except Exception as error:  # a defect of ours: still one line
        return _failed(1, f"unexpected {type(error).__name__}: {error}; --debug shows where", error, debug)


@contextmanager
def _showing() -> Iterator[None]:
    """Within it, what the library prints itself goes to our output, laid out for the terminal."""
    with redirect_stdout(own_output()), streams.legible_help():
        yield


def _is_nowhere() -> bool:
    """Whether the folder in which the command was called is no more."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _failed(code: int, line: str, error: BaseException | None = None, debug: bool = False) -> int:
    try:
        if debug and error is not None:
            traceback.print_exception(error)
        warn(" ".join(line.split()))
    except OSError:  # nobody can be told
        streams.give_up(sys.stderr)
    return code


def _usage_line(error: CycloptsError, arguments: Sequence[str]) -> str:
    command = next((argument for argument in arguments if argument in COMMANDS), "")
    if name := _unknown_command(error, arguments):
        if os.path.lexists(name):
            return f"unknown command {name!r}; agentr open {shlex.quote(name)} opens it"
        return f"unknown command {name!r}{_meant(name, COMMANDS)} (agentr --help lists them)"
    if isinstance(error, UnknownOptionError) and error.token.source not in ("cli", "env"):
        table = " ".join(error.command_chain or ())
        name = (error.token.keyword or error.token.value).strip("[]")
        meant = _meant(name, [argument.name.removeprefix("--") for argument in error.argument_collection])
        return f"{error.token.source}: [{table}] has no setting {name!r}{meant} (agentr {table} --help lists them)"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.argument.name
        said = f"{name} needs a value" if name in arguments else f"{name} is missing"
        return f"{said} (agentr {command + ' ' if command else ''}--help)"
    try:
        said = " ".join(str(error).split())
    except Exception:  # a library's message that can't be put together must not hide the error
        said = type(error).__name__
    return f"{said} (agentr {command + ' ' if command else ''}--help)"


def _unknown_command(error: CycloptsError, arguments: Sequence[str]) -> str:
    """Returns the word that stands where a command is expected and is none; empty where that is not the fault."""
    if arguments and not arguments[0].startswith("-"):
        return "" if arguments[0] in COMMANDS else arguments[0]
    unused = error.unused_tokens if isinstance(error, UnusedCliTokensError) else None
    return unused[0] if unused and not any(word in COMMANDS for word in arguments) else ""


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""
