"""How much real attempts share, by each level of equality: what decided how they are merged."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.imports.attempt import Attempt
from engine.imports.merging.equal_messages import Merge
from engine.imports.merging.grouping import group
from engine.imports.sources import read_rollouts
from engine.tree.tree import SearchTree
from tests.engine.imports.attempts import reads_as

FILES = Path(__file__).parents[4] / "shared" / "fixtures" / "rollouts"


def read(name: str) -> list[Attempt]:
    path = FILES / name
    if not path.exists():
        pytest.skip(f"{path} is not there: real files of other harnesses are not part of the repository")
    return [rollout for rollout in read_rollouts([path]) if isinstance(rollout, Attempt)]


def shared(attempts: list[Attempt], merge: Merge) -> tuple[int, int, int]:
    """Nodes, steps, and the depth down to which two attempts go together."""
    trees = [SearchTree(events) for _, events in group(attempts, merge).all()]
    nodes = sum(len(tree) - 1 for tree in trees)
    steps = sum(len(tree.ancestors(told.leaf)) - 1 for tree in trees for told in tree.attempts)
    deepest = max((node.depth for tree in trees for node in tree.nodes if node.visits > 1), default=0)
    return nodes, steps, deepest


@pytest.mark.parametrize(
    ("name", "deepest"),
    [
        ("d-nemo-gym/anyswe_claude_code_5-rollouts-of-one-task.jsonl", {"text": 0, "action": 1}),
        ("d-nemo-gym/anyswe_opencode_5-rollouts-of-one-task.jsonl", {"text": 0, "action": 3}),
        ("d-nemo-gym/anyswe_pi_5-rollouts-of-one-task.jsonl", {"text": 0, "action": 0}),
    ],
)
def test_attempts_share_steps_by_their_calls_where_by_words_they_are_stars(
    name: str, deepest: dict[Merge, int]
) -> None:
    attempts = read(name)
    assert {merge: shared(attempts, merge)[2] for merge in deepest} == deepest


def test_where_a_model_plays_the_user_little_is_shared() -> None:
    attempts = read("d-chat/tau-bench_gpt-4o-airline_tasks-1-12-39-43.json")
    nodes, steps, _ = shared(attempts, "action")
    assert nodes / steps > 0.9


def test_real_attempts_read_back_to_the_letter() -> None:
    if not FILES.is_dir():
        pytest.skip(f"{FILES} is not there: real files of other harnesses are not part of the repository")
    count = 0
    for folder in sorted(FILES.iterdir()):
        if not folder.is_dir() or folder.name == "f-lats":
            continue
        of_group: dict[str, list[Attempt]] = {}
        attempts = [rollout for rollout in read_rollouts([folder]) if isinstance(rollout, Attempt)]
        groups = group([])
        for attempt in attempts:
            of_group.setdefault(groups.add(attempt).key, []).append(attempt)
        for each, events in groups.all():
            tree = SearchTree(events)
            for told, attempt in zip(tree.attempts, of_group[each.key], strict=True):
                assert reads_as(tree, told, attempt)
                count += 1
    assert count > 100
