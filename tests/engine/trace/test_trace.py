"""Trace files: what is written is what is read, whatever happens to the writer."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import jsonschema
import msgspec
import pytest
import zstandard

from engine.base.errors import AgentrError, InputError, TraceError, WorkFailed
from engine.search.job import new_job
from engine.trace.diff import compare
from engine.trace.follower import Follower
from engine.trace.schema import json_schema
from engine.trace.trace_file import TraceWriter, is_being_written, load, read_events, trace_state, write_trace
from engine.tree.events import (
    FORMAT_VERSION,
    AnyEvent,
    BackedUp,
    Child,
    Ended,
    Event,
    Expanded,
    Failed,
    Imported,
    ImportedNode,
    Intervened,
    Iteration,
    Message,
    Paused,
    Resumed,
    Sampled,
    SearchSettings,
    Selected,
    SettingsChanged,
    Started,
    Usage,
    event_decoder,
    event_encoder,
)
from engine.tree.tree import SearchTree

ROOT = Path(__file__).parents[3]


def small_search(trace: str = "a1", seed: int = 0, concurrency: int = 4) -> list[AnyEvent]:
    """A search made by hand that has every event but `imported`."""
    header = [Message("system", "S"), Message("user", "U"), Message("assistant", "Ok."), Message("user", "Goal: x.")]
    settings = SearchSettings(samples=2, iterations=1, seed=seed, concurrency=concurrency)
    events: list[AnyEvent] = [
        Started(
            seq=0,
            version=FORMAT_VERSION,
            trace=trace,
            environment="textcraft",
            task="1",
            header=header,
            settings=settings,
        ),
        Selected(seq=0, path=[0]),
        Sampled(seq=0, parent=0, draw=1, response="Action: b", latency=0.25, usage=Usage(7, 2, None)),
        Failed(seq=0, parent=0, draw=0, what="timeout", error="late"),
        Sampled(seq=0, parent=0, draw=0, response="Action: a"),
        Expanded(
            seq=0,
            parent=0,
            children=[Child(0, "a", "A", 1, "done"), Child(1, "b", "B – ü 漢 \u001b[31m")],
            steps=2,
        ),
        BackedUp(seq=0, leaf=1, value=1),
        Intervened(seq=0, who="reviewer", what="note", node=1, detail="good"),
        SettingsChanged(seq=0, who="reviewer", changes={"c": 0.5}),
        Paused(seq=0),
        Resumed(seq=0, code={"agentr-tui": "0"}),
        Iteration(seq=0, number=1),
        Ended(seq=0, reason="iterations", totals={"nodes": 3, "cost": None}),
    ]
    return numbered(events)


def numbered(events: list[AnyEvent]) -> list[AnyEvent]:
    """The events with their places."""
    for seq, event in enumerate(events):
        event.seq = seq
    return events


def lines(events: Iterable[AnyEvent]) -> list[bytes]:
    """What a trace of them holds."""
    return [event_encoder.encode(event) + b"\n" for event in events]


def real_search(path: Path, seed: int = 0, concurrency: int = 4) -> list[AnyEvent]:
    """A TextCraft search by the scripted actor."""
    settings = SearchSettings(iterations=3, max_depth=6, seed=seed, concurrency=concurrency)
    asyncio.run(new_job("textcraft", "3", settings, path).run())
    return list(read_events(path))


# -- writing and reading -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.trace.jsonl", "deep/er/x.trace.jsonl", "x.trace.jsonl.zst"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_trace(path, small_search())
    warnings: list[str] = []
    assert list(read_events(path, warnings)) == small_search()
    assert warnings == []
    loaded = load(path)
    assert (loaded.torn, loaded.tree.state, len(loaded.tree)) == (False, "done", 3)
    assert loaded.end == sum(len(line) for line in lines(small_search()))
    assert os.listdir(path.parent) == [path.name]  # the lock is gone


def test_a_gzipped_trace_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.trace.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(lines(small_search()))))
    assert list(read_events(path)) == small_search()
    with pytest.raises(InputError, match=r"not written as \.gz"):
        TraceWriter(tmp_path / "new.trace.jsonl.gz")


@pytest.mark.parametrize("name", ["x.trace.jsonl", "x.trace.jsonl.zst"])
def test_each_event_is_in_the_file_when_write_returns(tmp_path: Path, name: str) -> None:
    events = small_search()
    with TraceWriter(tmp_path / name) as writer:
        for count, event in enumerate(events, 1):
            writer.write(event)
            assert list(read_events(tmp_path / name)) == events[:count]


def test_an_existing_trace_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "x.trace.jsonl"
    write_trace(path, small_search())
    with pytest.raises(InputError, match="exists already"):
        TraceWriter(path)
    assert list(read_events(path)) == small_search()
    write_trace(path, small_search()[:3], overwrite=True)
    assert len(list(read_events(path))) == 3
    path.write_bytes(b"")
    write_trace(path, small_search())  # an empty file holds nothing that could be lost


@pytest.mark.parametrize("name", ["x.trace.jsonl", "x.trace.jsonl.zst"])
def test_a_whole_trace_that_fails_on_the_way_leaves_what_was_there_before(tmp_path: Path, name: str) -> None:
    def broken() -> Iterator[AnyEvent]:
        yield from small_search()[:3]
        raise KeyboardInterrupt

    path = tmp_path / name
    for before in ([], small_search()):
        if before:
            write_trace(path, before)
        with pytest.raises(KeyboardInterrupt):
            write_trace(path, broken(), overwrite=True)
        assert os.listdir(tmp_path) == ([name] if before else [])
    assert list(read_events(path)) == small_search()


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.trace.jsonl").mkdir()
    for path in (tmp_path / "file" / "x.trace.jsonl", tmp_path / "folder.trace.jsonl", Path("/proc/x.trace.jsonl")):
        with pytest.raises(InputError, match=re.escape(str(path))) as caught:
            TraceWriter(path)
        assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.trace.jsonl"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_work_failed_and_closes(tmp_path: Path) -> None:
    (tmp_path / "x.trace.jsonl").symlink_to("/dev/full")
    writer = TraceWriter(tmp_path / "x.trace.jsonl")
    with pytest.raises(WorkFailed, match="No space left"):
        writer.write(small_search()[0])
    with pytest.raises(WorkFailed, match="closed"):
        writer.write(small_search()[0])
    writer.close()
    assert not is_being_written(tmp_path / "x.trace.jsonl")


def test_a_text_that_is_no_unicode_is_an_error_of_one_line(tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "x.trace.jsonl") as writer, pytest.raises(WorkFailed, match="event 4"):
        writer.write(Sampled(seq=4, parent=0, draw=0, response="\ud800"))


# -- one writer --------------------------------------------------------------------------------------


def test_a_trace_has_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "x.trace.jsonl"
    assert not is_being_written(path)
    with TraceWriter(path) as writer:
        writer.write(small_search()[0])
        assert is_being_written(path)
        for kwargs in ({}, {"overwrite": True}, {"append_to": load(path).end}):
            with pytest.raises(TraceError, match="another process is writing it"):
                TraceWriter(path, **kwargs)
        assert is_being_written(path)  # asking disturbs nothing
    writer.close()
    assert not is_being_written(path)


def test_asking_does_not_keep_a_writer_out(tmp_path: Path) -> None:
    path = tmp_path / "x.trace.jsonl"
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            is_being_written(path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(100):
            TraceWriter(path, overwrite=True).close()
    finally:
        over.set()
        asking.join()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no shared locks here")
def test_those_who_ask_do_not_take_each_other_for_a_writer(tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "x.trace.jsonl"
    with open(f"{path}.lock", "w") as lock:  # left by a writer that was killed
        assert not is_being_written(path)
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert not is_being_written(path)


def test_a_writer_may_be_closed_in_another_thread(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path / "x.trace.jsonl")
    closing = threading.Thread(target=writer.close)
    closing.start()
    closing.join()
    assert not is_being_written(writer.path)


def test_a_killed_search_is_crashed_and_can_be_resumed(tmp_path: Path) -> None:
    path = tmp_path / "x.trace.jsonl"
    code = (
        "import sys, time\nfrom tests.engine.trace.test_trace import *\n"
        "writer = TraceWriter(sys.argv[1])\n"
        "for event in small_search()[:6]: writer.write(event)\n"
        "writer._write(b'{\"type\":\"backed_')\nprint('there', flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"there\n"
        loaded = load(path)
        assert trace_state(loaded.tree, path) == "running"
        with pytest.raises(TraceError, match="another process"):
            TraceWriter(path, append_to=loaded.end)
        child.send_signal(signal.SIGKILL)
    loaded = load(path)
    assert loaded.torn
    assert loaded.warnings == [f"{path}:7: the last line is torn and was dropped"]
    assert trace_state(loaded.tree, path) == "crashed"
    with TraceWriter(path, append_to=loaded.end) as writer:
        for event in small_search()[6:]:
            writer.write(event)
    assert list(read_events(path)) == small_search()
    assert trace_state(load(path).tree, path) == "done"


def test_states_of_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "x.trace.jsonl"
    events = small_search()
    with TraceWriter(path):
        assert trace_state(SearchTree(events[:10]), path) == "paused"
        assert trace_state(SearchTree(events[:11]), path) == "running"
    assert trace_state(SearchTree(events[:10]), path) == "crashed"
    assert trace_state(SearchTree(events), path) == "done"
    assert trace_state(SearchTree([*events[:-1], Ended(seq=12, reason="asked")]), path) == "stopped"


# -- resuming ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("torn", [b"", b'{"type":"it', b'{"type":"iteration","number":1,"seq":4}', b'{"broken}\n'])
@pytest.mark.parametrize("name", ["x.trace.jsonl", "x.trace.jsonl.zst"])
def test_a_writer_cuts_off_the_torn_line_and_goes_on(tmp_path: Path, name: str, torn: bytes) -> None:
    path = tmp_path / name
    start = b"".join(lines(small_search()[:4]))
    path.write_bytes(pack_unfinished(start + torn) if name.endswith(".zst") else start + torn)
    loaded = load(path)
    assert (loaded.torn, loaded.end) == (bool(torn), len(start))
    with TraceWriter(path, append_to=loaded.end) as writer:
        for event in small_search()[4:]:
            writer.write(event)
    assert list(read_events(path)) == small_search()
    assert os.listdir(tmp_path) == [name]


def pack_unfinished(data: bytes) -> bytes:
    """A zstandard frame as a killed writer leaves it."""
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(data) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


@pytest.mark.parametrize("name", ["x.trace.jsonl", "x.trace.jsonl.zst"])
def test_events_written_since_the_trace_was_read_are_not_cut_off(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_trace(path, small_search()[:4])
    end = load(path).end
    with TraceWriter(path, append_to=end) as writer:
        writer.write(small_search()[4])
    with pytest.raises(InputError, match="wrote to it since"):
        TraceWriter(path, append_to=end)
    with pytest.raises(TraceError, match="shorter since"):
        TraceWriter(path, append_to=end * 2)
    assert list(read_events(path)) == small_search()[:5]


# -- broken files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 2, 20])
def test_a_torn_last_line_is_dropped_and_said_so(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "x.trace.jsonl"
    path.write_bytes(b"".join(lines(small_search()))[:-cut])
    warnings: list[str] = []
    assert list(read_events(path, warnings)) == small_search()[:-1]
    assert warnings == [f"{path}:13: the last line is torn and was dropped"]


def replaced(number: int, line: bytes) -> bytes:
    """A trace with one line (from 1) replaced."""
    parts = lines(small_search())
    parts[number - 1] = line
    return b"".join(parts)


DEEP = b"[" * 20_000 + b"]" * 20_000
BROKEN: dict[str, tuple[bytes, int | None, str]] = {
    "cut in the middle": (replaced(5, b'{"type":"sam\n'), 5, "broken line"),
    "empty line": (replaced(5, b"\n"), 5, "broken line"),
    "no UTF-8": (replaced(5, b'{"type":"paused","reason":"\xff","seq":4}\n'), 5, "broken line"),
    "unknown event": (replaced(13, b'{"type":"exploded","seq":12}\n'), 13, "exploded"),
    "a field is missing": (replaced(13, b'{"type":"ended","seq":12}\n'), 13, "reason"),
    "a field of another kind": (replaced(2, b'{"type":"selected","path":"0","seq":1}\n'), 2, "path"),
    "does not fit": (replaced(7, b'{"type":"backed_up","leaf":9,"value":1,"seq":6}\n'), 7, "node 9"),
    "out of order": (replaced(4, b'{"type":"paused","seq":8}\n'), 4, "event 8 follows event 2"),
    "nested too deep": (replaced(4, b'{"type":"paused","seq":3,"x":' + DEEP + b"}\n"), 4, "nested too deep"),
    "newer": (replaced(1, b'{"type":"started","version":7,"seq":0}\n'), 1, r"newer version \(7\).*up to 2.*upgrade"),
    "newer, same fields": (
        replaced(1, lines(small_search())[0].replace(b'"version":2', b'"version":3')),
        1,
        r"newer version \(3\)",
    ),
    "no `started`": (b"".join(lines(small_search())[1:]), 1, "not a trace"),
    "other JSON": (b'{"visits": 3, "children": []}\n', 1, "not a trace"),
    "JSON on lines": (b'{\n "visits": 3\n}\n', 1, "not a trace"),
    "other JSON, no newline": (b'{"visits": 3, "children": []}', None, "not a trace"),
    "a list": (DEEP, None, "not a trace"),
    "binary": (bytes(range(256)) * 99, None, "not a trace"),
    "empty": (b"", None, "empty"),
    "damaged gzip": (gzip.compress(replaced(1, lines(small_search())[0]))[:-9], None, "gzip"),
    "damaged zstandard": (zstandard.compress(replaced(2, b"x")) + b"garbage", None, "zstandard"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_trace_is_one_line_that_names_the_line(tmp_path: Path, kind: str) -> None:
    data, line, reason = BROKEN[kind]
    path = tmp_path / "x.trace.jsonl"
    path.write_bytes(data)
    with pytest.raises(TraceError, match=reason) as caught:
        load(path)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"{path}:{line}: " if line else f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_trace_errors(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        load(tmp_path / "missing.trace.jsonl")
    with pytest.raises(TraceError, match="directory"):
        load(tmp_path)


def test_any_cut_of_a_trace_gives_the_whole_lines_before_it(tmp_path: Path) -> None:
    data = b"".join(lines(small_search()))
    path = tmp_path / "x.trace.jsonl"
    for cut in range(data.index(b"\n") + 1, len(data) + 1, 7):
        path.write_bytes(data[:cut])
        loaded = load(path)
        assert loaded.tree.seq + 1 == data[:cut].count(b"\n")
        assert loaded.torn == (data[cut - 1 : cut] != b"\n")


# -- following ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.trace.jsonl", "x.trace.jsonl.zst"])
def test_a_follower_gives_every_event_once_as_it_is_written(tmp_path: Path, name: str) -> None:
    follower = Follower(tmp_path / name)
    assert follower.poll() == []
    with TraceWriter(tmp_path / name) as writer:
        assert follower.poll() == []
        for event in small_search():
            writer.write(event)
            assert follower.poll() == [event]
            assert follower.poll() == []
    assert follower.poll() == []


@pytest.mark.parametrize("name", ["x.trace.jsonl", "x.trace.jsonl.zst"])
def test_a_follower_survives_kill_and_resume(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    start = b"".join(lines(small_search()[:5])) + b'{"type":"back'
    path.write_bytes(pack_unfinished(start) if name.endswith(".zst") else start)
    follower = Follower(path)
    assert follower.poll() == small_search()[:5]
    with TraceWriter(path, append_to=load(path).end) as writer:
        for event in small_search()[5:]:
            writer.write(event)
    assert follower.poll() == small_search()[5:]


@pytest.mark.parametrize("name", ["x.trace.jsonl", "x.trace.jsonl.zst"])
@pytest.mark.parametrize("most", [1, 100, 1 << 20])
def test_a_follower_reads_a_long_trace_part_by_part(tmp_path: Path, name: str, most: int) -> None:
    write_trace(tmp_path / name, small_search())
    follower, parts = Follower(tmp_path / name), []
    while True:
        parts.append(follower.poll(most))
        if not follower.behind:
            break
    assert [event for part in parts for event in part] == small_search()
    assert (len(parts) > 1) == (most < 200)
    assert follower.share == 1
    assert follower.poll(most) == []


def test_a_follower_holds_back_an_incomplete_line(tmp_path: Path) -> None:
    data, path = b"".join(lines(small_search())), tmp_path / "x.trace.jsonl"
    follower = Follower(path)
    seen: list[AnyEvent] = []
    with open(path, "wb", buffering=0) as file:
        for at in range(0, len(data), 11):
            file.write(data[at : at + 11])
            seen += follower.poll()
            assert len(seen) == data[: at + 11].count(b"\n")
    assert seen == small_search()


def test_a_follower_notices_what_cannot_be_the_same_trace(tmp_path: Path) -> None:
    def followed(change: Callable[[Path], object], name: str) -> Follower:
        path = tmp_path / name
        write_trace(path, small_search()[:5])
        follower = Follower(path)
        follower.poll()
        change(path)
        return follower

    with pytest.raises(TraceError, match="became shorter"):
        followed(lambda path: path.write_bytes(b"".join(lines(small_search()[:2]))), "a").poll()
    with pytest.raises(TraceError, match="replaced by a shorter one"):
        followed(lambda path: write_trace(path, small_search()[:2], overwrite=True), "e").poll()
    with pytest.raises(TraceError, match="removed while it was followed"):
        followed(lambda path: path.unlink(), "b").poll()
    write_trace(tmp_path / "other", small_search("another"))
    with pytest.raises(TraceError, match="contains a different trace now"):
        followed(lambda path: os.replace(tmp_path / "other", path), "c").poll()
    write_trace(tmp_path / "same", small_search())
    again = followed(lambda path: os.replace(tmp_path / "same", path), "d")
    assert again.poll() == small_search()[5:]
    with pytest.raises(TraceError, match=r"x:6: broken line"):
        followed(lambda path: path.open("ab").write(b"}{\n"), "x").poll()
    (tmp_path / "z.gz").write_bytes(gzip.compress(b"x"))
    with pytest.raises(TraceError, match="can't be followed"):
        Follower(tmp_path / "z.gz").poll()


def test_polling_an_unchanged_file_does_not_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.trace.jsonl"
    path.write_bytes(b"".join(lines(small_search())) + b'{"type":')  # also with a line that is held back
    follower = Follower(path)
    follower.poll()
    monkeypatch.setattr(follower, "_fresh", lambda: pytest.fail("read"))
    assert follower.poll() == []


# -- comparing ---------------------------------------------------------------------------------------


def test_what_depends_on_the_machine_makes_no_difference() -> None:
    other = small_search(trace="b2", concurrency=9)
    other[2], other[4] = other[4], other[2]  # answers in another order
    del other[9:11], other[3]  # no pause, no retry
    for event in other:
        if isinstance(event, Started):
            event.code, event.opened = {"python": "4"}, "recorded:x"
        event.t += 1.5
        if isinstance(event, Sampled):
            event.latency, event.usage = 3.0, None
        if isinstance(event, Expanded):
            event.steps, event.resets = 40, 7
        if isinstance(event, Ended):
            event.totals = {}
    other[-1:] = [Ended(seq=0, reason="asked"), Resumed(seq=0), other[-1]]  # stopped and resumed
    assert compare(small_search(), numbered(other)) == []
    assert compare(numbered(other), small_search()) == []
    stopped = [*small_search()[:9], Ended(seq=0, reason="asked"), Resumed(seq=0)]  # and killed after that
    assert compare(small_search()[:9], numbered(stopped)) == []


CHANGES: dict[str, tuple[Callable[[list[AnyEvent]], None], str]] = {
    "seed": (
        lambda events: set_field(events[0], "settings", SearchSettings(samples=2, iterations=1, seed=4)),
        "started.settings.seed: 0 ≠ 4",
    ),
    "path": (lambda events: set_field(events[1], "path", [0, 1]), "event 1: selected.path[1]: nothing ≠ 1"),
    "answer": (lambda events: set_field(events[4], "response", "x"), "event 4: sampled.response of node 0, draw 0"),
    "observation": (
        lambda events: set_field(events[5], "children", [Child(0, "a", "A", 1, "done"), Child(1, "b", "other")]),
        "event 5: expanded.children[1].observation",
    ),
    "return": (lambda events: set_field(events[6], "value", 0.5), "event 6: backed_up.value: 1 ≠ 0.5"),
    "setting": (lambda events: set_field(events[8], "changes", {"c": 1}), "settings_changed.changes.c: 0.5 ≠ 1"),
    "reason": (lambda events: set_field(events[12], "reason", "asked"), "ended.reason: 'iterations' ≠ 'asked'"),
    "an event less": (lambda events: events.remove(events[7]), "kind of event: intervened ≠ settings_changed"),
    "the end": (lambda events: events.remove(events[12]), "event 12 / –: kind of event: ended ≠ nothing"),
}


def set_field(event: Event, name: str, value: object) -> None:
    """Change an event."""
    setattr(event, name, value)


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_determined_is_compared(change: str) -> None:
    other = small_search()
    edit, expected = CHANGES[change]
    edit(other)
    found = compare(small_search(), other)
    assert len(found) == 1
    assert expected in str(found[0])


def test_answers_that_were_never_used_are_compared_where_both_have_them() -> None:
    a, b = small_search()[:5], small_search()[:5]
    assert compare(a, b[:4]) == []
    set_field(b[2], "response", "x")
    assert [difference.seqs for difference in compare(a, b)] == [(2, 2)]


def test_differences_are_short_show_no_controls_and_stop_at_the_limit() -> None:
    def tree(text: str) -> list[AnyEvent]:
        nodes = [ImportedNode(), *(ImportedNode(0, "r", "a", text) for _ in range(50))]
        return [small_search()[0], Imported(seq=1, source="x", nodes=nodes)]

    found = compare(tree("same " * 100 + "\x1b[31mred"), tree("same " * 100 + "\x9bblue"), limit=7)
    assert len(found) == 7
    assert found[0].field == "nodes[1].observation"
    assert "red" in found[0].a
    assert "blue" in found[0].b
    assert max(len(str(difference)) for difference in found) < 220
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", "".join(map(str, found)))


def test_two_runs_of_one_search_are_equal_whatever_the_concurrency(tmp_path: Path) -> None:
    a = real_search(tmp_path / "a.trace.jsonl", concurrency=1)
    b = real_search(tmp_path / "b.trace.jsonl", concurrency=7)
    assert len(a) > 20
    assert compare(a, b) == []
    assert compare(a, real_search(tmp_path / "c.trace.jsonl", seed=1))


# -- the documents -----------------------------------------------------------------------------------


def test_the_schema_is_up_to_date() -> None:
    path = ROOT / "engine" / "tree" / "trace.schema.json"
    now = json.loads(msgspec.json.encode(json_schema()))
    assert json.loads(path.read_text(encoding="utf-8")) == now, (
        "python -m engine.trace.schema > engine/tree/trace.schema.json"
    )


def test_every_line_of_a_trace_is_valid_by_the_schema(tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.check_schema(json_schema())
    real_search(tmp_path / "x.trace.jsonl")
    real = (tmp_path / "x.trace.jsonl").read_bytes().splitlines()
    for line in [*real, *lines(small_search()), *example_lines()]:
        validator.validate(json.loads(line))
    for wrong in ('{"type":"exploded","seq":1}', '{"type":"ended","seq":1}', '{"type":"paused","seq":"1"}', "[]"):
        assert not validator.is_valid(json.loads(wrong))


def example_lines() -> list[bytes]:
    """The examples of the document."""
    text = (ROOT / "docs" / "trace-format.md").read_text(encoding="utf-8")
    return [example.encode() for example in re.findall(r"```json\n(.*?)\n```", text)]


def test_the_documents_examples_are_what_is_written() -> None:
    examples = [event_decoder.decode(line) for line in example_lines()]
    assert [event_encoder.encode(event) for event in examples] == example_lines()
    shown = {str(event.__struct_config__.tag) for event in examples}
    assert shown == {str(kind.__struct_config__.tag) for kind in Event.__subclasses__()}


def test_the_document_names_every_field() -> None:
    text = (ROOT / "docs" / "trace-format.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL))
    for kind in Event.__subclasses__():
        tag = str(kind.__struct_config__.tag)
        for field in msgspec.structs.fields(kind):
            assert field.name in ("seq", "t") or f"`{field.name}`" in sections[tag], f"{tag}.{field.name}"
    parts: dict[type[msgspec.Struct], str] = {Child: "expanded", ImportedNode: "imported", SearchSettings: "started"}
    for part, tag in parts.items():
        for field in msgspec.structs.fields(part):
            assert f"`{field.name}`" in sections[tag], f"{tag}: {field.name}"


def test_errors_of_this_module_are_what_the_command_line_prints() -> None:
    assert issubclass(TraceError, InputError)
    assert issubclass(WorkFailed, AgentrError)
