"""Stored responses: where their action begins."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from engine.base.text import parse_action, split_thought, stored_action

LABEL = re.compile(r"^[ \t]*Action(?: 1)?:[ \t]*", re.M)
PIECES = st.sampled_from(["Action:", "Action 1:", "Action", "action:", "Thought: ", " ", "\t", "\n", "x", "go on"])


@given(st.lists(PIECES, max_size=9).map("".join) | st.text())
def test_the_action_follows_the_last_label_at_the_beginning_of_a_line(response: str) -> None:
    labels = list(LABEL.finditer(response))
    if not labels:
        assert stored_action(response) == parse_action(response)
        return
    last = labels[-1]
    assert stored_action(response) == response[last.end() :].strip()
    assert split_thought(response) == re.sub(r"^\s*Thought(?: 1)?:\s*", "", response[: last.start()]).strip()
