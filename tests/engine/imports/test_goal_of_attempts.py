"""The goal of an attempt in a few words, where its file tells none."""

from __future__ import annotations

import pytest

from engine.imports.attempt import AttemptMessage
from engine.imports.messages import instruction_of


@pytest.mark.parametrize(
    ("said", "goal"),
    [
        ([], ""),
        (["Fix the parser.\nIt fails on tabs."], "Fix the parser."),
        (["You craft items by calling tools.", "Crafting commands:\ncraft 1 a using 1 b\n\nGoal: craft a."], "craft a"),
        (["Rules.\nGoal: find the plant", "You are in a kitchen."], "find the plant"),
        (["Rules.", "A first look.", "Goal: said too late"], "Rules."),
        (["Our Goal: is in a sentence"], "Our Goal: is in a sentence"),
        (["Goal:\nnothing on its line"], "Goal:"),
    ],
)
def test_a_goal_is_what_a_line_names_or_the_first_line(said: list[str], goal: str) -> None:
    messages = [AttemptMessage(role="system", content="Goal: of the system")]
    for each in said:
        messages += [AttemptMessage(role="user", content=each), AttemptMessage(role="assistant", content="Ok.")]
    assert instruction_of(messages) == goal
