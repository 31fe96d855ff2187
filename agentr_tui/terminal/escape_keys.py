"""Escape, and a key right after it: two keys.

A terminal sends both in one read where a person types fast or the line is slow. Textual takes them for `alt` and the
key, and then the first or both are lost (`escape` `4` becomes `¢`). No key of the app has `alt`. What
terminals send for a word to the left or right (`escape` `b`, `escape` `f`) stays so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import XTermParser
from textual.events import Key

ESCAPE = "\x1b"
ALT = "alt+"


@contextmanager
def escape_is_a_key(keys: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """As long as this lasts, escape and a character are two keys; except where the user's keys have `alt`.

    `keys`: of the user, by the id of what they do.
    """
    read = XTermParser._sequence_to_key_events

    def read_both(parser: XTermParser, sequence: str, alt: bool = False) -> Iterable[Key]:
        if isinstance(ANSI_SEQUENCES_KEYS.get(sequence), str) and sequence[0] == ESCAPE:
            alt, sequence = True, sequence[1:]
        if alt:
            yield Key("escape", ESCAPE)
        yield from read(parser, sequence)

    with_alt = any(key.startswith(ALT) for each in keys.values() for key in each)
    if not with_alt:
        XTermParser._sequence_to_key_events = read_both  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        XTermParser._sequence_to_key_events = read  # type: ignore[method-assign]
