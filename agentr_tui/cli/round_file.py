"""The file of `agentr round`: options of the commands that a round runs, and how the model learns (docs/rounds.md)."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from cyclopts import UNSET, ArgumentCollection, CycloptsError, Token

from agentr_tui.cli.application import build
from agentr_tui.state.settings_trust import names_a_place
from engine.base.errors import InputError
from engine.base.untrusted_files import read_toml
from engine.datasets.formats import format_named
from engine.datasets.mixing import parse_mix
from engine.environment.consent_store import give, given
from engine.environment.permission import NeedsConsent
from envs.base import names_place

Learning = Literal["command", "notes", "wait"]

TABLES = ("actor", "collect", "revise", "export", "learn", "eval")
COMMANDS = ("collect", "revise", "export", "eval")

TOP = {"rounds": int, "model": str, "serve": str, "serve-seconds": (int, float), "baseline": bool, "may-fail": float}
LEARN: dict[str, type | tuple[type, ...]] = {
    "command": str, "notes": bool, "wait": bool, "learned": str, "kinds": int, "examples": int,
}  # fmt: skip

OWN = frozenset({"out", "json", "workspace", "model", "notes", "run", "against", "data-type", "debug"})
"""Options that a round sets itself."""

GOOD = 0.25
"""Share of good trajectories in a dataset, about as the paper has it (2,000 beside 6,000 in TextCraft)."""

OF_RECORDS = frozenset({
    "format", "max-length", "tokenizer", "chat-template", "for-model", "no-system", "control-tokens", "redact",
    "reasoning", "loss-weight",
})  # fmt: skip
"""Options of an export that say what a record looks like: good trajectories are written with them, too."""

Options = Mapping[str, Any]


@dataclass(frozen=True)
class RoundFile:
    """The content of the file. The value of an option may be a list: one for each model, the last for all further
    ones."""

    path: Path
    rounds: int = 1
    model: str = ""  # before the first round
    serve: str = ""  # a command that serves `{model}`
    serve_seconds: float = 600.0
    baseline: bool = True  # evaluate before the first round
    may_fail: float = 0.0  # share of tasks that may fail
    good: float = 0.0  # share of good trajectories in the dataset
    learning: Learning = "wait"
    command: str = ""
    learned: str = ""  # the name of the model after a round; "": the folder that the command made
    notes_options: Options = field(default_factory=dict)
    tables: Mapping[str, Options] = field(default_factory=dict)  # without `actor`, which is part of each that acts

    @property
    def exports(self) -> bool:
        """Whether a dataset is written."""
        return self.learning != "notes" or "export" in self.tables

    @property
    def evaluates(self) -> bool:
        """Whether the model is evaluated."""
        return "eval" in self.tables

    @property
    def base_url(self) -> str:
        """Where the actor's server answers."""
        told = [self.tables.get(name, {}).get("base-url", "") for name in ("collect", "eval")]
        return str(_at(told[0] or told[1], 0))

    def option(self, table: str, name: str, number: int, default: str = "") -> str:
        """Returns the value of an option in one round.

        `table`: name of the command. `name`: of the option. `number`: of the round. `default`: where the file does not
        have it.
        """
        return str(_at(self.tables.get(table, {}).get(name, default), number))

    def arguments(self, table: str, number: int, only: frozenset[str] | None = None) -> list[str]:
        """Returns the options of a command as a person types them.

        `table`: name of the command. `number`: of the model; 0: that of the first round. `only`: names of the options
        to take; None: all.
        """
        return [
            part
            for name, value in self.tables.get(table, {}).items()
            if only is None or name in only
            for part in _typed(name, _at(value, number))
        ]


def _at(value: Any, number: int) -> Any:
    return value[min(number, len(value) - 1)] if isinstance(value, list) else value


