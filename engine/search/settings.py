"""The settings of a search, checked."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from engine.base.errors import InputError
from engine.base.foreign import UNREADABLE
from engine.base.secrets import check_url, key_like
from engine.search.algorithms import ALGORITHMS
from engine.tree.events import SearchSettings


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
        reason, _, place = str(error).partition(" - at `$.")
        raise InputError(f"setting {place.rstrip('`')}: {reason[0].lower()}{reason[1:]}") from error
    check_url(settings.base_url)
    if key_like(json.dumps(settings.extra_body)):
        raise InputError("--extra-body holds a key, and would be written into traces: use --header NAME=VARIABLE")
    if settings.algorithm not in ALGORITHMS:
        raise InputError(f"unknown algorithm {settings.algorithm!r}: one of {', '.join(ALGORITHMS)}")
    priced = settings.price_in is not None and settings.price_out is not None
    if settings.actor == "openai" and settings.budget_cost is not None and not priced:
        raise InputError("a budget of cost needs --price-in and --price-out: without them no cost is known")
    return settings


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
