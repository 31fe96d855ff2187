"""What commands print: JSON that a terminal may show and any program reads, whatever the texts and the locale are."""

from __future__ import annotations

import contextlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentr_tui.terminal.output import emit_json
from agentr_tui.terminal.safe_text import _UNSAFE
from tests.agentr_tui.hostile import HOSTILE


def printed(value: object, encoding: str) -> str:
    raw = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace")) as stream:
        emit_json(value)
        stream.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "iso-8859-1"])
@given(texts=st.lists(st.one_of(st.text(), st.sampled_from([*HOSTILE, "\x9b2J", "\x7f", "\U000e0041", "é\u2028"]))))
def test_json_is_obeyed_by_no_terminal_and_says_the_same_in_every_locale(texts: list[str], encoding: str) -> None:
    told = printed({"texts": texts}, encoding)
    assert told.endswith("\n")
    assert _UNSAFE.search(told[:-1]) is None
    assert json.loads(told)["texts"] == [
        text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts
    ]


def test_the_name_of_a_file_that_is_not_utf_8_is_printed_as_json() -> None:
    told = printed({"path": b"t-\xff.trace.jsonl".decode("utf-8", "surrogateescape"), "nodes": 3}, "utf-8")
    assert json.loads(told) == {"path": "t-\ufffd.trace.jsonl", "nodes": 3}
