"""Lines that a layout moved are drawn anew, whoever asked for a size in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual._compositor import Compositor

from agentr_tui.screens.shared.dialogs import Menu
from agentr_tui.state.session import Session
from agentr_tui.widgets.laid_out import LastLayout
from agentr_tui.widgets.top_bar import TopBar
from tests.agentr_tui.apps import NARROW, opened, running, showing


async def drawn_after_the_top_bar_went(folder: Path, compositor: Compositor) -> bool:
    """Whether what moved up is drawn where it was and where it is, a size having been asked for before the layout."""
    async with running(showing(folder, 1), "search", NARROW) as (app, pilot):
        screen: Any = app.screen
        screen._compositor = compositor
        screen.refresh(layout=True)
        await pilot.pause(0.1)
        top, below = screen.query_one(TopBar), screen.tree_view
        was = below.region
        top.display = False
        screen._clear_arrangement_cache()
        compositor._full_map_invalidated = True  # as after a scroll, or with a new widget
        assert below.region.y == was.y - 1
        compositor._dirty_regions.clear()
        compositor.reflow(screen, screen.size)
        rows = {y for region in compositor._dirty_regions for y in range(region.y, region.bottom)}
        return {was.y - 1, was.y, was.bottom - 1} <= rows


async def test_what_moved_is_drawn_where_it_was_and_where_it_is(tmp_path: Path) -> None:
    assert await drawn_after_the_top_bar_went(tmp_path, LastLayout())


async def test_textual_alone_forgets_it(tmp_path: Path) -> None:
    if await drawn_after_the_top_bar_went(tmp_path, Compositor()):
        pytest.fail("Textual no longer forgets what moved: agentr_tui/widgets/laid_out.py can go")


async def test_every_screen_and_dialog_compares_with_its_last_layout(tmp_path: Path) -> None:
    async with running(Session(opened(tmp_path)), "library", NARROW) as (app, _):
        assert isinstance(app.screen._compositor, LastLayout)
    assert isinstance(Menu("?", [])._compositor, LastLayout)
