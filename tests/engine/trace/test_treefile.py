"""Tree files of the original: read without loss, written as they were, whatever their size, shape or damage."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import math
import os
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.base.errors import InputError, TraceError
from engine.search.job import new_job
from engine.search.settings import recorded_settings
from engine.trace.trace_file import load, write_trace
from engine.trace.treefile import scan as treefile_scan
from engine.trace.treefile.read import read_tree
from engine.trace.treefile.write import save_tree, write_tree
from engine.tree.events import Imported, ImportedNode, Message, PrefixStep, SearchSettings, Started, event_encoder
from engine.tree.tree import SearchTree
from tests.benchmarks.bench_treefile import synthetic_tree
from tests.fixtures import ABSENT, read_json, recorded, recording

TREES = ["textcraft/31", "textcraft/113", "textcraft/198", "sciworld/3539", "webshop/6"]
Json = dict[str, Any]
needs_all = pytest.mark.skipif(not all(recording(name).is_dir() for name in TREES), reason=ABSENT)


def fixture(name: str) -> Path:
    """A recorded tree file."""
    return recording(name) / f"search_results_{name.split('/')[1]}.json.gz"


def save(path: Path, tree: object, **how: Any) -> Path:
    """Write JSON."""
    path.write_text(json.dumps(tree, **how), encoding="utf-8")
    return path


def written(tree: SearchTree) -> str:
    """What `write_tree` gives."""
    out = io.StringIO()
    write_tree(tree, out)
    return out.getvalue()


def through_a_trace(path: Path, folder: Path) -> Json:
    """A tree file, read, written as a trace, loaded from it, written as a tree file, parsed."""
    trace = folder / "through.trace.jsonl"
    write_trace(trace, read_tree(path), overwrite=True)
    parsed: Json = json.loads(written(load(trace).tree))
    return parsed


def same(a: object, b: object) -> bool:
    """Equal values of equal types, NaN included; the order of keys aside."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def started_of(path: Path, **how: str) -> Started:
    """The first event of a tree file."""
    first = read_tree(path, **how)[0]
    assert isinstance(first, Started)
    return first


def nodes_of(path: Path) -> list[ImportedNode]:
    """The nodes of a tree file."""
    second = read_tree(path)[1]
    assert isinstance(second, Imported)
    return second.nodes


def node(above: Json | None, action: str, obs: str, children: list[Json] | None = None, **fields: Any) -> Json:
    """A node as the original writes it, without children's statistics."""
    state = [*above["state"]] if above else [{"role": "user", "content": "Goal: nothing."}]
    steps = [*above["recent_actions"]] if above else []
    response = f"Thought: x\nAction: {action}" if above else "ROOT"
    if above:
        state += [{"role": "assistant", "content": response}, {"role": "user", "content": obs}]
        steps += [[action, obs]]
    return {
        "visits": 0,
        "value": 0.0,
        "prior": 1,
        "puct_value": 0,
        "obs": obs if above else "",
        "llm_response": response,
        "depth": above["depth"] + 1 if above else 0,
        "is_terminal": False,
        "recent_actions": steps,
        "action": action if above else "ROOT",
        "env_score": 0,
        "disaster": False,
        "state": state,
        "children": children or [],
        **fields,
    }


def small_tree() -> Json:
    """A root with two children, the first of which has a terminal one."""
    root = node(None, "", "", visits=1, value=1.0, puct_value=1.0)
    first = node(root, "a", "saw a", visits=1, value=1.0, puct_value=1.0, is_terminal=True)
    leaf = node(first, "b", "saw b", visits=1, value=1.0, puct_value=1.0, is_terminal=True, env_score=1)
    first["children"] = [leaf]
    root["children"] = [first, node(root, "c", "saw c")]
    return root


# -- the recorded files ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", recorded(*TREES))
def test_recorded_trees_come_out_as_they_went_in(name: str, tmp_path: Path) -> None:
    source = gzip.decompress(fixture(name).read_bytes()).decode()
    assert through_a_trace(fixture(name), tmp_path) == json.loads(source)
    assert written(SearchTree(read_tree(fixture(name)))) == source  # to the letter
    assert not any(node.raw for node in nodes_of(fixture(name)))  # everything follows from the compact form


