"""Environments that keep to no form: each is the door of `tests.envs.home_made` with one thing done in an odd way."""

from __future__ import annotations

import sys
import threading
from fractions import Fraction
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.spaces import Dict, Discrete, MultiBinary, MultiDiscrete

from tests.envs.home_made import ACTS, WORDS, Key


class Panic(BaseException):
    """As a library in Rust raises one: no `Exception`."""


class Wordless(Exception):
    """Its message can't be put together."""

    def __str__(self) -> str:
        raise ValueError


def odd(name: str, **members: Any) -> None:
    """Register `odd/NAME-v0`: the door, with these members in the place of its own."""
    gymnasium.register(f"odd/{name}-v0", entry_point=cast(Any, type(name, (Key,), members)))


def gives(place: int, value: Any) -> Any:
    """A `step` one of whose five values is another one: `value`, or what it makes of the door's own."""

    def step(self: Key, action: str) -> Any:
        values = list(Key.step(self, action))
        values[place] = value(values[place]) if callable(value) else value
        return tuple(values)

    return step


def raises(error: type[BaseException]) -> Any:
    """A `step` that raises where one looks around."""

    def step(self: Key, action: str) -> Any:
        if action == "look":
            raise error()
        return Key.step(self, action)

    return step


def lists(**info: Any) -> dict[str, Any]:
    """Members that give this in info; a function of the environment is called."""
    return {"info": lambda self: {key: each(self) if callable(each) else each for key, each in info.items()}}


def fails(*_: object, **__: object) -> Any:
    """What any method does that is broken."""
    return 1 // 0


# -- what can be used all the same ---------------------------------------------------------------------

odd("ArrayReward", step=gives(1, lambda reward: np.array([reward])))
odd("FractionReward", step=gives(1, lambda reward: Fraction(reward).limit_denominator(10)))
odd("NumpyEnd", step=gives(2, np.bool_))
odd("NumberEnd", step=gives(2, int))
odd("NoneEnd", step=gives(3, None))
odd("NumpyText", said=lambda self, text: np.array(text))
odd("Bytes", said=lambda self, text: text.encode() + b"\xff")
odd("Hostile", said=lambda self, text: f"{text} \x1b[2J\x00 \u202e \ud800 \u2028")
odd("Panics", step=raises(Panic))
odd("Exits", step=raises(SystemExit))
odd("WordlessError", step=raises(Wordless))
odd("CloseRaises", close=fails)
odd("CloseExits", close=lambda self: sys.exit(3))
odd("CopyExits", __deepcopy__=lambda self, memo: sys.exit(3))
odd("CopyFails", __init__=lambda self: setattr(self, "lock", threading.Lock()))
odd("SnapshotLies", snapshot=lambda self: 1, restore=lambda self, snapshot: None)
for _name, _plan in (
    ("Raises", fails),
    ("None", lambda self: None),
    ("Text", lambda self: "take key"),
    ("Number", lambda self: (3, 3)),
    ("Left", lambda self: ("take key", "two")),
    ("Negative", lambda self: ("take key", -1)),
):
    odd(f"Plan{_name}", plan=_plan)

# -- valid actions in odd dress: all of them mean `take key` and `open door` ----------------------------

TWO = ACTS[1:]
odd("Table", **lists(valid_actions={"look": False, "take key": True, "open door": np.bool_(True)}))
odd("Array", **lists(valid_actions=np.array(TWO)))
odd("Set", **lists(valid_actions=frozenset(TWO)))
odd("Once", **lists(valid_actions=lambda self: (each for each in TWO)))
odd("Rows", **lists(admissible_commands=[TWO]))
odd("Holes", **lists(valid_actions=[None, *TWO, "", " "]))
odd("Coded", **lists(valid_actions=[each.encode() for each in TWO]))
odd("MaskTable", **lists(action_mask={"look": 0, "take key": 1, "open door": True}))
odd("Attribute", info=lambda self: {}, valid_actions=TWO)
_NAMED: dict[str, Any] = {
    "action_space": Discrete(3),
    "action_names": ACTS,
    "step": lambda self, number: Key.step(self, ACTS[int(number)]),
}
odd("Mask", **_NAMED, **lists(action_mask=np.array([0, 1, 1], dtype=np.int8)))
odd("MaskRow", **_NAMED, **lists(action_mask=[np.array([0, 1, 1])]))
odd("MaskNames", **_NAMED, **lists(action_mask={"take key": True, "look": False, "open door": True}))
odd("Flags", **_NAMED, **lists(valid_actions=np.array([False, True, True])))
odd("Numbers", **_NAMED, **lists(valid_actions=np.array([1, 2])))

