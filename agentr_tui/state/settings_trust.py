"""What a workspace's `agentr.toml` may set unasked.

Whoever opens a workspace may not have written its settings. Numbers, and words that name no place, hold at once; what
may be a place, a variable or a command (`base_url`, `key_env`, `env`, `prompts`, …) holds after a yes, which is
remembered on this machine for this value in this workspace. A person's own settings file, options and environment
variables need none.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from cyclopts import App, Argument, ArgumentCollection
from cyclopts.config import Dict

from agentr_tui.state.settings_files import user_file
from engine.base.untrusted_files import real_path
from engine.environment.consent_store import give, given
from engine.environment.permission import NeedsConsent

WORDS = frozenset({
    "algorithm", "chat_template", "extra_body", "format", "licence", "marks", "model", "parse", "reasoning_effort",
    "run", "send_reasoning", "split", "structured", "task", "thought", "tools",
})  # fmt: skip
"""Settings that are words, and name no place."""

KINDS = frozenset({"actor", "against", "repair_actor", "verifier"})
"""Settings that are words, unless something follows a ":" (`recorded:FILE`)."""

ACTS = frozenset({"allow_remote", "detach", "force", "yes"})
"""What is on or off, and a person's to switch on."""


class Held(NamedTuple):
    """A setting that was not taken."""

    command: str  # "": of `agentr` alone
    name: str
    value: str

    @property
    def key(self) -> str:
        """The setting as `agentr config` names it."""
        return f"{self.command}.{self.name}" if self.command else self.name


class ForeignSettings(NeedsConsent):
    """A workspace's settings file names what a person has to."""

    def __init__(self, file: Path, held: Sequence[Held]) -> None:
        self.file, self.held = file, list(held)
        told = ", ".join(f"{each.key} = {each.value}" for each in held)
        workspace = shlex.quote(str(file.parent))
        flags = " ".join(f"--{each.name} {shlex.quote(each.value)}" for each in held)
        self.told, self.whence = f"{file} sets {told}", "A workspace may come from anybody."
        super().__init__(
            f"{self.told}, and a workspace may come from anybody: where that is right, say yes once: agentr"
            f" trust {workspace}; or name it yourself: {flags}, or in {user_file()}"
        )

    def allow(self) -> None:
        """Remember a person's yes on this machine."""
        for each in self.held:
            give(_about(self.file), each.key, each.value, source=self.file)


def _about(file: Path) -> str:
    return "settings " + blake2b(str(real_path(file)).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def names_a_place(argument: Argument, value: str) -> bool:
    """Whether an option may name a file, a host, a variable or a command, or do what a person has to ask for."""
    name = argument.name.removeprefix("--").replace("-", "_")
    hints = _alternatives(argument.hint)
    if name in ACTS or Path in hints:  # `against` of `eval` is a folder
        return True
    if name in WORDS or all(_is_closed(hint) for hint in hints):
        return False
    return not (name in KINDS and ":" not in value)


def _alternatives(hint: Any) -> Sequence[Any]:
    parts = get_args(hint) if get_origin(hint) is not Literal else ()
    return [part for part in parts if part is not NoneType] or [hint]


def _is_closed(hint: Any) -> bool:
    """Whether a type holds numbers, yes or no, or a closed set of words."""
    return hint in (int, float, bool) or get_origin(hint) is Literal


class WorkspaceSettings:
    """The settings of a workspace as a source of options; those that need a person's yes are left out until then.
    `held` names these."""

    def __init__(self, file: Path, settings: Mapping[str, Any], refuse: bool) -> None:
        """`refuse`: raise `ForeignSettings` where an option of the command that runs is not taken."""
        self.held: list[Held] = []
        self._file = file
        self._refuse = refuse
        self._all = Dict(dict(settings), source=str(file))

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Give options the values that the file has for them. Raises `ForeignSettings`."""
        self._all(app, commands, arguments)
        held = []
        for argument in arguments:
            if not argument.tokens or argument.tokens[0].source != str(self._file):
                continue
            value = " ".join(token.value or str(token.implicit_value) for token in argument.tokens)
            name = argument.name.removeprefix("--")
            each = Held(" ".join(commands), name, value)
            if names_a_place(argument, value) and given(_about(self._file), each.key, value) is None:
                argument.tokens.clear()
                held.append(each)
        self.held += held
        if held and self._refuse:
            raise ForeignSettings(self._file, held)
