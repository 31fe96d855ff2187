"""Environments with tools, as they are described; and `tools:ENV`, which gives any environment one tool, `act`.

`act(text)` executes the text as the environment's own action.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from envs.base import EnvError, EnvironmentInfo, Taken, TextEnv, Tools, info_of
from envs.base import make as make_env
from envs.call_text import arguments_of, parse_calls, split_results
from envs.tool_schemas import tool
from envs.tool_wrapper import Toolbox, calling, refuses

NAME = "tools"
ACT = tool("act", "Take one action in the environment.", text={"type": "string", "description": "the action"})
RULES = """\
The rules below ask for an answer with a line `Action:`. Here you answer otherwise: say in a sentence why the next \
step is right, and call the tool act with the action as its text."""


def described(
    text: EnvironmentInfo, *, name: str, summary: str, rules: str, lookers: Sequence[str] = ()
) -> EnvironmentInfo:
    """Returns the description of an environment with tools, made from the description of the same one by text. The
    module that makes the one by text has a `make_with_tools`.

    `text`: the description by text. `name`, `summary` and `rules`: those of the environment with tools. `lookers`:
    names of tools that only show something.
    """

    def looks(action: str) -> bool:
        calls = parse_calls(action)
        return calls is not None and all(call.name in lookers for call in calls)

    load = f"{text.load.partition(':')[0]}:make_with_tools"
    return _with_calls(replace(text, name=name, summary=summary, load=load, rules=rules, looks=looks))


def _with_calls(text: EnvironmentInfo) -> EnvironmentInfo:
    refused = partial(refuses, text.refuses)
    return replace(text, refuses=refused, recognises=lambda observation: False, of=None, kinds=None, broken_kinds=None)


def info_for(argument: str) -> EnvironmentInfo:
    """What is known of `tools:ARGUMENT`. Raises `EnvError`."""
    if not argument:
        raise EnvError("tools: names no environment; write tools:ENV, for example tools:scienceworld")
    below = info_of(argument)

    def looks(action: str) -> bool:
        calls = parse_calls(action)
        return calls is not None and all(below.looks(_text_in(call.arguments)) for call in calls)

    def careless(action: str, observation: str) -> bool:
        calls = parse_calls(action) or []
        return any(below.careless(_text_in(call.arguments), observation) for call in calls)

    def wasteful(action: str, ahead: Sequence[str], behind: Sequence[Taken]) -> bool:
        texts = [_texts_of(each) for each in (action, *ahead)]
        later = [text for each in texts[1:] for text in each]
        before = [
            taken
            for each, answer in behind
            if (told := _texts_of(each))
            for taken in zip(told, split_results(answer, len(told)), strict=True)
        ]
        return any(below.wasteful(text, [*texts[0][place:], *later], before) for place, text in enumerate(texts[0], 1))

    return _with_calls(
        replace(
            below,
            name=f"{NAME}:{argument}",
            load="envs.any_tools:make",
            rules=f"{RULES}\n\n{below.rules}",
            looks=looks,
            careless=careless,
            wasteful=wasteful,
        )
    )


def _texts_of(action: str) -> list[str]:
    return [_text_in(call.arguments) for call in parse_calls(action) or ()]


def _text_in(arguments: str) -> str:
    found = arguments_of(arguments) or {}
    return str(found.get("text", ""))


def make(argument: str) -> TextEnv:
    """The environment of `tools:ARGUMENT`. Raises `EnvError`."""
    below = make_env(argument)
    if isinstance(below, Tools):
        below.close()
        raise EnvError(f"{argument} has tools of its own: --env {argument}")
    final = getattr(below, "final_action", None)
    return calling(below, Toolbox(lambda: (ACT,), _action_of, _call_of, final), lambda name: f"{NAME}:{name}")


def _action_of(name: str, arguments: Mapping[str, Any]) -> str:
    return str(arguments["text"])


def _call_of(action: str) -> tuple[str, Mapping[str, Any]] | None:
    return "act", {"text": action}
