"""Which actions an environment has, by the names under which environments tell them."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
from gymnasium.spaces import Discrete

from envs.any_gymnasium.spec import Spec
from envs.base import EnvError

LISTED = (
    "admissible_commands",
    "valid_actions",
    "available_actions",
    "legal_actions",
    "admissible_actions",
    "possible_actions",
    "available_commands",
    "valid_commands",
)
"""Keys of `info` that list valid actions, the first that is there counts."""

MASKS = ("action_mask", "action_masks", "legal_actions_mask")
"""Keys of `info` that say of each action of a Discrete environment whether it is valid."""

NAMES = ("action_names", "ACTION_NAMES", "action_meanings", "actions", "ACTIONS")
"""Attributes of an environment, or keys of `info`, that name the actions of a Discrete one."""


def attribute(env: gymnasium.Env[Any, Any], name: str) -> Any:
    """An attribute of an environment or of what it wraps, the outermost first; None where there is none."""
    while True:
        found = getattr(env, name, None)
        if found is not None or not isinstance(env, gymnasium.Wrapper):
            return found
        env = env.env


def with_names(env: gymnasium.Env[Any, Any], spec: Spec, info: Mapping[str, Any]) -> Spec:
    """Returns the spec with the names of a Discrete environment's actions. Raises `EnvError` where they have no names.

    `env`: the environment. `spec`: how it is used here; names in it come first. `info`: of the last reset or step.
    """
    space = getattr(env, "action_space", None)
    if not isinstance(space, Discrete):
        return spec
    count, start = int(space.n), int(space.start)
    named = spec.actions or _named(env, info, count)
    if not named:
        example = ",".join(f"NAME{number}" for number in range(min(count, 3))) + (",…" if count > 3 else "")
        raise EnvError(
            f"gym: the action space is Discrete, not text: name its {count} actions with ?actions={example},"
            " or give the environment `action_names`"
        )
    if len(named) != count:
        raise EnvError(f"gym: ?actions= names {len(named)} actions ({', '.join(named)[:80]}), and there are {count}")
    if len({name.casefold() for name in named}) < count:
        raise EnvError(f"gym: two actions have the same name: {', '.join(named)[:80]}: say ?actions=NAME,NAME,…")
    return spec._replace(actions=named, start=start)


def _named(env: gymnasium.Env[Any, Any], info: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """The names that an environment gives its actions; empty where it gives none, or another number of them."""
    meanings = attribute(env, "get_action_meanings")
    found = [info.get(name) for name in NAMES[:3]] + [attribute(env, name) for name in NAMES]
    if callable(meanings):
        found.insert(0, meanings())
    for table in found:
        if isinstance(table, type) and issubclass(table, enum.Enum):
            table = {each.name: each.value for each in table}
        if isinstance(table, Mapping):
            table = _in_order(table)
        if not isinstance(table, Sequence) or isinstance(table, str) or len(table) != count:
            continue
        if all(isinstance(name, str) and name.strip() for name in table):
            return tuple(" ".join(name.split()) for name in table)
    return ()


def _in_order(table: Mapping[Any, Any]) -> list[Any]:
    """The names of a table from names to numbers, or from numbers to names."""
    if all(isinstance(value, str) for value in table.values()):
        table = {name: number for number, name in table.items()}
    try:
        return sorted(table, key=lambda name: int(table[name]))
    except (TypeError, ValueError):
        return []


def number_of(spec: Spec, action: str) -> int | None:
    """The number of a Discrete environment's action; None where it has no such action."""
    said = " ".join(action.split()).strip("`'\".").casefold()
    for place, name in enumerate(spec.actions):
        if name.casefold() == said:
            return place + (spec.start or 0)
    return None


def lists_actions(env: gymnasium.Env[Any, Any], spec: Spec, info: Mapping[str, Any]) -> bool:
    """Whether the valid actions of the current state are known.

    `env`: the environment. `spec`: how it is used here. `info`: of the last reset or step.
    """
    return bool(spec.actions) or callable(attribute(env, "valid_actions")) or any(name in info for name in LISTED)


def valid_actions(env: gymnasium.Env[Any, Any], spec: Spec, info: Mapping[str, Any]) -> list[str]:
    """Returns the valid actions of the current state: those that a method returns, that the info lists, that a mask
    allows, or else all known ones. Raises what the environment raises.

    `env`: the environment. `spec`: how it is used here. `info`: of the last reset or step.
    """
    method = attribute(env, "valid_actions")
    found = method() if callable(method) else next((info[name] for name in LISTED if info.get(name) is not None), None)
    found = found() if callable(found) else found
    if found is not None and not isinstance(found, str):
        return [_name(spec, each) for each in found]
    mask = next((info[name] for name in MASKS if info.get(name) is not None), None)
    if mask is None and callable(masks := attribute(env, "action_masks")):
        mask = masks()
    if mask is not None and spec.start is not None and len(mask) == len(spec.actions):
        return [name for name, valid in zip(spec.actions, mask, strict=True) if valid]
    return list(spec.actions)


def _name(spec: Spec, action: Any) -> str:
    """A listed action as text: a Discrete environment may list numbers."""
    if spec.start is not None and not isinstance(action, str):
        place = int(action) - spec.start
        if 0 <= place < len(spec.actions):
            return spec.actions[place]
    return str(action)
