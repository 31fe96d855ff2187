"""A model judges on the Revision screen: beside it, step by step, stoppable. Real HTTP on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from agentr_tui.app.app import AgentrApp
from agentr_tui.screens.revision.screen import RevisionScreen
from agentr_tui.screens.shared.dialogs import Menu, Prompt
from agentr_tui.state.session import Session
from tests.agentr_tui.apps import notices, opened, revised, running, searched, until
from tests.servers.llm_server import Body, Call, LLMServer


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def says_good(body: Body) -> str:
    return "It helps.\nJudgement: Good"


async def asked(app: AgentrApp, pilot: Pilot[Any], server: LLMServer) -> RevisionScreen:
    """The screen, on which a model was asked to judge."""
    screen = app.screen
    assert isinstance(screen, RevisionScreen)
    await until(pilot, lambda: screen.front.shown is not None)
    await pilot.press("V")
    await until(pilot, lambda: isinstance(app.screen, Prompt))
    app.screen.query_one(Input).value = f"judge {server.url}"
    await pilot.press("enter")
    return screen


async def test_a_model_judges_step_by_step_beside_the_screen_and_stops_when_told(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    revised(workspace, searched(workspace))
    answered = 2

    def hangs_later(call: Call) -> str | None:
        return "timeout" if call.number >= answered else None

    with LLMServer(answer=says_good, faults=hangs_later, hang=60) as server:
        async with running(Session(workspace), "revision") as (app, pilot):
            screen = await asked(app, pilot, server)
            await until(pilot, lambda: screen.front.shown is not None and screen.front.shown.by_model is not None
                        and len(screen.front.shown.by_model[1]) == answered)  # fmt: skip
            assert "openai:judge" in str(screen.query_one("#bad").border_subtitle)
            place = screen.front.shown.sample.id if screen.front.shown is not None else ""
            await pilot.press("right_curly_bracket")  # the screen is free meanwhile
            await until(pilot, lambda: screen.front.shown is not None and screen.front.shown.sample.id != place)
            await pilot.press("left_curly_bracket")
            await until(pilot, lambda: screen.front.shown is not None and screen.front.shown.sample.id == place)
            await until(pilot, lambda: len(server.calls) == answered + 1)
            await pilot.press("V")
            await until(pilot, lambda: isinstance(app.screen, Menu))
            await pilot.press("S")
            await until(pilot, lambda: "stopped" in notices(app))
            calls = len(server.calls)
            server.faults = lambda call: None
            screen = await asked(app, pilot, server)
            await until(pilot, lambda: "found nothing wrong" in notices(app))
            shown = screen.front.shown
            assert shown is not None
            assert len(server.calls) - calls == shown.sample.bad_depth - answered, "what was judged is not asked again"
            await until(pilot, lambda: screen.front.shown is not None and screen.front.shown.by_model is not None
                        and len(screen.front.shown.by_model[1]) == shown.sample.bad_depth)  # fmt: skip
