"""The query language: what it says, what it refuses, what it finds now and in the past."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.errors import InputError
from engine.query.find import at_once, find, find_in, gap_of, greatest, ranks, return_of, slices
from engine.query.node_fields import ALIASES
from engine.query.nodes import FIELDS, FLAGS, TEXTS, QueryError, parse
from engine.tree.events import (
    Child,
    Expanded,
    Failed,
    Intervened,
    Repeat,
    Sampled,
    Usage,
)
from engine.tree.node import ROOT, Node
from engine.tree.tree import SearchTree
from tests.agentr_tui.trees import Grower, random_tree, yellow_bed
from tests.engine.made import honey_trace


@cache
def bed() -> Grower:
    """A tree with something of everything."""
    grower = yellow_bed()
    tree = grower.tree
    open_nodes = [node.id for node in tree.nodes if node.terminal is None and not node.expanded]
    first, second = open_nodes[:2]
    grower.apply(Failed(seq=0, parent=first, draw=3, what="timeout", error="late"))
    for draw in range(3):
        answer = "Thought: Hm.\nAction: NOT Found" if draw else "Action: look"
        grower.apply(
            Sampled(seq=0, parent=first, draw=draw, response=answer, usage=Usage(9 * draw, 1), dropped=draw, prior=0.5)
        )
    children = [
        Child(0, "look", "You see a Bed", 0.25, state_key="a", prior=0.5),
        Child(1, "NOT Found", "x", state_key="a"),
    ]
    grower.apply(Expanded(seq=0, parent=first, children=children, repeats=[Repeat(2, 1)]))
    child = Child(-1, "wait", "ok.", response="Action: wait")
    grower.apply(Intervened(seq=0, who="anna", what="edited", node=first, child=child))
    grower.apply(Intervened(seq=0, who="anna", what="note", node=second, detail="odd"))
    grower.apply(Intervened(seq=0, who="anna", what="pruned", node=second))
    return grower


def ids(text: str, tree: SearchTree | None = None) -> list[int]:
    return find(parse(text), tree or bed().tree)


MEANINGS: dict[str, Callable[[SearchTree, Node], object]] = {
    "q>0.5": lambda t, n: n.q is not None and n.q > 0.5,
    "q<=0": lambda t, n: n.q is not None and n.q <= 0,
    "visits>=3": lambda t, n: n.visits >= 3,
    "n=0": lambda t, n: n.visits == 0,
    "w>1": lambda t, n: n.value_sum > 1,
    "depth<2": lambda t, n: n.depth < 2,
    "depth!=1": lambda t, n: n.depth != 1,
    "reward>=0.25": lambda t, n: n.reward >= 0.25,
    "return=0": lambda t, n: n.is_leaf and n.terminal != "dead_end" and n.reward == 0,
    "id:7": lambda t, n: n.id == 7,
    "children==0": lambda t, n: not n.children,
    "draw=-1": lambda t, n: n.draw == -1,
    "prior<1": lambda t, n: n.prior < 1,
    "repeats>0": lambda t, n: n.action == "NOT Found",
    "seen>1": lambda t, n: n.state_key == "a",
    "tokens>5": lambda t, n: n.action == "NOT Found",
    "terminal": lambda t, n: n.terminal is not None,
    "leaf": lambda t, n: n.is_leaf and n.terminal != "dead_end",
    "good": lambda t, n: n.is_leaf and n.visits and n.reward > 0.5,
    "bad": lambda t, n: n.is_leaf and n.visits and n.reward <= 0.5,
    "done": lambda t, n: n.terminal == "done",
    "disaster": lambda t, n: n.terminal == "disaster",
    "too_deep": lambda t, n: n.terminal == "depth",
    "dead_end": lambda t, n: n.terminal == "dead_end",
    "expanded": lambda t, n: t.expanded(n.id),
    "exhausted": lambda t, n: n.exhausted,
    "unseen": lambda t, n: n.visits == 0,
    "failed": lambda t, n: any(f.parent == n.id for f in t.failures),
    "human": lambda t, n: n.action == "wait" or any(e.node == n.id and e.what != "edited" for e in t.interventions),
    "pruned": lambda t, n: n.pruned,
    "repeat": lambda t, n: n.action == "NOT Found",
    "cut": lambda t, n: n.action == "NOT Found",
    "action~wool": lambda t, n: "wool" in n.action,
    'obs~"a bED"': lambda t, n: n.observation == "You see a Bed",
    "thought~HM": lambda t, n: n.action == "NOT Found",
    "response~'hm.\nAction'": lambda t, n: n.action == "NOT Found",
    'action="inventory"': lambda t, n: n.action == "inventory",
    "action!=inventory": lambda t, n: n.action != "inventory",
    "obs!~done": lambda t, n: "done" not in n.observation.lower(),
    "'not found'": lambda t, n: n.action == "NOT Found",
    "text~found": lambda t, n: n.action == "NOT Found",
}


@pytest.mark.parametrize("text", MEANINGS)
def test_every_field_and_flag_means_what_it_says(text: str) -> None:
    tree = bed().tree
    expected = [node.id for node in tree.nodes if MEANINGS[text](tree, node)]
    assert ids(text) == expected
    assert expected or text in ("cut",), "the tree holds no such node: the test proves nothing"
    assert len(expected) < len(tree), "every node is that: the test proves nothing"
    assert ids(f"!{text}") == ids(f"not ({text})") == [n.id for n in tree.nodes if n.id not in expected]


def test_all_that_is_documented_is_tested() -> None:
    asked = {name for text in MEANINGS for name in parse(text).names()}
    assert asked == FIELDS.keys() | FLAGS.keys() | TEXTS.keys()
    assert set(ALIASES.values()) <= asked


def test_terms_side_by_side_are_and_and_or_binds_less() -> None:
    assert ids("terminal q>0.5") == ids("q>0.5 and terminal") == sorted(set(ids("terminal")) & set(ids("q>0.5")))
    both = set(ids("disaster")) | (set(ids("done")) & set(ids("q<0.5")))
    assert set(ids("disaster or done q<0.5")) == set(ids("disaster|(done q<0.5)")) == both
    assert ids("-terminal !unseen") == ids("!(terminal or unseen)") == ids("not terminal and not unseen")
    assert ids("q > 0.5   visits >= 2") == ids("q>0.5 visits>=2")
    assert ids("DISASTER or Done") == ids("disaster or done")


@pytest.mark.parametrize(
    ("text", "column", "remedy"),
    [
        ("", 1, "it is empty"),
        ("   ", 1, "it is empty"),
        ("disater", 1, "did you mean disaster?"),
        ("q>0.5 craft", 7, "text~craft"),
        ("q", 2, "q needs a comparison: q>0"),
        ("depth<", 7, "not 'nothing'"),
        ("depth<six", 7, "not 'six'"),
        ("depth<6x", 7, "not '6x'"),
        ("depth~6", 6, "is a number"),
        ("action>3", 7, "is a text"),
        ("action~", 8, "a text must follow"),
        ("action", 7, "action needs a text"),
        ("terminal=1", 9, "is a flag"),
        ("(q>1", 1, "never closed: add )"),
        ("q>1)", 4, "closes nothing"),
        ("q>1 or", 7, "something is missing here"),
        ("q>1 and", 8, "must follow `and`"),
        ("()", 2, "something is missing here"),
        ("!", 2, "must follow !"),
        ("not", 4, "must follow not"),
        ('obs~"not found', 5, 'add "'),
        ("obs~''", 5, "an empty text"),
        ("%%", 1, "is not a field or flag"),
        ("q>0.5 visits>>2", 14, "not '>2'"),
        ("(" * 60 + "q>1" + ")" * 60, 52, "nested deeper"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_its_place_and_a_remedy(text: str, column: int, remedy: str) -> None:
    with pytest.raises(QueryError) as error:
        parse(text)
    assert error.value.column == column, str(error.value)
    assert remedy in str(error.value)
    assert str(error.value).startswith(f"query, column {column}: ")
    assert "\n" not in str(error.value)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    column = 1
    try:
        find(parse(text), bed().tree)
    except QueryError as error:
        column = error.column
    assert 1 <= column <= len(text) + 1


TERMS = st.sampled_from([text for text in MEANINGS if "'" not in text])


@given(st.recursive(TERMS, lambda inner: st.tuples(inner, st.sampled_from([" ", " or ", " !"]), inner).map(
    lambda three: f"({three[0]}{three[1]}{three[2]})"), max_leaves=6))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_the_past_is_searched_as_it_was(text: str) -> None:
    query = parse(text)
    if query.names() & {"repeats", "tokens", "cut", "failed"}:
        return  # known of nodes, not of moments
    whole = SearchTree(bed().events)
    then = SearchTree()
    rng = random.Random(text)
    looked = set(rng.sample(range(len(bed().events)), 6))
    for event in bed().events:
        then.apply(event)
        if event.seq in looked:
            assert find(query, whole.at(event.seq)) == find(query, then), (event.seq, text)


def test_a_dead_end_was_not_expanded_before_it_was() -> None:
    events = bed().events
    made = next(event for event in events if isinstance(event, Expanded) and not event.children)
    before, after = (find(parse("expanded"), bed().tree.at(seq)) for seq in (made.seq - 1, made.seq))
    assert made.parent not in before
    assert made.parent in after


def test_failures_of_later_are_not_known_in_the_past() -> None:
    tree = bed().tree
    (failure,) = tree.failures
    assert find(parse("failed"), tree.at(failure.seq - 1)) == []
    assert find(parse("failed"), tree.at(failure.seq)) == [failure.parent]


def test_parts_together_are_the_whole_and_any_moment_is_a_good_one_to_give_back_control() -> None:
    tree = random_tree(3_000).tree
    for text in ("q>0.4", "action~wool", "seen=0 depth>3"):
        query = parse(text)
        for reader in (tree, tree.at(tree.seq // 2)):
            parts = list(slices(query, reader, seconds=0.0))
            assert len(parts) > 20
            assert [id for part in parts for id in part] == find(query, reader)
    assert [id for part in slices(parse("depth>1"), tree, first=2_000) for id in part] == [
        id for id in find(parse("depth>1"), tree) if id >= 2_000
    ]


def test_a_predicate_grows_with_its_tree() -> None:
    grower = yellow_bed()
    tree = grower.tree
    failed, human, repeat = (parse(text).on(tree) for text in ("failed", "human", "repeat"))
    assert not any(test(node) for node in tree.nodes for test in (failed, human, repeat))
    node = next(node for node in tree.nodes if node.terminal is None and not node.expanded)
    grower.apply(Failed(seq=0, parent=node.id, draw=0, what="timeout", error="late"))
    grower.apply(Intervened(seq=0, who="anna", what="note", node=node.id))
    grower.apply(Sampled(seq=0, parent=node.id, draw=1, response="Action: a"))
    children = [Child(1, "a", "b", state_key="s"), Child(2, "c", "d", response="Action: c", state_key="s")]
    grower.apply(Expanded(seq=0, parent=node.id, children=children))
    assert failed(node)
    assert human(node)
    assert [id for id in range(len(tree)) if repeat(tree.nodes[id])] == [len(tree) - 1]


def test_good_depends_on_alpha_and_on_the_scale() -> None:
    tree = random_tree(800).tree
    strict = [node.id for node in tree.nodes if parse("good").on(tree, 0.9)(node)]
    assert set(strict) < set(find(parse("good"), tree))
    wide = Grower((0.0, 100.0))
    wide.expand(ROOT, [("a", "done", 40.0), ("b", "done", 60.0)])
    assert find(parse("good"), wide.tree) == [2]
    assert find(parse("bad"), wide.tree) == [1]


def test_a_query_knows_whether_its_answer_can_change() -> None:
    assert parse("q>1 depth<3").may_change
    assert parse("exhausted").may_change
    assert not parse("depth<3 action~x disaster").may_change
    assert parse("action~x").reads_texts
    assert not parse("q>1").reads_texts


def test_ranks_are_the_order_of_the_rows() -> None:
    tree = random_tree(700).tree
    order: list[int] = []
    todo = [ROOT]
    while todo:
        id = todo.pop()
        order.append(id)
        todo.extend(reversed(tree.nodes[id].children))
    for seconds in (0.0, 1.0):
        rank = at_once(ranks(tree, seconds))
        assert [rank[id] for id in order] == list(range(len(tree)))
    past = tree.at(tree.seq // 2)
    assert len(at_once(ranks(past))) == len(past)


def test_best_worst_and_widest_gap() -> None:
    tree = random_tree(900).tree
    leaves = list(tree.leaves())
    best = at_once(greatest(tree, return_of(tree), 0.0))
    assert best == [leaf.id for leaf in leaves if leaf.reward == max(other.reward for other in leaves)]
    worst = at_once(greatest(tree, return_of(tree, -1)))
    assert worst == [leaf.id for leaf in leaves if leaf.reward == min(other.reward for other in leaves)]

    def gap(node: Node) -> float:
        values = [tree.nodes[child].q for child in node.children if tree.nodes[child].visits]
        known = [value for value in values if value is not None]
        return max(known) - min(known) if len(known) > 1 else -1.0

    widest = max(gap(node) for node in tree.nodes)
    assert at_once(greatest(tree, gap_of(tree))) == [node.id for node in tree.nodes if gap(node) == widest]
    assert at_once(greatest(SearchTree(bed().events[:1]), return_of(tree))) == []


def test_a_trace_of_any_kind_is_searched_and_a_broken_one_is_named(tmp_path: Path) -> None:
    path = honey_trace(tmp_path / "honey.trace.jsonl")
    assert find_in(path, parse("good")).nodes == [2, 11]
    broken = tmp_path / "broken.trace.jsonl"
    broken.write_text("no\n")
    with pytest.raises(InputError, match="broken"):
        find_in(broken, parse("good"))


def test_the_document_names_every_word() -> None:
    text = (Path(__file__).parents[3] / "docs" / "query.md").read_text(encoding="utf-8")
    for name in (*FIELDS, *FLAGS, *TEXTS):
        assert f"`{name}`" in text, name
    for alias, name in ALIASES.items():
        assert alias == "leaves" or alias == "deadend" or f"`{alias}`" in text, (alias, name)
    examples = [line for line in text.splitlines() if line.startswith("    ")]
    assert len(examples) == 4
    for line in examples:
        parse(line)
