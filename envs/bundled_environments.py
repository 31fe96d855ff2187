"""The environments that come with this package, as they are described.

`envs.base` loads this when it is first asked for an environment; the module of one is loaded when one is made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from envs.any_tools import RULES as _ACT_RULES
from envs.any_tools import described
from envs.any_tools import info_for as _act_of
from envs.base import EnvironmentInfo, Taken, is_place, names_place, register
from envs.call_text import arguments_of, parse_calls, split_results
from envs.scienceworld.info import INFO as _SCIENCEWORLD
from envs.textcraft.recipes import item_id
from envs.textcraft.tools import RULES as _TEXTCRAFT_TOOL_RULES
from envs.textcraft.tools import action_of as _command_of
from envs.tool_wrapper import refuses_calls as _refuses_calls
from envs.webshop.info import INFO as _WEBSHOP

_TEXTCRAFT_RULES = """\
You craft items by text. First you are given crafting commands and a goal, the item that you have to craft. Some of \
the commands serve the goal, others lead nowhere.

What you can do, one action a turn:
- get N ITEM: fetch N of an item. It works only for items that cannot be crafted; whatever a command makes has to be \
crafted.
- craft N ITEM using N INGREDIENT, N INGREDIENT, ...: use a crafting command once. Write it with exactly the amounts \
in which it was given, and carry all its ingredients beforehand. An ingredient that is a kind of item, such as \
"planks", means any one item of that kind: name the one that you carry, such as "oak planks".
- inventory: see what you carry.

Answer every observation with a short thought and one action, in this form and with nothing after it:
Thought: why this is the next step
Action: the action

For example, where the goal is a ladder and one of the commands is "craft 4 stick using 2 planks":
Thought: A ladder needs sticks, sticks need planks, and planks are made of logs, which nothing crafts.
Action: get 1 oak logs

