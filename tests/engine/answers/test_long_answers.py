"""An answer that repeats itself, as small models do and strangers may, is read in a time that grows with its length."""

from __future__ import annotations

import pytest

from engine.answers.form import ONE_LINE
from engine.answers.left_calls import LONGEST, calls_in_text
from engine.answers.reader import MOST_LABELS, read_answer

REPEATED = (
    "Action:{",
    "Action: ",
    "**Action:** {",
    "Action: action: ",
    "\n*",
    "Thought: x\nAction: {",
    "`Action:`",
    '{"a":',
)


@pytest.mark.parametrize("repeated", REPEATED)
def test_an_answer_that_repeats_itself_is_read_at_once(repeated: str) -> None:
    """500 times `Action:{` took 45 seconds, and nothing else ran meanwhile: with 4,000 it would be hours."""
    read_answer(repeated * 4_000, ONE_LINE)


@pytest.mark.parametrize("repeated", ["[\n", "{\n", '{"a":\n', "<tool_call>", "<function=a>", "[TOOL_CALLS]"])
def test_a_text_that_seems_to_begin_many_calls_is_looked_through_at_once(repeated: str) -> None:
    calls_in_text(repeated * (LONGEST // len(repeated)), {"look"})


def test_labels_within_a_line_count_up_to_a_bound() -> None:
    assert read_answer("I am at home. Action: look " * MOST_LABELS * 2, ONE_LINE).action == "look"
    assert read_answer("Action: action: action: look", ONE_LINE).action == "look"
