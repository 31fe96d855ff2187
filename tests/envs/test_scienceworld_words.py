"""ScienceWorld's actions in sentences."""

from __future__ import annotations

import pytest

from envs import base
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


@pytest.mark.parametrize(
    ("observation", "wanted"),
    [
        ("The door is already open.", True),
        ("The stove is already activated.", True),
        ("It's already deactivated.", True),
        ("The door is now open.", False),
        ("You focus on the blue jay egg.", False),
        ("This room is called the kitchen. The door is already open.", False),
    ],
)
def test_what_was_done_already_is_known_by_its_answer(observation: str, wanted: bool) -> None:
    assert base.info_of("scienceworld").careless("open door to hallway", observation) is wanted
