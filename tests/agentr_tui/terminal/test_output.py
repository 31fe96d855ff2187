"""What commands print: JSON that a terminal may show and any program reads, whatever the texts and the locale are."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentr_tui.cli.main import main, run
from agentr_tui.terminal import streams
from agentr_tui.terminal.glyphs import ERRORS, LIKE
from agentr_tui.terminal.output import emit_json
from agentr_tui.terminal.own_output import copy_of
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


def test_a_locale_without_our_letters_gets_others_that_look_alike_and_escapes_of_the_rest() -> None:
    told = "leaf 3 – ✓ 0.5 … café nö.jsonl".replace("ö", b"\xc3\xb6".decode("ascii", "surrogateescape"))
    assert told.encode("ascii", ERRORS) == rb"leaf 3 - v 0.5 ~ caf\xe9 n\xc3\xb6.jsonl"
    assert all(len(alike) == 1 and alike.isascii() for alike in LIKE.values())


def test_the_own_output_ends_with_the_program_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    like = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    stream = copy_of(2, like, lasts=True)
    fd = stream.fileno()
    del stream
    os.close(fd)
    assert not recwarn.list


def test_the_name_of_a_file_that_is_not_utf_8_is_printed_as_json() -> None:
    told = printed({"path": b"t-\xff.trace.jsonl".decode("utf-8", "surrogateescape"), "nodes": 3}, "utf-8")
    assert json.loads(told) == {"path": "t-\ufffd.trace.jsonl", "nodes": 3}


@pytest.mark.parametrize("arguments", [["config"], ["stats", "gone", "--json"]])
def test_output_that_is_full_or_closed_is_one_line_and_no_traceback(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr("agentr_tui.cli.main.claim_stdout", lambda: None)  # of this process
    code = 2 if "gone" in arguments else 1
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
    told = capsys.readouterr().err.splitlines()
    assert (ended.value.code, len(told)) == (code, 1)
    assert ("No space left on device" in told[0]) == (code == 1)
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, f"__{name}__", getattr(sys, f"__{name}__"))  # is put back
        monkeypatch.setattr(sys, name, None)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == (2 if "gone" in arguments else 0)
    assert sys.stdout is not None


def test_too_many_open_files_are_a_line_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(_arguments: list[str]) -> object:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # of a pipe or a socket: it names no file

    monkeypatch.setattr("agentr_tui.cli.main.build", build)
    assert run(["envs"]) == 1
    assert capsys.readouterr().err == ("agentr: Too many open files: allow more (ulimit -n), or use fewer --workers\n")


@pytest.mark.parametrize("columns", ["0", "1", "-3", "x", "9" * 5_000])
def test_help_is_printed_for_a_terminal_of_no_size(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr("agentr_tui.cli.main.claim_stdout", lambda: None)  # of this process
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--help"])
    assert ended.value.code == 0
    assert "Usage: agentr demo" in capsys.readouterr().out


@pytest.mark.parametrize("columns", [1, 39])
def test_help_is_legible_in_a_terminal_of_few_columns(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(os, "get_terminal_size", lambda _fd=1: os.terminal_size((columns, 24)))
    assert run(["demo", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("--headless" in line for line in lines)
    assert max(map(len, lines)) == streams.LEGIBLE
    assert "COLUMNS" not in os.environ, "the app that comes after asks the terminal"
