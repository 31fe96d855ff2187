"""Pairs: the counts are the engine's, the suggestions are the best, the trajectories part where they do."""

from __future__ import annotations

import random
import re
from itertools import islice
from pathlib import Path

import pytest
from textual.widgets import Input, Static

from agentr_tui.app.app import AgentrApp
from agentr_tui.screens.pairs.rows import RANK_LABELS, PairFigures, pair_figures, pair_of, path_lines
from agentr_tui.screens.pairs.screen import PairsScreen
from agentr_tui.state.session import Session
from agentr_tui.widgets.text_pane import Line, TextPane
from engine.pairs.pairs import Pair, best_partner, count_pairs, leaves_by_q
from engine.pairs.ranking import Rank, ranked
from engine.search.job import new_job
from engine.trace.sources import load_any
from engine.tree.events import Imported, ImportedNode, SearchSettings
from engine.tree.node import ROOT
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from tests.agentr_tui.apps import NARROW, WIDE, notices, opened, pane, running, searched, table_lines, until
from tests.agentr_tui.trees import Grower, chain, random_tree, yellow_bed

DEFAULT = Thresholds()


def wide_tree(leaves: int, seed: int = 0) -> SearchTree:
    """A tree with that many leaves of random returns, made at once."""
    rng = random.Random(seed)
    rows, depths = [ImportedNode(parent=-1)], [0]
    inner = [ROOT]
    for _ in range(max(1, leaves // 4)):
        parent = rng.choice(inner[-200:])
        if depths[parent] < 20:
            inner.append(len(rows))
            rows.append(ImportedNode(parent=parent, action="get 1 log", response="Action: get 1 log", visits=1))
            depths.append(depths[parent] + 1)
    for number in range(leaves):
        value = round(rng.random(), 3)
        step = f"craft {number} things"
        rows.append(
            ImportedNode(parent=rng.choice(inner), action=step, response=f"Action: {step}", observation="ok",
                         reward=value, visits=1, value=value, terminal="done")
        )  # fmt: skip
    tree = SearchTree()
    tree.apply(Grower().events[0])
    tree.apply(Imported(seq=1, source="test", nodes=rows))
    return tree


def plain(lines: list[Line]) -> str:
    return "\n".join("".join(text for text, _ in line.parts) for line in lines)


def last(figures: list[PairFigures]) -> PairFigures:
    return figures[-1]


# -- suggestions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", RANK_LABELS)
def test_suggestions_are_the_first_of_the_engines_ranking(rank: Rank) -> None:
    tree = random_tree(600, 3).tree
    found = last(list(pair_figures(tree, DEFAULT, rank))).suggestions
    assert found == list(islice(ranked(tree, DEFAULT, rank), 200))
    assert len(found) == 200


def test_a_tree_as_deep_as_it_likes_is_no_problem() -> None:
    assert last(list(pair_figures(chain(5_000), DEFAULT))).suggestions == []


def test_a_tree_that_grows_while_it_is_ranked_gives_the_pairs_it_had() -> None:
    grower = random_tree(600, 3)
    before = list(ranked(grower.tree, DEFAULT, "fork"))
    ranking = ranked(grower.tree, DEFAULT, "fork")
    found = [next(ranking)]
    parent = next(node.id for node in grower.tree.nodes if node.children and node.terminal is None)
    leaf = next(node.id for node in grower.tree.nodes if not node.children and node.terminal is None)
    assert parent < leaf
    grower.expand(leaf, [("more", "done", 1.0), ("less", "done", 0.0)])
    assert found + list(ranking) == before


def test_a_large_tree_tells_its_leaves_first_and_counts_as_the_engine_does() -> None:
    tree = wide_tree(3_000)
    told = list(pair_figures(tree, DEFAULT))
    assert [figures.pairs for figures in told] == [None, None, count_pairs(tree, DEFAULT)]
    assert told[0].leaves == [leaf.id for leaf in leaves_by_q(tree)]
    assert len(told[1].suggestions) == 200


def test_two_leaves_make_a_pair_whichever_is_named_first() -> None:
    tree = yellow_bed().tree
    leaves = leaves_by_q(tree)
    best, worst = leaves[0].id, leaves[-1].id
    assert pair_of(tree, best, worst, DEFAULT) == pair_of(tree, worst, best, DEFAULT) != None  # noqa: E711
    assert pair_of(tree, best, leaves[1].id, DEFAULT) is None


# -- two trajectories ------------------------------------------------------------------------------------


def some_pair(tree: SearchTree) -> Pair:
    return next(ranked(tree, DEFAULT, "fork"))


@pytest.mark.parametrize("width", [60, 108])
def test_shared_steps_stand_once_and_the_others_on_their_side(width: int) -> None:
    tree = yellow_bed().tree
    pair = pair_of(tree, 8, 13, DEFAULT) or some_pair(tree)
    text = plain(path_lines(tree, pair, width))
    shared, _, parted = text.partition("fork")
    good, bad = tree.ancestors(pair.good)[1:], tree.ancestors(pair.bad)[1:]
    depth = tree.nodes[pair.fork].depth
    for id in good[:depth]:
        assert tree.nodes[id].action in shared
    acts = re.findall(r"([+−]) +\d+ act", parted)
    assert acts.count("+") == len(good) - depth
    assert acts.count("−") == len(bad) - depth
    assert f"good leaf {pair.good}" in shared
    assert f"bad leaf {pair.bad}" in shared


def test_side_by_side_where_there_is_room_and_one_after_the_other_where_not() -> None:
    tree = yellow_bed().tree
    pair = some_pair(tree)
    wide, narrow = (plain(path_lines(tree, pair, width)).splitlines() for width in (108, 60))
    assert any("good leaf" in row and "bad leaf" in row for row in wide)
    assert not any("good leaf" in row and "bad leaf" in row for row in narrow)
    assert len({row.index("│") for row in wide if "│" in row}) == 1


def test_of_a_step_that_differs_only_the_other_words_stand_out() -> None:
    grower = Grower()
    good, bad = grower.expand(ROOT, [("craft 1 red bed", "done", 1.0), ("craft 2 red bed", "done", 0.0)])
    pair = pair_of(grower.tree, good, bad, DEFAULT)
    assert pair is not None
    lines = path_lines(grower.tree, pair, 60)
    changed = [text for line in lines for text, role in line.parts if role == "warn"]
    assert changed[:2] == ["2", "1"]  # of the bad one, of the good one


def test_a_fork_at_the_root_says_that_nothing_is_shared() -> None:
    grower = Grower()
    good, bad = grower.expand(ROOT, [("craft bed", "done", 1.0), ("give up", "done", 0.0)])
    pair = pair_of(grower.tree, good, bad, DEFAULT)
    assert pair is not None
    assert "no step is shared" in plain(path_lines(grower.tree, pair, 108))


def test_hostile_and_endless_texts_stay_in_their_column() -> None:
    grower = Grower()
    good, bad = grower.expand(
        ROOT, [("\x1b[2J[red]go" + "x" * 50_000, "done", 1.0), ("名" * 3_000, "done", 0.0)], observation="y" * 90_000
    )
    pair = pair_of(grower.tree, good, bad, DEFAULT)
    assert pair is not None
    lines = path_lines(grower.tree, pair, 108)
    assert len(lines) < 500  # of 4,000 characters a text
    assert "␛[2J[red]go" in plain(lines)
    assert len({row.index("│") for row in plain(lines).splitlines() if "│" in row and "名" not in row}) == 1


# -- the screen ------------------------------------------------------------------------------------------


def pairs_screen(app: AgentrApp) -> PairsScreen:
    assert isinstance(app.screen, PairsScreen)
    return app.screen


def session_with(tmp_path: Path, tree: SearchTree | None = None) -> Session:
    """A session with a tree open: a made one, else that of a real search."""
    workspace = opened(tmp_path)
    session = Session(workspace)
    if tree is None:
        session.open(searched(workspace))
    else:
        session.tree, session.path = tree, tmp_path / "made.trace.jsonl"
    return session


async def test_title_and_tables_hold_what_the_engine_counts(tmp_path: Path) -> None:
    session = session_with(tmp_path)
    tree = session.tree
    assert tree is not None
    leaves = leaves_by_q(tree)
    good = sum(DEFAULT.good(leaf) for leaf in leaves)
    async with running(session, "pairs") as (app, pilot):
        screen = pairs_screen(app)
        await until(pilot, lambda: screen.figures is not None and screen.figures.pairs is not None)
        top = "".join(text for text, _ in screen.top_bar.left)
        assert "alpha 0.5" in top
        assert "beta 0.2" in top
        assert f"{count_pairs(tree, DEFAULT)} pairs" in top
        assert screen.leaves.border_title == f"leaves  {len(leaves)} · {good} good · {len(leaves) - good} bad"
        shown = [screen.leaves.texts(row) for row in range(screen.leaves.row_count)]
        assert [row[2] for row in shown] == [str(leaf.id) for leaf in leaves]
        assert [row[1] for row in shown] == ["✓ good"] * good + ["✗ bad"] * (len(leaves) - good)


async def test_alpha_and_beta_take_numbers_and_nothing_else(tmp_path: Path) -> None:
    session = session_with(tmp_path)
    async with running(session, "pairs") as (app, pilot):
        screen = pairs_screen(app)
        await until(pilot, lambda: screen.figures is not None)
        keys = screen.key_bar.keys()
        assert {"select", "choose"} <= {key.action for key in keys}
        for text in ("high", "", "nan", "inf", "[red]"):
            await pilot.press("a")
            await until(pilot, lambda: app.screen is not screen)
            app.screen.query_one(Input).value = text
            await pilot.press("enter")
            await until(pilot, lambda: app.screen is screen)
            await pilot.pause()
            assert session.alpha is None
            assert f"{text!r} is not a number: alpha stays 0.5" in notices(app)
        for key, value in (("a", "1"), ("b", "-0.5")):
            await pilot.press(key)
            await until(pilot, lambda: app.screen is not screen)
            app.screen.query_one(Input).value = value
            await pilot.press("enter")
            await until(pilot, lambda: app.screen is screen)
        assert (session.alpha, session.beta) == (1.0, -0.5)
        await until(pilot, lambda: "No leaf is good" in pane(app, "paths"))
        assert "Lower alpha with a" in pane(app, "paths")
        keys = screen.key_bar.keys()
        assert {"select", "choose", "order"}.isdisjoint(key.action for key in keys)


async def test_space_chooses_and_enter_goes_to_revision_with_the_pair(tmp_path: Path) -> None:
    session = session_with(tmp_path)
    tree = session.tree
    assert tree is not None
    async with running(session, "pairs") as (app, pilot):
        screen = pairs_screen(app)
        await until(pilot, lambda: screen.figures is not None)
        leaves = leaves_by_q(tree)
        seen = []
        for keys in (["space"], ["G", "space"], ["space"], ["space"]):
            await pilot.press(*keys)
            seen.append(session.chosen)
        best, worst = leaves[0].id, leaves[-1].id
        assert seen == [(best, None), (best, worst), (best, None), (best, worst)]
        assert "chosen" in str(screen.leaves.border_subtitle)
        assert sum("★" in row for row in table_lines(screen.leaves)) >= 1
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "revision")
        assert session.chosen == (best, worst)


async def test_a_leaf_is_shown_with_its_best_partner(tmp_path: Path) -> None:
    session = session_with(tmp_path)
    tree = session.tree
    assert tree is not None
    async with running(session, "pairs") as (app, pilot):
        screen = pairs_screen(app)
        await until(pilot, lambda: screen.figures is not None)
        for _ in range(screen.leaves.row_count):
            leaf = screen.leaves.cursor_key
            assert isinstance(leaf, int)
            await pilot.pause()
            best, shown = best_partner(tree, leaf, DEFAULT), screen.shown
            assert (best is None) == (shown is None)
            if best is not None and shown is not None:
                assert leaf in (shown.good, shown.bad)
                assert (tree.nodes[shown.fork].depth, shown.gap) == (tree.nodes[best.fork].depth, best.gap)
            await pilot.press("j")


async def test_a_suggestion_is_one_key_away_from_revision_also_in_a_narrow_window(tmp_path: Path) -> None:
    session = session_with(tmp_path)
    async with running(session, "pairs", NARROW) as (app, pilot):
        screen = pairs_screen(app)
        await until(pilot, lambda: screen.figures is not None and screen.figures.suggestions)
        assert screen.figures is not None
        assert not screen.suggestions.display
        await pilot.press("tab")
        await until(pilot, lambda: screen.suggestions.has_focus)
        assert not screen.leaves.display
        await pilot.press("j")
        wanted = screen.figures.suggestions[1]
        await until(pilot, lambda: screen.shown == wanted)
        assert "fork" in pane(app, "paths")
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "revision")
        assert session.chosen == (wanted.good, wanted.bad)


