"""What several votes about a step come to: the word that more than half of all votes say, asked or not."""

from __future__ import annotations

import pytest

from engine.verifiers.base import Word
from engine.verifiers.openai_judge import majority


@pytest.mark.parametrize(
    ("words", "votes", "word"),
    [
        (["Bad"], 1, "Bad"),
        (["Good", "Good"], 3, "Good"),  # the third can't change it, and was not asked
        (["Good", "Bad", "Bad"], 3, "Bad"),
        (["Good", "Bad", "Uncertain"], 3, "Uncertain"),
        (["Good", "Good", "Bad", "Bad"], 4, "Uncertain"),  # half is not enough
        (["Bad", "Bad", "Good", "Uncertain"], 4, "Uncertain"),
        (["Bad", "Bad", "Bad", "Good"], 4, "Bad"),
        (["Bad", "Bad", "Good", "Good", "Uncertain"], 5, "Uncertain"),
    ],
)
def test_more_than_half_of_all_votes_decide(words: list[Word], votes: int, word: Word) -> None:
    assert majority(words, votes) == word
