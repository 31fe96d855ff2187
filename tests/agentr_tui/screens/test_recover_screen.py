"""Would it recover? On the Revision screen: the price first, live, in the background, kept with the sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from agentr_tui.app.app import AgentrApp
from agentr_tui.screens.revision.recovery_pane import RecoveryPane
from agentr_tui.screens.revision.screen import RevisionScreen
from agentr_tui.state.session import Session
from tests.agentr_tui.apps import notices, opened, pane, revised, running, searched, until
from tests.servers.llm_server import LLMServer, plays_textcraft


def heeds_a_thought(body: dict[str, Any]) -> str:
    """A model that stands about, and follows the plan after a revision turn."""
    said = any("\nAction: wait" in turn["content"] for turn in body["messages"])
    return plays_textcraft(body, 0.0) if said else "Thought: Hm.\nAction: inventory"


def session_over(folder: Path) -> Session:
    """A session with a finished search and its samples."""
    workspace = opened(folder)
    path = searched(workspace)
    revised(workspace, path, max_pairs=4)
    session = Session(workspace)
    session.open(path)
    return session


async def reviewing(pilot: Pilot[Any], app: AgentrApp) -> RevisionScreen:
    await until(pilot, lambda: isinstance(app.screen, RevisionScreen) and app.screen.front.shown is not None)
    screen = app.screen
    assert isinstance(screen, RevisionScreen)
    await until(pilot, lambda: screen.query_one(RecoveryPane)._known is not None)
    return screen


async def menu(pilot: Pilot[Any], app: AgentrApp) -> str:
    """The menu, once it is open."""
    await until(pilot, lambda: app.screen.query(OptionList))
    return "\n".join(str(option.prompt) for option in app.screen.query_one(OptionList)._options)


async def test_the_price_comes_first_the_curve_grows_live_and_is_there_again_after_a_restart(tmp_path: Path) -> None:
    session = session_over(tmp_path)
    with LLMServer(heeds_a_thought) as server:
        async with running(session, "revision", (120, 40)) as (app, pilot):
            screen = await reviewing(pilot, app)
            found = screen.query_one(RecoveryPane)
            assert not found.display
            await pilot.press("w")
            assert "calls, free: no model is asked" in await menu(pilot, app)
            await pilot.press("x")
            await until(pilot, lambda: app.screen.query(Input))
            app.screen.query_one(Input).value = f"openai m {server.url}"
            await pilot.press("enter")
            assert "calls, cost unknown" in await menu(pilot, app)
            before = app.screen
            await pilot.press("d")
            await until(pilot, lambda: app.screen is not before and app.screen.query(OptionList))
            assert server.calls == []
            server.delay = lambda call: 1.5 if call.number > 8 else 0.0  # stands still amid it
            await pilot.press("m")
            await until(pilot, lambda: "w stops it" in pane(app, "recovery") and len(server.calls) > 8)
            await pilot.press("right_curly_bracket")  # the person goes on meanwhile
            await until(pilot, lambda: "(sample " in pane(app, "recovery"))
            await pilot.press("left_curly_bracket", "w")
            assert "stop (" in await menu(pilot, app)
            server.delay = 0.0
            await pilot.press("S")
            await until(pilot, lambda: found._job is None)
            assert "stopped: the rest goes on from there" in notices(app)
            await until(pilot, lambda: isinstance(app.screen, RevisionScreen))
            await pilot.press("w")
            await menu(pilot, app)
            await pilot.press("m")
            await until(pilot, lambda: "0/8 → 8/8, the thought pays" in notices(app))
            await until(pilot, lambda: "+1.00" in pane(app, "recovery"))
            assert "8/8" in pane(app, "recovery")
        calls = len(server.calls)
        again = Session(session.workspace)
        assert session.path is not None
        again.open(session.path)
        async with running(again, "revision", (80, 24)) as (app, pilot):
            screen = await reviewing(pilot, app)
            await until(pilot, lambda: pane(app, "recovery") and screen.query_one(RecoveryPane).display)
            assert "the thought pays" in pane(app, "recovery")
            assert len(server.calls) == calls


async def test_the_scripted_actor_is_said_to_read_no_thought_and_a_blind_reviewer_marks_first(tmp_path: Path) -> None:
    session = session_over(tmp_path)
    async with running(session, "revision", (120, 40)) as (app, pilot):
        screen = await reviewing(pilot, app)
        await pilot.press("w")
        await menu(pilot, app)
        await pilot.press("m")
        await until(pilot, lambda: "ignores the conversation" in pane(app, "recovery"))
        await until(pilot, lambda: "the thought is not read" in notices(app))
        await pilot.press("b")
        await until(pilot, lambda: not screen.query_one(RecoveryPane).display)  # it would tell where the mark is
        await pilot.press("w")
        await until(pilot, lambda: "mark the first wrong step first" in notices(app))
