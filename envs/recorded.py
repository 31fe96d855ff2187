"""An environment that answers from a recording: the replies of a real one, keyed by the actions since reset.

`recorded:FILE` reads a recording of the original's search (`replay.json`, gzip or not): `environment_name`, `task`,
`header` (the messages before the first step) and `environment` with `reset` and `step` (a JSON list of the actions
since reset → reply). An action that was never recorded raises `NotRecorded`.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import gymnasium
import msgspec

from envs.base import EnvError
from envs.regular_files import read_whole

_NOT_SENT = re.compile(r"[^A-Za-z0-9, ]+")
_SPACES = re.compile(r" +")
NAMES = {"sciworld": "scienceworld"}
"""The original's names of environments that have another name here."""


class NotRecorded(EnvError):
    """The recording holds no reply to these actions."""


class Reply(NamedTuple):
    """What the environment answered: the score is the one after the step."""

    observation: str
    score: int | float
    done: bool


class Recording(NamedTuple):
    """A recording as far as an environment needs it."""

    environment: str
    task: str
    header: list[dict[str, str]]  # role and content
    replies: Mapping[tuple[str, ...], Reply]
    raw: dict[str, Any]  # the whole file


def sent_action(environment: str, action: str) -> str:
    """What the original's client sends: for TextCraft letters, digits, commas and single spaces only."""
    if environment != "textcraft":
        return action
    return _SPACES.sub(" ", _NOT_SENT.sub("", action)).strip()


@lru_cache(maxsize=8)
def read_recording(path: str) -> Recording:
    """Read a recording. Raises `EnvError` naming the file and what is wrong with it."""
    try:
        raw = json.loads(read_whole(path))
    except OSError as error:
        raise EnvError(f"{path}: {error.strerror or error}") from error
    except (ValueError, EOFError, zlib.error, RecursionError) as error:
        raise EnvError(f"{path}: not a recording: {error}") from error
    try:
        told = msgspec.convert(raw, _File)
        replies = {_actions(key): _reply(value) for key, value in told.environment.step.items()}
        task = str(told.task or next(iter(told.environment.reset)))
    except StopIteration:
        raise EnvError(f"{path}: not a recording of a search: it names no task, and holds no `reset`") from None
    except (ValueError, RecursionError) as error:  # what msgspec and JSON say, too
        raise EnvError(f"{path}: not a recording of a search: {error}") from error
    header = [{"role": message.role, "content": message.content} for message in told.header]
    return Recording(NAMES.get(told.environment_name, told.environment_name), task, header, replies, raw)


_SMALL = Annotated[int, msgspec.Meta(ge=-(1 << 53), le=1 << 53)]


class _Message(msgspec.Struct):
    role: str
    content: str


class _Replies(msgspec.Struct):
    step: dict[str, _Said]
    reset: dict[str, Any] = {}


class _Said(msgspec.Struct):
    done: bool | int | float | None
    observation: str | None = None
    state: str | None = None
    score: _SMALL | float | None = None
    reward: _SMALL | float | None = None


class _Settings(msgspec.Struct):
    max_depth: _SMALL | None = None
    iterations: _SMALL | None = None
    n_generate: _SMALL | None = None


class _File(msgspec.Struct):
    """What is read of a recording, here and by whoever looks into `Recording.raw`."""

    environment_name: str
    header: Annotated[list[_Message], msgspec.Meta(min_length=1)]
    environment: _Replies
    task: str | int | None = None
    settings: _Settings | None = None
    search_seed: _SMALL | None = None
    responses: list[str] | None = None
    actions: list[str] | None = None

    def __post_init__(self) -> None:
        if self.actions is not None and len(self.actions) != len(self.responses or ()):
            raise ValueError("it holds not as many `actions` as `responses`")


def _actions(key: str) -> tuple[str, ...]:
    return tuple(msgspec.convert(json.loads(key), list[str]))


def _reply(said: _Said) -> Reply:
    observation = said.state if said.observation is None else said.observation
    score = said.reward if said.score is None else said.score
    if observation is None or score is None or not math.isfinite(score):
        raise ValueError("a reply without an observation or a finite score")
    return Reply(observation, score, bool(said.done))


class Recorded(gymnasium.Env[str, str]):
    """Plays a recording. Its state is the list of actions since reset."""

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.observation_space = gymnasium.spaces.Text(1_000_000)
        self.action_space = gymnasium.spaces.Text(10_000)
        self._actions: tuple[str, ...] = ()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start the recorded task; `info` holds the recorded header, environment and task."""
        super().reset(seed=seed)
        self._actions = ()
        recording = self.recording
        info = {"header": recording.header, "environment": recording.environment, "task": recording.task}
        return recording.header[-1]["content"], info

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """The recorded reply. Raises `NotRecorded`."""
        self._actions = (*self._actions, sent_action(self.recording.environment, action))
        reply = self.recording.replies.get(self._actions)
        if reply is None:
            raise NotRecorded(f"the recording holds no reply to {json.dumps(self._actions)}")
        return reply.observation, reply.score, reply.done, False, {}

    def snapshot(self) -> Hashable:
        """The actions since reset."""
        return self._actions

    def restore(self, snapshot: Hashable) -> None:
        """Stand where these actions lead."""
        if not isinstance(snapshot, tuple):
            raise ValueError("not a snapshot of a recording")
        self._actions = snapshot


def make(path: str) -> Recorded:
    """The environment of `recorded:PATH`."""
    if not path:
        raise EnvError("recorded: names no file; write recorded:FILE")
    return Recorded(read_recording(path))
