"""Whatever a worker of a screen runs into is said in one line, and where it happened is logged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from agentr_tui.app.app import AgentrApp
from agentr_tui.screens.revision.screen_services import RevisionScreenServices
from agentr_tui.screens.search.overlays.repeated_states import StatesScreen
from agentr_tui.screens.shared.mode_screen import ModeScreen
from agentr_tui.screens.shared.screen_services import ScreenServices
from agentr_tui.state.session import Session
from engine.base.errors import WorkFailed
from engine.tree.reader import TreeReader
from tests.agentr_tui.apps import notices, opened, running, until

SAID = "unexpected KeyError: 'lost'; "
SECRET = "sk-of-somebody"


def broken() -> str:
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        raise KeyError("lost") from error


def refused() -> str:
    raise WorkFailed("no answer")


def services_of(app: AgentrApp, kind: Callable[[ModeScreen], ScreenServices] = ScreenServices) -> ScreenServices:
    assert isinstance(app.screen, ModeScreen)
    return kind(app.screen)


async def test_a_defect_in_a_thread_is_one_line_and_a_log_and_the_app_goes_on(tmp_path: Path) -> None:
    async with running(Session(opened(tmp_path))) as (app, pilot):
        done: list[str] = []
        services_of(app).in_thread(broken, done.append, "test")
        await until(pilot, lambda: SAID in notices(app))
        log = tmp_path / "errors.log"
        assert str(log) in notices(app)
        text = log.read_text(encoding="utf-8")
        assert f'File "{__file__}"' in text
        assert text.index("ValueError") < text.index("KeyError")  # the cause first
        assert SECRET not in text  # what an error says may be a key
        services_of(app).in_thread(lambda: "well", done.append, "test")
        await until(pilot, lambda: done == ["well"])


async def test_who_asked_for_the_work_is_told_of_a_defect_as_of_any_error(tmp_path: Path) -> None:
    async with running(Session(opened(tmp_path))) as (app, pilot):
        told: list[str] = []
        services_of(app).in_thread(broken, print, "test", failed=told.append)
        await until(pilot, lambda: len(told) == 1)
        services = cast(RevisionScreenServices, services_of(app, RevisionScreenServices))
        services.with_consent(broken, print, "test", failed=told.append)
        await until(pilot, lambda: len(told) == 2)
        assert all(line.startswith(SAID) for line in told)
        services_of(app).in_thread(refused, print, "test", failed=told.append)
        await until(pilot, lambda: len(told) == 3)
        assert told[2] == "no answer"
        assert notices(app) == ""


async def test_a_defect_in_a_worker_of_an_overlay_is_a_notice(tmp_path: Path) -> None:
    async with running(Session(opened(tmp_path))) as (app, pilot):
        nothing: Any = None
        await app.push_screen(StatesScreen(lambda ids: None, cast(TreeReader, nothing), (0.0, 1.0)))
        await until(pilot, lambda: "unexpected TypeError" in notices(app))
        assert "TypeError" in (tmp_path / "errors.log").read_text(encoding="utf-8")


async def test_where_no_log_can_be_written_the_line_is_said_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "errors.log").mkdir()
    async with running(Session(opened(tmp_path))) as (app, pilot):
        services_of(app).in_thread(broken, print, "test")
        await until(pilot, lambda: "unexpected KeyError: 'lost'" in notices(app))
        assert "errors.log" not in notices(app)