@pytest.mark.parametrize("name", recorded(*TREES))
def test_a_trace_is_an_eighth_of_the_tree_file_or_less(name: str, tmp_path: Path) -> None:
    write_trace(tmp_path / "x.trace.jsonl", read_tree(fixture(name)))
    size = len(gzip.decompress(fixture(name).read_bytes()))
    assert (tmp_path / "x.trace.jsonl").stat().st_size <= size / 8


@pytest.mark.parametrize("name", recorded(*TREES))
def test_layout_packing_and_order_of_keys_do_not_matter(name: str, tmp_path: Path) -> None:
    expected = read_tree(fixture(name))
    tree, path = read_json(fixture(name)), tmp_path / fixture(name).name.removesuffix(".gz")
    for how in ({"indent": 2}, {"indent": "\t"}, {"separators": (",", ":")}, {"sort_keys": True}, {"indent": 1}):
        assert read_tree(save(path, tree, **how)) == expected, how
    path.write_bytes(b"\xef\xbb\xbf \r\n" + json.dumps(tree, indent=2).replace("\n", "\r\n").encode() + b"\r\n")
    assert read_tree(path) == expected
    path.write_bytes(zstandard.compress(path.read_bytes()))
    assert read_tree(path) == expected


@pytest.mark.parametrize("name", recorded(*TREES))
def test_a_searched_tree_is_written_as_the_original_writes_it(name: str, tmp_path: Path) -> None:
    recording = f"recorded:{fixture(name).parent / 'replay.json.gz'}"
    chosen = SearchSettings(actor=recording, **recorded_settings(recording))
    path = tmp_path / "x.trace.jsonl"
    asyncio.run(new_job(recording, None, chosen, path).run())
    assert json.loads(written(load(path).tree)) == read_json(fixture(name))


@needs_all
def test_environment_task_and_goal_are_recognised() -> None:
    seen = {name: started_of(fixture(name)) for name in TREES}
    assert {name: (one.environment, one.task) for name, one in seen.items()} == {
        "textcraft/31": ("textcraft", "31"),
        "textcraft/113": ("textcraft", "113"),
        "textcraft/198": ("textcraft", "198"),
        "sciworld/3539": ("scienceworld", "3539"),
        "webshop/6": ("webshop", "6"),
    }
    assert seen["textcraft/31"].instruction == "craft honey block"
    assert seen["sciworld/3539"].score_range == (0, 100)
    assert seen["webshop/6"].score_range == (0, 1)
    assert {name: one.settings.max_depth for name, one in seen.items()} == {
        **dict.fromkeys(TREES, 10),
        "webshop/6": 8,
    }
    assert all(one.settings.algorithm == "agent-r" and one.settings.actor == "recorded" for one in seen.values())
    assert all([turn.role for turn in one.header] == ["system", "user", "assistant", "user"] for one in seen.values())


@pytest.mark.parametrize("name", recorded(*TREES))
def test_leaves_are_told_why_they_ended(name: str) -> None:
    replay = read_json(fixture(name).parent / "replay.json.gz")
    deepest = replay["settings"]["max_depth"] + 1
    best = 100 if name.startswith("sci") else 1
    tree = SearchTree(read_tree(fixture(name)))
    for leaf in tree.leaves():
        if leaf.terminal == "depth":
            assert leaf.depth == deepest
            assert leaf.reward < best
        elif leaf.terminal == "done":
            assert leaf.depth < deepest or leaf.reward == best
    assert any(leaf.terminal == "depth" for leaf in tree.leaves())
    if name.startswith("sci"):
        assert any(leaf.terminal == "disaster" for leaf in tree.leaves())


# -- what is not in the file, and what does not follow ------------------------------------------------


def test_names_given_by_the_caller_win_and_nothing_is_lost(tmp_path: Path) -> None:
    path = save(tmp_path / "search_results_a-7.json", small_tree())
    assert (started_of(path).environment, started_of(path).task) == ("unknown", "a-7")
    for name in ("scienceworld", "textcraft", "unknown"):  # also where that name's files have another form
        events = read_tree(path, environment=name, task="9")
        assert isinstance(first := events[0], Started)
        assert (first.environment, first.task) == (name, "9")
        assert json.loads(written(SearchTree(events))) == small_tree()
    assert started_of(save(tmp_path / "any.old.name.json", small_tree())).task == "any"


