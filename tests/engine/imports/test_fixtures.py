"""Every public file of the fixtures: its attempts are those that the raw JSON holds, message by message."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.base.errors import InputError
from engine.imports.attempt import Attempt, ForeignTree
from engine.imports.sources import read_rollouts
from tests import fixtures
from tests.engine.imports import raw

ROLLOUTS = fixtures.SHARED / "rollouts"
TREE = "f-moatless/traj_haiku.json"

pytestmark = fixtures.needs_fixtures


def files() -> list[str]:
    return sorted(str(path.relative_to(ROLLOUTS)) for path in ROLLOUTS.rglob("*") if path.is_file())


def way_of(name: str) -> str:
    """The pattern whose raw way reads a file."""
    return next(
        pattern for pattern in raw.ATTEMPTS if name in {str(p.relative_to(ROLLOUTS)) for p in ROLLOUTS.glob(pattern)}
    )


@pytest.mark.parametrize("name", [name for name in files() if name not in raw.OTHERS and name != TREE])
def test_the_attempts_of_a_file_are_those_of_its_raw_json(name: str) -> None:
    expected = list(raw.ATTEMPTS[way_of(name)](ROLLOUTS / name))
    rollouts = read_rollouts([ROLLOUTS / name])
    attempts = [rollout for rollout in rollouts if isinstance(rollout, Attempt)]
    assert rollouts.problems == []
    if name.endswith(".eval"):  # the zip's order is the order of their ends
        attempts.sort(key=lambda attempt: (attempt.task, attempt.id))
        expected.sort(key=lambda told: told.group)
    assert len(attempts) == len(expected)
    assert len({attempt.task for attempt in attempts}) == len({told.group for told in expected})
    for attempt, told in zip(attempts, expected, strict=True):
        own = [message for message in attempt.messages if not message.synthesised]
        if not name.endswith(".eval"):
            assert [text for text in told.texts if text is not None] == [
                message.content for message, text in zip(own, told.texts, strict=True) if text is not None
            ]
            assert attempt.reward == told.reward
        assert sum(message.role == "assistant" for message in own) == told.answers
    assert sorted(str(attempt.reward) for attempt in attempts) == sorted(str(told.reward) for told in expected)
    assert sorted(len(attempt.messages) for attempt in attempts if not attempt.notes) == sorted(
        len(told.texts) for attempt, told in zip(attempts, expected, strict=True) if not attempt.notes
    )


@pytest.mark.parametrize("name", list(raw.OTHERS))
def test_a_file_that_holds_no_rollouts_is_named_in_one_line(name: str) -> None:
    with pytest.raises(InputError) as raised:
        list(read_rollouts([ROLLOUTS / name]))
    line = str(raised.value)
    assert raw.OTHERS[name] in line
    assert line.startswith(str(ROLLOUTS / name))
    assert "\n" not in line


def test_no_file_of_the_fixtures_is_left_out() -> None:
    known = {str(path.relative_to(ROLLOUTS)) for pattern in raw.ATTEMPTS for path in ROLLOUTS.glob(pattern)}
    assert set(files()) - known - set(raw.OTHERS) - {TREE} == set()


def test_a_search_that_made_no_steps_is_a_tree_of_its_root() -> None:
    (tree,) = read_rollouts([ROLLOUTS / TREE])
    assert isinstance(tree, ForeignTree)
    assert [(node.parent, node.visits, node.value) for node in tree.nodes] == [(-1, 0, 0.0)]
    assert tree.model == "claude-3-5-haiku-20241022"
    assert [message.role for message in tree.header] == ["system", "user"]


def test_a_folder_gives_all_its_good_files() -> None:
    rollouts = read_rollouts([ROLLOUTS])
    read = list(rollouts)
    told = sum(
        len(list(raw.ATTEMPTS[way_of(name)](ROLLOUTS / name)))
        for name in files()
        if name not in raw.OTHERS and name != TREE and ".cont-" not in name
    )
    assert len(read) == told + 1
    assert {Path(problem.path).name for problem in rollouts.problems} == {
        "v0.1_transitions_scikit-learn-13779_trajectory.json.gz",
        "results.json",  # of tau2, without its simulations
    }


def test_both_shapes_of_an_inspect_log_give_the_same_attempts() -> None:
    folder = ROLLOUTS / "c-inspect" / "made-here"
    zipped, plain = (
        sorted(
            (rollout for rollout in read_rollouts([folder / name]) if isinstance(rollout, Attempt)),
            key=lambda attempt: (attempt.task, attempt.id),
        )
        for name in ("two-samples_four-epochs_tools_zstd.eval", "two-samples_four-epochs_tools.json")
    )
    assert len(zipped) == 8
    assert [attempt.messages for attempt in zipped] == [attempt.messages for attempt in plain]
    assert [attempt.tools for attempt in zipped] == [attempt.tools for attempt in plain] != [[]] * 8
    assert [attempt.rewards for attempt in zipped] == [attempt.rewards for attempt in plain]
    first = next(message for message in zipped[0].messages if message.role == "assistant")
    assert [(call.name, call.arguments, call.id) for call in first.tool_calls] == [
        ("lookup", '{"item":"apple"}', "call_0a"),
        ("lookup", '{"item":"pear"}', "call_0b"),
    ]
    assert (first.content, first.reasoning) == ("I look both up.", "two prices needed")


def test_a_trajectory_goes_on_in_its_continuation_after_a_marked_break() -> None:
    folder = ROLLOUTS / "a-atif"
    name = "terminus_2_hello-world-context-summarization-linear-history.trajectory.json"
    (attempt,) = read_rollouts([folder / name])
    assert isinstance(attempt, Attempt)
    breaks = [at for at, message in enumerate(attempt.messages) if message.compacted]
    assert breaks == [7]
    assert [len(sub.messages) for sub in attempt.messages[7].sub] == [4]
    assert len(attempt.messages) == 16
