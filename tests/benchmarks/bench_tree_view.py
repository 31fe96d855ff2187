"""What the tree view costs, beside Textual's own `Tree` in the same run.

    python -m tests.benchmarks.bench_tree_view [--quick]

CPU time of the whole process, from the change until the screen stands still, layout and the bytes for the terminal
included. Every figure is the median of some repeats. Exit status 1 where a target is missed.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual.app import App, ComposeResult
from textual.drivers.headless_driver import HeadlessDriver
from textual.pilot import Pilot
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from agentr_tui.terminal.theme import install
from agentr_tui.widgets.tree.rows import TreeRows
from agentr_tui.widgets.tree.view import TreeView
from engine.tree.events import BackedUp
from tests.agentr_tui.trees import Grower, random_tree

SIZE = (110, 40)


class BytesDriver(HeadlessDriver):
    """Takes what a terminal would get, and drops it."""

    written = 0

    @property
    def is_headless(self) -> bool:
        """No: so the app makes the bytes."""
        return False

    def write(self, data: str) -> None:
        """Count."""
        type(self).written += len(data)


class Host(App[None]):
    """One widget."""

    def __init__(self, own: bool) -> None:
        super().__init__(driver_class=BytesDriver)
        self.own = own

    def compose(self) -> ComposeResult:
        """Ours or Textual's."""
        yield TreeView() if self.own else Tree("root")

    def on_mount(self) -> None:
        """The same theme for both."""
        install(self)


@asynccontextmanager
async def running(own: bool) -> AsyncIterator[tuple[Any, Pilot[Any]]]:
    """The widget of a running app, and its pilot."""
    app = Host(own)
    async with app.run_test(headless=False, size=SIZE) as pilot:
        yield app.query_one(TreeView if own else Tree), pilot


def filled(tree: Tree[None], grower: Grower) -> list[TreeNode[None]]:
    """Textual's tree with the nodes of ours, all expanded; its nodes by our ids."""
    nodes = [tree.root]
    tree.root.expand()
    for node in grower.tree.nodes[1:]:
        nodes.append(nodes[node.parent].add(node.action, expand=True))
    return nodes


