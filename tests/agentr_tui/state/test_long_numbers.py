"""Numbers of thousands of digits, which Python refuses to read: each place that takes a number says so in a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec import structs

from agentr_tui.cli.main import run
from agentr_tui.screens.library.new_search_form import ROWS, parse
from agentr_tui.screens.library.rows import arranged
from agentr_tui.screens.search.command_line import Parts, run_line
from agentr_tui.state.trace_row import TraceRow
from engine.base.errors import InputError
from engine.collect.tasks import shard_of, task_ids
from engine.tree.events import Message, ToolCall
from engine.tree.messages import step_messages
from engine.workspace.figures import figures_without_events
from envs.base import info_of

LONG = "9" * 5_000
"""More digits than `int` reads (4,300)."""


def form(kind: str) -> Callable[[], object]:
    field = next(field for row in ROWS for field in row if field.kind == kind)
    return lambda: parse(field, LONG[:400])


@pytest.mark.parametrize(
    "read",
    [
        lambda: task_ids(f"0-{LONG}"),
        lambda: shard_of(["1"], f"1/{LONG}"),
        lambda: run_line(cast(Parts, SimpleNamespace(time=SimpleNamespace(look_at=print))), f"t {LONG}"),
        form("whole"),
    ],
)
def test_what_a_person_writes_is_refused_in_a_short_line(read: Callable[[], object]) -> None:
    with pytest.raises(InputError) as refused:
        read()
    assert len(str(refused.value)) < 200


def test_a_node_of_so_many_digits_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["search", "--from", f"t.trace.jsonl:{LONG}", "--workspace", str(tmp_path)]) == 2
    assert "the number of a node" in capsys.readouterr().err


def test_tasks_of_other_traces_are_sorted_whatever_their_names_are() -> None:
    rows = []
    for task in ("10", LONG, "9", "٣"):
        found = structs.replace(figures_without_events(f"{task[:9]}.trace.jsonl"), env="textcraft", task=task)
        rows.append(TraceRow(Path(found.path), 0.0, found))
    shown = [row.figures.task for row in arranged(rows, "task", "") if row.figures is not None]
    assert shown[:2] == ["9", "10"]
    assert set(shown) == {"9", "10", LONG, "٣"}


def test_a_result_that_names_such_a_call_stays_a_result() -> None:
    answer = Message("tool", "done", tool_call_id=f"#{LONG}")
    said = step_messages("1", "I look", "", [ToolCall("c", "look", "{}")], [answer])
    assert said[1] == answer


def test_a_command_of_such_an_amount_is_not_called_careless() -> None:
    assert not info_of("textcraft").careless(f"craft {LONG} sticks using 2 planks", "Crafted 4 sticks")
    assert info_of("textcraft").careless("craft 3 sticks using 2 planks", "Crafted 4 sticks")
