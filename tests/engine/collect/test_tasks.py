"""Which tasks a text names, and which of them a shard has."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import InputError
from engine.collect.tasks import shard_of, task_ids, tasks_of_part
from engine.datasets.split import parse_split, part_of


def test_ranges_lists_and_ids_are_taken_in_their_order_each_once(tmp_path: Path) -> None:
    assert task_ids("0-3,120,2") == ["0", "1", "2", "3", "120"]
    assert task_ids("find-plant:3, boil:1") == ["find-plant:3", "boil:1"]
    (tmp_path / "ids").write_text("# mine\n7\n\nboil:1\n8-9\n", encoding="utf-8")
    assert task_ids(f"@{tmp_path / 'ids'}") == ["7", "boil:1", "8", "9"]


@pytest.mark.parametrize("text", ["", "1,,2", "9-3", "0-9999999", "@/no/such/file"])
def test_what_names_no_tasks_is_an_error_that_says_what_to_write(text: str) -> None:
    with pytest.raises(InputError, match="--tasks"):
        task_ids(text)


@pytest.mark.parametrize("shard", ["0/4", "5/4", "1", "a/b", "1/0", "-1/4"])
def test_a_shard_is_one_of_its_number(shard: str) -> None:
    with pytest.raises(InputError, match="1/8"):
        shard_of(["1"], shard)


@given(st.integers(0, 200), st.integers(1, 20))
def test_shards_share_all_tasks_without_one_twice_and_about_evenly(tasks: int, shards: int) -> None:
    ids = [str(id) for id in range(tasks)]
    parts = [shard_of(ids, f"{number}/{shards}") for number in range(1, shards + 1)]
    assert sorted(id for part in parts for id in part) == sorted(ids)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(st.integers(1, 300), st.integers(0, 3))
def test_parts_of_a_split_are_those_of_an_export_and_share_all_tasks(tasks: int, seed: int) -> None:
    ids, split = [str(id) for id in range(tasks)], "train=0.6,dev=0.2,test=0.2"
    parts = parse_split(split)
    found = {}
    for number, part in enumerate(parts):
        wanted = [id for id in ids if part_of("textcraft", id, parts, seed) == number]
        if wanted:
            found[part.name] = tasks_of_part("textcraft", ids, split, part.name, seed)
            assert found[part.name] == wanted
        else:
            with pytest.raises(InputError, match="none of"):
                tasks_of_part("textcraft", ids, split, part.name, seed)
    assert sorted(id for part in found.values() for id in part) == sorted(ids)


@pytest.mark.parametrize(
    ("split", "part", "said"),
    [("", "dev", "needs --split"), ("train=0.9,dev=0.1", "", "one of train, dev"), ("a=2", "a", "not a share")],
)
def test_a_part_without_a_split_or_a_split_without_its_part_is_an_error(split: str, part: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        tasks_of_part("textcraft", ["1"], split, part)
    assert tasks_of_part("textcraft", ["1"], "", "") == ["1"]
