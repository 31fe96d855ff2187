"""Searches by a model, started and watched in the app. Real HTTP on loopback; the key is on no screen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Select, Static

from agentr_tui.app.app import AgentrApp
from agentr_tui.screens.library.new_search import NewSearch
from agentr_tui.screens.shared.dialogs import Menu
from agentr_tui.state.session import Session
from agentr_tui.widgets.top_bar import TopBar
from engine.actors.request_log import request_of
from engine.search.job import new_job
from engine.tree.events import SearchSettings
from engine.tree.tree import SearchTree
from tests.agentr_tui.apps import WIDE, frame, notices, opened, pane, running, until
from tests.servers.calling import plays_with_tools
from tests.servers.llm_server import LLMServer, some_faults

KEY = "sk-never-on-a-screen-5521"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


async def form(app: AgentrApp, pilot: Pilot[Any]) -> NewSearch:
    """The form for a new search, set to a model."""
    await pilot.press("o")
    await until(pilot, lambda: isinstance(app.screen, NewSearch))
    dialog = app.screen
    assert isinstance(dialog, NewSearch)
    dialog.query_one("#actor", Select).value = "openai"
    await until(pilot, lambda: dialog.query_one("#model").region.height)
    return dialog


def fill(dialog: NewSearch, **values: str) -> None:
    for name, value in values.items():
        dialog.query_one(f"#{name}", Input).value = value


def probed(dialog: NewSearch) -> str:
    told = str(dialog.query_one("#probe", Static).content)
    return told if told[:1] in ("✓", "✗") else ""


def figures(app: AgentrApp) -> str:
    return " ".join("".join(part for part, _ in app.screen.query_one(TopBar).right).split())


def beyond(session: Session, seq: int) -> bool:
    """Whether more happened since that event."""
    return session.tree is not None and session.tree.seq > seq


def rows(app: AgentrApp) -> Iterator[str]:
    """What is drawn, a row each."""
    return ("".join(segment.text for segment in strip) for strip in frame(app))


async def test_a_model_is_tried_in_the_form_then_searched_with_and_the_key_is_on_no_screen(tmp_path: Path) -> None:
    faults = some_faults(0.3, ("authentication", "rate limit", "empty choices"))
    drawn: list[str] = []
    session = Session(opened(tmp_path))
    with LLMServer(key=KEY) as server:
        async with running(session, size=WIDE) as (app, pilot):
            dialog = await form(app, pilot)
            fill(dialog, task="2", iterations="2", samples="3", model="m", base_url=server.url, key_env="MY_KEY",
                 price_in="1000", price_out="1000", max_tokens="90")  # fmt: skip
            await pilot.press("ctrl+t")
            await until(pilot, lambda: probed(dialog))
            assert f"m at {server.url} answers in" in probed(dialog)
            assert "honours seed, no logprobs, tells usage" in probed(dialog)
            drawn += rows(app)
            tried = (server.told.tokens_in, server.told.tokens_out)
            server.faults = faults
            dialog.query_one("#task").focus()
            await pilot.press("enter")
            await until(pilot, lambda: app.current_mode == "search")
            tree = session.tree
            while tree is None or tree.state != "done":  # each refused key makes it stand still
                await until(pilot, lambda: session.tree is not None and session.tree.state in ("paused", "done"))
                tree = session.tree
                assert tree is not None
                if tree.state == "paused":
                    seen = tree.seq
                    await pilot.press("space")
                    await until(pilot, partial(beyond, session, seen))
            await until(pilot, lambda: session.live is None)
            tree = session.tree
            assert tree is not None
            spent = (server.told.tokens_in - tried[0], server.told.tokens_out - tried[1])
            assert (tree.tokens_in, tree.tokens_out) == spent
            assert tree.cost == pytest.approx(sum(spent) * 1000 / 1e6)
            shown = f"{spent[0] / 1000:.0f}k→{spent[1]} tokens {tree.calls} calls ${tree.cost:.2f}"
            assert f"{shown} {len(tree.failures)} failed" in figures(app)
            await pilot.press("j", "left_square_bracket")
            assert "authentication: 401" in pane(app, "tabs")
            drawn += rows(app)
            await pilot.press("left_square_bracket")
            await until(pilot, lambda: "sampled" in pane(app, "tabs"))
            raw = pane(app, "tabs").replace(" ", "")
            assert f"{server.url}/chat/completions" in raw
            assert '"stop"' in raw
            drawn += rows(app)
            await pilot.press("1")
            await pilot.pause()
            drawn += rows(app)
    assert any(server.url in row for row in drawn)
    assert not any(KEY in row for row in drawn)


async def test_the_tools_of_the_chosen_environment_are_tried_and_searched_with(tmp_path: Path) -> None:
    session = Session(opened(tmp_path))
    with LLMServer(plays_with_tools) as server:
        async with running(session, size=(80, 24)) as (app, pilot):
            dialog = await form(app, pilot)
            fill(dialog, details="tools", task="2", iterations="1", samples="2", model="m", base_url=server.url)
            dialog.query_one("#tools", Select).value = "required"
            dialog.query_one("#parallel_tool_calls", Select).value = True
            await pilot.press("ctrl+t")
            await until(pilot, lambda: probed(dialog))
            assert probed(dialog).startswith("✓")
            first = server.calls[0].body
            assert [tool["function"]["name"] for tool in first["tools"]] == ["get", "craft", "inventory"]
            assert (first["tool_choice"], first["parallel_tool_calls"]) == ("required", True)
            assert dialog.query_one("#start").region.bottom <= 24, "all of it fits a small terminal"
            dialog.query_one("#task").focus()
            await pilot.press("enter")
            await until(pilot, lambda: session.tree is not None and session.live is None)
    assert session.tree is not None
    assert session.tree.started is not None
    asked = session.tree.started.settings
    assert (asked.tools, asked.parallel_tool_calls) == ("required", True)
    assert all(node.calls for node in session.tree.nodes[1:])


async def test_what_does_not_answer_is_a_line_in_the_form_which_stays_open(tmp_path: Path) -> None:
    session = Session(opened(tmp_path))
    async with running(session, size=(80, 24)) as (app, pilot):
        dialog = await form(app, pilot)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: probed(dialog))
        assert "no model is named" in probed(dialog)
        fill(dialog, model="m", base_url="http://127.0.0.1:9/v1")
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "connection" in probed(dialog))
        fill(dialog, key_env=KEY)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "the name of an environment variable" in probed(dialog))
        assert KEY not in probed(dialog)
        assert app.screen is dialog
        assert dialog.query_one("#start").region.bottom <= 24, "all of it fits a small terminal"


async def test_a_trace_of_somebody_else_is_not_gone_on_with_unasked(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    path = workspace.traces / "t.trace.jsonl"
    with LLMServer() as server:
        settings = SearchSettings(actor="openai", model="m", base_url=server.url, budget_calls=4, max_failures=4)
        ended = new_job("textcraft", "2", settings, path)
        await ended.run()
        far = path.read_text().replace(server.url, "http://collector.invalid/v1")
        path.write_text(far.replace('"budget_calls":4', '"budget_calls":null').replace('"retries":4', '"retries":0'))
    before = path.read_bytes()
    session = Session(workspace)
    async with running(session) as (app, pilot):
        await until(pilot, lambda: "stopped" in "".join(rows(app)))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Menu))
        assert "collector.invalid" in "".join(rows(app))
        await pilot.press("escape")
        assert session.live is None
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, NewSearch))
        await pilot.press("ctrl+t")
        await until(pilot, lambda: isinstance(app.screen, Menu))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, NewSearch))
        await pilot.press("escape")
        assert path.read_bytes() == before
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Menu))
        await pilot.press("y")
        await until(pilot, lambda: session.tree is not None and session.tree.state == "paused")
        await until(pilot, lambda: "4 draws in a row failed, the last (connection)" in notices(app))
        assert "stopped: 4 draws" in "".join(rows(app))  # why it stands still, until it goes on
        await pilot.press("S")
        await until(pilot, lambda: session.live is None)


def test_the_raw_request_is_what_the_server_got(tmp_path: Path) -> None:
    with LLMServer() as server:
        settings = SearchSettings(
            actor="openai", model="m", base_url=server.url, iterations=2, max_depth=6, algorithm="puct", example=True,
            context=1300, max_tokens=100, structured="json",
        )  # fmt: skip
        job = new_job("textcraft", "2", settings, tmp_path / "t.trace.jsonl")
        job.run_blocking()
    tree: SearchTree = job.tree
    sent = [call.body for call in server.calls]
    cut = 0
    for node in tree.nodes[1:]:
        request = request_of(tree, node.id)
        assert request is not None
        assert request.pop("POST") == f"{server.url}/chat/completions"
        cut += bool(request.pop("steps_not_sent", 0))
        assert request in sent
    assert cut, "some conversations did not fit"