async def cpu(action: Callable[[], Any], pilot: Pilot[Any], repeats: int) -> float:
    """Median CPU seconds from the action until nothing is left to do."""
    spent = []
    for _ in range(repeats):
        await pilot.pause()
        start = time.process_time()
        action()
        await pilot.pause()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def unexpanded(grower: Grower, in_sight: bool) -> list[int]:
    """Nodes that can still get children: one among the first rows, again and again, or some all over the tree."""
    tree = grower.tree
    ids = [node.id for node in tree.nodes if not node.expanded and node.terminal is None]
    if in_sight:
        first = TreeRows(tree).window(0, SIZE[1] // 2)
        return [next(id for id in first if id in ids)] * 100
    return ids[:: max(1, len(ids) // 100)]


async def add_ours(count: int, repeats: int, in_sight: bool = False) -> float:
    """One more node in a tree of that many, all unfolded."""
    grower = random_tree(count, 1)
    places = iter(unexpanded(grower, in_sight))
    async with running(True) as (view, pilot):
        view.set_tree(grower.tree, open_depth=10**6)
        return await cpu(lambda: view.grow(grower.expand(next(places), ["get 1 oak log"])), pilot, repeats)


async def add_theirs(count: int, repeats: int, in_sight: bool = False) -> float:
    """The same with Textual's tree."""
    grower = random_tree(count, 1)
    places = iter(unexpanded(grower, in_sight))
    async with running(False) as (tree, pilot):
        nodes = filled(tree, grower)
        return await cpu(lambda: nodes[next(places)].add_leaf("get 1 oak log"), pilot, repeats)


async def expand_ours(count: int, repeats: int) -> float:
    """Unfold everything."""
    grower = random_tree(count, 1)
    async with running(True) as (view, pilot):
        view.set_tree(grower.tree, open_depth=1)
        spent = []
        for _ in range(repeats):
            view.fold_to_depth(1)
            spent.append(await cpu(view.unfold_all, pilot, 1))
        return statistics.median(spent)


async def expand_theirs(count: int, repeats: int) -> float:
    """The same with Textual's tree."""
    grower = random_tree(count, 1)
    async with running(False) as (tree, pilot):
        filled(tree, grower)
        spent = []
        for _ in range(repeats):
            tree.root.collapse_all()
            await pilot.pause()
            spent.append(await cpu(tree.root.expand_all, pilot, 1))
        return statistics.median(spent)


def way(grower: Grower) -> list[int]:
    """From the root to the deepest node."""
    return grower.tree.ancestors(max(grower.tree.nodes, key=lambda node: node.depth).id)


async def relabel_ours(count: int, repeats: int) -> float:
    """A return is backed up: N and Q of a whole path are others."""
    grower = random_tree(count, 1)
    path = way(grower)
    async with running(True) as (view, pilot):
        view.set_tree(grower.tree, open_depth=10**6)
        view.go_to(path[-1])

        def back_up() -> None:
            grower.apply(BackedUp(seq=0, leaf=path[-1], value=0.5))
            view.refresh_statistics()

        return await cpu(back_up, pilot, repeats)


async def relabel_theirs(count: int, repeats: int) -> float:
    """The same with Textual's tree: a label for each node of the path."""
    grower = random_tree(count, 1)
    path = way(grower)
    async with running(False) as (tree, pilot):
        nodes = filled(tree, grower)
        tree.move_cursor(nodes[path[-1]])

        def relabel() -> None:
            grower.apply(BackedUp(seq=0, leaf=path[-1], value=0.5))
            for id in path:
                node = grower.tree.nodes[id]
                nodes[id].set_label(f"{node.action}  {node.visits}  {node.q:.2f}")

        return await cpu(relabel, pilot, repeats)


async def memory(own: bool, count: int) -> int:
    """Bytes that showing a tree takes beyond the tree itself, after scrolling through a part of it."""
    grower = random_tree(count, 1)
    async with running(own) as (widget, pilot):
        await pilot.pause()
        tracemalloc.start()
        kept = widget.set_tree(grower.tree, open_depth=10**6) if own else filled(widget, grower)
        await pilot.pause()
        for _ in range(20):
            widget.scroll_relative(y=SIZE[1], animate=False)
            await pilot.pause()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del kept
        return size


async def line_time() -> float:
    """Milliseconds for a line that is in no cache."""
    grower = random_tree(20_000, 1)
    async with running(True) as (view, pilot):
        view.set_tree(grower.tree, open_depth=10**6)
        view.go_to(10_000)
        view.set_path(grower.tree.ancestors(10_000))
        await pilot.pause()
        start = time.process_time()
        for _ in range(50):
            view.drawing.strips.clear()
            for y in range(view.size.height):
                view.render_line(y)
        return (time.process_time() - start) / 50 / int(view.size.height) * 1000


async def measure(quick: bool) -> bool:
    """Print everything; whether all targets are met."""
    met = True

    def say(what: str, ours: float, theirs: float | None, ratio: float, wanted: str, ok: bool, unit: str) -> None:
        nonlocal met
        met = met and ok
        other = f"{theirs:10.2f}" if theirs is not None else " " * 10
        print(
            f"{what:<44}{ours:10.2f}{other} {unit:<3}{ratio:8.1f}x   {wanted:<8}{'ok' if ok else 'MISSED'}", flush=True
        )

    async def ratio(what: str, ours: Awaitable[float], theirs: float, least: float) -> None:
        mine, other = await ours * 1000, theirs * 1000
        say(what, mine, other, other / mine, f">= {least:.0f}x", other / mine >= least, "ms")

    print(f"{'':<44}{'ours':>10}{'Tree':>10}")
    theirs = await add_theirs(10_000, 9)
    await ratio("add a row live to 10,000", add_ours(10_000, 45), theirs, 20)
    await ratio("  the same in sight", add_ours(10_000, 45, in_sight=True), theirs, 20)
    await ratio("relabel a path in 10,000", relabel_ours(10_000, 45), await relabel_theirs(10_000, 9), 5)
    mine, other = await memory(True, 10_000) / 1e6, await memory(False, 10_000) / 1e6
    say("memory at 10,000", mine, other, other / mine, ">= 2x", mine <= other / 2, "MB")
    spent = await line_time()
    say("a line in no cache", spent, None, 0.2 / spent, "<= 0.2", spent <= 0.2, "ms")
    if quick:
        return met
    theirs = await add_theirs(100_000, 3)
    await ratio("add a row live to 100,000", add_ours(100_000, 45), theirs, 100)
    await ratio("  the same in sight", add_ours(100_000, 45, in_sight=True), theirs, 100)
    await ratio("expand all of 100,000", expand_ours(100_000, 5), await expand_theirs(100_000, 1), 30)
    small, large = await add_ours(1_000, 45) * 1000, await add_ours(100_000, 45) * 1000
    say("add a row: 100,000 against 1,000", large, None, large / small, "<= 2x", large <= 2 * small, "ms")
    return met


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(measure("--quick" in sys.argv)) else 1)
