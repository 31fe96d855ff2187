"""The command `config`: every setting, its value and where it comes from."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from cyclopts import App, CycloptsError

from agentr_tui.cli.application import ALL_COMMANDS, CONFIGURABLE, build
from agentr_tui.cli.judge_options import judge_of
from agentr_tui.cli.options import JsonOption, WorkspaceOption
from agentr_tui.cli.revise_options import revise_defaults
from agentr_tui.state.own_settings import OwnSettings
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE, SETTINGS_FILE, user_file, workspace_file
from agentr_tui.state.settings_trust import ForeignSettings, Held, WorkspaceSettings
from agentr_tui.terminal.output import emit_json, table
from engine.base.untrusted_files import what_is
from engine.search.settings import with_body
from engine.tree.events import SearchSettings
from engine.verifiers.base import JudgeSettings

_SEARCH = msgspec.to_builtins(SearchSettings())
_JUDGE = msgspec.to_builtins(JudgeSettings())
DEFAULTS: dict[str, dict[str, Any]] = {
    "search": _SEARCH,
    "collect": _SEARCH,
    "eval": _SEARCH,
    "revise": {**revise_defaults(), **_JUDGE},
    "verify": _JUDGE,
}
"""What holds for an option that was not given and has no default of its own on the command line."""


def config(*, json: JsonOption = False, workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE)) -> int:
    """List every setting, its value and where it comes from."""
    arguments = ["--workspace", str(workspace)]
    files = [workspace_file(arguments), user_file()]
    app = build(arguments, refuse=False)
    rows = [row for name in CONFIGURABLE for row in settings_of(app, name)]
    ignored = f"{files[0]}, ignored until: agentr trust {workspace}"
    rows += [{"name": held.key, "value": held.value, "source": ignored} for held in held_of(app)]
    rows += app_settings(files[::-1])
    if json:
        emit_json({"file": str(files[0]), "user_file": str(files[1]), "settings": rows})
        return 0
    table(
        ["setting", "value", "from"],
        [[row["name"], row["value"] or "–", row["source"]] for row in rows],
    )
    return 0


def held_of(app: App) -> list[Held]:
    """The settings of the workspace's file that were not taken, of the commands that were looked at."""
    return [held for layer in app.config or () if isinstance(layer, WorkspaceSettings) for held in layer.held]


def foreign_settings(workspace: Path, commands: Sequence[str] = ALL_COMMANDS) -> ForeignSettings | None:
    """Returns the settings of the workspace's file that need a person's yes, for these commands; None where none
    does."""
    file = workspace / SETTINGS_FILE
    if what_is(file) is None:
        return None
    app = build(["--workspace", str(workspace)], refuse=False)
    for name in commands:
        settings_of(app, name)
    held = held_of(app)
    return ForeignSettings(file, held) if held else None


def own_settings(workspace: Path) -> dict[str, Any]:
    """Settings of a search that the environment (`AGENTR_SEARCH_…`) and the settings files hold; of the workspace's
    file those that hold unasked."""
    place = ["--workspace", str(workspace)]
    _, bound, _ = build(place, refuse=False).parse_args(["search", *place])
    return with_body(dict(bound.arguments.get("options") or {}))


def own_judge(workspace: Path) -> JudgeSettings:
    """The verifier `openai` as the environment (`AGENTR_REVISE_…`) and the settings files name it."""
    place = ["--workspace", str(workspace)]
    _, bound, _ = build(place, refuse=False).parse_args(["revise", "trace", *place])
    return judge_of(bound.arguments.get("judge"))


def own_readers(workspace: Path) -> OwnSettings:
    """Readers of the user's own settings, for the app."""
    return OwnSettings(partial(own_settings, workspace), partial(own_judge, workspace))


def settings_of(app: App, command: str) -> list[dict[str, Any]]:
    """The options of one command: name, value, source (`default`, the environment variable, or the file).

    Raises cyclopts' own errors for an unknown name in the file.
    """
    collection = app[command].assemble_argument_collection()
    for layer in app.config or ():
        try:
            layer(app, (command,), collection)
        except CycloptsError as error:
            error.command_chain = (command,)  # names the table
            raise
    rows = []
    for argument in collection:
        if not argument.name.startswith("--"):
            continue
        option = argument.name.removeprefix("--")
        tokens = argument.tokens
        if tokens:
            value: Any = " ".join(token.value or str(token.implicit_value) for token in tokens)
            source = tokens[0].source
            if source == "env":
                source = f"environment {tokens[0].keyword}"
        else:
            default = argument.field_info.default
            if default is inspect.Parameter.empty or default is None:
                default = DEFAULTS.get(command, {}).get(option.replace("-", "_"))
            value = None if default is None else str(default)
            source = "default"
        rows.append({"name": f"{command}.{option}", "value": value, "source": source})
    return rows


def app_settings(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Theme, keys and own themes of the app. Raises `InputError` for what the files have wrong."""
    from agentr_tui.app.keymap import bindings
    from agentr_tui.app.preferences_file import read_preferences

    found = read_preferences(files)
    rows: list[dict[str, Any]] = [{"name": "theme", "value": found.theme, "source": found.theme_from}]
    rows += [{"name": f"themes.{look.name}", "value": look.colors.text, "source": "file"} for look in found.looks]
    for id, bound in bindings().items():
        keys = found.keys.get(id, bound.keys)
        rows.append({"name": f"keys.{id}", "value": " ".join(keys), "source": found.keys_from.get(id, "default")})
    return rows
