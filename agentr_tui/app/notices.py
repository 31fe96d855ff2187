"""Notices at the bottom: what Textual leaves of them is taken away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from textual.app import App
from textual.notifications import Notification
from textual.screen import Screen
from textual.widgets._toast import ToastRack


def _racks(screens: Iterable[Screen[Any]]) -> Iterator[ToastRack]:
    for screen in screens:  # no query: it walks all parts
        yield from (part for part in screen.children if isinstance(part, ToastRack))


def hide_empty_racks(app: App[Any]) -> None:
    """Hide the line in which the last notice stood."""
    for rack in _racks(app.screen_stack):
        if not rack.children:
            rack.display = False


def take_back(app: App[Any], notice: Notification) -> None:
    """Take a notice away before its time, with the frame around it: Textual would show the frame's name instead."""
    app._unnotify(notice, refresh=False)
    for rack in _racks(app.screen_stack):
        for frame in [each for each in rack.children if each.id == rack._toast_id(notice)]:
            frame.remove()
