"""Readers of other packages come through an entry point; plain messages are read fast and alike."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.imports import reader
from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.bounded_json import Malformed
from engine.imports.messages import _plain, messages_of
from engine.imports.reader import READERS, Reader, ReadOptions, broken_entry_points
from engine.imports.sources import read_rollouts
from tests.engine.imports import samples


def read_lines(file: Any, options: ReadOptions) -> Iterator[Attempt]:
    for place, row in file.rows():
        said = [AttemptMessage(role="assistant", content=line) for line in row["said"]]
        yield Attempt(task=row["of"], source=str(file.path), format="lines", place=place, messages=said)


LINES = Reader("lines", "lines", lambda file: file.has("said", "of"), read_lines)
BROKEN = Reader("broken", "broken", lambda file: file.has("broken"), lambda file, options: iter([1 / 0]))  # type: ignore[list-item]


class Point:
    """An entry point."""

    def __init__(self, name: str, loaded: Any) -> None:
        self.name, self.value, self.loaded = name, f"package:{name}", loaded

    def load(self) -> Any:
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Packages with readers, good and bad ones."""
    points = [Point("lines", LINES), Point("bad", ImportError("no numpy")), Point("odd", 3), Point("broken", BROKEN)]
    before = dict(READERS)
    found = importlib.metadata.entry_points
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: points if group == reader.GROUP else found(group=group)
    )
    broken_entry_points.cache_clear()
    yield
    READERS.clear()
    READERS.update(before)
    broken_entry_points.cache_clear()


@pytest.mark.usefixtures("installed")
def test_a_reader_of_another_package_reads_its_files_and_a_bad_one_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"of": "x", "said": ["hi"]}\n', encoding="utf-8")
    (tmp_path / "b.json").write_text('{"broken": 1}', encoding="utf-8")
    samples.write(tmp_path, "chat", None, "c.jsonl")
    rollouts = read_rollouts([tmp_path])
    assert [rollout.format for rollout in rollouts] == ["lines", "chat"]
    assert [str(problem) for problem in rollouts.problems] == [
        f"{tmp_path / 'b.json'}: broken: the reader failed: ZeroDivisionError: division by zero"
    ]
    assert broken_entry_points() == (
        "entry point 'bad' (package:bad): ImportError: no numpy",
        "entry point 'odd' (package:odd): TypeError: is a int, not a Reader",
    )
    assert [rollout.format for rollout in read_rollouts([tmp_path / "a.jsonl"], "lines")] == ["lines"]


def test_the_reader_of_the_page_reads(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "rollouts.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python reader\n(.*?)```", page, re.S)
    before = dict(READERS)
    try:
        exec(compile(program, "rollouts.md", "exec"), {})
        (tmp_path / "a.jsonl").write_text('{"task": "x", "lines": ["hi", "ho"], "points": 2}\n', encoding="utf-8")
        (attempt,) = read_rollouts([tmp_path / "a.jsonl"])
    finally:
        READERS.clear()
        READERS.update(before)
    assert isinstance(attempt, Attempt)
    assert ([message.content for message in attempt.messages], attempt.reward) == (["hi", "ho"], 2)


def test_the_page_names_every_reader() -> None:
    page = (Path(__file__).parents[3] / "docs" / "rollouts.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([\w-]+)` \|", page, re.M)) - {"--read-as"} == set(READERS)


VALUES = st.one_of(
    st.none(), st.text(max_size=3), st.just("assistant"), st.just("tool"), st.lists(st.none(), max_size=1)
)
CALLS = st.one_of(
    VALUES,
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "id": VALUES,
                "function": st.one_of(
                    VALUES, st.fixed_dictionaries({}, optional={"name": VALUES, "arguments": VALUES})
                ),
            },
        ),
        max_size=2,
    ),
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "role": st.sampled_from(["system", "user", "assistant", "tool", "developer", "x", None]),
            "content": VALUES,
            "tool_calls": CALLS,
            "tool_call_id": VALUES,
        },
    )
)
@settings(max_examples=150, deadline=None)
def test_a_plain_message_is_read_as_any_other(raw: dict[str, Any]) -> None:
    plain = _plain(raw)
    if plain is not None:
        assert [plain] == messages_of(raw)


def test_what_is_no_message_is_not_plain_either() -> None:
    odd: list[Any] = [None, [], {"role": "x"}, {"role": "assistant", "content": 3}]
    odd.append({"role": "tool", "content": "", "name": "t"})
    assert [_plain(raw) for raw in odd] == [None] * len(odd)
    with pytest.raises(Malformed):
        messages_of(json.loads('{"role": "x"}'))