def test_the_trace_id_depends_on_the_content_alone(tmp_path: Path) -> None:
    path = save(tmp_path / "search_results_1.json", small_tree())
    id = started_of(path).trace
    assert started_of(save(tmp_path / "2.json", small_tree(), indent=2)).trace == id
    assert started_of(path, environment="scienceworld", task="5").trace == id
    other = small_tree()
    other["children"][1]["obs"] = "saw d"
    assert started_of(save(path, other)).trace != id


def test_another_constant_is_inferred(tmp_path: Path) -> None:
    def scored(c: float) -> Path:
        tree = small_tree()
        tree["visits"], tree["puct_value"] = 3, 1 / 3
        tree["children"][0]["puct_value"] = 1.0 + c * math.sqrt(math.log(3) / 1)
        return save(tmp_path / "x.json", tree)

    for c in (0.25, 0.0, 1.4142, 2.0):
        assert started_of(scored(c)).settings.c == c
        assert not any(node.raw for node in nodes_of(scored(c)))
    assert started_of(scored(-1.0)).settings.c == 0.25
    assert nodes_of(scored(-1.0))[1].raw is not None


def test_steps_before_the_search_become_the_prefix(tmp_path: Path) -> None:
    root = node(None, "", "")
    for role, content in [("system", "S"), ("user", "R"), ("assistant", "Ok.")]:
        root["state"].insert(-1, {"role": role, "content": content})
    root["state"] += node(root, "look", "a room")["state"][-2:]
    root["children"] = [node(root, "go", "gone")]
    path = save(tmp_path / "x.json", root)
    assert started_of(path).prefix == [PrefixStep("Thought: x\nAction: look", "look", "a room")]
    assert len(started_of(path).header) == 4
    assert through_a_trace(path, tmp_path) == root


def test_scores_of_the_deepest_level_alone_do_not_make_a_depth_limit(tmp_path: Path) -> None:
    tree = small_tree()
    tree["children"][0]["children"][0]["env_score"] = 0.5
    path = save(tmp_path / "x.json", tree)
    assert nodes_of(path)[2].terminal == "depth"  # all of the deepest level is terminal
    assert started_of(path).settings.max_depth == 1
    tree["children"][0]["children"].append(node(tree["children"][0], "d", "saw d"))
    save(path, tree)
    assert nodes_of(path)[2].terminal == "done"  # a node beside it was not
    assert started_of(path).settings.max_depth == SearchSettings().max_depth


def test_a_terminal_leaf_without_visits_is_a_dead_end(tmp_path: Path) -> None:
    tree = small_tree()
    tree["children"][1]["is_terminal"] = tree["is_terminal"] = True
    path = save(tmp_path / "x.json", tree)
    assert [node.terminal for node in nodes_of(path)] == [None, None, "done", "dead_end"]
    assert [leaf.id for leaf in SearchTree(read_tree(path)).leaves()] == [2]
    assert through_a_trace(path, tmp_path) == tree


