"""No file of somebody else's makes this program wait, or takes its memory: whatever stands in its place."""

from __future__ import annotations

import errno
import gzip
import json
import os
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from agentr_tui.screens.dataset.past_exports import past_exports
from agentr_tui.state.tour import Tour
from engine.base.append_log import AppendLog, LogKind, read_log
from engine.base.compression import FREE, MAX_RATIO, open_unpacked
from engine.base.errors import AgentrError, InputError, NoFile, TraceError
from engine.base.tokenizer_file import TokenizerFile
from engine.base.untrusted_files import (
    MAX_LINE,
    MAX_TEXT,
    is_file,
    is_folder,
    lines_of,
    names_in,
    open_given,
    read_given,
    read_struct,
    read_text,
    read_toml,
    what_is,
)
from engine.collect.manifest import log_of, read_manifest
from engine.collect.tasks import task_ids
from engine.datasets.mixing import numbered_values
from engine.datasets.templates.markup import CHATML
from engine.datasets.templates.model_template import model_template
from engine.datasets.templates.tokens import Vocabulary
from engine.environment.consent_store import Consent
from engine.imports import files
from engine.imports.sources import read_rollouts
from engine.models.context_window import counter
from engine.models.prompts import check_prompts
from engine.models.reply_cache import JudgementCache
from engine.notes.page import read_notes
from engine.recovery.continuation_store import read_file
from engine.review.agreement import read_planted
from engine.review.curation import review_settings
from engine.review.decisions import Decisions
from engine.search.control_file import Inbox, RemoteControl, control_path
from engine.trace.follower import Follower
from engine.trace.sources import load_any
from engine.trace.trace_file import TraceWriter, is_being_written, load, read_events
from engine.trace.treefile.read import read_tree
from engine.trace.write_lock import holder
from engine.verifiers.recorded import _read_lines
from engine.workspace.index import Index
from engine.workspace.workspace import read_info
from envs.base import EnvError
from envs.recorded import read_recording
from tests.engine.made import honey_trace

Make = Callable[[Path], object]


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's name may have some hundred bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _link_to_a_pipe(path: Path) -> None:
    os.mkfifo(f"{path}.pipe")
    path.symlink_to(f"{path}.pipe")


PLACES: dict[str, Make] = {
    "a pipe": os.mkfifo,
    "a link to a pipe": _link_to_a_pipe,
    "a device that never ends": lambda path: path.symlink_to("/dev/zero"),
    "a terminal": lambda path: path.symlink_to("/dev/tty"),
    "a socket": _socket,
    "a folder": Path.mkdir,
    "a loop of links": lambda path: path.symlink_to(path),
}
"""What may stand in the place of a file."""


