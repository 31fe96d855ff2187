"""Rollouts inside of something else are read where what is inside is of a known format, and a line says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.base.errors import InputError
from engine.imports.sources import Rollouts, read_rollouts
from tests.engine.imports import samples


def said(*words: str) -> list[dict[str, str]]:
    return [{"role": "assistant" if number % 2 else "user", "content": each} for number, each in enumerate(words)]


ROWS = [
    {"task_id": "door", "messages": said("Open.", "Opened."), "reward": 1},
    {"task_id": "door", "messages": said("Open.", "No."), "reward": 0},
]


def read(path: Path, content: Any) -> tuple[Rollouts, list[tuple[str, float | None, str]]]:
    """What is read; of each attempt task, reward and last words."""
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    rollouts = read_rollouts([path])
    return rollouts, [(each.task, each.reward, each.messages[-1].content) for each in rollouts]  # type: ignore[union-attr]


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


BARE = [{"messages": row["messages"], "reward": row["reward"]} for row in ROWS]

WRAPPED = {
    "data": ({"data": ROWS, "version": 2}, "`data`"),
    "trajectories of a task": ({"task_id": "door", "trajectories": BARE}, "`trajectories`"),
    "deep": ({"run": {"output": {"items": ROWS}}, "seed": 1}, "`run.output.items`"),
    "by name": ({"first": ROWS[0], "second": ROWS[1]}, "`first`, `second`"),
    "lists": ([[ROWS[0]], [ROWS[1]]], "its lists"),
    "a row's object": (
        lines(
            *({"task_id": "door", "reward": row["reward"], "rollout": {"messages": row["messages"]}} for row in ROWS)
        ),
        "`rollout` of its rows",
    ),
    "a row's list": (lines({"task_id": "door", "samples": BARE}), "`samples`"),
    "rows' lists": (lines(*({"task_id": "door", "samples": [row]} for row in BARE)), "`samples` of its rows"),
    "a header": (lines({"version": 2, "columns": ["messages"]}, *ROWS), "line 2 on"),
    "a list's header": ([{"version": 2}, *ROWS], "item 2 on"),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_what_is_inside_is_read_and_a_line_says_where_it_was(tmp_path: Path, name: str) -> None:
    content, where = WRAPPED[name]
    rollouts, found = read(tmp_path / "a.json", content)
    assert found == [("door", 1, "Opened."), ("door", 0, "No.")]
    assert rollouts.told == [f"{tmp_path / 'a.json'}: read as chat from {where}"]
    assert len({each.place for each in rollouts}) == 2  # each can be told apart


@pytest.mark.parametrize("first", [None, ["messages", "reward"], 3, "header"])
def test_a_first_line_that_is_no_object_costs_no_row(tmp_path: Path, first: Any) -> None:
    rollouts, found = read(tmp_path / "a.jsonl", lines(first, *ROWS))
    assert found == [("door", 1, "Opened."), ("door", 0, "No.")]
    assert [(problem.place, problem.reason) for problem in rollouts.problems] == [("line 1", "is no object")]


def test_lists_of_messages_are_an_attempt_each(tmp_path: Path) -> None:
    _, found = read(tmp_path / "a.json", [row["messages"] for row in ROWS])
    assert [last for _, _, last in found] == ["Opened.", "No."]
    _, found = read(tmp_path / "a.jsonl", lines(*(row["messages"] for row in ROWS)))
    assert [last for _, _, last in found] == ["Opened.", "No."]
    _, found = read(tmp_path / "b.json", {"model": "small", "chats": [row["messages"] for row in ROWS]})
    assert [last for _, _, last in found] == ["Opened.", "No."]


@pytest.mark.parametrize("format", ["atif", "nemo-gym", "tau-bench", "swe-agent", "openhands", "rllm", "verl"])
def test_any_format_is_read_inside_of_something(tmp_path: Path, format: str) -> None:
    plain = samples.write(tmp_path, format)
    text = plain.read_text()
    try:
        content = json.loads(text)
    except ValueError:
        content = [json.loads(line) for line in text.splitlines()]
    (want,) = read_rollouts([plain])
    wrapped = tmp_path / "wrapped" / plain.name
    wrapped.parent.mkdir()
    wrapped.write_text(json.dumps({"results": content if isinstance(content, list) else [content], "seed": 3}))
    rollouts = read_rollouts([wrapped])
    (got,) = rollouts
    assert rollouts.told == [f"{wrapped}: read as {format} from `results`"]
    assert (got.messages, got.reward) == (want.messages, want.reward)  # type: ignore[union-attr]


def test_nothing_is_guessed(tmp_path: Path) -> None:
    contents: list[Any] = [
        {"dialog": said("Open.", "Opened."), "reward": 1},  # --map messages=dialog says what it is
        {"prompts": ["a"], "scores": [1]},
        {"config": {"messages": "none"}},
        [[1, 2], [3]],
        [[]],
    ]
    for content in contents:
        with pytest.raises(InputError, match=r"no rollouts that are known|items are no objects"):
            read(tmp_path / "a.json", content)
    log = [{"kind": "start", "data": {}}, {"kind": "call", "data": ROWS[0]}, {"kind": "end", "data": {"ok": True}}]
    for content in (lines(*log), {"events": log}, lines(*log[::2], ROWS[0], *log, *log)):
        with pytest.raises(InputError, match="no rollouts that are known"):
            read(tmp_path / "a.json", content)
    gym = {"responses_create_params": {"input": "Open."}, "response": {"output": []}, "reward": 1}
    with pytest.raises(InputError, match=r"several formats: `one` \(nemo-gym\), `two` \(chat\)"):
        read(tmp_path / "a.json", {"one": [gym], "two": ROWS})


def test_settings_in_a_folder_that_hold_a_conversation_are_no_attempts(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"few_shot": {"messages": said("Open.", "Opened.")}}))
    (tmp_path / "a.jsonl").write_text(lines(*ROWS))
    rollouts = read_rollouts([tmp_path])
    assert (len(list(rollouts)), rollouts.told, rollouts.skipped) == (2, [], 1)