ODD: dict[str, Callable[[Json], object]] = {
    "no state": lambda tree: tree["children"][0].update(state=[]),
    "state is no list": lambda tree: tree["children"][1].update(state=None),
    "a turn of another role": lambda tree: tree["children"][0]["state"][-1].update(role="tool"),
    "a turn with another key": lambda tree: tree["children"][0]["state"][-1].update(name="x"),
    "more turns": lambda tree: tree["children"][1]["state"].extend(tree["state"]),
    "the state begins otherwise": lambda tree: tree["children"][1]["state"].pop(0),
    "root without state": lambda tree: tree.update(state=[]),
    "another response": lambda tree: tree["children"][0].update(llm_response="Thought x\nAction: a"),
    "another observation": lambda tree: tree["children"][0].update(obs="x"),
    "no response at the root": lambda tree: tree.update(llm_response="", action=""),
    "texts at the root": lambda tree: tree.update(llm_response="R", action="A", obs="O", recent_actions=[1]),
    "another score": lambda tree: tree["children"][0].update(puct_value=0.7),
    "score is null": lambda tree: tree["children"][1].update(puct_value=None),
    "scores NaN": lambda tree: tree["children"][1].update(puct_value=math.nan, prior=math.inf, env_score=-math.inf),
    "other steps": lambda tree: tree["children"][0].update(recent_actions=[["z", "z"]]),
    "steps as text": lambda tree: tree["children"][1].update(recent_actions=["(c, saw c)"]),
    "no steps": lambda tree: tree["children"][0].update(recent_actions={}),
    "types": lambda tree: tree["children"][1].update(
        prior=1.0, depth="1", is_terminal=0, disaster=None, env_score=True
    ),
    "terminal with children": lambda tree: tree.update(is_terminal=True, disaster=True),
    "not terminal with nothing left": lambda tree: tree["children"][0].update(is_terminal=False),
    "more fields": lambda tree: tree["children"][0].update(
        {"exact": 1, "x": [{}], "é": 10**30, "recent_actions_as": 0}
    ),
    "half a pair": lambda tree: tree["children"][1].update(
        obs="\ud800", action="\udfff", note="\ud83d", env_score=None
    ),
    "half a pair in the state": lambda tree: tree["children"][1]["state"][-1].update(content="\udc00 x"),
    "half a pair in the header": lambda tree: tree["state"][0].update(content="\ud800"),
    "visits without the parent's": lambda tree: tree["children"][1].update(visits=5, value=2),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("indent", [None, 2])
def test_what_does_not_follow_is_kept(odd: str, indent: int | None, tmp_path: Path) -> None:
    tree = small_tree()
    ODD[odd](tree)
    path = save(tmp_path / "x.json", tree, indent=indent)
    assert any(node.raw for node in nodes_of(path))
    assert same(through_a_trace(path, tmp_path), tree)


def test_fields_after_the_children_are_kept(tmp_path: Path) -> None:
    tree = small_tree()
    tree["children"][0]["late"] = {"a": 1}
    tree["late"] = "x"
    assert through_a_trace(save(tmp_path / "x.json", tree), tmp_path) == tree


TEXT = st.text(st.characters(exclude_categories=[]), max_size=12) | st.sampled_from(
    ['"', "\\", '\\"]}', "\ud800", "\udc00\ud800", "é\u2028\x00", "😀", "[", '", "']
)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
VALUE = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
FIELD = st.sampled_from(
    ["prior", "puct_value", "depth", "is_terminal", "recent_actions", "env_score", "disaster", "state", "exact", "x"]
)


@st.composite
def trees(draw: st.DrawFn) -> Json:
    """Trees of any shape and texts, mostly regular, with odd fields here and there."""
    shape = draw(st.lists(st.integers(0, 5), max_size=9))  # how far back the parent is
    as_text = draw(st.booleans())
    made = [node(None, "", "")]
    for back in shape:
        above = made[max(0, len(made) - 1 - back)]
        child = node(above, draw(TEXT), draw(TEXT))
        if as_text:
            child["recent_actions"][-1] = f"({child['action']}, {child['obs']})"
        child["is_terminal"] = draw(st.booleans())
        child["visits"] = draw(st.integers(0, 3))
        child["value"] = draw(st.floats(0, 3) | st.integers(0, 3))
        child["disaster"] = draw(st.booleans())
        above["children"].append(child)
        made.append(child)
    for place, name, value in draw(st.lists(st.tuples(st.integers(0, 99), FIELD | TEXT, VALUE), max_size=4)):
        if name not in ("children", "visits", "value", "obs", "llm_response", "action"):
            made[place % len(made)][name] = value
    return made[0]


@given(trees(), st.sampled_from([None, 0, 2, "\t"]), st.booleans(), st.sampled_from([64, 301, 1 << 17]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tree_comes_out_as_it_went_in(
    tmp_path: Path, tree: Json, indent: int | str | None, ascii_only: bool, chunk: int
) -> None:
    text = json.dumps(tree, indent=indent, ensure_ascii=ascii_only)
    try:
        data = text.encode()
    except UnicodeEncodeError:
        data = json.dumps(tree, indent=indent).encode()
    (tmp_path / "x.json").write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(treefile_scan, "CHUNK", chunk)  # so that the window ends anywhere
        assert same(through_a_trace(tmp_path / "x.json", tmp_path), json.loads(data))


# -- size --------------------------------------------------------------------------------------------


def nested(depth: int, tail: str = "") -> str:
    """A chain of nodes without conversation, as text."""
    fields = node(None, "", "", state=[])
    return f"{json.dumps(fields)[:-2]}" * depth + tail


def test_a_chain_of_5000_nodes(tmp_path: Path) -> None:
    text = nested(5000, "]}" * 5000)
    (tmp_path / "x.json").write_text(text)
    write_trace(tmp_path / "x.trace.jsonl", read_tree(tmp_path / "x.json"))
    tree = load(tmp_path / "x.trace.jsonl").tree
    assert len(tree) == 5000
    assert tree.nodes[-1].depth == 4999
    assert written(tree) == text


@pytest.mark.parametrize(("depth", "indent"), [(300, None), (60, 2)])
def test_a_chain_of_nodes_with_conversations(tmp_path: Path, depth: int, indent: int | None) -> None:
    nodes = [ImportedNode()] + [ImportedNode(id, f"Action: {id}", str(id), f"saw {id}") for id in range(depth)]
    started = Started(
        seq=0,
        version=1,
        trace="0",
        environment="textcraft",
        task="1",
        header=[Message("user", "Goal: x.")],
        settings=SearchSettings(),
    )
    text = written(SearchTree([started, Imported(seq=1, source="agent-r", nodes=nodes)]))
    path = save(tmp_path / "x.json", json.loads(text), indent=indent)
    again = SearchTree(read_tree(path))
    assert written(again) == text
    assert len(again.conversation(depth)) == 2 * depth + 1
    assert not any(node.raw for node in again.nodes)


def test_loading_takes_a_fraction_of_the_memory_that_the_parsed_file_takes(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    save_tree(synthetic_tree(1500, 20), path)

    def peak(work: Callable[[], object]) -> int:
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    whole = peak(lambda: json.loads(path.read_text()))
    assert peak(lambda: read_tree(path)) < whole / 3
    assert peak(lambda: SearchTree(read_tree(path))) < whole / 3


# -- bad files ---------------------------------------------------------------------------------------


def without(name: str) -> bytes:
    """The small tree less one field of its deepest node."""
    tree = small_tree()
    del tree["children"][0]["children"][0][name]
    return json.dumps(tree).encode()


def with_field(name: str, value: object) -> bytes:
    """The small tree with one field of its second child changed."""
    tree = small_tree()
    tree["children"][1][name] = value
    return json.dumps(tree).encode()


WHOLE = json.dumps(small_tree()).encode()
BAD: dict[str, tuple[bytes, str]] = {
    "no tree": (b'{"a": 1}', r"not a tree: node 0 \(depth 0\) lacks `action`.*`children`"),
    "a list": (b"[1, 2]", "not a tree: the outermost value is not an object"),
    "a trace": (event_encoder.encode(synthetic_tree(2, 1).started) + b"\n", "not a tree: node 0"),
    "empty": (b"", "empty"),
    "spaces": (b" \n ", "empty"),
    "binary": (bytes(range(128, 256)) * 50, "not UTF-8"),
    "NUL": (bytes(5000), "not a tree"),
    "no UTF-8 inside": (WHOLE.replace(b"saw c", b"saw \xff"), "not UTF-8"),
    "no state": (without("state"), r"node 2 \(depth 2\) lacks `state`"),
    "no children": (without("children"), r"node 2 \(depth 2\) lacks `children`"),
    "visits": (with_field("visits", "x"), r"node 3 \(depth 1\): `visits` is not a count: 'x'"),
    "visits below 0": (with_field("visits", -1), "`visits` is not a count"),
    "visits true": (with_field("visits", True), "`visits` is not a count"),
    "value": (with_field("value", None), "`value` is not a finite number"),
    "value NaN": (with_field("value", math.nan), "`value` is not a finite number"),
    "value too great": (with_field("value", 10**400), "`value` is not a finite number"),
    "obs": (with_field("obs", ["x"]), "`obs` is not a text"),
    "children": (with_field("children", {}), "`children` is not a list"),
    "a child that is no object": (with_field("children", [1]), "unexpected text at character"),
    "twice": (WHOLE.replace(b'"prior": 1,', b'"prior": 1, "prior": 2,', 1), "`prior` occurs twice"),
    "comma missing": (WHOLE.replace(b', "prior"', b' "prior"'), "comma"),
    "comma too many": (WHOLE.replace(b', "prior"', b',, "prior"'), "unexpected text"),
    "no value": (WHOLE.replace(b'"prior": 1', b'"prior": x'), "no value at character"),
    "bad escape": (WHOLE.replace(b"saw c", b"saw \\q"), r"escape at character"),
    "control character": (WHOLE.replace(b"saw c", b"saw \n"), "control character"),
    "more text": (WHOLE + b"{}", "more text after the tree"),
    "deep and cut off": (nested(20_000).encode(), "ends in the middle"),
    "children, deep, cut off": (b'{"children": [' * 20_000, "ends in the middle"),
    "a deep value": (with_field("x", 0).replace(b'"x": 0', b'"x": ' + b"[" * 20_000 + b"]" * 20_000), "too deep"),
    "a deep value, cut off": (b'{"x": ' + b"[" * 20_000, "too deep|ends in the middle"),
    "a number too long": (b'{"x": ' + b"9" * 5000 + b"}", "digits"),
    "cut gzip": (gzip.compress(WHOLE)[:-20], "gzip file is damaged or cut off"),
    "damaged gzip": (gzip.compress(WHOLE)[:30] + b"x" * 40, "gzip file is damaged"),
    "cut zstandard": (zstandard.compress(os.urandom(9000))[:5000], "not UTF-8|middle|not a tree|empty"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_file_is_one_line_that_names_file_and_place(bad: str, tmp_path: Path) -> None:
    data, reason = BAD[bad]
    path = tmp_path / "search_results_1.json"
    path.write_bytes(data)
    with pytest.raises(TraceError, match=reason) as caught:
        read_tree(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 250


def test_every_cut_of_a_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    tree = small_tree()
    tree["children"][0]["obs"] = tree["children"][0]["é"] = '\n\\ü"'
    text = json.dumps(tree)
    for cut in range(1, len(text)):
        path.write_text(text[:cut])
        with pytest.raises(TraceError, match="ends in the middle"):
            read_tree(path)


def test_missing_files_and_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        read_tree(tmp_path / "x.json")
    with pytest.raises(TraceError, match="directory"):
        read_tree(tmp_path)


# -- saving ------------------------------------------------------------------------------------------


def test_a_tree_is_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    tree = SearchTree(read_tree(save(tmp_path / "x.json", small_tree())))
    save_tree(tree, tmp_path / "new" / "y.json.gz")
    packed = (tmp_path / "new" / "y.json.gz").read_bytes()
    assert json.loads(gzip.decompress(packed)) == small_tree()
    save_tree(tree, tmp_path / "new" / "z.json.gz")
    assert (tmp_path / "new" / "z.json.gz").read_bytes() == packed  # no name in it
    assert packed[4:8] == bytes(4)  # and no time

    tree.nodes[3].raw = {"exact": "x"}
    with pytest.raises(InputError, match=re.escape("node 3: `raw.exact`")):
        save_tree(tree, tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text()) == small_tree()  # the old one is still there
    assert sorted(os.listdir(tmp_path)) == ["new", "x.json"]


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    tree = SearchTree(read_tree(save(tmp_path / "x.json", small_tree())))
    for path in (tmp_path / "x.json" / "y.json", tmp_path):
        with pytest.raises(InputError, match=re.escape(str(path))):
            save_tree(tree, path)
    with pytest.raises(InputError, match="no events"):
        write_tree(SearchTree(), io.StringIO())
    assert os.listdir(tmp_path) == ["x.json"]
