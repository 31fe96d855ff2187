"""Every action of where you are, in the palette."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from textual.app import App
from textual.binding import ActiveBinding
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode
from textual.screen import Screen


def rank(node: DOMNode) -> int:
    """Returns the rank of a binding in lists: the screen's first, then the app's, then those of the focused widget."""
    return 0 if isinstance(node, Screen) else 1 if isinstance(node, App) else 2


class Action(NamedTuple):
    """A binding that is active now."""

    id: str  # of the binding
    name: str  # what it does
    told: str  # its keys
    run: partial[Any]


def actions(app: App[Any], screen: Screen[Any]) -> Iterator[Action]:
    """The actions of a screen and of the widget in it that has the focus, then those of the app."""
    keys: dict[tuple[str, str], list[str]] = {}
    found: dict[tuple[str, str], ActiveBinding] = {}
    for active in sorted(screen.active_bindings.values(), key=lambda active: rank(active.node)):
        binding = active.binding
        if binding.id and not binding.system and active.enabled:
            place = (binding.id, binding.action)
            keys.setdefault(place, []).append(app.get_key_display(replace(binding, key_display=None)))
            found.setdefault(place, active)
    for place, active in found.items():
        binding = active.binding
        name = binding.tooltip or binding.description
        told = " ".join(dict.fromkeys(keys[place]))
        yield Action(place[0], name, told, partial(app.run_action, binding.action, active.node))


class ActionCommands(Provider):
    """The actions as commands of the palette."""

    async def discover(self) -> Hits:
        """All of them."""
        for action in actions(self.app, self.screen):
            yield DiscoveryHit(action.name, action.run, help=action.told)

    async def search(self, query: str) -> Hits:
        """Those whose meaning or id fits."""
        matcher = self.matcher(query)
        for action in actions(self.app, self.screen):
            score = max(matcher.match(action.name), 0.9 * matcher.match(action.id))
            if score > 0:
                yield Hit(score, matcher.highlight(action.name), action.run, help=action.told)
