"""A name that nobody gave is one that nobody has."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentr_tui.state.places import with_free_name
from engine.base.errors import InputError, NameTaken


def test_a_name_that_another_process_takes_just_now_is_left_to_it(tmp_path: Path) -> None:
    def make(place: Path) -> str:
        if len(list(tmp_path.iterdir())) < 3:
            place.touch()  # by the other one
            raise NameTaken(f"{place}: exists already")
        return place.name

    assert with_free_name(tmp_path, "textcraft", "2", 0, make) == "textcraft-2-s0-4.trace.jsonl"


def test_another_error_is_raised_as_it_is(tmp_path: Path) -> None:
    def make(place: Path) -> None:
        raise InputError("no such task")

    with pytest.raises(InputError, match="no such task"):
        with_free_name(tmp_path, "textcraft", "2", 0, make)