Begin when you are given the commands and the goal."""


def _is_textcraft(observation: str) -> bool:
    return observation.startswith("Crafting commands:") and "Goal: craft " in observation


def _textcraft_refuses(observation: str) -> bool:
    return observation.startswith(("Could not ", "Wrong item format"))


def _textcraft_looks(action: str) -> bool:
    return action.strip().startswith("inventory")


_SAID = re.compile(r"craft(?: |\(count=)([0-9]{1,600})\b")
_CRAFTED = re.compile(r"Crafted ([0-9]{1,600}) ")
_FETCH = re.compile(r"get ([0-9]{1,9}) (.+)")
_PART = re.compile(r"([0-9]{1,9}) (.+)")
_BROUGHT = re.compile(r"(?:Got|Crafted) ([0-9]{1,9}) (.+)")


def _textcraft_careless(action: str, observation: str) -> bool:
    """Whether a command was given with another number than it makes: TextCraft takes any."""
    said, made = _SAID.match(action), _CRAFTED.match(observation)
    return said is not None and made is not None and int(said[1]) != int(made[1])


def _textcraft_wasteful(action: str, ahead: Sequence[str], behind: Sequence[Taken]) -> bool:
    """Whether more is fetched than is missing of what the commands after it use up."""
    commands = [command for each in (action, *ahead) for command in _textcraft_commands(each)]
    for place in range(len(_textcraft_commands(action))):
        fetch = _FETCH.fullmatch(commands[place])
        if fetch is None:
            continue
        amount, item = int(fetch[1]), fetch[2]
        wanted = sum(_used(command, item) for command in commands[place + 1 :])
        if amount > wanted or amount > wanted - sum(_left_by(each, item) for each in behind):
            return True
    return False


def _left_by(step: Taken, item: str) -> int:
    """How many of an item a step brought, less those that it used up."""
    commands, left = _textcraft_commands(step[0]), 0
    for command, answer in zip(commands, split_results(step[1], max(1, len(commands))), strict=False):
        brought = _BROUGHT.match(answer)
        if brought is not None:
            left += int(brought[1]) if brought[2] in (item, item_id(item)) else 0
            left -= _used(command, item)
    return left


def _textcraft_commands(action: str) -> list[str]:
    """The commands of an action, which may be calls of the tools."""
    calls = parse_calls(action)
    if calls is None:
        return [" ".join(action.split())]
    found = []
    for call in calls:
        try:
            found.append(_command_of(call.name, arguments_of(call.arguments) or {}))
        except (KeyError, TypeError, ValueError):  # no call that the tools take
            found.append("")
    return found


def _used(command: str, item: str) -> int:
    """How many of an item a command uses up."""
    _, _, parts = command.partition(" using ")
    return sum(int(part[1]) for each in parts.split(",") if (part := _PART.fullmatch(each.strip())) and part[2] == item)


def _textcraft_of(argument: str) -> EnvironmentInfo:
    return _TEXTCRAFT_TOOLS if argument == "tools" else _TEXTCRAFT


_TEXTCRAFT = EnvironmentInfo(
    name="textcraft",
    summary="craft an item from others; 419 tasks of 3 to 48 steps, embedded, with snapshots and a planner",
    load="envs.textcraft.env:make",
    rules=_TEXTCRAFT_RULES,
    recognises=_is_textcraft,
    refuses=_textcraft_refuses,
    looks=_textcraft_looks,
    careless=_textcraft_careless,
    wasteful=_textcraft_wasteful,
    of=_textcraft_of,
    kinds=lambda: [_TEXTCRAFT_TOOLS],
    takes_place=lambda argument: argument != "tools" and is_place(argument),
)
_TEXTCRAFT_TOOLS: EnvironmentInfo = described(
    _TEXTCRAFT,
    name="textcraft:tools",
    summary="the same, its agent calls the tools get, craft and inventory",
    rules=_TEXTCRAFT_TOOL_RULES,
    lookers=("inventory",),
)
register(_TEXTCRAFT)
register(
    EnvironmentInfo(
        name="recorded",
        summary="recorded:FILE answers as another environment did when it was recorded",
        load="envs.recorded:make",
        rules="Answer every observation in this form:\nThought: why this is the next step\nAction: the action",
        takes_place=lambda argument: True,
    )
)
register(_WEBSHOP)
register(_SCIENCEWORLD)
register(
    EnvironmentInfo(
        name="tools",
        summary="tools:ENV, any other environment, its agent calls one tool: act(text)",
        load="envs.any_tools:make",
        rules=_ACT_RULES,
        of=_act_of,
        takes_place=names_place,
    )
)


_ANY_RULES = """\
You act in an environment by text. First you are told where you are and what to reach, then every action is answered \
with what came of it.

Answer every observation with a short thought and one action, in this form and with nothing after it:
Thought: why this is the next step
Action: the action"""


def _agentgym_of(argument: str) -> EnvironmentInfo:
    from envs.agentgym.servers import info_for

    return info_for(argument, _AGENTGYM)


def _agentgym_kinds() -> list[EnvironmentInfo]:
    from envs.agentgym.servers import kinds_of

    return kinds_of(_AGENTGYM)


def _agentgym_broken() -> tuple[str, ...]:
    from envs.agentgym.servers import broken_kinds

    return broken_kinds()


def _gym_of(argument: str) -> EnvironmentInfo:
    from envs.any_gymnasium.spec import info_for

    return info_for(argument, _GYM)


_AGENTGYM = EnvironmentInfo(
    name="agentgym",
    summary="agentgym:KIND@URL, a running AgentGym server of one of these kinds, or of one of yours",
    load="envs.agentgym.env:make",
    rules=_ANY_RULES,
    needs=("httpx2",),
    blocking=True,
    recalls=True,
    of=_agentgym_of,
    kinds=_agentgym_kinds,
    broken_kinds=_agentgym_broken,
    takes_place=lambda argument: True,
)
_GYM = EnvironmentInfo(
    name="gym",
    summary="gym:MODULE:ID, any Gymnasium environment whose actions are texts or have names",
    load="envs.any_gymnasium.env:make",
    rules=_ANY_RULES,
    refuses=_refuses_calls,
    of=_gym_of,
    takes_place=lambda argument: True,
)
register(_AGENTGYM)
register(_GYM)
