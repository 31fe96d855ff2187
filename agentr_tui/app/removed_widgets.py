"""Lets go of widgets that were removed from a screen and that Textual still holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual._styles_cache import StylesCache
from textual.screen import Screen


def forget_removed(stacks: Iterable[Iterable[Screen[Any]]]) -> None:
    """Empty what screens remember of queries, and what Textual remembers of colours.

    Textual keeps the last 1,024 widgets that queries of a screen found, by the number of changes before each query, so
    that most of them are never found again. It keeps the colours of the last 1,024 widgets that were drawn, and with
    each the lines that it showed last.

    `stacks`: the screens of each mode.
    """
    for stack in stacks:
        for screen in stack:
            screen._query_one_cache.clear()
    StylesCache.get_inner_outer.cache_clear()
