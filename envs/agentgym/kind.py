"""A kind of server as data: how to make its sessions, how to call it, and where things are in its replies.

One TOML file describes a kind (docs/environments.md); its name is the file's. A *path* says where something is in a
reply: names and numbers of places, joined by dots; the empty path is the reply itself.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from envs.numbers import whole

Number = int | float
Id = int | str
"""What a server calls a session."""


class Misread(ValueError):
    """A reply that is not in the form of this kind of server."""


class First(NamedTuple):
    """What the server answered to a reset."""

    observation: str  # as the actor is told
    raw: str  # as the server repeats it
    same: str  # the part that has to be the same when the task is started again
    actions: tuple[str, ...] = ()


class Reply(NamedTuple):
    """The server's answer to a step. The score is the server's own."""

    observation: str
    score: Number
    done: bool
    actions: tuple[str, ...] = ()


class Create(Struct, forbid_unknown_fields=True, frozen=True):
    """How a session is made."""

    path: str = "/create"
    body: dict[str, Any] | None = None  # None: no body
    id: str = "id"  # the path of the session's id in the reply


class Reset(Struct, forbid_unknown_fields=True, frozen=True):
    """How a task is started."""

    task: str  # the key of its number
    path: str = "/reset"
    constants: dict[str, Any] = {}  # what else is sent
    text: list[str] | str = "observation"  # the paths of the first observation's parts, one a line
    look: str = ""  # where the first observation is asked for afterwards, where the reply does not hold it
    same: str = ""  # a pattern: what has to be the same when the task is started again; "": the whole text


class Step(Struct, forbid_unknown_fields=True, frozen=True):
    """How an action is sent, and what is answered."""

    path: str = "/step"
    action: str = "action"  # the key of the action
    constants: dict[str, Any] = {}
    text: list[str] | str = "observation"
    score: str = "reward"
    sum: bool = False  # whether the server gives changes of the score
    offset: Number = 0  # added to the score, so that it is nowhere below 0
    at_end: bool = False  # whether the score counts only where the episode is over
    done: list[str] | str = "done"  # the paths of what ends the episode, any of them


class Actions(Struct, forbid_unknown_fields=True, frozen=True):
    """Where valid actions are listed: one of these."""

    field: str = ""  # a path, in replies to reset and step
    pattern: str = ""  # in the text of the observation, after `after`
    after: str = ""
    always: list[str] = []  # the same in every state


class Close(Struct, forbid_unknown_fields=True, frozen=True):
    """How a session is ended."""

    path: str = "/close"
    key: str = ""  # of the session; "": as everywhere


class Kind(Struct, forbid_unknown_fields=True, frozen=True):
    """Everything in which one kind of server differs from others."""

    summary: str
    reset: Reset
    step: Step = Step()
    create: Create = Create()
    close: Close | None = None  # None: sessions can't be ended
    actions: Actions = Actions()
    prefix: str = ""  # of all paths but that of the greeting
    id_key: str = "id"  # of a session, in requests
    observe: str = ""  # where the last observation is told again; "": nowhere
    greeting: str = ""  # of GET /
    range: tuple[Number, Number] = (0, 1)  # of scores, with the offset
    rules: str = ""  # of the environment; of the twin where there is one
    twin: str = ""  # the embedded environment with the same rules and replies
    nearest: bool = False  # whether the original's search executes the valid action that is nearest, as the twin does
    clean: list[tuple[str, str]] = []  # patterns and what replaces them, in actions that are sent
    joined: str = "{action} {input}"  # a name and its input as one action
    several_lines: bool = False  # whether an action may have several lines
    instances: int = 4  # sessions that one search may hold at a time
    note: str = ""  # what a person has to know before they use it
    remedy: str = ""  # what to do where the server does not come back with the same task
    name: str = ""  # the file's

    @property
    def lists_actions(self) -> bool:
        """Whether valid actions are known, from the server or from the kind."""
        return bool(self.actions.field or self.actions.pattern or self.actions.always)

    def sent(self, action: str) -> str:
        """An action as it is sent."""
        for pattern, replacement in self.clean:
            action = _compiled(pattern).sub(replacement, action)
        return action

    # -- what replies say: each raises `Misread` -----------------------------------------------------------

    def session(self, reply: object) -> Id:
        """The id of a new session."""
        found = at(reply, self.create.id)
        if isinstance(found, bool) or not isinstance(found, int | str):
            raise Misread(f"no id at {self.create.id!r}")
        return found

    def first(self, reply: object, looked: object = None) -> First:
        """Returns the start of a task. `looked`: the reply to the second request, where the kind makes one."""
        parts = [looked] if self.reset.look else [at(reply, path) for path in _listed(self.reset.text)]
        texts = [_text(part, self.reset.look or self.reset.text) for part in parts]
        whole = "\n".join(texts)
        return First(whole, texts[-1], self.same_of(whole), self._actions(reply, whole))

    def reply(self, reply: object) -> Reply:
        """Returns the answer to a step."""
        text = "\n".join(_text(at(reply, path), path) for path in _listed(self.step.text))
        score = at(reply, self.step.score)
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise Misread(f"no number at {self.step.score!r}")
        ends = [at(reply, path) for path in _listed(self.step.done)]
        if not all(isinstance(end, bool) for end in ends):
            raise Misread(f"neither true nor false at {self.step.done!r}")
        return Reply(text, score, any(ends), self._actions(reply, text))

    def _actions(self, reply: object, text: str) -> tuple[str, ...]:
        if self.actions.always:
            return tuple(self.actions.always)
        if self.actions.pattern:
            listed = text.rpartition(self.actions.after)[2] if self.actions.after else text
            return tuple(match[match.re.groups] for match in _compiled(self.actions.pattern).finditer(listed))
        if not self.actions.field:
            return ()
        found = at(reply, self.actions.field, [])
        return tuple(str(action) for action in found) if isinstance(found, list) else ()

    def same_of(self, first_observation: str) -> str:
        """The part of a first observation that has to be the same when the task is started again, less white space."""
        match = _compiled(self.reset.same).search(first_observation) if self.reset.same else None
        return " ".join((match[0] if match else first_observation).split())

    def score(self, replies: Sequence[Reply]) -> Number:
        """The score after these steps."""
        last = replies[-1]
        if self.step.at_end and not last.done:
            return 0
        told = sum(reply.score for reply in replies) if self.step.sum else last.score
        return max(told + self.step.offset, 0) if self.step.offset else told


_MISSING: Any = object()


def at(reply: object, path: str, default: object = _MISSING) -> object:
    """Returns what lies at a path in a reply. Raises `Misread` where there is nothing, and no default.

    `reply`: decoded JSON. `path`: names and numbers of places, joined by dots; empty: the reply itself. `default`:
    returned where there is nothing.
    """
    found: Any = reply
    for name in path.split(".") if path else ():
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and (place := whole(name)) is not None and place < len(found):
            found = found[place]
        elif default is not _MISSING:
            return default
        else:
            raise Misread(f"nothing at {path!r}")
    return found


def _listed(paths: list[str] | str) -> list[str]:
    return [paths] if isinstance(paths, str) else paths


def _text(found: object, path: object) -> str:
    if not isinstance(found, str):
        raise Misread(f"no text at {path!r}")
    return found


_compiled = functools.lru_cache(maxsize=200)(re.compile)


def read_kind(name: str, said: Mapping[str, Any]) -> Kind:
    """Returns the kind that a TOML file describes. Raises `ValueError`, one line, where it describes none."""
    kind = msgspec.structs.replace(msgspec.convert(dict(said), Kind), name=name)
    for pattern in (kind.reset.same, kind.actions.pattern, *(pattern for pattern, _ in kind.clean)):
        try:
            _compiled(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no pattern: {error}") from error
    for path in (kind.prefix, kind.create.path, kind.reset.path, kind.step.path, kind.observe, kind.reset.look):
        if path and not path.startswith("/"):
            raise ValueError(f"{path!r} is no path of a server: it begins with /")
    if not kind.range[0] < kind.range[1]:
        raise ValueError(f"range {list(kind.range)}: the least score comes first")
    if kind.instances < 1:
        raise ValueError("instances: at least 1")
    if not kind.rules and not kind.twin:
        raise ValueError("rules are missing: what an actor is told before it begins")
    return kind
