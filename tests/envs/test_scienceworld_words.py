"""ScienceWorld's actions in sentences."""

from __future__ import annotations

import pytest

from envs.scienceworld.words import phrase


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("go to outside", "go outside"),
        ("teleport to outside", "go outside"),
        ("go to kitchen", "go to the kitchen"),
        ("move thermometer in inventory to cup", "move the thermometer into the cup"),
        ("open cupboard", "open the cupboard"),
        ("0", ""),
    ],
)
def test_an_action_follows_i_have_to(action: str, said: str) -> None:
    assert phrase(action) == said
