"""The tree view shows what the tree is, costs what is visible, and stays put."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.geometry import Region
from textual.pilot import Pilot

from agentr_tui.terminal.theme import THEME_VARIABLE_DEFAULTS, THEMES, app_options, glyphs, install, palette
from agentr_tui.widgets.tree.line import Painter, columns, labels, summarise_row
from agentr_tui.widgets.tree.view import Mark, TreeView
from engine.tree.node import ROOT
from engine.tree.reader import TreeReader
from tests.agentr_tui.trees import Grower, chain, imported_tree, random_tree, yellow_bed


class Host(App[None]):
    """A screen that is one tree view, and remembers its messages."""

    CSS = "TreeView { border: round $border-blurred; background: $background; }"

    def __init__(self, theme: str | None = None) -> None:
        super().__init__(**app_options())
        self.wanted = theme
        self.told: list[tuple[str, int]] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {**super().get_theme_variable_defaults(), **THEME_VARIABLE_DEFAULTS}

    def compose(self) -> ComposeResult:
        yield TreeView()

    def on_mount(self) -> None:
        install(self, self.wanted)
        self.watch(self.query_one(TreeView), "cursor_node", self.moved, init=False)

    def moved(self, node: int) -> None:
        self.told.append(("moved", node))

    def on_tree_view_node_selected(self, event: TreeView.NodeSelected) -> None:
        self.told.append(("selected", event.node))


class Stage:
    """A running host with a tree in it."""

    def __init__(self, app: Host, pilot: Pilot[Any], view: TreeView) -> None:
        self.app, self.pilot, self.view = app, pilot, view

    def lines(self) -> list[str]:
        """The text of every line of the viewport."""
        return [self.view.render_line(y).text for y in range(self.view.size.height)]

    def line(self, action: str) -> str:
        """The visible line that holds this text."""
        (found,) = [line for line in self.lines() if action in line]
        return found

    async def press(self, *keys: str) -> int:
        """Press keys; the node under the cursor then."""
        await self.pilot.press(*keys)
        await self.pilot.pause()
        return self.view.cursor_node


@asynccontextmanager
async def stage(
    tree: TreeReader,
    size: tuple[int, int] = (110, 32),
    *,
    theme: str | None = None,
    score_range: tuple[float, float] = (0.0, 1.0),
) -> AsyncIterator[Stage]:
    app = Host(theme)
    async with app.run_test(size=size) as pilot:
        view = app.query_one(TreeView)
        view.focus()
        view.set_tree(tree, score_range)
        await pilot.pause()
        yield Stage(app, pilot, view)


# -- what a row says -----------------------------------------------------------------------------------


async def test_every_kind_of_node_has_its_glyph_figures_and_word() -> None:
    grower = yellow_bed()
    async with stage(grower.tree) as on:
        lines = on.lines()
        assert lines[0].split() == ["▾", "root", "10", ".38", "███▏"]
        assert "▾ get 3 white wool" in lines[1]
        assert lines[1].split()[-3:-1] == ["6", ".59"]
        assert "✓ craft 1 yellow bed using 3 yellow wool, 3 oak planks" in on.line("3 yellow wool, 3 oak")
        assert on.line("3 yellow wool, 3 oak").split()[-4:] == ["1", "1.0", "████████", "done"]
        assert on.line("✗ put bed down").split()[-3:] == [".00", "too", "deep"]
        assert on.line("⊘").split()[-3:] == ["1", ".00", "disaster"]
        assert on.line("⊣ look around").split()[-4:] == ["0", "–", "dead", "end"]
        assert on.line("◌ get 3 yellow wool").split()[-2:] == ["0", "–"]
        assert on.line("▾ get 2 oak log").split()[-2:] == ["all", "ended"]
        assert on.line("▾ craft 4 oak planks using 1 oak log").split()[-2:] == ["0", "–"]


async def test_a_leaf_is_good_from_half_of_the_score_range_on() -> None:
    grower = Grower((0.0, 100.0))
    grower.expand(ROOT, [("a", "done", 50.0), ("b", "done", 49.0), ("c", "done", 100.0), ("d", "disaster", -100.0)])
    async with stage(grower.tree, score_range=(0.0, 100.0)) as on:
        assert [line.split()[1] for line in on.lines()[1:5]] == ["✓", "✗", "✓", "⊘"]
        assert [line.split()[4] for line in on.lines()[1:5]] == ["50", "49", "100", "0.0"]


@pytest.mark.parametrize("width", [0, 1, 2, 3, 5, 9, 17, 18, 29, 30, 47, 48, 53, 54, 75, 76, 99, 100, 140, 400])
@pytest.mark.parametrize("kind", ["small", "deep", "hostile"])
def test_every_line_is_exactly_as_wide_as_the_view(width: int, kind: str) -> None:
    """Whatever the width, of a plain row, of one 5,000 levels deep, and of hostile text."""
    tree: TreeReader = yellow_bed().tree if kind == "small" else chain(5_000)
    if kind == "hostile":
        grower = Grower()
        grower.expand(ROOT, ["\x1b[2J\u202e日本語\x00" * 50])
        tree = grower.tree
    for compact in (False, True):
        id = len(tree) - 1
        depth = tree.node(id).depth
        now = columns(width, compact=compact, visits=12_345, deepest=depth, cursor_level=depth)
        row = summarise_row(
            tree, (id,), depth, score_range=(0.0, 1.0), glyphs=glyphs(False), columns=now, foldable=False, is_open=True
        )
        painter = Painter(palette(THEMES[0]), Style(), glyphs(False), focused=True)
        strip = painter.strip(row, labels(tree, (id,), glyphs(False)), now)
        assert strip.cell_length == cell_len(strip.text) == width


async def test_hostile_text_is_shown_not_obeyed() -> None:
    grower = Grower()
    grower.expand(
        ROOT, ["\x1b[31mred\x1b[0m", "a\nb\rc\x00", "abc\u202egnp.exe", "[bold red]markup[/]", "x" * 1_000_000]
    )
    async with stage(grower.tree) as on:
        assert "␛[31mred␛[0m" in on.line("red␛")
        assert "a⏎b␍c␀" in on.line("a⏎b")
        assert "abc⟨U+202E⟩gnp.exe" in on.line("gnp")
        assert "[bold red]markup[/]" in on.line("markup")
        assert "xxx…" in on.line("xxx")
        assert all(character.isprintable() for line in on.lines() for character in line)


@pytest.mark.parametrize("columns", [40, 62, 80, 110, 140])
async def test_figures_stand_in_columns_above_their_names(columns: int) -> None:
    grower = Grower()
    grower.expand(ROOT, [("日本語" * 3, "done", 0.5), ("e\u0301" * 9, "done", 0.25), ("plain", "done", 1.0)])
    async with stage(grower.tree, (columns, 20)) as on:
        ends = {cell_len(line[: line.rindex(value) + len(value)]) for line, value in
                zip(on.lines()[1:4], (".50", ".25", "1.0"), strict=True)}  # fmt: skip
        assert len(ends) == 1
        width, height = on.view.outer_size
        (border,) = on.view.render_lines(Region(0, height - 1, width, 1))
        assert border.text.index("Q") == ends.pop()  # the border is a cell wide: Q ends where the figures do
        assert border.text.index("N") == cell_len(on.lines()[3][: on.lines()[3].index(" 1 ") + 2])


async def test_glyphs_fall_back_to_ascii() -> None:
    async with stage(yellow_bed().tree) as on:
        on.view.drawing.glyphs = glyphs(True)
        on.view.notify_style_update()
        on.view.set_path([0, 1, 5, 11])
        assert all(line.isascii() for line in on.lines())
        assert "v craft 1 yellow bed using 3 yellow wool" in on.line("3 yellow wool, 3")


# -- path, pair, marks ---------------------------------------------------------------------------------


async def test_the_search_path_is_a_line_from_the_root_to_its_end() -> None:
    grower = yellow_bed()
    async with stage(grower.tree) as on:
        on.view.set_path(grower.tree.path)
        lines = on.lines()
        assert lines[1].startswith(" ╰─▾ get 3 white wool")
        assert lines[2].startswith(" │ ╰─▾ get 3 yellow dye")
        assert "╰─◌ inventory" in lines[7]
        blue = on.app.current_theme.primary
        beside = [on.view.render_line(y) for y in range(3, 7)]  # rows that the line passes on its way down
        for strip in beside:
            (guide,) = [segment for segment in strip if "│" in segment.text and segment.style and segment.style.color
                        and segment.style.color.name == blue]  # fmt: skip
            assert guide.text == "│ "
        on.view.set_path([])
        assert not any("╰" in line for line in on.lines())


async def test_the_pair_is_marked_from_the_fork_on() -> None:
    grower = yellow_bed()
    async with stage(grower.tree) as on:
        good, bad = 8, 11
        on.view.set_pair(good, bad)
        rows = on.view.rows
        assert rows is not None
        signs = {id: on.lines()[rows.row_of(id) or 0][0] for id in range(len(grower.tree))}
        assert signs[good] == "✓"
        assert signs[bad] == "✗"
        assert signs[6] == "−"  # the step of the bad trajectory after the fork
        assert signs[1] == signs[ROOT] == " "  # shared
        on.view.set_pair(None, None)
        assert {line[0] for line in on.lines()} == {" "}


async def test_marks_say_a_word_and_show_a_glyph() -> None:
    async with stage(yellow_bed().tree) as on:
        on.view.set_marks({12: Mark("next"), 5: Mark("", "person", "★"), 6: Mark("seen 4× by everybody", "warn")})
        inventory = [line for line in on.lines() if "inventory" in line]
        assert inventory[0].split()[-1] == "next"
        assert inventory[-1].startswith("★")
        assert on.line("get 3 yellow dye").rstrip().endswith("seen 4× …")


# -- keys and mouse ------------------------------------------------------------------------------------


async def test_keys_move_fold_and_open() -> None:
    async with stage(yellow_bed().tree) as on:
        assert await on.press("j") == 1
        assert await on.press("down", "down") == 10
        assert await on.press("k") == 6
        assert await on.press("up") == 1
        assert await on.press("right_parenthesis") == 2
        assert await on.press("right_parenthesis", "left_parenthesis") == 2
        assert await on.press("G") == 5
        assert await on.press("end") == 5
        assert await on.press("g") == ROOT
        assert await on.press("l") == 1  # open already: to the first child
        rows = on.view.rows
        assert rows is not None
        before = len(rows)
        assert await on.press("h") == 1
        assert not rows.is_open(1)
        assert len(rows) == before - 11
        assert await on.press("h") == ROOT  # folded already: to the parent
        assert await on.press("j", "right") == 1
        assert len(rows) == before
        assert await on.press("home", "enter") == ROOT
        assert on.app.told[-1] == ("selected", ROOT)
        assert await on.press("z") == ROOT
        assert len(rows) == 1
        await on.press("z")
        assert len(rows) == before


async def test_moving_says_which_node() -> None:
    async with stage(yellow_bed().tree) as on:
        assert on.app.told == []
        await on.press("j", "j")
        assert on.app.told == [("moved", 1), ("moved", 6)]
        await on.press("k", "k", "k")
        assert on.app.told[-1] == ("moved", ROOT)


async def test_pages_move_by_the_height_of_the_view() -> None:
    tree = random_tree(1_000).tree
    async with stage(tree) as on:
        rows = on.view.rows
        assert rows is not None
        height = on.view.size.height
        for keys, row in (("pagedown", height - 1), ("ctrl+f", 2 * (height - 1)), ("pageup", height - 1)):
            assert rows.row_of(await on.press(keys)) == row
        assert on.view.scroll_offset.y <= height - 1 < on.view.scroll_offset.y + height
        assert rows.row_of(await on.press("G", "pagedown")) == len(rows) - 1
        assert rows.row_of(await on.press("g", "pageup")) == 0


async def test_a_click_at_the_glyph_folds_elsewhere_it_takes_the_row() -> None:
    async with stage(yellow_bed().tree) as on:
        rows = on.view.rows
        assert rows is not None
        at = on.lines()[2].index("▾")
        await on.pilot.click(TreeView, offset=(1 + at, 1 + 2))  # the border is one cell
        assert not rows.is_open(6)
        assert on.view.cursor_node == ROOT
        await on.pilot.click(TreeView, offset=(1 + at, 1 + 2))
        assert rows.is_open(6)
        await on.pilot.click(TreeView, offset=(1 + at + 6, 1 + 2))
        assert on.view.cursor_node == 6
        assert ("selected", 6) not in on.app.told
        await on.pilot.click(TreeView, offset=(1 + at + 6, 1 + 2))
        assert on.app.told[-1] == ("selected", 6)
        await on.pilot.click(TreeView, offset=(10, 1 + 28))  # below the last row
        assert on.view.cursor_node == 6


async def test_a_click_finds_the_glyph_also_where_levels_are_cut() -> None:
    async with stage(chain(3_000)) as on:
        on.view.unfold_all()
        on.view.go_to(1_500)
        await on.pilot.pause()
        rows = on.view.rows
        assert rows is not None
        for y in (0, 12, 29):
            id = rows.at(on.view.scroll_offset.y + y)
            at = on.lines()[y].index("▾")
            await on.pilot.click(TreeView, offset=(1 + at, 1 + y))
            assert not rows.is_open(id), y
            on.view.toggle(id)
            on.view.go_to(1_500)
            await on.pilot.pause()


def test_every_binding_has_an_id_and_a_tooltip() -> None:
    bindings = [binding for binding in TreeView.BINDINGS if isinstance(binding, Binding)]
    assert len(bindings) == len(TreeView.BINDINGS)
    assert all(binding.id and binding.tooltip for binding in bindings)
    assert len({binding.id for binding in bindings}) == len(bindings)


# -- growing, and staying put --------------------------------------------------------------------------


async def test_the_view_stays_put_when_rows_appear_above() -> None:
    grower = random_tree(600, 4)
    async with stage(grower.tree) as on:
        rows = on.view.rows
        assert rows is not None
        target = rows.at(len(rows) // 2)
        on.view.go_to(target)
        await on.pilot.pause()
        shown = [line.split("  ")[0] for line in on.lines()]
        top, count = on.view.scroll_offset.y, len(rows)
        early = next(id for id in rows.window(0, top - 20) if not grower.tree.expanded(id) and
                     grower.tree.node(id).terminal is None)  # fmt: skip
        new = grower.expand(early, ["one", "two", "three"])
        on.view.grow(new)
        await on.pilot.pause()
        assert len(rows) == count + 3
        assert on.view.scroll_offset.y == top + 3
        assert [line.split("  ")[0] for line in on.lines()] == shown
        assert on.view.cursor_node == target


async def test_growth_out_of_sight_draws_no_line_of_another_text() -> None:
    grower = random_tree(600, 4)
    async with stage(grower.tree) as on:
        drawn: list[int] = []
        painter = on.view.drawing.painter
        assert painter is not None
        render = painter.strip

        def counted(row: Any, actions: list[str], now: Any) -> Any:
            drawn.append(row.chain[-1])
            return render(row, actions, now)

        painter.strip = counted  # type: ignore[method-assign, assignment]
        last = next(id for id in reversed(range(len(grower.tree))) if not grower.tree.expanded(id) and
                    grower.tree.node(id).terminal is None)  # fmt: skip
        on.view.grow(grower.expand(last, ["below", "the", "view"]))
        await on.pilot.pause()
        assert drawn == []
        leaf = grower.expand(len(grower.tree) - 1, [("end", "done", 1.0)])
        on.view.grow(leaf)
        await on.pilot.pause()
        shown = set(on.view.window.nodes())
        assert set(drawn) <= shown & set(grower.tree.ancestors(leaf[0]))  # only rows whose figures changed
        assert ROOT in drawn


async def test_rows_that_come_above_draw_no_row_on_screen_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    grower = random_tree(1_500, 1)
    first, last = grower.tree.nodes[ROOT].children[0], grower.tree.nodes[ROOT].children[-1]
    async with stage(grower.tree) as on:
        await on.press("G")
        shown, top = on.view.window.nodes(), on.view.scroll_offset.y
        assert grower.tree.ancestors(shown[0])[1] == last
        drawn: list[int] = []
        draw = on.view.drawing.strip
        monkeypatch.setattr(on.view.drawing, "strip", lambda line, *rest: (drawn.append(line), draw(line, *rest))[1])  # type: ignore[func-returns-value]
        above = next(
            node.id
            for node in grower.tree.nodes
            if node.terminal is None and not node.expanded and first in grower.tree.ancestors(node.id)
        )
        grower.expand(above, ["look", "wait"])
        on.view.grow()
        await on.pilot.pause()
        assert (on.view.window.nodes(), on.view.scroll_offset.y) == (shown, top + 2)
        assert drawn == []
        on.view.scroll_to(y=0, animate=False)
        await on.pilot.pause()
        assert sorted(set(drawn)) == list(range(on.view.size.height))


async def test_the_scrollbar_knows_every_row_while_the_tree_grows_and_folds() -> None:
    grower = Grower()
    async with stage(grower.tree) as on:
        rows, bar = on.view.rows, on.view.vertical_scrollbar
        assert rows is not None
        at = ROOT
        for place in range(40):
            at, *_ = grower.expand(at, [f"go on {place}", "turn back", "inventory"])
            on.view.grow()
            await on.pilot.pause()
            assert on.view.show_vertical_scrollbar == (len(rows) > on.view.size.height)
            assert on.view.max_scroll_y == max(0, len(rows) - on.view.size.height)
            if on.view.show_vertical_scrollbar:
                assert bar.window_virtual_size == len(rows)
        await on.press("G")
        assert "turn back" in on.lines()[-2] or "inventory" in on.lines()[-1]
        for key in "gzz":
            await on.press(key)
            assert on.view.show_vertical_scrollbar == (len(rows) > on.view.size.height)
        assert bar.window_virtual_size == len(rows)


async def test_the_scrollbar_is_drawn_only_where_its_thumb_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    grower = random_tree(1_500, 1)
    async with stage(grower.tree) as on:
        bar = on.view.vertical_scrollbar
        drawn: list[int] = []
        draw = type(bar).render_line
        monkeypatch.setattr(type(bar), "render_line", lambda bar, y: (drawn.append(y), draw(bar, y))[1])  # type: ignore[func-returns-value]
        grower.expand(next(node.id for node in grower.tree.nodes if node.terminal is None and not node.expanded), ["x"])
        on.view.grow()
        await on.pilot.pause()
        assert bar.window_virtual_size == len(grower.tree)
        assert drawn == []
        await on.press("G")
        assert len(drawn) == bar.size.height
        drawn.clear()
        on.app.theme = "agentr-light"
        await on.pilot.pause()
        assert drawn, "other colours are another look"


async def test_figures_that_changed_are_shown_after_the_flush() -> None:
    grower = yellow_bed()
    async with stage(grower.tree) as on:
        grower.expand(12, [("craft it at last", "done", 1.0)])
        on.view.grow([len(grower.tree) - 1])
        await on.pilot.pause()
        assert on.lines()[0].split()[2:4] == ["11", ".44"]
        assert "✓ craft it at last" in on.line("at last")
        assert "▾ inventory" in on.lines()[7]


async def test_following_shows_the_newest_node_until_the_reader_moves() -> None:
    grower = random_tree(300, 6)
    async with stage(grower.tree) as on:
        view = on.view
        view.follow = True

        def grow() -> int:
            open_nodes = [id for id in range(len(grower.tree)) if not grower.tree.expanded(id)
                          and grower.tree.node(id).terminal is None]  # fmt: skip
            view.grow(grower.expand(open_nodes[len(open_nodes) // 2], ["new"]))
            return len(grower.tree) - 1

        for _ in range(3):
            newest = grow()
            await on.pilot.pause()
            assert newest in view.window.nodes()
        assert view.cursor_node == newest  # the cursor goes with it
        await on.press("j")
        assert not view.follow
        view.follow = True
        view.post_message(events.MouseScrollUp(view, 5, 5, 0, 0, 0, False, False, False))
        await on.pilot.pause()
        assert not view.follow
        place = view.scroll_offset.y
        grow()
        await on.pilot.pause()
        assert view.scroll_offset.y in (place, place + 1)


async def test_the_cursor_keeps_its_line_when_rows_fold_around_it() -> None:
    grower = random_tree(600, 4)
    async with stage(grower.tree) as on:
        rows = on.view.rows
        assert rows is not None
        target = rows.at(len(rows) // 2)
        on.view.go_to(target)
        await on.pilot.pause()
        line = (rows.row_of(target) or 0) - on.view.scroll_offset.y
        on.view.toggle(next(id for id in grower.tree.children(ROOT) if id not in grower.tree.ancestors(target)
                            and rows.has_children(id)))  # fmt: skip
        await on.pilot.pause()
        assert (rows.row_of(target) or 0) - on.view.scroll_offset.y == line
        parent = grower.tree.ancestors(target)[2]
        on.view.toggle(parent)
        await on.pilot.pause()
        assert on.view.cursor_node == parent  # what hides the node stands for it


async def test_another_moment_keeps_folding_and_cursor() -> None:
    grower = random_tree(400, 8)
    tree = grower.tree
    async with stage(tree) as on:
        rows = on.view.rows
        assert rows is not None
        folded = next(id for id in tree.children(ROOT) if id not in tree.ancestors(len(tree) - 1))
        on.view.toggle(folded)
        on.view.go_to(len(tree) - 1)
        middle = tree.at(tree.seq // 2)
        on.view.set_moment(middle)
        await on.pilot.pause()
        assert rows.nodes == len(middle)
        assert on.view.cursor_node in tree.ancestors(len(tree) - 1)
        await on.press("g")
        assert on.lines()[0].split()[2] == str(middle.visits(ROOT)) != str(tree.visits(ROOT))
        assert not rows.is_open(folded)
        on.view.set_moment(tree)
        await on.pilot.pause()
        assert rows.nodes == len(tree)
        assert not rows.is_open(folded)


async def test_go_to_unfolds_what_hides_the_node() -> None:
    tree = random_tree(3_000, 2).tree
    async with stage(tree) as on:
        deep = max(range(len(tree)), key=lambda id: tree.node(id).depth)
        rows = on.view.rows
        assert rows is not None
        assert rows.row_of(deep) is None  # a large tree opens to depth 3
        assert max(tree.node(id).depth for id in rows.window(0, len(rows))) == 3
        on.view.go_to(deep)
        await on.pilot.pause()
        assert deep in on.view.window.nodes()
        with pytest.raises(IndexError):
            on.view.go_to(len(tree))


async def test_a_filter_shows_matches_and_gives_everything_back() -> None:
    tree = yellow_bed().tree
    async with stage(tree) as on:
        before = on.lines()
        await on.press("G")
        on.view.set_visible([8])
        await on.pilot.pause()
        assert sum(bool(line.strip()) for line in on.lines()) == 3
        assert on.view.cursor_node == ROOT
        on.view.go_to(20)  # hidden: its nearest visible ancestor stands for it
        assert on.view.cursor_node == ROOT
        on.view.set_visible(None)
        await on.pilot.pause()
        assert [line[:40] for line in on.lines()] == [line[:40] for line in before]


# -- room ----------------------------------------------------------------------------------------------


async def test_below_a_hundred_columns_bars_go_and_only_children_share_a_row() -> None:
    grower = Grower()
    (first,) = grower.expand(ROOT, ["get 3 white wool"])
    (second,) = grower.expand(first, ["get 3 yellow dye"])
    third, _ = grower.expand(second, [("craft 1 yellow bed", "done", 1.0), "inventory"])
    async with stage(grower.tree, (80, 24)) as on:
        lines = on.lines()
        assert "▾ get 3 white wool › get 3 yellow dye" in lines[1]
        assert "✓ craft 1 yellow bed" in lines[2]
        assert "█" not in "".join(lines)
        assert lines[2].split()[-3:] == ["1", "1.0", "done"]
        assert await on.press("j") == second
        assert await on.press("h") == second  # folds
        assert await on.press("h") == first  # then step by step back
        assert await on.press("h") == ROOT
        assert await on.press("j", "l") == second
        assert await on.press("l") == third
        await on.pilot.resize_terminal(110, 24)
        await on.pilot.pause()
        assert on.lines()[2].strip().startswith("│ │ ▾ get 3 yellow dye")
        assert "█" in "".join(on.lines())
        assert on.view.cursor_node == third


async def test_a_step_inside_a_chain_stands_out_under_the_cursor() -> None:
    grower = Grower()
    at = ROOT
    for place in range(60):
        (at,) = grower.expand(at, [f"step number {place}"])
    async with stage(grower.tree, (80, 24)) as on:
        assert len(on.view.rows or []) == 2
        on.view.go_to(30)
        await on.pilot.pause()
        assert "step number 29" in on.lines()[1]
        assert on.view.cursor_node == 30


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 3), (12, 5), (40, 12), (80, 24), (250, 60)])
async def test_any_size_of_the_terminal_is_survived(size: tuple[int, int]) -> None:
    async with stage(random_tree(200).tree, size) as on:
        await on.press("G", "g", "pagedown", "h", "l", "z", "z")
        on.view.set_path([0, 1])
        on.view.grow([])
        await on.pilot.resize_terminal(110, 32)
        await on.pilot.pause()
        assert "root" in on.lines()[0] or on.view.scroll_offset.y


async def test_a_row_five_thousand_levels_deep_is_readable() -> None:
    async with stage(chain(5_000)) as on:
        on.view.unfold_all()
        on.view.go_to(4_000)
        await on.pilot.pause()
        shown = on.lines()
        assert all("step" in line or "…" in line for line in shown)
        for id, line in zip(on.view.window.nodes(), shown, strict=True):
            number = line[line.index("⋯") + 1 :].split()[0]
            assert line.index("▾") == 1 + len(f"⋯{number} ") + id - int(number)  # guides for what isn't counted
        assert all(line.index("▾") <= on.view.size.width * 0.5 for line in shown)
        await on.press("k")
        assert on.view.cursor_node == 3_999


async def test_an_empty_view_is_blank_and_keys_do_nothing() -> None:
    app = Host()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.query_one(TreeView)
        view.focus()
        await pilot.press("j", "k", "G", "g", "h", "l", "z", "enter", "pagedown", "left_parenthesis")
        await pilot.click(TreeView, offset=(5, 5))
        view.grow([])
        view.set_path([0])
        view.set_pair(1, 2)
        view.set_visible([1])
        assert {view.render_line(y).text.strip() for y in range(8)} == {""}
        assert app.told == []


# -- colours -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["agentr-dark", "agentr-light", "agentr-mono", "textual-dark", "nord", "ansi-dark"])
async def test_every_theme_draws_the_tree_and_can_be_changed(theme: str) -> None:
    async with stage(yellow_bed().tree, theme=theme) as on:
        before = [str(segment.style) for segment in on.view.render_line(2)]
        on.app.theme = "agentr-light" if theme != "agentr-light" else "agentr-dark"
        await on.pilot.pause()
        await on.pilot.pause()
        assert [str(segment.style) for segment in on.view.render_line(2)] != before


async def test_no_color_sends_no_colour_and_the_cursor_still_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage(yellow_bed().tree) as on:
        await on.press("j")
        on.view.set_pair(8, 11)
        assert on.app.theme == "agentr-mono"
        styles = [segment.style for y in range(24) for segment in on.view.render_line(y) if segment.style]
        for style in styles:
            assert style.color is None or style.color.is_default
            assert style.bgcolor is None or style.bgcolor.is_default
        assert all(segment.style and segment.style.reverse for segment in on.view.render_line(1))
        assert not any(segment.style and segment.style.reverse for segment in on.view.render_line(2))
        assert on.lines()[0]


async def test_the_cursor_row_is_laid_over_the_whole_width_and_dims_without_focus() -> None:
    async with stage(yellow_bed().tree) as on:
        grounds = {str(segment.style.bgcolor) for segment in on.view.render_line(0) if segment.style}
        assert len(grounds) == 1
        plain = {str(segment.style.bgcolor) for segment in on.view.render_line(1) if segment.style}
        assert grounds != plain
        on.app.screen.set_focus(None)
        await on.pilot.pause()
        blurred = {str(segment.style.bgcolor) for segment in on.view.render_line(0) if segment.style}
        assert len({*grounds, *plain, *blurred}) == 3


async def test_a_wide_node_of_a_hundred_thousand_children_is_walked_quickly() -> None:
    tree = imported_tree([ROOT] * 100_000)
    async with stage(tree) as on:
        assert await on.press("G") == 100_000
        on.view.go_to(50_000)
        await on.pilot.pause()
        assert 50_000 in on.view.window.nodes()
