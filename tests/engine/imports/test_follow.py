"""Rollouts that grow: one tree grows, and its nodes keep their numbers."""

from __future__ import annotations

import json
from pathlib import Path

from engine.imports.follow import Following
from engine.imports.formats.writing import chat_row
from engine.imports.sources import files_below
from engine.imports.trees import ImportOptions
from engine.trace.follower import Follower
from engine.tree.tree import SearchTree
from tests.engine.imports.attempts import attempt, shape

LOOK = ("I look.", "ls", "a.py")
DONE = ("I mend it.", "sed", "done")


def test_a_folder_that_grows_makes_one_tree_grow_as_whoever_follows_its_trace_sees(tmp_path: Path) -> None:
    folder, traces = tmp_path / "rollouts", tmp_path / "traces"
    folder.mkdir()
    following = Following(lambda: [folder], ImportOptions(), traces)
    assert following.look() == 0  # it is empty yet
    first, second, third = attempt(1, LOOK, DONE), attempt(0, LOOK, "I give up."), attempt(0, "No.")
    (folder / "a.jsonl").write_text(json.dumps(chat_row(first)) + "\n")
    assert following.look() == 1
    (trace,) = traces.iterdir()
    follower = Follower(trace)
    tree = SearchTree(follower.poll())
    before = [node.action for node in tree.nodes]
    row = json.dumps(chat_row(second)) + "\n"
    with open(folder / "a.jsonl", "a") as file:
        file.write(row[:100])  # half a row
        file.flush()
        assert following.look() == 0
        file.write(row[100:])
    assert following.look() == 1
    (folder / "b.jsonl").write_text(json.dumps(chat_row(third)) + "\n")
    assert following.look() == 1
    assert following.look() == 0
    assert list(traces.iterdir()) == [trace]
    for event in follower.poll():
        tree.apply(event)
    assert [node.action for node in tree.nodes][: len(before)] == before
    assert [shape(tree.attempt_messages(told)) for told in tree.attempts] == [
        shape(each.messages) for each in (first, second, third)
    ]
    assert (tree.nodes[0].visits, tree.nodes[0].value_sum) == (3, 1)


def test_what_cannot_be_read_is_tried_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    following = Following(lambda: files_below(tmp_path), ImportOptions(), tmp_path / "traces")
    path.write_text("{")
    assert (following.look(), "a.jsonl" in following.problem) == (0, True)
    path.write_text(json.dumps(chat_row(attempt(1, LOOK))) + "\n")
    assert (following.look(), following.problem) == (1, "")


def test_looking_goes_on_beside_what_is_done_meanwhile(tmp_path: Path) -> None:
    folder, traces = tmp_path / "rollouts", tmp_path / "traces"
    folder.mkdir()
    following = Following(lambda: [folder], ImportOptions(), traces)
    with following.looking(seconds=0.001):
        (folder / "a.jsonl").write_text(json.dumps(chat_row(attempt(1, LOOK))) + "\n")
        while not traces.is_dir() or not list(traces.glob("*.trace.jsonl")):
            pass
    (trace,) = traces.glob("*.trace.jsonl")
    assert len(SearchTree(Follower(trace).poll()).attempts) == 1