def _typed(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    values = value if isinstance(value, list) else [value]  # a list in a list: an option that is given several times
    return [f"--{name}={each}" for each in values]


def read_round_file(path: Path) -> RoundFile:
    """The file, checked as far as it can be before anything runs. Raises `InputError` naming table and key."""
    read = read_toml(path)
    top = {name: value for name, value in read.items() if not isinstance(value, dict)}
    tables: dict[str, Options] = {name: _dashed(path, value) for name, value in read.items() if isinstance(value, dict)}
    for name in (*top, *tables):
        if name not in (*TOP, *TABLES):
            raise InputError(f"{path}: {name!r} is not a setting or table: one of {', '.join((*TOP, *TABLES))}")
    _check_types(path, "", top, TOP)
    if not 0 < (rounds := top.get("rounds", 1)) <= 1000:
        raise InputError(f"{path}: rounds = {rounds}: must be 1 to 1,000")
    if not 0 <= (may_fail := float(top.get("may-fail", 0.0))) < 1:
        raise InputError(f"{path}: may-fail = {may_fail}: is a share of the tasks, from 0 to below 1")
    learn = dict(tables.pop("learn", {}))
    learning = _learning(path, learn)
    actor, export = tables.pop("actor", {}), dict(tables.get("export", {}))
    good = _good(path, export)
    if "export" in tables:
        tables["export"] = export
    for name in ("collect", "eval"):
        if name == "collect" or name in tables:
            tables[name] = {**actor, **tables.get(name, {})}
    found = RoundFile(
        path=path,
        rounds=rounds,
        model=top.get("model", ""),
        serve=top.get("serve", ""),
        serve_seconds=float(top.get("serve-seconds", 600.0)),
        baseline=top.get("baseline", True),
        may_fail=may_fail,
        good=good,
        learning=learning,
        command=learn.get("command", ""),
        learned=learn.get("learned", ""),
        notes_options={name: learn[name] for name in ("kinds", "examples") if name in learn},
        tables=tables,
    )
    if found.serve and not found.base_url:
        raise InputError(f"{path}: serve needs base-url in [actor] or [eval]: where the server answers")
    _check_options(found)
    return found


def _dashed(path: Path, table: Options) -> dict[str, Any]:
    for name, value in table.items():
        if isinstance(value, dict) or value == []:
            raise InputError(f"{path}: {name}: takes a value, or a list with one for each round")
    return {name.replace("_", "-"): value for name, value in table.items()}


def _check_types(path: Path, table: str, values: Options, known: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name not in known:
            raise InputError(f"{path}: [{table}] has no setting {name!r}: one of {', '.join(known)}")
        wanted = known[name]
        fits = isinstance(value, wanted) or (wanted is float and isinstance(value, int))
        if not fits or (isinstance(value, bool) and wanted is not bool):
            raise InputError(f"{path}: {name} = {value!r}: is not of the right kind")


def _learning(path: Path, learn: Options) -> Learning:
    _check_types(path, "learn", learn, LEARN)
    named: list[Learning] = [name for name in ("command", "notes", "wait") if learn.get(name)]
    if len(named) != 1:
        raise InputError(f"{path}: [learn] takes one of command = '…', notes = true, wait = true")
    return named[0]


def _good(path: Path, export: dict[str, Any]) -> float:
    """The share of good trajectories, which is taken out of the options of the export."""
    format = str(_at(export.get("format", "agent-r"), 0))
    held = "good" in format_named(format).data_types
    share = export.pop("good", GOOD if held else 0)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        raise InputError(f"{path}: [export] good = {share!r}: is a share of the lines, from 0 to below 1")
    if share and not held:
        raise InputError(f"{path}: [export] good = {share}: the format {format} holds no good trajectories")
    return float(share)


LACKING = {"collect": "--tasks=0", "revise": "x", "export": "--out=x", "eval": "--tasks=0"}
"""What a round adds to the options of a command, to see whether it takes them."""


def _check_options(found: RoundFile) -> None:
    """Raises `InputError` for an option that its command does not know, or a value that it does not take."""
    for table in (name for name in COMMANDS if name in found.tables):
        options = found.tables[table]
        for name in OWN.intersection(options):
            raise InputError(f"{found.path}: [{table}] {name}: a round sets this itself")
        if table in ("collect", "eval") and "tasks" not in options:
            raise InputError(f'{found.path}: [{table}] tasks is missing: name the tasks, for example "0-99"')
        _check_table(found, table, options)
    mix = found.option("export", "mix", 0)
    if mix and sum(each.share for each in parse_mix(mix)) + found.good >= 1:
        raise InputError(f"{found.path}: [export] good and mix leave no room for the revisions")


def _check_table(found: RoundFile, table: str, options: Options) -> None:
    app, needed = build([]), [] if "tasks" in options else [LACKING[table]]
    longest = max([len(value) for value in options.values() if isinstance(value, list)], default=1)
    takes: Callable[[Sequence[str]], bool] | None = None
    for number in range(min(longest, found.rounds + 1)):  # a list may be longer than there are models
        arguments = found.arguments(table, number)
        if takes is not None and takes(arguments):
            continue
        try:
            app.parse_args([table, *needed, *arguments], exit_on_error=False, print_error=False)
        except CycloptsError as error:
            raise InputError(f"{found.path}: [{table}] {' '.join(str(error).split())}") from error
        if takes is None and longest > 1:
            takes = _quick_test(app[table].assemble_argument_collection())


def _quick_test(known: ArgumentCollection) -> Callable[[Sequence[str]], bool]:
    """Returns a test of options with values: True where each converts as its command would convert it.

    False says nothing: then the whole command has to be parsed, which takes a hundred times as long.
    """
    match = cache(known.match)
    taken: set[tuple[str, ...]] = set()

    def converts(typed: Sequence[str]) -> bool:
        for name, values in groupby(typed, lambda each: each.partition("=")[0]):
            tokens = tuple(values)  # several: an option that is given several times
            if tokens in taken:
                continue
            try:
                argument, keys, implicit = match(name)
                alone = copy(argument)
                alone.tokens = []
                if implicit is not UNSET or alone.token_count(keys)[0] != 1:  # a flag, or a group of values
                    return False
                for each in tokens:
                    alone.append(Token(keyword=name, value=each.partition("=")[2], keys=keys))
                alone.convert_and_validate()
            except (CycloptsError, ValueError):  # a value that it does not take, an option that there is not
                return False
            taken.add(tokens)
        return True

    return converts


# -- what a stranger's file would do -----------------------------------------------------------------------


class ForeignRounds(NeedsConsent):
    """A file of rounds runs commands, or names places; it may come from anybody."""

    def __init__(self, found: RoundFile, reaches: Sequence[str]) -> None:
        self.path, self.reaches = found.path, list(reaches)
        self.told, self.whence = f"{found.path} would {'; '.join(reaches)}", "A file may come from anybody."
        remedy = f"pass --yes, or say yes once: agentr trust {shlex.quote(str(found.path))}"
        super().__init__(f"{self.told}: where that is right, {remedy}")

    def allow(self) -> None:
        """Remember a person's yes to these commands and places on this machine."""
        give(_about(self.reaches), "round", "yes", source=self.path)


def _about(reaches: Sequence[str]) -> str:
    return "round " + blake2b("\n".join(reaches).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def unasked(found: RoundFile) -> ForeignRounds | None:
    """Returns what a person has to permit before these rounds run; None where nothing has to be, or all was already."""
    reaches = [f"run {command!r}" for command in (found.command, found.serve) if command]
    reaches += [f"set {table} --{name} {value}" for table, name, value in _places(found)]
    if not reaches or given(_about(reaches), "round", "yes") is not None:
        return None
    return ForeignRounds(found, reaches)


def _texts(value: Any) -> Iterator[str]:
    """Every text that an option may be given, in whichever round."""
    if isinstance(value, list):
        for each in value:
            yield from _texts(each)
    else:
        yield str(value)


def _places(found: RoundFile) -> Iterator[tuple[str, str, str]]:
    for table in COMMANDS:
        if table not in found.tables:
            continue
        known = {
            name.removeprefix("--"): argument
            for argument in build([])[table].assemble_argument_collection()
            for name in argument.names
        }
        for option, value in found.tables[table].items():
            for text in _texts(value):
                if option in ("env", "tasks"):
                    reaches = names_place(text) if option == "env" else text.startswith("@")
                else:
                    reaches = option not in known or names_a_place(known[option], text)
                if reaches:
                    yield table, option, text
