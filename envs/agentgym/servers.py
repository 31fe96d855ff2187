"""What tells AgentGym's environment servers apart, and the address of one. Nothing here asks a server.

TextCraft's and ScienceWorld's report what went wrong as `{"error": …}` with HTTP 200, WebShop's as HTTP 500.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec

from envs.base import EnvError, EnvironmentInfo, info_of

TIMEOUT = 60.0
"""Seconds that a request may take. Making a ScienceWorld session starts a process on the server."""

PATIENCE = 60.0
"""Seconds for which a server that answered before is waited for, in one outage and in all sessions together."""

Number = int | float


class _Created(msgspec.Struct):
    id: int


class _Described(msgspec.Struct):
    task_description: str
    observation: str


class _Observed(msgspec.Struct):
    observation: str


class _TextCraftStep(msgspec.Struct):
    observation: str
    reward: Number
    done: bool


class _SciWorldStep(msgspec.Struct):
    observation: str
    score: Number  # so far; `reward` is only the change
    done: bool


class _WebShopStep(msgspec.Struct):
    state: str
    reward: Number
    done: bool


class Reply(NamedTuple):
    """What the server answered to a step: the score is the one after it."""

    observation: str
    score: Number
    done: bool


class First(NamedTuple):
    """What the server answered to a reset."""

    observation: str  # as the actor is told
    raw: str  # as the server repeats it


@dataclass(frozen=True)
class Kind:
    """What tells one of AgentGym's servers from the others."""

    name: str
    twin: str  # the embedded environment with the same rules and replies
    greeting: str  # of GET /
    score_range: tuple[float, float]
    id_key: str  # of a session, in requests
    task_key: str
    create_body: object  # None: no body
    closes: bool  # whether sessions can be ended
    created: Callable[[bytes], int]
    first: Callable[[bytes], First]
    reply: Callable[[bytes], Reply]


def _textcraft_first(data: bytes) -> First:
    text = msgspec.json.decode(data, type=_Observed).observation
    return First(text, text)


def _sciworld_first(data: bytes) -> First:
    start = msgspec.json.decode(data, type=_Described)
    return First(f"{start.task_description}\n{start.observation}", start.observation)


def _webshop_first(data: bytes) -> First:
    text = msgspec.json.decode(data, type=tuple[str, None])[0]
    return First(text, text)


def _textcraft_reply(data: bytes) -> Reply:
    step = msgspec.json.decode(data, type=_TextCraftStep)
    return Reply(step.observation, step.reward, step.done)


def _sciworld_reply(data: bytes) -> Reply:
    step = msgspec.json.decode(data, type=_SciWorldStep)
    return Reply(step.observation, step.score, step.done)


def _webshop_reply(data: bytes) -> Reply:
    step = msgspec.json.decode(data, type=_WebShopStep)
    return Reply(step.state, step.reward, step.done)


def _created(data: bytes) -> int:
    return msgspec.json.decode(data, type=_Created).id


def _bare_id(data: bytes) -> int:
    return msgspec.json.decode(data, type=int)


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="textcraft",
            twin="textcraft",
            greeting="This is environment TextCraft.",
            score_range=(0.0, 1.0),
            id_key="id",
            task_key="data_idx",
            create_body={},
            closes=True,
            created=_created,
            first=_textcraft_first,
            reply=_textcraft_reply,
        ),
        Kind(
            name="sciworld",
            twin="scienceworld",
            greeting="This is environment ScienceWorld.",
            score_range=(0.0, 100.0),
            id_key="id",
            task_key="data_idx",
            create_body=None,
            closes=True,
            created=_created,
            first=_sciworld_first,
            reply=_sciworld_reply,
        ),
        Kind(
            name="webshop",
            twin="webshop",
            greeting="ok",
            score_range=(0.0, 1.0),
            id_key="env_idx",
            task_key="session_id",
            create_body=None,
            closes=False,
            created=_bare_id,
            first=_webshop_first,
            reply=_webshop_reply,
        ),
    )
}


def brief(text: object, limit: int = 120) -> str:
    """Foreign text as a message may show it: one line, ASCII, cut."""
    shown = " ".join(str(text).split()).encode("unicode_escape").decode()
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


class Address(NamedTuple):
    """What stands after `agentgym:`."""

    kind: Kind
    url: str  # without a slash at the end
    timeout: float
    patience: float

    @property
    def name(self) -> str:
        """The environment's name in traces."""
        return f"agentgym:{self.kind.name}@{self.url}"


def parse_address(argument: str) -> Address:
    """Read `KIND@URL?timeout=SECONDS&patience=SECONDS`. Raises `EnvError`."""
    name, _, place = argument.partition("@")
    kind = KINDS.get(name)
    if kind is None:
        raise EnvError(f"agentgym has no {brief(name)!r}: one of {', '.join(KINDS)}, written agentgym:textcraft@URL")
    try:
        parts = urlsplit(place)
        port = parts.port
    except ValueError as error:
        raise EnvError(f"agentgym: {brief(place)!r} is not an address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not _is_plain(place) or port == 0:
        raise EnvError(f"agentgym: {brief(place)!r} is not an address: write agentgym:{name}@http://127.0.0.1:36001")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise EnvError("agentgym: an address holds no user, password or fragment: it is written into every trace")
    seconds = {"timeout": TIMEOUT, "patience": PATIENCE}
    for key, text in parse_qsl(parts.query, keep_blank_values=True):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if key not in seconds or not 0 <= value < math.inf or (key == "timeout" and value == 0):
            raise EnvError(f"agentgym: {brief(f'{key}={text}')!r}: only timeout and patience may follow, in seconds")
        seconds[key] = value
    url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    return Address(kind, url, **seconds)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def info_for(argument: str, general: EnvironmentInfo) -> EnvironmentInfo:
    """What is known of the environment that `argument` names: rules and scores depend on the kind of server.

    Raises `EnvError`.
    """
    kind = parse_address(argument).kind
    try:
        twin = info_of(kind.twin)
    except EnvError:
        return replace(general, score_range=kind.score_range)
    return replace(
        general,
        score_range=kind.score_range,
        rules=twin.rules,
        refuses=twin.refuses,
        looks=twin.looks,
        joined=twin.joined,
    )
