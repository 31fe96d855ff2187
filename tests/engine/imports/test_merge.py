"""Attempts become a tree, and stay what they were."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.merging.alike import KnownAnswers
from engine.imports.merging.equal_messages import Merge, seen
from engine.imports.merging.grouping import Groups, group
from engine.imports.merging.volatile import masked
from engine.imports.trace_store import store
from engine.imports.trees import Import, ImportedTree
from engine.pairs.pairs import count_pairs, pairs
from engine.pairs.ranking import RANKS, ranked
from engine.trace.sources import load_any
from engine.tree.events import Message, ToolCall
from engine.tree.thresholds import Thresholds
from tests.engine.imports.attempts import attempt, read_back, shape, tree_of

LOOK = ("I look.", "ls", "a.py at 12:00:01")
LOOK_LATER = ("Let me look.", "ls", "a.py at 13:37:59")
DONE = "It is done."


def actions(*attempts: Attempt, merge: Merge = "action") -> list[str]:
    return [node.action for node in tree_of(*attempts, merge=merge).nodes[1:]]


def test_attempts_that_differ_in_ids_times_wording_and_blanks_at_ends_are_one_path() -> None:
    tree = tree_of(
        attempt(1, LOOK, DONE),
        attempt(1, LOOK_LATER, f"{DONE}\n"),
        attempt(0, ("", "ls", "a.py at 12:00:01  \n"), DONE),
    )
    assert [node.action for node in tree.nodes[1:]] == ['bash(command="ls")', DONE]
    assert [node.visits for node in tree.nodes] == [3, 3, 3]
    assert tree.nodes[2].q == pytest.approx(2 / 3)
    assert tree.nodes[2].terminal == "done"


def test_by_text_wording_parts_attempts_and_by_none_everything_does() -> None:
    both = attempt(1, LOOK, DONE), attempt(1, LOOK_LATER, DONE)
    assert len(actions(*both, merge="action")) == 2
    assert len(actions(*both, merge="text")) == 4
    assert len(actions(both[0], both[0], merge="none")) == 4


def test_the_same_action_with_another_result_is_a_chance_node_and_no_pair() -> None:
    tree = tree_of(attempt(1, ("", "ls", "a.py"), DONE), attempt(0, ("", "ls", "b.py"), "No."))
    first, second = tree.nodes[0].children
    row = tree.nodes[second].imported
    assert row is not None
    assert row.outcome_of == first
    assert count_pairs(tree, Thresholds()) == 0
    assert list(pairs(tree, Thresholds())) == []
    assert all(not list(ranked(tree, Thresholds(), rank)) for rank in RANKS)


def test_a_decision_is_a_pair() -> None:
    tree = tree_of(attempt(1, LOOK, ("", "mend", "ok"), DONE), attempt(0, LOOK_LATER, ("", "rm", "gone"), DONE))
    assert count_pairs(tree, Thresholds()) == len(list(pairs(tree, Thresholds()))) == 1


def test_an_unknown_reward_is_no_zero() -> None:
    tree = tree_of(attempt(1, LOOK, DONE), attempt(None, LOOK, "Who knows."))
    assert (tree.nodes[0].visits, tree.nodes[0].q) == (2, 1)
    assert [node.terminal for node in tree.nodes if not node.children] == ["done", "unscored"]
    assert [leaf.q for leaf in tree.leaves()] == [1]


def test_negative_returns_stay_and_tell_the_range() -> None:
    (events,) = [events for _, events in group([attempt(-1.5, LOOK, DONE), attempt(3, LOOK, "Yes.")]).all()]
    assert events[0].score_range == (-1.5, 3)  # type: ignore[union-attr]
    assert events[1].notes == ["rewards lie between -1.5 and 3: that is taken for their range"]  # type: ignore[union-attr]
    tree = tree_of(attempt(-1.5, LOOK, DONE), attempt(3, LOOK, "Yes."))
    assert sorted(leaf.reward for leaf in tree.leaves()) == [-1.5, 3]


def test_a_cut_off_attempt_says_so() -> None:
    tree = tree_of(attempt(0, LOOK, stop="max_turns", cut_off=True), attempt(1, LOOK, DONE))
    end = next(node for node in tree.nodes if node.terminal == "cut_off")
    assert tree.attempts[0].leaf == end.id
    assert tree.attempts[0].stop == "max_turns"
    assert count_pairs(tree, Thresholds()) == 0, "a limit is no decision"


def test_equal_attempts_are_one_leaf_and_each_counts() -> None:
    tree = tree_of(*(attempt(1, LOOK, DONE) for _ in range(5)))
    assert len(tree) == 3
    assert len(tree.attempts) == tree.nodes[2].visits == 5


def test_another_prompt_or_list_of_tools_is_another_tree() -> None:
    tool = {"type": "function", "function": {"name": "bash"}}
    all_of = [
        attempt(1, DONE, system="You mend code. Today is 2026-11-28."),
        attempt(1, DONE, system="You mend code. Today is 2025-01-02."),
        attempt(1, DONE, system="You write code."),
        attempt(1, DONE, tools=[tool]),
        attempt(1, DONE, model="other"),
    ]
    assert [len(each.tree.attempts) for each, _ in group(all_of).all()] == [2, 1, 1, 1]


def test_a_user_played_by_a_model_parts_attempts_by_chance() -> None:
    def asked(reward: float, said: str) -> Attempt:
        return attempt(reward, DONE, task=said, played_user=True)

    (events,) = [events for _, events in group([asked(1, "Hi, I am Ann"), asked(0, "Hello, Bob here")]).all()]
    assert events[1].notes == ["these 2 attempts share only the system prompt"]  # type: ignore[union-attr]
    tree = tree_of(asked(1, "Hi, I am Ann"), asked(0, "Hello, Bob here"))
    assert len(tree.nodes[0].children) == 2
    assert count_pairs(tree, Thresholds()) == 0


def test_nothing_after_a_compaction_merges_with_what_was_not_compacted() -> None:
    plain, compacted = attempt(1, LOOK, DONE), attempt(1, LOOK, DONE)
    last = compacted.messages[-1]
    compacted.messages[-1] = AttemptMessage(role=last.role, content=last.content, compacted=True)
    assert len(tree_of(plain, compacted)) == 4


def test_results_of_parallel_calls_keep_their_calls_whatever_their_order() -> None:
    def two(first: str, second: str) -> Attempt:
        calls = (ToolCall("a", "{}", f"{first}x"), ToolCall("b", "{}", f"{first}y"))
        said = AttemptMessage(role="assistant", tool_calls=calls)
        results = {"x": "of a", "y": "of b"}
        told = [AttemptMessage(role="tool", content=results[which], tool_call_id=f"{first}{which}") for which in second]
        return Attempt(task="t", source="f", format="chat", messages=[said, *told], reward=1)

    mixed = two("1", "yx")
    tree = tree_of(mixed)
    assert read_back(tree, tree.attempts[0]) == shape(mixed.messages)
    assert [message.tool_call_id for message in tree.attempt_messages(tree.attempts[0])] == [
        "",
        "call_1_1",
        "call_1_0",
    ]


TEXTS = st.sampled_from(
    ["", "ok", "ok ", "took 0.5s", "took 7.1s", "at 10:11:12", "Action: go", "<think>a</think>b", "é\r\n"]
)
STEPS = st.one_of(TEXTS, st.tuples(TEXTS, st.sampled_from(["ls", "rm", "cat x"]), TEXTS))
MADE = st.lists(
    st.tuples(
        st.one_of(st.none(), st.sampled_from([0.0, 1.0, -2.5])),
        st.lists(STEPS, max_size=5),
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(MADE, st.sampled_from(["action", "text", "none"]))
def test_each_attempt_reads_back_as_its_own_messages_in_order(
    made: list[tuple[float | None, list[str | tuple[str, str, str]], bool, bool]], merge: Merge
) -> None:
    all_of = [
        attempt(reward, *steps, system=f"Mend. 2026-11-{10 + later}", cut_off=cut) for reward, steps, later, cut in made
    ]
    tree = tree_of(*all_of, merge=merge)
    assert [read_back(tree, told) for told in tree.attempts] == [shape(each.messages) for each in all_of]
    assert tree.nodes[0].visits == len(all_of)
    for node in tree.nodes:
        if node.children:
            below = [tree.nodes[child] for child in node.children]
            assert node.visits == sum(child.visits for child in below)
            assert node.value_sum == pytest.approx(sum(child.value_sum for child in below))
    assert count_pairs(tree, Thresholds()) == len(list(pairs(tree, Thresholds())))


@settings(max_examples=15, deadline=None)
@given(MADE, st.integers(0, 6))
def test_importing_again_adds_what_is_new_and_changes_no_number(
    made: list[tuple[float | None, list[str], bool, bool]], first: int
) -> None:
    all_of = [attempt(reward, *steps, id=str(place)) for place, (reward, steps, _, _) in enumerate(made)]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)

        def imported(some: list[Attempt]) -> int:
            trees = [ImportedTree(each.name, f"t-{each.key}", events) for each, events in group(some).all()]
            return store(Import(trees, [], [], {}), place, "action").new

        assert imported(all_of[:first]) == len(all_of[:first])
        before = {path: [node.action for node in load_any(path).tree.nodes] for path in place.glob("*.jsonl")}
        assert imported(all_of) == len(all_of[first:])
        assert imported(all_of) == 0
        (path,) = place.glob("*.jsonl")
        tree = load_any(path).tree
        assert [node.action for node in tree.nodes][: len(before.get(path, []))] == before.get(path, [])
        assert [read_back(tree, told) for told in tree.attempts] == [shape(each.messages) for each in all_of]
        assert tree.nodes[0].visits == len(all_of)


def test_the_same_attempts_make_the_same_trace() -> None:
    def trace() -> str:
        started = tree_of(attempt(1, DONE), attempt(0, "No.")).started
        assert started is not None
        return started.trace

    assert trace() == trace()


def test_a_thousand_attempts_that_part_at_once_cost_one_node_a_step() -> None:
    rng = random.Random(0)
    groups = Groups()
    for number in range(1000):
        groups.add(attempt(number % 2, *(("", f"sed {rng.random()}", "x") for _ in range(3))))
    (only,) = groups.groups.values()
    assert len(only.tree.rows) == 3001


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("-rw-r--r-- 1 root 4096 Nov 28 12:51 a", "-rw-r--r-- 1 root 4096 Jan  2  2025 a"),
        ("2 passed in 0.15s", "2 passed in 12.90s"),
        ("<Foo at 0x7ffdeadbeef0>", "<Foo at 0x7f00c0ffee10>"),
        ("wrote /tmp/tmpa8fx02/out.txt", "wrote /tmp/tmpzz9q11/out.txt"),
        ("root@0123456789ab:/#", "root@ba9876543210:/#"),
        ("[1] 4242", "[1] 77"),
        ("pid=12", "pid=99123"),
        ("Sat Nov 28 13:17:43 UTC 2026", "Mon Jan  5 01:02:03 UTC 2026"),
        ("2026-11-28T12:56:33.123Z INFO", "2025-01-01T00:00:00Z INFO"),
        ("real\t0m0.123s", "real\t1m7.9s"),
    ],
)
def test_times_ids_and_addresses_are_masked(one: str, other: str) -> None:
    assert masked(one) == masked(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.py:10:5: error", "a.py:12:5: error"),
        ("version 1.2.3", "version 1.2.4"),
        ("/tmp/test.py", "/tmp/main.py"),
        ("4096 bytes", "4097 bytes"),
        ("    indented", "indented"),
        ("10 apples", "11 apples"),
    ],
)
def test_content_is_not_masked(one: str, other: str) -> None:
    assert masked(one) != masked(other)


LINES = st.lists(TEXTS, max_size=4)


@settings(max_examples=150, deadline=None)
@given(LINES, st.lists(LINES, min_size=1, max_size=4))
@example(["", "ok"], [["", "", "ok"]])
@example(["é\r\n"], [["", "é\r\n", ""]])
@example(["ok", ""], [["ok", "", ""]])
@example(["took 0.5s", "ok"], [["took 7.1s", "ok"], ["took 0.7s", "ok"], ["took 0.7s", "ok", "ok"], ["took", "ok"]])
@example(["ok", "took 0.5s"], [["ok", "took 7.1s"], ["ok", "took 7.1s "], ["ok", "took 7.1s", ""], ["took 7.1s"]])
def test_results_are_compared_alike_by_their_keys_and_by_the_lines_that_differ(
    one: list[str], others: list[list[str]]
) -> None:
    first = Message("tool", "\n".join(one))
    known = KnownAnswers([first], ())
    for other in [*others, *others]:  # what differed before is remembered
        second = Message("tool", "\n".join(other))
        assert known.alike([second], ()) == (seen([first]) == seen([second]))
