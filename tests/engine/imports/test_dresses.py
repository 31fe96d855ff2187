"""The same rollouts in other dresses: line ends, packing, rows as a list, rewards in every spelling."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import zstandard

from engine.base.errors import InputError
from engine.imports.attempt import Attempt
from engine.imports.sources import read_rollouts
from tests.engine.imports import samples


def rows_of(format: str) -> list[Any]:
    content = samples.FILES[format][1]
    return content if isinstance(content, list) else [content]


def lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def plain(format: str) -> bytes:
    name, content = samples.FILES[format]
    return lines(content) if name.endswith("l") else json.dumps(content).encode()


DRESSES: dict[str, Callable[[bytes], bytes]] = {
    "a byte order mark and CRLF": lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"),
    "blank lines around": lambda data: b"\n \n" + data + b"\n\n",
    "a file of gzip": gzip.compress,
    "a file of zstandard": lambda data: zstandard.ZstdCompressor().compress(data),
}


@pytest.mark.parametrize("format", samples.FILES)
@pytest.mark.parametrize("dress", DRESSES)
def test_a_file_reads_the_same_in_every_dress(tmp_path: Path, format: str, dress: str) -> None:
    name = samples.FILES[format][0]
    path = tmp_path / f"ein Lauf – ü {name}"
    path.write_bytes(DRESSES[dress](plain(format)))
    rollouts = read_rollouts([path])
    usual = list(read_rollouts([samples.write(tmp_path / "usual", format)]))
    assert [getattr(one, "messages", None) for one in rollouts] == [getattr(one, "messages", None) for one in usual]
    assert rollouts.problems == []


@pytest.mark.parametrize("format", [name for name in samples.FILES if name != "openhands-sdk"])
@pytest.mark.parametrize("spread", [False, True], ids=["one line each", "over several lines"])
def test_every_document_of_a_file_is_read_where_there_are_several(tmp_path: Path, format: str, spread: bool) -> None:
    once = len(list(read_rollouts([samples.write(tmp_path / "once", format)])))
    twice = [*rows_of(format), *rows_of(format)]
    path = tmp_path / "twice.jsonl"
    path.write_bytes(json.dumps(twice, indent=2).encode() if spread else lines(twice))
    assert len(list(read_rollouts([path]))) == 2 * once


PLACES: dict[str, tuple[Any, ...]] = {
    "verifiers-results": ("reward",),
    "nemo-gym": ("reward",),
    "tau-bench": ("reward",),
    "tau2": ("simulations", 0, "reward_info", "reward"),
    "atropos": ("scores", 0),
    "rllm": ("trajectories", 0, "reward"),
    "verl": ("score",),
    "chat": ("reward",),
    "agentgym": ("reward",),
    "inspect": ("samples", 0, "scores", "length", "value"),
}
"""Where each format holds a reward."""


def with_reward(format: str, told: Any) -> list[Any]:
    rows = deepcopy(rows_of(format))
    held = rows[0]
    if format == "inspect":
        del held["samples"][0]["scores"]["judge"]
    for key in PLACES[format][:-1]:
        held = held[key]
    held[PLACES[format][-1]] = told
    return rows


@pytest.mark.parametrize("format", PLACES)
@pytest.mark.parametrize(
    ("told", "reward"),
    [("0.75", 0.75), (True, 1.0), ({"score": 0.5}, 0.5), ("n/a", None), (float("nan"), None), ([[1]], None)],
    ids=str,
)
def test_a_reward_is_read_in_every_spelling_and_what_is_none_is_said(
    tmp_path: Path, format: str, told: Any, reward: float | None
) -> None:
    path = tmp_path / "rollouts.jsonl"
    path.write_bytes(lines(with_reward(format, told)))
    attempt = next(iter(read_rollouts([path])))
    assert isinstance(attempt, Attempt)
    assert attempt.reward == reward
    assert reward is not None or any("counts as unknown" in note for note in attempt.notes)


def test_a_score_that_is_no_number_leaves_the_weighted_sum_unknown(tmp_path: Path) -> None:
    episode = deepcopy(samples.EPISODE)
    episode["traces"][0]["rewards"]["opened"]["score"] = "n/a"
    (attempt,) = read_rollouts([samples.write(tmp_path, "verifiers", [episode])])
    assert isinstance(attempt, Attempt)
    assert attempt.reward is None
    assert attempt.rewards == {"opened": None, "style": 0.5, "x": None}


def test_messages_that_are_written_as_text_and_their_texts_under_another_name_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    said = [{"role": "user", "text": "Open."}, {"role": "ai", "text": "Done."}]
    path.write_bytes(lines([{"instance_id": "i", "messages": json.dumps(said), "resolved": False}]))
    (attempt,) = read_rollouts([path])
    assert isinstance(attempt, Attempt)
    assert [(message.role, message.content) for message in attempt.messages] == [
        ("user", "Open."),
        ("assistant", "Done."),
    ]
    assert attempt.reward == 0


def test_a_damaged_file_of_a_folder_is_told_although_its_name_promises_nothing(tmp_path: Path) -> None:
    samples.write(tmp_path, "chat")
    (tmp_path / "other.jsonl").write_text('{"messages": [')
    (tmp_path / "settings.json").write_text('{"a": 1}')
    rollouts = read_rollouts([tmp_path])
    assert len(list(rollouts)) == 1
    assert [Path(problem.path).name for problem in rollouts.problems] == ["other.jsonl"]


def test_a_list_of_lists_is_no_empty_list(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([[1], [2]]))
    with pytest.raises(InputError, match="is a list whose items are no objects"):
        list(read_rollouts([path]))


def test_a_file_of_utf_16_is_named_with_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.jsonl"
    path.write_bytes(plain("chat").decode().encode("utf-16"))
    with pytest.raises(InputError, match="is UTF-16 text, which is not read: write it as UTF-8"):
        list(read_rollouts([path]))
