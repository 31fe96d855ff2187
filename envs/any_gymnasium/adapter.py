"""Environments that answer in another shape than today's Gymnasium: four values of `step`, batches of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.spaces import Text, Tuple
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from envs.any_gymnasium.valid_actions import LISTED
from envs.base import EnvError

OLD_STEP = "its step gives four values, as before Gymnasium 0.26: done is taken for terminated"
OLD_RESET = "its reset gives the observation alone, or takes no seed, as before Gymnasium 0.26"


class Adapter(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Makes the five values of `step` and the two of `reset` from what one game returns. `remarks` says what was
    odd."""

    def __init__(self, env: gymnasium.Env[Any, Any], batch: str) -> None:
        """`batch`: how a batch of one takes its action, "list" or "text"; "": as its action space says."""
        super().__init__(env)
        self.remarks: list[str] = []
        self.batched = False
        self._batch = batch

    def _remark(self, line: str) -> None:
        if line not in self.remarks:
            self.remarks.append(line)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset it. Raises what the environment raises, and `EnvError` for a batch of several games."""
        given: dict[str, Any] = {"seed": seed} if options is None else {"seed": seed, "options": options}
        try:
            result: Any = self.env.reset(**given)
        except TypeError as error:
            if "unexpected keyword argument 'seed'" not in str(error):
                raise
            self._remark(OLD_RESET)
            seeded = getattr(self.env.unwrapped, "seed", None)
            if callable(seeded):
                seeded(seed)
            result = self.env.reset()
        if isinstance(result, tuple) and len(result) == 2 and self._is_info(result[1]):
            observation, info = result[0], result[1] or {}
        else:
            self._remark(OLD_RESET)
            observation, info = result, {}
        self.batched = self._is_batch(observation)
        if not self.batched:
            return observation, dict(info)
        return observation[0], _one_info(info)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step. Raises what the environment raises."""
        result: Any = self.env.step([action] if self.batched and self._takes_list() else action)
        if not isinstance(result, tuple | list) or len(result) not in (4, 5):
            held = f"{len(result)} values" if isinstance(result, tuple | list) else f"a {type(result).__name__}"
            raise EnvError(
                f"gym: its step gives {held}: observation, reward, terminated, truncated and info are needed"
            )
        if len(result) == 4:
            self._remark(OLD_STEP)
            observation, reward, done, info = result
            info = _one_info(info or {}) if self.batched else dict(info or {})
            done = _one(done)
            truncated = bool(done and info.get("TimeLimit.truncated"))
            terminated = bool(done and not truncated)
        else:
            observation, reward, terminated, truncated, info = result
            info = _one_info(info or {}) if self.batched else dict(info or {})
        if self.batched:
            observation, reward = _one(observation), _one(reward)
            terminated, truncated = _one(terminated), _one(truncated)
        return observation, reward, bool(terminated), bool(truncated), info

    def turn_batch(self) -> str:
        """Give a batch its actions in the other form from now on; which that is."""
        self._batch = "text" if self._takes_list() else "list"
        return self._batch

    def _takes_list(self) -> bool:
        return self._batch == "list" or (not self._batch and not isinstance(self.env.action_space, Text))

    def _is_info(self, value: Any) -> bool:
        """Whether the second of two things that reset gave is the info; None may stand for an empty one."""
        space = getattr(self.env, "observation_space", None)
        return isinstance(value, Mapping) or (value is None and not isinstance(space, Tuple))

    def _is_batch(self, observation: Any) -> bool:
        space = getattr(self.env, "observation_space", None)
        if not isinstance(observation, list | tuple) or (isinstance(space, Tuple) and len(space.spaces) > 1):
            return False
        if not observation or not all(isinstance(each, str | bytes) for each in observation):
            return False
        if len(observation) > 1:
            raise EnvError(f"gym: it plays {len(observation)} games at once: make it with a batch of one")
        return True


def _one(value: Any) -> Any:
    """The one value of a batch of one; a value that is no batch stays."""
    if isinstance(value, list | tuple) or (hasattr(value, "shape") and value.shape):
        return value[0] if len(value) == 1 else value
    return value


def _one_info(info: Mapping[str, Any]) -> dict[str, Any]:
    """The info of a batch of one, each of whose values may be a list of one. A list of actions stays a list."""
    return {
        name: value if name in LISTED and len(value) and isinstance(value[0], str) else _one(value)
        for name, value in info.items()
    }


def adapted(env: gymnasium.Env[Any, Any], batch: str) -> tuple[gymnasium.Env[Any, Any], Adapter]:
    """The environment with an adapter below what Gymnasium itself wraps it in, which knows five values only."""
    outermost: Any = None
    inner: Any = env
    while type(inner) in (OrderEnforcing, PassiveEnvChecker, TimeLimit):
        outermost, inner = inner, inner.env
    adapter = Adapter(inner, batch)
    if outermost is None:
        return adapter, adapter
    outermost.env = adapter
    return env, adapter
