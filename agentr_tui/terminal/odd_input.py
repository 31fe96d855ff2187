"""What a terminal may send that Textual's reader of keys fails on. The app would end with a traceback.

A byte that is not UTF-8 (a terminal in a Latin-1 locale, a line with noise), a key whose number is no character, a
mouse in pixels of a terminal that tells no size in pixels, a size that no screen has.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from textual._xterm_parser import XTermParser
from textual.events import Key, Resize
from textual.keys import Keys
from textual.message import Message

LARGEST = 10_000
"""Columns, or lines, of a terminal."""


def _lenient(encoding: str) -> partial[codecs.IncrementalDecoder]:
    """What `codecs.getincrementaldecoder` returns, but for a decoder that shows a wrong byte as U+FFFD."""
    return partial(codecs.getincrementaldecoder(encoding), errors="replace")


@contextmanager
def odd_input_is_passed_over() -> Iterator[None]:
    """As long as this lasts, input of the terminal that can't be read counts as no key, and the next key is read."""
    keys_of, mouse_of, feed = XTermParser._sequence_to_key_events, XTermParser.parse_mouse_code, XTermParser.feed

    def read_keys(parser: XTermParser, sequence: str, alt: bool = False) -> Iterable[Key]:
        try:
            return list(keys_of(parser, sequence, alt))
        except (ValueError, OverflowError):
            return [Key(Keys.Ignore, sequence)]

    def read_mouse(parser: XTermParser, code: str) -> Message | None:
        try:
            return mouse_of(parser, code)
        except (ValueError, ArithmeticError):
            return None

    def read_on(parser: XTermParser, data: str) -> Iterable[Message]:
        for message in feed(parser, data):
            if not isinstance(message, Resize) or max(message.size) <= LARGEST:
                yield message

    XTermParser._sequence_to_key_events = read_keys  # type: ignore[method-assign, assignment]
    XTermParser.parse_mouse_code = read_mouse  # type: ignore[method-assign, assignment]
    XTermParser.feed = read_on  # type: ignore[method-assign, assignment]
    try:
        with _lenient_driver():
            yield
    finally:
        XTermParser.feed = feed  # type: ignore[method-assign]
        XTermParser._sequence_to_key_events = keys_of  # type: ignore[method-assign]
        XTermParser.parse_mouse_code = mouse_of  # type: ignore[method-assign]


@contextmanager
def _lenient_driver() -> Iterator[None]:
    if sys.platform == "win32":  # its console gives characters
        yield
        return
    from textual.drivers import linux_driver

    linux_driver.getincrementaldecoder = _lenient  # type: ignore[attr-defined, assignment]
    try:
        yield
    finally:
        linux_driver.getincrementaldecoder = codecs.getincrementaldecoder  # type: ignore[attr-defined]
