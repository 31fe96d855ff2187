"""The settings of a search: checked, or as a recording has them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from engine.base.errors import InputError, refused_value
from engine.base.secrets import check_body, check_url
from engine.base.untrusted_files import UNREADABLE
from engine.search.algorithms import ALGORITHMS
from engine.trace.sources import is_trace
from engine.trace.trace_file import read_events
from engine.tree.events import SearchSettings, Started
from envs.base import EnvError
from envs.recorded import Recording, read_recording


def check_settings(settings: SearchSettings) -> SearchSettings:
    """The settings, where they are usable. Raises `InputError` naming the one that is not."""
    return settings_from(msgspec.to_builtins(settings))


def settings_from(values: dict[str, Any]) -> SearchSettings:
    """Settings of plain values. Raises `InputError` naming the one that is unusable."""
    unknown = sorted(set(values) - set(SearchSettings.__struct_fields__))
    if unknown:
        raise InputError(f"unknown setting {unknown[0]!r}")
    values = with_body(values)
    try:
        settings = msgspec.convert(values, SearchSettings)
    except msgspec.ValidationError as error:
        raise InputError("setting {}: {}".format(*refused_value(error))) from error
    check_url(settings.base_url)
    check_body(settings.extra_body)
    if settings.algorithm not in ALGORITHMS:
        raise InputError(f"unknown algorithm {settings.algorithm!r}: one of {', '.join(ALGORITHMS)}")
    priced = settings.price_in is not None and settings.price_out is not None
    if settings.actor == "openai" and settings.budget_cost is not None and not priced:
        raise InputError("a budget of cost needs --price-in and --price-out: without them no cost is known")
    return settings


def is_episode(settings: SearchSettings) -> bool:
    """Whether a search with these settings is an episode: one walk with one draw a node."""
    return settings.iterations == 1 and settings.samples == 1


def with_body(values: dict[str, Any]) -> dict[str, Any]:
    """The values with `extra_body` decoded, where it is a text, as on a command line. Raises `InputError`."""
    text = values.get("extra_body")
    if not isinstance(text, str):
        return values
    try:
        body = msgspec.json.decode(text or "{}")
    except UNREADABLE as error:
        raise InputError(f"--extra-body: not JSON: {error}") from error
    if not isinstance(body, dict):
        raise InputError("--extra-body: takes a JSON object, e.g. '{\"enable_thinking\": false}'")
    return {**values, "extra_body": body}


def recording_of(environment: str) -> Recording | None:
    """The recording that `recorded:FILE` names; None for another environment or a trace. Raises `InputError`."""
    path = environment.removeprefix("recorded:")
    if not environment.startswith("recorded:") or is_trace(path):
        return None
    try:
        return read_recording(path)
    except EnvError as error:
        raise InputError(str(error)) from error


def recorded_settings(environment: str) -> dict[str, Any]:
    """Settings that a recording brings along: depth, iterations, draws a node, seed."""
    recording = recording_of(environment)
    if recording is None:
        return {}
    names = {"max_depth": "max_depth", "iterations": "iterations", "n_generate": "samples"}
    given = recording.raw.get("settings") or {}
    found: dict[str, Any] = {
        ours: int(given[theirs]) for theirs, ours in names.items() if given.get(theirs) is not None
    }
    if recording.raw.get("search_seed") is not None:
        found["seed"] = int(recording.raw["search_seed"])
    return found


def with_parse_of_recording(environment: str, settings: SearchSettings) -> SearchSettings:
    """The settings with the rule by which recorded answers were read: a recording of the original's is read by its
    rule, a trace by its own. Raises `InputError`."""
    given = next((name for name in (settings.actor, environment) if name.startswith("recorded:")), None)
    if given is None:
        return settings
    path = given.removeprefix("recorded:")
    first = next(iter(read_events(path))) if is_trace(path) else None
    return replace(settings, parse=first.settings.parse if isinstance(first, Started) else "agent-r")
