"""The bindings of the app by their ids, and the keys that a person gave them in the settings (`[keys]`)."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import unicodedata
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import Keys, _character_to_key

import agentr_tui.app.app
import agentr_tui.screens
import agentr_tui.widgets
from engine.base.errors import InputError

SCREENS = ("library", "search", "pairs", "revision", "dataset")

WIDGETS_ON = {
    "tree": ("search",),
    "rows": ("library", "pairs", "dataset", "states"),
    "pane": ("search", "pairs", "revision", "dataset", "help"),
}
"""Screens whose keys a focused widget would take."""

_MODIFIERS = ("ctrl", "shift", "alt", "super", "hyper", "meta")


class Bound(NamedTuple):
    """A binding that has an id."""

    id: str
    keys: tuple[str, ...]
    action: str
    told: str  # what it does


@cache
def bindings() -> dict[str, Bound]:
    """Every binding of the app that has an id, by id, in the order of the screens."""
    found: dict[str, Bound] = {}
    for binding in _declared():
        if binding.id:
            keys = tuple(key.strip() for key in binding.key.split(","))
            found.setdefault(binding.id, Bound(binding.id, keys, binding.action, binding.tooltip or ""))
    return dict(sorted(found.items(), key=lambda item: _scope(item[0]) != APP))


def _declared() -> Iterator[Binding]:
    modules: list[ModuleType] = [agentr_tui.app.app]
    for package in (agentr_tui.screens, agentr_tui.widgets):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            modules.append(importlib.import_module(found.name))
    for module in modules:
        for value in vars(module).values():
            if inspect.isclass(value) and value.__module__ == module.__name__ and issubclass(value, DOMNode):
                for binding in value.__dict__.get("BINDINGS", ()):
                    assert isinstance(binding, Binding)
                    yield binding


APP = ""


def _scope(id: str) -> str:
    """Where a binding holds: the first part of its id; `APP` for what holds on all five screens."""
    scope, dot, _ = id.partition(".")
    return APP if not dot or scope == "mode" else scope


def _meet(one: str, other: str) -> bool:
    """Whether two bindings can be active at once, so that one key can't be both."""
    a, b = _scope(one), _scope(other)
    if APP in (a, b):  # dialogs shut the app's keys out
        return {a, b} <= {APP, *SCREENS, *WIDGETS_ON}
    return a == b or b in WIDGETS_ON.get(a, ()) or a in WIDGETS_ON.get(b, ())


def key_named(text: str) -> str | None:
    """Textual's name of a key that is written as a character or as a name: `?`, `ctrl+x`, `f5`; None for no key."""
    text = text if len(text) == 1 else text.strip()
    *modifiers, base = text.split("+") if len(text) > 1 else [text]
    if any(name not in _MODIFIERS for name in modifiers) or not base:
        return None
    if len(base) == 1:
        base = _character_to_key(base)
    elif base not in {key.value for key in Keys}:
        try:
            base = _character_to_key(unicodedata.lookup(base.replace("_", " ")))
        except KeyError:
            return None
    return "+".join([*modifiers, base])


def read_keys(table: Any, place: str) -> dict[str, tuple[str, ...]]:
    """The keys of a settings file: binding id → keys. `place` names the file in errors. Raises `InputError`."""
    if not isinstance(table, Mapping):
        raise InputError(f"{place}: [keys] is a table of binding ids: search.pause = 'x'")
    found: dict[str, tuple[str, ...]] = {}
    for id, written in _flat(table):
        if id not in bindings():
            near = ", ".join(get_close_matches(id, bindings(), 3)) or "docs/keys.md lists them"
            raise InputError(f"{place}: [keys] {id}: no such binding: {near}")
        given = [written] if isinstance(written, str) else written
        if isinstance(written, str) and len(written) > 1 and "," in written:
            given = written.split(",")
        if not isinstance(given, list) or not given or not all(isinstance(key, str) for key in given):
            raise InputError(f"{place}: [keys] {id}: a key like 'x' or 'ctrl+x', or a list of keys")
        keys = []
        for key in given:
            named = key_named(key)
            if named is None:
                raise InputError(f"{place}: [keys] {id}: {key!r} is not a key: write x, X, ?, f5, ctrl+x, pagedown, …")
            keys.append(named)
        found[id] = tuple(keys)
    return found


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """`search.pause = 'x'` and `[keys.search] pause = 'x'` and `'search.pause' = 'x'` are one."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def check_clashes(keys: Mapping[str, tuple[str, ...]], places: Mapping[str, str]) -> None:
    """Raises `InputError` where a key that was given does two things in one place."""
    now = {id: keys.get(id, bound.keys) for id, bound in bindings().items()}
    for id, given in keys.items():
        for other, taken in now.items():
            both = set(given) & set(taken)
            if other != id and both and _meet(id, other) and not both & set(bindings()[id].keys):
                key = sorted(both)[0]
                raise InputError(f"{places[id]}: [keys] {id}: {key} is {other} there: give that another key, too")
