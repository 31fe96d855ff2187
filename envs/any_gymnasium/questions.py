"""What is asked of an environment beside reset and step: its plan, valid actions, tools, last words. What it does wrong
becomes an `EnvError` of one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gymnasium

from envs.any_gymnasium.spec import Spec
from envs.any_gymnasium.valid_actions import attribute, valid_actions
from envs.base import EnvError, Plan
from envs.errors import Malformed, in_words
from envs.tool_schemas import checked_tools

Foreign = gymnasium.Env[Any, Any]


@contextmanager
def _asking(what: str) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except (EnvError, ValueError) as error:
        raise EnvError(f"the environment's {what} can't be used: {' '.join(str(error).split())}") from error
    except BaseException as error:
        raise EnvError(f"the environment's {what} failed: {in_words(error)}") from error


def plan_of(env: Foreign, info: Mapping[str, Any]) -> Plan:
    """The next action of its expert and the steps left: of its method, else of the info. Raises `EnvError`."""
    plan = attribute(env, "plan")
    if callable(plan):
        with _asking("plan"):
            return _read_plan(plan())
    way = list(info.get("policy_commands") or [])
    if way:
        return Plan(str(way[0]), len(way))
    return Plan(None, 0 if info.get("won") else None)


def _read_plan(found: Any) -> Plan:
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise Malformed(f"plan() gives {found!r:.60}: a pair of the next action and the steps left is needed")
    action, left = found
    if action is not None and not isinstance(action, str):
        raise Malformed(f"the next action is {action!r:.60}, no text")
    whole = not isinstance(left, bool) and hasattr(left, "__index__")
    if left is not None and not (whole and int(left) >= 0):
        raise Malformed(f"the number of steps left is {left!r:.60}")
    return Plan(action, None if left is None else int(left))


def actions_of(env: Foreign, spec: Spec, info: Mapping[str, Any]) -> list[str]:
    """The valid actions of `env`. Raises `EnvError`.

    `spec`: how the user described it. `info`: what its last step or reset returned.
    """
    with _asking("valid actions"):
        return valid_actions(env, spec, info)


def tools_of(env: Foreign) -> list[dict[str, Any]]:
    """The tools of the current task, in OpenAI's form. Raises `EnvError`."""
    with _asking("tools"):
        return checked_tools(attribute(env, "tools")())


def final_action_of(env: Foreign, text: str) -> str:
    """The action that stands for these last words. Raises `EnvError`."""
    with _asking("final action"):
        return str(attribute(env, "final_action")(text))
