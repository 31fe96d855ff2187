"""Whatever bytes a terminal sends: the keys among them are read, the rest is passed over, and the app goes on."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.events import Key, Resize

from agentr_tui.terminal.escape_keys import escape_is_a_key
from agentr_tui.terminal.odd_input import LARGEST, odd_input_is_passed_over

SAID = (
    b"j", b"\xc3\xa9", b"\x1b", b"\x1bOP", b"\x1b[1;5A", b"\x1b[97;5u", b"\x1b[97:65;2:1;65:66u",
    b"\x1b[200~a\x1b[201~",
    b"\x1b[<0;3;3M", b"\x1b[M !!", b"\x1b[48;24;80;480;800t", b"\x1b[48;24;80;0;0t", b"\x1b[?2048;1$y", b"\x1b[12;40R",
    b"\x1b]11;rgb:0/0/0\x07", b"\x1b[I",
)  # fmt: skip
ODD = (b"\xe9", b"\xff", b"9" * 8, b"1" * 40, b"0", b"-1", b";", b":", b"\x1b", b"[", b"u", b"t", b"\x00")


def read(data: bytes, sizes: random.Random) -> list[object]:
    """What the app gets of bytes that come in pieces."""
    messages: list[object] = []
    with escape_is_a_key({}), odd_input_is_passed_over():
        parser, decoder = XTermParser(), linux_driver.getincrementaldecoder("utf-8")()  # type: ignore[attr-defined]
        while data:
            piece, data = data[: (most := sizes.randint(1, 12))], data[most:]
            if text := decoder.decode(piece):
                messages += parser.feed(text)
        messages += parser.feed("")
    return messages


NO_PIXELS = b"\x1b[48;9;9;0;0t\x1b[<0;3;3M", b"\x1b[48;0;0;0;0t\x1b[<0;3;3M"


@pytest.mark.parametrize("odd", [b"\xe9", b"\x1b[99999999;1u", b"\x1b[1:2;5u", *NO_PIXELS])
def test_what_is_no_key_is_passed_over_and_the_next_key_is_read(odd: bytes) -> None:
    keys = [message.key for message in read(odd + b"j", random.Random(0)) if isinstance(message, Key)]
    assert keys in (["j"], ["replacement_character", "j"])


@settings(max_examples=int(os.environ.get("AGENTR_FUZZ", "200")), deadline=None, database=None)
@given(st.lists(st.sampled_from(SAID + ODD) | st.binary(max_size=3), max_size=8), st.randoms())
def test_any_bytes_are_keys_or_passed_over(parts: list[bytes], sizes: random.Random) -> None:
    for message in read(b"".join(parts), sizes):
        assert not isinstance(message, Resize) or max(message.size) <= LARGEST
        assert not isinstance(message, Key) or message.key


def test_afterwards_the_library_reads_as_before() -> None:
    with odd_input_is_passed_over():
        pass
    with pytest.raises(ValueError, match="chr"):
        list(XTermParser().feed("\x1b[99999999;1u"))
    with pytest.raises(UnicodeDecodeError):
        linux_driver.getincrementaldecoder("utf-8")().decode(b"\xe9j")  # type: ignore[attr-defined]
