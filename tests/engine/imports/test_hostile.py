"""Files that are not what they seem: one line each, nothing run, nothing reached, the good ones beside them read."""

from __future__ import annotations

import copy
import json
import os
import pickle
import random
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.base.errors import InputError
from engine.imports import files
from engine.imports.sources import FAILED, read_rollouts
from tests.engine.imports import samples


def line_of(path: Path, read_as: str = "") -> str:
    with pytest.raises(InputError) as raised:
        list(read_rollouts([path], read_as))
    line = str(raised.value)
    assert line.startswith(str(path))
    assert "\n" not in line
    return line


def outcome(path: Path, read_as: str = "") -> str:
    """The line of a file that is refused; "" for one that is read."""
    rollouts = read_rollouts([path], read_as)
    try:
        for rollout in rollouts:
            repr(rollout)
    except InputError as error:
        return str(error)
    finally:
        assert [problem.reason for problem in rollouts.problems if FAILED in problem.reason] == []
    return ""


class Boom:
    """A pickle that would write a file when it is opened."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return open, (str(self.place), "w")


def test_a_pickle_is_named_and_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.pkl"
    path.write_bytes(pickle.dumps(Boom(tmp_path / "boom")))
    assert "never opened" in line_of(path)
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "run git lfs pull"),
        (b"PAR1\x15\x04", "is a parquet file"),
        (b"SQLite format 3\x00", "is a SQLite database"),
        (b"{", "is no JSON"),
        (b"[]", "an empty list"),
        (b"{}", "empty JSON"),
        (b"[1, 2]", "a list whose items are no objects"),
        (b'{"a": 1, "b": 2}', "JSON with a, b"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"schema_version": "ATIF-v2.0", "steps": []}', "is ATIF-v2.0, which is not read"),
        (b"PK\x03\x04 no zip", "no log of inspect_ai"),
        (b"\xff\xfe\x00{", "is UTF-16 text"),
        (b"trajectories:\n- messages_and_choices:\n", "YAML of ART"),
    ],
)
def test_what_a_file_is_that_cannot_be_read_is_told_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "some.json"
    path.write_bytes(content)
    assert said in line_of(path)


def test_the_good_rows_of_a_file_are_read_although_others_are_bad(tmp_path: Path) -> None:
    row = json.dumps({"task_id": "t", "messages": samples.CHAT, "reward": 1})
    path = tmp_path / "chat.jsonl"
    bad = ["{torn", "[1]", '{"messages": 3}', '{"messages": [{"role": "wizard"}]}', '{"messages": []}']
    path.write_text("\n".join([bad[0], row, *bad[1:], row, row[:50]]), encoding="utf-8")
    rollouts = read_rollouts([path])
    assert len(list(rollouts)) == 2
    places = [problem.place for problem in rollouts.problems]
    assert places == ["line 1", "line 3", "line 4", "line 5", "line 6", "line 8"]
    assert str(rollouts.problems[3]) == f"{path} (line 5): message 1: a message has the role 'wizard'"


def test_the_good_files_of_a_folder_are_read_although_others_are_bad(tmp_path: Path) -> None:
    samples.write(tmp_path / "a", "chat")
    (tmp_path / "b.traj").write_text("{", encoding="utf-8")
    (tmp_path / "settings.json").write_text('{"theme": "dark"}', encoding="utf-8")
    rollouts = read_rollouts([tmp_path])
    assert len(list(rollouts)) == 1
    assert [Path(problem.path).name for problem in rollouts.problems] == ["b.traj"]
    assert rollouts.skipped == 1
    assert rollouts.formats == {"chat": 1}


def test_many_bad_rows_are_counted_and_not_all_told(tmp_path: Path) -> None:
    path = samples.write(tmp_path, "chat", [{"messages": 1}] * 500 + [{"messages": samples.CHAT}])
    rollouts = read_rollouts([path], "chat")
    assert len(list(rollouts)) == 1
    assert len(rollouts.problems) == files.MOST_PROBLEMS + 1


@pytest.mark.parametrize("bound", ["MOST_LINE", "MOST_DOCUMENT"])
def test_what_is_larger_than_its_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(files, bound, 2000)
    row = {"messages": samples.CHAT, "filler": "x" * 3000}
    if bound == "MOST_LINE":
        path = samples.write(tmp_path, "chat", [{"messages": samples.CHAT}, row])
        rollouts = read_rollouts([path])
        assert len(list(rollouts)) == 1
        assert "the line is longer than" in str(rollouts.problems[0])
    else:
        path = tmp_path / "doc.json"
        path.write_text(json.dumps([row], indent=1), encoding="utf-8")
        assert "is one JSON value of more than" in line_of(path)


@pytest.mark.parametrize("begin", [b'[{"messages": [', b'{"a": [\n', b"[\n{}\n"])
def test_a_document_of_100_gigabytes_is_refused_before_it_is_read(
    begin: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_LINE", 4 << 20)  # so that the test takes no second
    path = tmp_path / "doc.json"
    path.write_bytes(begin)
    os.truncate(path, 100 << 30)  # takes no room on the disk
    tracemalloc.start()
    try:
        assert "is one JSON value of more than 512 MiB" in line_of(path)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20, "bytes that were held at most: not twenty such lines"
    finally:
        tracemalloc.stop()


def test_only_a_document_that_leaves_room_is_given_to_the_lenient_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "doc.json"
    path.write_text(json.dumps([{"messages": samples.CHAT, "reward": float("nan")}], indent=1), encoding="utf-8")
    assert outcome(path) == ""
    monkeypatch.setattr("engine.imports.bounded_json.MOST_LENIENT", 100)
    assert "is no JSON" in line_of(path)


def test_a_bomb_in_a_zip_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.imports.formats.evaluation.inspect_zip.MOST_ENTRY", 2000)
    log = copy.deepcopy(samples.INSPECT)
    log["samples"].append({**log["samples"][0], "epoch": 3, "filler": "x" * 100_000})
    for zstd in (False, True):
        rollouts = read_rollouts([samples.write_eval(tmp_path / f"{zstd}.eval", log, zstd=zstd)])
        assert len(list(rollouts)) == 1
        assert "is larger than" in str(rollouts.problems[0])


def in_pieces(path: Path, refs: object, messages: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("header.json", json.dumps({"eval": samples.INSPECT["eval"]}))
        archive.writestr("samples/a_epoch_1/sample.json", json.dumps({"id": "a", "epoch": 1, "message_refs": refs}))
        archive.writestr("samples/a_epoch_1/messages/0.json", messages)
        archive.writestr("samples/a_epoch_1/messages/1.json", messages)
    return path


def test_a_zip_does_not_grow_without_a_bound(tmp_path: Path) -> None:
    """6 KB took 8 GB by the first way, 244 KB by the second."""
    ten = json.dumps([{"role": "user", "content": "x"}] * 10).encode()
    assert "has more than 100,000 messages" in line_of(in_pieces(tmp_path / "a.eval", [[0, 20]] * 200_000, ten))
    wide = b"[" + b"[]," * (12 << 20) + b"[]]"
    assert "messages/0.json is larger than 32 MB" in line_of(in_pieces(tmp_path / "b.eval", [0], wide))


def test_the_pieces_of_a_sample_share_one_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ten = json.dumps([{"role": "user", "content": "x"}] * 10).encode()
    monkeypatch.setattr("engine.imports.formats.evaluation.inspect_zip.MOST_ENTRY", len(ten) * 3 // 2)
    assert "messages/1.json is larger than" in line_of(in_pieces(tmp_path / "a.eval", [0], ten))


def test_a_damaged_entry_of_a_zip_leaves_the_others(tmp_path: Path) -> None:
    log = copy.deepcopy(samples.INSPECT)
    log["samples"].append({**log["samples"][0], "epoch": 3})
    path = samples.write_eval(tmp_path / "a.eval", log)
    data = bytearray(path.read_bytes())
    at = data.find(b"samples/door-3_epoch_3.json") + 60
    data[at : at + 40] = b"\x00" * 40
    path.write_bytes(bytes(data))
    rollouts = read_rollouts([path])
    assert len(list(rollouts)) == 1
    assert "samples/door-3_epoch_3.json" in str(rollouts.problems[0])
    path.write_bytes(bytes(data)[:-30])
    assert "killed while writing it" in line_of(path)


def test_a_path_that_is_not_there_and_a_format_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        read_rollouts([tmp_path / "no.json"])
    with pytest.raises(InputError, match="unknown rollout format 'atf': one of agentgym, atif"):
        read_rollouts([samples.write(tmp_path, "chat")], "atf")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no rollouts in"):
        list(read_rollouts([tmp_path / "empty"]))


def test_patterns_are_expanded_and_each_file_is_read_once(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl", "c.txt"):
        samples.write(tmp_path, "chat", None, name) if name != "c.txt" else (tmp_path / name).write_text("x")
    rollouts = read_rollouts([str(tmp_path / "*.jsonl"), tmp_path / "a.jsonl", tmp_path])
    assert len(list(rollouts)) == 2


ODD: list[Any] = [
    None,
    True,
    -1,
    1e308,
    10**400,
    "",
    "x",
    "\ud800",
    [],
    {},
    [[]],
    [{}],
    {"role": "tool"},
    [None, 1, "a"],
    "NaN",
]


def spots(value: Any) -> list[tuple[Any, Any]]:
    """Every place of a value: its holder and its key there."""
    found = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
            found.append((holder, key))
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])
    return found


@pytest.mark.parametrize("format", list(samples.FILES))
def test_a_file_with_anything_anywhere_is_read_or_refused_in_a_line(tmp_path: Path, format: str) -> None:
    draws = random.Random(7)
    for trial in range(80):
        content = copy.deepcopy(samples.FILES[format][1])
        for _ in range(draws.randint(1, 3)):
            holder, key = draws.choice(spots(content))
            if draws.random() < 0.2 and isinstance(holder, dict):
                del holder[key]
            else:
                holder[key] = copy.deepcopy(draws.choice(ODD))
        path = samples.write(tmp_path / str(trial), format, content)
        for read_as in ("", format):
            line = outcome(path, read_as)
            assert line == "" or (str(path) in line and "\n" not in line)


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused_in_a_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.json"
    path.write_bytes(content)
    line = outcome(path)
    assert line == "" or (str(path) in line and "\n" not in line)


@pytest.mark.parametrize("format", list(samples.FILES))
@pytest.mark.parametrize("read_as", list(samples.FILES))
def test_a_file_read_as_another_format_is_refused_in_a_line(tmp_path: Path, format: str, read_as: str) -> None:
    assert "\n" not in outcome(samples.write(tmp_path, format), read_as)