# -- what can't be used --------------------------------------------------------------------------------

odd("ActsDict", action_space=Dict({"verb": WORDS}))
odd("ActsMany", action_space=MultiDiscrete([2, 2]))
odd("ActsBinary", action_space=MultiBinary(2))
odd("Nothing", action_space=None)
odd("Several", said=lambda self, text: [text, "more"])
odd("Chat", said=lambda self, text: [{"role": "user", "content": text}])
odd("NoText", said=lambda self, text: None)
odd("ResetThree", reset=lambda self, **given: (*Key.reset(self), 3))
odd("ResetInfo", reset=lambda self, **given: (Key.reset(self)[0], [1]))
odd("ResetExits", reset=lambda self, **given: sys.exit(0))
odd("Six", step=lambda self, action: (*Key.step(self, action), "more"))
odd("StepNone", step=lambda self, action: None)
odd("StepInfo", step=gives(4, "fine"))
odd("NoReward", step=gives(1, None))
odd("WordReward", step=gives(1, "good"))
odd("NanReward", step=gives(1, float("nan")))
odd("HugeReward", step=gives(1, 10**400))
odd("TextEnd", step=gives(2, str))
odd("MaskShort", **_NAMED, **lists(action_mask=[1, 0]))
odd("Pairs", **lists(valid_actions=[(each, 0.5) for each in ACTS]))
odd("Count", **lists(valid_actions=3))
odd("InitNeeds", __init__=lambda self, world: None)
odd("InitExits", __init__=lambda self: sys.exit(3))
TAKE: dict[str, Any] = {"name": "take", "parameters": {"type": "object", "properties": {"what": {"type": "string"}}}}
for _name, _tools in (
    ("Raise", fails),
    ("None", lambda self: []),
    ("Text", lambda self: "take"),
    ("Table", lambda self: {"take": TAKE}),
    ("Nameless", lambda self: [{"function": {"parameters": {}}}]),
    ("Twice", lambda self: [TAKE, TAKE]),
    ("Parameters", lambda self: [{"name": "take", "parameters": "what"}]),
    ("Required", lambda self: [{"name": "take", "parameters": {"required": True}}]),
    ("Inner", lambda self: [{"name": "take", "parameters": {"properties": {"what": {"items": {"type": 3}}}}}]),
    ("NoJson", lambda self: [{"name": "take", "parameters": {"default": {1, 2}}}]),
):
    odd(f"Tools{_name}", tools=_tools)


class Calls(Key):
    """Its tools are told in the flat form of the Responses API, and as another vendor's."""

    def tools(self) -> list[dict[str, Any]]:
        """Two tools."""
        return [{"type": "function", **TAKE}, {"name": "open", "input_schema": {"type": "object"}}]

    def info(self) -> dict[str, Any]:
        return {"valid_actions": ['take(what="key")', "open()"]}

    def step(self, action: Any) -> Any:
        return super().step({'take(what="key")': "take key", "open()": "open door"}.get(action, action))


gymnasium.register("odd/Calls-v0", entry_point=f"{__name__}:Calls")


class Counting(Key):
    """It tells how many steps were made of it in all."""

    made = 0

    def step(self, action: Any) -> Any:
        Counting.made += 1
        return super().step(action)


gymnasium.register("odd/Counting-v0", entry_point=f"{__name__}:Counting")
