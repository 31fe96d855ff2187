"""`--help` of every command: sentences, groups, defaults, examples that parse."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from functools import cache
from typing import cast, get_type_hints

import pytest
from cyclopts import App, Group
from msgspec.structs import fields

from agentr_tui.cli.application import ALL_COMMANDS, EXAMPLES, HELP, build
from agentr_tui.cli.commands.scale.evaluate import SHAPE
from agentr_tui.cli.judge_options import JudgeFlags
from agentr_tui.cli.search_options import SearchOptions
from engine.collect.run import LESSON_WALKS, with_defaults
from engine.tree.events import SearchSettings
from engine.verifiers.base import JudgeSettings
from tests.agentr_tui.cli.test_cli import Called, agentr

ROOT = ""


@cache
def help_of(command: str) -> Called:
    """What a command prints for `--help`."""
    return agentr(*([command] if command else []), "--help")


def panels(command: str) -> Iterator[tuple[str, str, str]]:
    """The panel, the name and the help of each option and argument of a command."""
    app: App = build([])
    called = app[command] if command != ROOT else app
    for argument in called.assemble_argument_collection():
        if argument.children or not argument.show:
            continue
        groups = cast("tuple[Group, ...]", argument.parameter.group) or (called.group_arguments,)
        for group in groups:
            yield str(getattr(group, "name", group)), argument.name, argument.parameter.help or ""


@pytest.mark.parametrize("command", [ROOT, *ALL_COMMANDS])
def test_every_option_is_told_in_sentences_and_belongs_to_a_named_group(command: str) -> None:
    found = list(panels(command))
    assert found
    for group, name, help in found:
        assert help[:1].isupper(), f"{command} {name}: {help!r}"
        assert help.endswith("."), f"{command} {name}: {help!r}"
        assert len(help.split()) > 1, f"{command} {name}: {help!r}"
        assert group not in ("", "Parameters"), f"{command} {name} is in no group"


@pytest.mark.parametrize("command", [ROOT, *ALL_COMMANDS])
def test_help_has_examples_that_the_command_line_accepts(command: str) -> None:
    shown = help_of(command)
    assert shown.code == 0
    assert "Examples:" in shown.out
    for example in EXAMPLES[command]:
        assert f"  {example}\n" in f"{shown.out}\n"
        program, *arguments = shlex.split(example.partition(" >")[0])  # what a shell does with the output is not ours
        assert program == "agentr"
        build([]).parse_args(arguments, exit_on_error=False, print_error=False)
        assert command in (ROOT, arguments[0])


@pytest.mark.parametrize("command", [ROOT, *ALL_COMMANDS])
def test_no_environment_variable_is_named_twice(command: str) -> None:
    shown = " ".join(help_of(command).out.replace("│", " ").split())
    assert "env var:" not in shown
    assert shown.count("AGENTR_WORKSPACE") <= 1


@pytest.mark.parametrize(
    ("command", "option", "default"),
    [("search", "--iterations", "4"), ("search", "--timeout", "120.0"), ("revise", "--votes", "1"),
     ("export", "--chat-template", "chatml"), ("doctor", "--max-tokens", "500"), ("serve", "--port", "8000"),
     ("collect", "--algorithm", with_defaults(SearchSettings(), []).algorithm),
     ("collect", "--iterations", f"{LESSON_WALKS} with the algorithm lessons, else 4")],
)  # fmt: skip
def test_help_shows_the_default_of_settings_too(command: str, option: str, default: str) -> None:
    shown = " ".join(help_of(command).out.replace("│", " ").split())
    assert f"[default: {default}]" in shown.split(f" {option} ", 1)[1].split(" --", 1)[0]


def test_eval_shows_no_option_that_it_refuses() -> None:
    shown = help_of("eval").out
    refused = [name for name in SHAPE if agentr("eval", "--tasks", "0", f"--{name.replace('_', '-')}", "2").code == 2]
    assert set(refused) >= {"iterations", "samples", "parallel_nodes"}
    assert [name for name in SHAPE if f" --{name.replace('_', '-')} " in shown] == ["max_depth"], "of --recovery"


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    app = build([])
    for command in ALL_COMMANDS:
        own = (app[command].default_command.__doc__ or "").strip().splitlines()[0]
        assert own == HELP[command]
        assert own[0].isupper()
        assert own.endswith(".")


@pytest.mark.parametrize("command", [ROOT, *ALL_COMMANDS])
def test_no_option_empties_a_list(command: str) -> None:
    shown = help_of(command)
    assert shown.code == 0
    assert "--empty" not in shown.out


def test_the_options_that_search_and_judge_share_have_one_default() -> None:
    search, judge = ({field.name: field.default for field in fields(kind)} for kind in (SearchSettings, JudgeSettings))
    kinds = (SearchOptions, JudgeFlags)
    options, flags = (get_type_hints(kind, include_extras=True) for kind in kinds)
    shared = [name for name, option in options.items() if flags.get(name) == option]
    assert len(shared) == 11
    assert [search[name] for name in shared] == [judge[name] for name in shared]
