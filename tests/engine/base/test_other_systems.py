"""Files of other systems: line ends, names in another spelling or case, names that a system keeps for devices."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from agentr_tui.app.preferences_file import read_preferences
from agentr_tui.state.places import free_name
from engine.collect.manifest import manifest_of, trace_paths
from engine.collect.tasks import task_ids
from engine.imports.sources import read_rollouts
from engine.imports.trees import stem_of
from engine.review.decisions import Decisions
from engine.trace.follower import Follower
from engine.trace.trace_file import read_events
from engine.tree.events import SearchSettings
from tests.engine.imports import samples
from tests.engine.made import honey_trace

TASKS = (
    "con", "NUL", "com1.x", "aux.", "a:b", "a\\b", "..", "../x", "trailing.", "trailing ", "a/b", "é", "e\u0301",
    "A", "a", "x" * 300, "\U00020000" * 100, "*?<>|", "",
)  # fmt: skip
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.I)


def test_names_of_traces_can_be_had_on_every_system_and_differ_by_more_than_case(tmp_path: Path) -> None:
    manifest = manifest_of("textcraft", SearchSettings(), True, False)
    collected = [path.name for path in trace_paths(tmp_path, manifest, "textcraft", TASKS).values()]
    imported = [f"{stem_of(task, f'{number:08x}')}.trace.jsonl" for number, task in enumerate(TASKS)]
    searched = []
    for task in TASKS:
        (path := free_name(tmp_path, "textcraft", task, 0)).touch()
        searched.append(path.name)
    for names in (collected, imported, searched):
        for name in names:
            assert not FORBIDDEN.search(name), name
            assert len(name.encode()) <= 255, name
            assert len(name.encode("utf-16-le")) // 2 <= 255, name
    for names in (collected, imported):
        assert len({unicodedata.normalize("NFC", name).casefold() for name in names}) == len(TASKS)


def crlf(path: Path) -> Path:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    return path


def test_files_with_the_line_ends_of_windows_are_read_as_others(tmp_path: Path) -> None:
    trace = honey_trace(tmp_path / "t.trace.jsonl")
    events = list(read_events(trace))
    assert list(read_events(crlf(trace))) == events
    assert Follower(trace).poll() == events
    assert len(list(read_rollouts([crlf(samples.write(tmp_path, "chat"))]))) == 1
    (tmp_path / "ids.txt").write_bytes(b"\xef\xbb\xbf0\r\n# no\r\n7\r\n")
    assert task_ids(f"@{tmp_path / 'ids.txt'}") == ["0", "7"]
    (tmp_path / "agentr.toml").write_bytes(b'theme = "agentr-light"\r\n\r\n[keys]\r\n"search.pause" = "x"\r\n')
    found = read_preferences([tmp_path / "agentr.toml"])
    assert (found.theme, found.keys["search.pause"]) == ("agentr-light", ("x",))
    decisions = Decisions(tmp_path / "d", "me")
    decisions.decide("s", "accepted")
    crlf(next((tmp_path / "d").iterdir()))
    assert Decisions(tmp_path / "d", "me").current()["s"].verdict == "accepted"
