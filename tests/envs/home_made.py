"""Home-made Gymnasium environments in the shapes that environments have in the wild: a key, a door, a way out."""

from __future__ import annotations

import enum
import random
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Text, Tuple

WORDS = Text(2_000)
ACTS = ["look", "take key", "open door"]


class Key(gymnasium.Env[Any, Any]):
    """Take the key (0.3), open the door (0.7); without the key the door ends it."""

    action_space: gymnasium.Space[Any] = WORDS
    observation_space: gymnasium.Space[Any] = WORDS
    cost, scale = 0.0, 1.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.key = False
        return self.said("A hall. Goal: get out."), self.info()

    def step(self, action: Any) -> Any:
        text, reward, done = "Nothing happens.", 0.0, False
        if action == "take key" and not self.key:
            self.key, text, reward = True, "You hold it.", 0.3
        elif action == "open door":
            text, reward, done = ("Out.", 0.7, True) if self.key else ("Locked in.", 0.0, True)
        return self.said(text), (reward - self.cost) * self.scale, done, False, self.info()

    def info(self) -> dict[str, Any]:
        """What can be done."""
        return {"valid_actions": ACTS}

    def said(self, text: str) -> Any:
        """The observation."""
        return text


class Available(Key):
    """Another usual name."""

    def info(self) -> dict[str, Any]:
        return {"available_actions": ACTS}


class Silent(Key):
    """It lists nothing, and has no plan."""

    def info(self) -> dict[str, Any]:
        return {}


class Old(Key):
    """Four values of step, as before Gymnasium 0.26."""

    def step(self, action: Any) -> Any:
        observation, reward, done, _, info = super().step(action)
        return observation, reward, done, info


class Batch(Key):
    """Batches of one; the action is a list, and its space is no text."""

    action_space = observation_space = Tuple([WORDS])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        text, _ = super().reset(seed=seed)
        return [text], {"admissible_commands": [ACTS], "won": [False]}

    def step(self, action: Any) -> Any:
        (command,) = action
        text, reward, done, *_ = super().step(command.strip())
        return [text], [reward], [done], [False], {"admissible_commands": [ACTS], "won": [done]}


class Cost(Key):
    """Every step costs, so that the sum may be below 0."""

    cost = 0.4


class Big(Key):
    """Scores of hundreds."""

    scale = 500.0


class Raises(Key):
    """What is not valid is an exception."""

    def step(self, action: Any) -> Any:
        if action == "look":
            raise ValueError(f"no looking at {object()!r}")
        return super().step(action)


class Global(Key):
    """It asks the random numbers of the process."""

    def step(self, action: Any) -> Any:
        text, *rest = super().step(action)
        return f"{text} {random.random()}", *rest


class Counts(Key):
    """What it says depends on all steps that were ever made; it can't be copied."""

    steps = 0

    def __deepcopy__(self, memo: object) -> Any:
        raise TypeError("not to be copied")

    def step(self, action: Any) -> Any:
        Counts.steps += 1
        text, *rest = super().step(action)
        return (f"{text} {Counts.steps}" if Counts.steps > 60 else text), *rest


class NoSeed(Key):
    """Its reset ignores the seed."""

    def said(self, text: str) -> Any:
        return f"{text} {random.random()}" if text.startswith("A hall") else text


class Numbers(Key):
    """Discrete actions with names of their own; a mask in the info; observations of several parts."""

    action_space = Discrete(3, start=1)
    observation_space = Dict({"mission": WORDS, "held": Discrete(2), "place": Box(0, 9, (2,), cast(Any, int))})
    action_names = ACTS

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), action
        return super().step(ACTS[action - 1])

    def info(self) -> dict[str, Any]:
        return {"action_mask": np.array([0, 1, 1], np.int8)}

    def said(self, text: str) -> Any:
        return {"mission": text, "held": int(self.key), "place": np.array([4, 2])}


class Acts(enum.IntEnum):
    """As MiniGrid names them."""

    look = 0
    take_key = 1


class Pair(gymnasium.Env[Any, Any]):
    """A tuple of observations, an enum of actions, and a drawing."""

    metadata: dict[str, Any] = {"render_modes": ["ansi"]}
    action_space, observation_space = Discrete(2), Tuple([Discrete(9), WORDS])
    actions = Acts

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = 0
        return (self.at, "begin"), {}

    def step(self, action: Any) -> Any:
        self.at += int(action)
        return (self.at, "on"), float(action) / 2, self.at == 2, False, {}

    def render(self) -> Any:
        assert self.render_mode == "ansi"
        return "".join("\x1b[41m@\x1b[0m" if place == self.at else "." for place in range(3))


class Seeded(Key):
    """Chance by the seed alone."""

    def said(self, text: str) -> Any:
        return f"{text} {self.np_random.integers(100)}"


class Large(Key):
    """Observations of 50 kB."""

    def said(self, text: str) -> Any:
        return f"{text}{' and a page of words' * 2_500}"


class Drawn(Key):
    """A picture for the eye, and a drawing in text."""

    metadata: dict[str, Any] = {"render_modes": ["ansi"]}
    observation_space = Box(0, 255, (8, 8, 3), np.uint8)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def said(self, text: str) -> Any:
        self.text = text
        return np.zeros((8, 8, 3), np.uint8)

    def render(self) -> Any:
        return self.text


class Loose(Key):
    """No info, numbers and truth values of NumPy, and it fails when it is closed."""

    def step(self, action: Any) -> Any:
        text, reward, done, truncated, _ = super().step(action)
        return np.str_(text), np.float32(reward), np.bool_(done), np.bool_(truncated), None

    def info(self) -> Any:
        return None

    def valid_actions(self) -> Any:
        return tuple(ACTS)

    def close(self) -> None:
        raise RuntimeError("no display")


class Called(Key):
    """Its valid actions are told by a function."""

    def info(self) -> Any:
        return {"valid_actions": lambda: ACTS}


class Worded(Key):
    """Its valid actions are one text."""

    def info(self) -> Any:
        return {"valid_actions": ", ".join(ACTS)}


class Short(Key):
    """Three values of step."""

    def step(self, action: Any) -> Any:
        return super().step(action)[:3]


class Leaves(Key):
    """It ends its program."""

    def step(self, action: Any) -> Any:
        if action == "look":
            raise SystemExit(3)
        return super().step(action)


_KINDS = (
    *(Key, Available, Silent, Old, Batch, Cost, Big, Raises, Global, Counts, NoSeed, Numbers, Pair),
    *(Seeded, Large, Drawn, Loose, Called, Worded, Short, Leaves),
)
for _kind in _KINDS:
    gymnasium.register(f"home/{_kind.__name__}-v0", entry_point=cast(Any, _kind))
gymnasium.register("home/ShortOld-v0", entry_point=cast(Any, Old), max_episode_steps=2)
