"""Small Gymnasium environments with text, good and bad, as another package might register them."""

from __future__ import annotations

import random
import threading
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.spaces import Dict, Discrete, Text

ANY = Text(10_000)


class Lock(gymnasium.Env[Any, str]):
    """A lock with three digits that have to be turned in their order, which the seed decides. Each right digit is
    worth 0.25, the last one 0.5; a wrong one costs 0.1 and turns the lock back."""

    action_space = ANY
    observation_space: gymnasium.Space[Any] = ANY

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.code = [int(digit) for digit in self.np_random.integers(0, 4, 3)]
        self.turned = 0
        return self.said("A lock with three digits of 0 to 3. Open it."), {}

    def step(self, action: str) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if not action.startswith("turn "):
            return self.said(f"You can't {action}."), 0.0, False, False, {}
        if action == "turn 9":
            return self.said("The lock breaks."), -5.0, True, False, {}
        if action.removeprefix("turn ") != str(self.code[self.turned]):
            self.turned = 0
            return self.said("It springs back."), -0.1, False, False, {}
        self.turned += 1
        opened = self.turned == len(self.code)
        return self.said(f"Click {self.turned}."), 0.5 if opened else 0.25, opened, False, {}

    def said(self, text: str) -> Any:
        """The observation."""
        return text


class Helpful(Lock):
    """It knows the way, and what can be done."""

    def plan(self) -> tuple[str | None, int | None]:
        """The next digit."""
        if self.turned == 3:
            return None, 0
        return f"turn {self.code[self.turned]}", 3 - self.turned

    def valid_actions(self) -> list[str]:
        """All digits."""
        return [f"turn {digit}" for digit in range(4)]


class HoldsALock(Helpful):
    """It can't be copied."""

    def __init__(self) -> None:
        self.guard = threading.Lock()


_ELSEWHERE: dict[int, Lock] = {}


class Elsewhere(Lock):
    """Its state is elsewhere, as with a server: copies share it, and the probe's actions change nothing there."""

    def __init__(self) -> None:
        self.key = len(_ELSEWHERE)
        _ELSEWHERE[self.key] = Lock()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return _ELSEWHERE[self.key].reset(seed=seed)

    def step(self, action: str) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return _ELSEWHERE[self.key].step(action)


class AlsoProbed(Elsewhere):
    """As above, but what the probe does tells."""

    def step(self, action: str) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        inner = _ELSEWHERE[self.key]
        inner.turned += 1
        return f"{inner.turned}", 0.0, False, False, {}


class Bytes(Lock):
    """It speaks in bytes, and not always in UTF-8."""

    def said(self, text: str) -> Any:
        return text.encode() + b" \xff"


class NumpyText(Lock):
    """It speaks in NumPy's strings."""

    def said(self, text: str) -> Any:
        return np.array(text)[()] if text.startswith("A lock") else np.array(text)


class Surrogates(Lock):
    """It says what UTF-8 can't write."""

    def said(self, text: str) -> Any:
        return text + " \ud800"


class Parts(Lock):
    """It says several things at once."""

    observation_space = Dict({"text": ANY, "more": ANY, "count": Discrete(4)})

    def said(self, text: str) -> Any:
        return {"text": text, "more": "nothing more", "count": self.turned}


class Numbers(Lock):
    """It is not for text."""

    action_space: Any = Discrete(3)


class Spaceless(gymnasium.Env[str, str]):
    """It declares no spaces."""


class Old(Lock):
    """It gives four values, as Gym did."""

    def step(self, action: str) -> Any:
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, info


class Fails(Lock):
    """It breaks at one action."""

    def step(self, action: str) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if action == "break":
            raise RuntimeError("it\nbroke")
        if action == "rich":
            return "much", float("nan"), False, False, {}
        if action == "mute":
            return 7, 0.0, False, False, {}
        return super().step(action)


class Unmade(Lock):
    """It can't be made."""

    def __init__(self) -> None:
        raise OSError("no board\nin the machine")


class Chance(Lock):
    """Every copy and every reset is another game."""

    def step(self, action: str) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return f"{random.random()}", 0.0, False, False, {}


for _kind in (
    *(Lock, Helpful, HoldsALock, Elsewhere, AlsoProbed, Bytes, NumpyText, Surrogates, Parts, Numbers, Spaceless),
    *(Old, Fails, Unmade, Chance),
):
    gymnasium.register(f"agentr/{_kind.__name__}-v0", entry_point=cast(Any, _kind))
gymnasium.register("agentr/Short-v0", entry_point=cast(Any, Lock), max_episode_steps=2)