async def test_without_a_tree_or_a_pair_it_says_what_that_means_and_what_to_do(tmp_path: Path) -> None:
    async with running(Session(opened(tmp_path / "none")), "pairs") as (app, pilot):
        assert "enter opens the trace" in app.screen.query_one(".nothing", TextPane).plain
        await pilot.press("space", "enter", "a", "j")  # nothing to act on: nothing happens
        assert app.current_mode == "pairs"
    grower = Grower()
    grower.expand(ROOT, ["get 1 log"])
    async with running(session_with(tmp_path / "open", grower.tree), "pairs") as (app, pilot):
        await until(pilot, lambda: "No trajectory has ended yet" in pane(app, "paths"))
    grower = Grower()
    grower.expand(ROOT, [("craft", "done", 0.9), ("craft it", "done", 0.8)])
    async with running(session_with(tmp_path / "close", grower.tree), "pairs") as (app, pilot):
        await until(pilot, lambda: "Lower beta with b" in pane(app, "paths"))


async def test_a_tree_that_grows_is_counted_again(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    session = Session(workspace)
    settings = SearchSettings(iterations=4, error_rate=0.5)
    path = workspace.traces / "live.trace.jsonl"
    live = session.start(lambda listener: new_job("textcraft", "2", settings, path, listener=listener, delay=0.02))
    async with running(session, "pairs") as (app, pilot):
        screen = pairs_screen(app)
        await until(pilot, lambda: live.over and session.live is None)
        expected = count_pairs(load_any(path).tree, DEFAULT)
        await until(pilot, lambda: screen.figures is not None and screen.figures.pairs == expected)


async def test_a_large_tree_lists_every_leaf_and_draws_only_what_is_seen(tmp_path: Path) -> None:
    tree = wide_tree(30_000)
    async with running(session_with(tmp_path, tree), "pairs") as (app, pilot):
        screen = pairs_screen(app)
        await until(pilot, lambda: screen.figures is not None and screen.figures.pairs is not None)
        assert screen.leaves.row_count == 30_000
        drawn: list[int] = []
        cells = screen.leaves._cells
        screen.leaves._cells = lambda row: (drawn.append(row), cells(row))[1]  # type: ignore[func-returns-value]
        await pilot.press("G")
        await pilot.pause()
        assert screen.leaves.cursor == 29_999
        assert 0 < len(set(drawn)) < 60
        await until(pilot, lambda: screen.shown is not None)  # found by a thread


@pytest.mark.parametrize("size", [WIDE, NARROW, (40, 12)])
async def test_nothing_is_cut_away_silently_at_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    async with running(session_with(tmp_path), "pairs", size) as (app, pilot):
        screen = pairs_screen(app)
        await until(pilot, lambda: screen.figures is not None and screen.figures.pairs is not None)
        await pilot.pause()
        assert "✓ good" in "\n".join(table_lines(screen.leaves))
        assert "fork" in pane(app, "paths")
        assert not app.screen.query_one(".too-small", Static).display


@pytest.mark.parametrize("mode", ["search", "pairs", "revision"])
async def test_no_menu_opens_over_a_screen_without_a_tree(tmp_path: Path, mode: str) -> None:
    async with running(Session(opened(tmp_path / "w")), mode) as (app, pilot):
        await until(pilot, lambda: app.screen.has_class("-nothing"))
        screen = app.screen
        keys = {key for binding in screen.BINDINGS for key in binding.key.split(",")}  # type: ignore[union-attr]
        for key in sorted(keys - {"colon"}):  # the palette is the app's
            await pilot.press(key)
            assert app.screen is screen, key
            assert not isinstance(app.focused, Input), key