def _prompts(path: Path) -> None:
    check_prompts(str(path.parent))


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "trace": ("t.trace.jsonl", lambda path: list(read_events(path))),
    "packed trace": ("t.trace.jsonl.zst", load),
    "followed trace": ("t.trace.jsonl", lambda path: Follower(path).poll()),
    "tree file": ("search_results_1.json", read_tree),
    "either": ("search_results_1.json.gz", load_any),
    "run": ("r.jsonl", read_info),
    "recoveries": ("r.jsonl", read_file),
    "settings": ("agentr.toml", read_toml),
    "review settings": ("agentr.toml", review_settings),
    "recording": ("r.json", lambda path: read_recording(str(path))),
    "recorded verifier": ("r.jsonl", lambda path: _read_lines(str(path))),
    "prompts": ("stop.txt", _prompts),
    "lines to mix in": ("m.jsonl", lambda path: list(numbered_values(path))),
    "tokenizer of a budget": ("tokenizer.json", lambda path: counter(str(path))),
    "tokenizer": ("tokenizer.json", lambda path: Vocabulary(path, CHATML)),
    "chat template": ("chat.jinja", lambda path: model_template(str(path))),
    "text": ("a.txt", read_text),
    "collection": (".collect/manifest.json", lambda path: read_manifest(path.parents[1])),
    "tasks": ("ids.txt", lambda path: task_ids(f"@{path}")),
    "notes": ("notes.md", read_notes),
    "rollouts": ("chat.jsonl", lambda path: list(read_rollouts([path]))),
    "document of rollouts": ("log.json", files.look),
}
"""Readers of files that a person or a workspace names: each tells what is wrong."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_regular_file_is_refused_at_once_and_named(reader: str, place: str, tmp_path: Path) -> None:
    name, read = READERS[reader]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    PLACES[place](path)
    if reader == "chat template" and place == "a folder":
        pytest.skip("a folder of a tokenizer is what it may name")
    with pytest.raises((AgentrError, EnvError)) as error:
        read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("place", PLACES)
def test_state_files_that_are_none_are_as_if_there_were_none(place: str, tmp_path: Path) -> None:
    for name in ("x.jsonl", "place.json", "index.sqlite", "t.trace.jsonl.control", "t.trace.jsonl.lock"):
        PLACES[place](tmp_path / name)
    for name in ("hints.json", "o.jsonl.report.json"):
        PLACES[place](tmp_path / name)
    assert read_struct(tmp_path / "place.json", Consent) is None
    assert (Tour(tmp_path).hint, past_exports(tmp_path)) == ("", [])
    assert log_of(tmp_path).refresh().lines == []
    assert Decisions(tmp_path, "me").current() == {}
    assert (read_planted(tmp_path), len(JudgementCache(tmp_path))) == ([], 0)
    with Index(tmp_path / "index.sqlite") as index:
        assert index.get("kind", "path", os.stat(tmp_path)) is None
    assert Inbox(tmp_path / "t.trace.jsonl").take() == []
    assert is_being_written(tmp_path / "t.trace.jsonl") is False
    assert holder(tmp_path / "t.trace.jsonl") == ""
    with pytest.raises(AgentrError, match="control"):
        RemoteControl(tmp_path / "t.trace.jsonl").pause()


@pytest.mark.parametrize("place", [place for place in PLACES if "device" not in place and "terminal" not in place])
def test_a_trace_is_not_written_into_what_is_no_file(place: str, tmp_path: Path) -> None:
    PLACES[place](path := tmp_path / "t.trace.jsonl")
    with pytest.raises(InputError, match=r"t\.trace\.jsonl"):
        TraceWriter(path)


def test_a_request_to_a_search_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    control_path(tmp_path / "t.trace.jsonl").symlink_to(tmp_path / "mine")
    with pytest.raises(AgentrError, match="control"):
        RemoteControl(tmp_path / "t.trace.jsonl").stop()
    assert (tmp_path / "mine").read_text() == "mine"


# -- names, permissions ----------------------------------------------------------------------------------


def imported(path: str) -> object:
    """Read as rollouts."""
    return list(read_rollouts([path]))


NAMES = {"too long": "x" * 300, "a zero byte": "a\0b", "half a pair": "\ud800"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "look", [what_is, is_file, is_folder, open_given, read_text, load, read_tree, load_any, imported]
)
def test_a_name_that_no_file_can_have_is_an_error_of_one_line(
    look: Callable[[str], object], name: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        look(f"{tmp_path}/{NAMES[name]}")
    assert "\n" not in str(error.value)
    str(error.value).encode()  # what a terminal and a log can be given


def test_no_permission_is_not_told_as_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: object, *args: object, **more: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))  # type: ignore[call-overload]

    monkeypatch.setattr(os, "stat", denied)
    for look in (what_is, is_file, is_folder, read_text, load):
        with pytest.raises(InputError, match="Permission denied") as error:
            look(tmp_path / "a.trace.jsonl")
        assert not isinstance(error.value, NoFile)
    monkeypatch.undo()
    with pytest.raises(NoFile):
        read_text(tmp_path / "a.trace.jsonl")
    assert what_is(tmp_path / "a" / "b") is None
    assert names_in(tmp_path / "none") == []


# -- sizes -----------------------------------------------------------------------------------------------


def _sparse(path: Path) -> Path:
    with path.open("wb") as file:
        file.write(b'{"type":"started",')
        file.truncate(100 << 30)  # takes no room on the disk
    return path


LONG: dict[str, Callable[[Path], object]] = {
    "trace": lambda path: list(read_events(path)),
    "followed": lambda path: Follower(path).poll(),
    "run": read_info,
    "log": lambda path: read_log(path, LogKind(bytes, "line", "lines")),
    "mixed": lambda path: list(numbered_values(path)),
}


@pytest.mark.parametrize("reader", LONG)
def test_a_line_of_100_gigabytes_is_refused_before_it_is_in_memory(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "engine.base.untrusted_files.lines_of.__defaults__", (1, 1 << 20)
    )  # so that the test takes no second
    path = _sparse(tmp_path / "t.trace.jsonl")
    with pytest.raises(TraceError, match="1: the line is longer than 1 MB"):
        LONG[reader](path)


@pytest.mark.parametrize("kind", ["a line", "many lines"])
@pytest.mark.parametrize("reader", [load, read_tree, lambda path: Follower(path).poll()])
def test_a_packed_file_that_holds_far_more_than_its_size_is_refused(
    reader: Callable[[Path], object], kind: str, tmp_path: Path
) -> None:
    begin = honey_trace(tmp_path / "good.trace.jsonl").read_bytes() if kind == "many lines" else b'{"type":"'
    line = b" " * (1 << 20)
    packer = zstandard.ZstdCompressor().compressobj()
    path = tmp_path / "t.trace.jsonl.zst"
    with path.open("wb") as file:
        file.write(packer.compress(begin))
        for _ in range(256):
            file.write(packer.compress(line))
        file.write(packer.flush())
    assert path.stat().st_size * MAX_RATIO < FREE
    tracemalloc.start()
    try:
        with pytest.raises(TraceError, match=r"unpack to more than 32 MB|not a tree"):
            reader(path)
        assert tracemalloc.get_traced_memory()[1] < 300 << 20, "bytes that were held at most"
    finally:
        tracemalloc.stop()


def test_a_well_packed_file_is_read(tmp_path: Path) -> None:
    text = b"".join(b'{"value": "the same"}\n' for _ in range(1_000_000))
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(text, 1))
    with open_unpacked(path) as file:
        assert sum(len(line) for line in lines_of(file, path)) == len(text) == 22_000_000
    assert MAX_LINE == 128 << 20


def test_a_text_and_settings_have_a_greatest_size(tmp_path: Path) -> None:
    _sparse(path := tmp_path / "a.toml")
    with pytest.raises(InputError, match=r"a\.toml: is larger than 16 MB"):
        read_text(path)
    with pytest.raises(InputError, match=r"a\.toml: is larger than 256 KB"):
        read_toml(path)
    (tmp_path / "b").write_bytes(b"0" * 1000)
    assert read_given(tmp_path / "b", 1000) == b"0" * 1000
    with pytest.raises(InputError, match="larger than 999 bytes"):
        read_given(tmp_path / "b", 999)
    assert MAX_TEXT == 16 << 20


def test_a_log_reads_on_after_a_line_that_is_no_line_of_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"good\n\xff\n" + b"[" * 100_000 + b"\n\ngood\nhalf")

    def decode(line: bytes) -> str:
        if line.startswith(b"["):
            raise RecursionError
        return line.decode().strip()

    log = AppendLog(tmp_path, LogKind(decode, "word", "words", strict=False))
    assert [(line.number, line.row) for line in log.refresh().lines] == [(1, "good"), (5, "good")]
    assert len(log.warnings) == 2  # what was left out, and the half line
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b" a word\n")
    assert [(line.number, line.row) for line in log.refresh().lines] == [(6, "half a word")]
    assert len(log.warnings) == 1


def test_a_tokenizer_that_makes_its_library_panic_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tokenizers")
    file = tmp_path / "tokenizer.json"
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [["a", "b"]]}  # what two make is not in it
    file.write_text(json.dumps({"version": "1.0", "model": model}))
    with pytest.raises(InputError, match=r"not a tokenizer.json: range end index 2 out of range"):
        TokenizerFile(file)
    os.write(2, b"said later\n")
    assert capfd.readouterr().err == "said later\n"  # the library told of its panic there, in many lines
