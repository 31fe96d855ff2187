"""The address of one of AgentGym's servers, and what is known about it before the first request."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from envs.agentgym.catalogue import catalogue, own_folder
from envs.agentgym.kind import Kind
from envs.base import EnvError, EnvironmentInfo, info_of

TIMEOUT = 60.0
"""Seconds that a request may take. Making a ScienceWorld session starts a process on the server."""

PATIENCE = 60.0
"""Seconds for which a server that answered before is waited for, in one outage and in all sessions together."""


def brief(text: object, limit: int = 120) -> str:
    """Foreign text as a message may show it: one line, ASCII, cut."""
    shown = " ".join(str(text).split()).encode("unicode_escape").decode()
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


class Address(NamedTuple):
    """The part of a name after `agentgym:`."""

    kind: Kind
    url: str  # as it was given, without a slash at the end
    timeout: float
    patience: float

    @property
    def base(self) -> str:
        """Where the server's paths begin: an address may be given with the kind's prefix or without."""
        return self.url.removesuffix(self.kind.prefix)

    @property
    def name(self) -> str:
        """The environment's name in traces."""
        return f"agentgym:{self.kind.name}@{self.url}"


def kind_of(name: str) -> Kind:
    """Returns the kind of a name. Raises `EnvError` that lists the kinds there are, and says how to add one."""
    kinds, broken = catalogue()
    if name in kinds:
        return kinds[name]
    if name in broken:
        raise EnvError(f"agentgym:{name} can't be used: {broken[name]}")
    known = ", ".join(sorted(kinds))
    raise EnvError(
        f"agentgym has no {brief(name)!r}: one of {known}, written agentgym:textcraft@URL; a file NAME.toml in "
        f"{own_folder()} adds one (docs/environments.md)"
    )


def parse_address(argument: str) -> Address:
    """Read `KIND@URL?timeout=SECONDS&patience=SECONDS`. Raises `EnvError`."""
    name, _, place = argument.partition("@")
    kind = kind_of(name)
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
    return info_of_kind(parse_address(argument).kind, general)


def info_of_kind(kind: Kind, general: EnvironmentInfo) -> EnvironmentInfo:
    """Returns what is known about a kind of server, from the kind and from its twin."""
    low, high = kind.range
    info = replace(
        general,
        score_range=(float(low), float(high)),
        rules=kind.rules.strip() or general.rules,
        joined=kind.joined,
        several_lines=kind.several_lines,
        instances=kind.instances,
    )
    try:
        twin = info_of(kind.twin)
    except EnvError:
        return info
    return replace(
        info,
        rules=kind.rules.strip() or twin.rules,
        refuses=twin.refuses,
        looks=twin.looks,
        joined=twin.joined,
    )


def kinds_of(general: EnvironmentInfo) -> list[EnvironmentInfo]:
    """A description of each kind there is, by name."""
    return [
        replace(
            info_of_kind(kind, general),
            name=f"{general.name}:{name}",
            summary=f"{kind.summary}; {kind.note}" if kind.note else kind.summary,
            of=None,
        )
        for name, kind in sorted(catalogue().kinds.items())
    ]


def broken_kinds() -> tuple[str, ...]:
    """A line for each kind that can't be used."""
    return tuple(catalogue().broken.values())
