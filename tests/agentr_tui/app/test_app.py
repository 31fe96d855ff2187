"""The app over real searches and real files: watching, steering, looking back, reviewing, leaving."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding
from textual.pilot import Pilot
from textual.widgets._toast import ToastRack

from agentr_tui.app.app import AgentrApp
from agentr_tui.screens.revision.screen import RevisionScreen
from agentr_tui.screens.search.command_line import do_line
from agentr_tui.screens.search.screen import SearchScreen
from agentr_tui.screens.shared.help import HelpScreen
from agentr_tui.state.session import Session
from agentr_tui.widgets.text_pane import TextPane
from engine.search.job import new_job
from engine.trace.diff import compare
from engine.trace.trace_file import load, read_events
from engine.tree.events import AnyEvent, SearchSettings
from engine.workspace.workspace import Workspace
from tests.agentr_tui.apps import frame

SETTINGS: dict[str, Any] = {"iterations": 5, "error_rate": 0.5}


def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "w", create=True)


async def finished(tmp_path: Path, **changes: Any) -> Session:
    """A session with a finished search open."""
    place = workspace(tmp_path)
    path = place.traces / "t.trace.jsonl"
    await new_job("textcraft", "2", SearchSettings(**{**SETTINGS, **changes}), path).run()
    session = Session(place)
    session.open(path)
    return session


def starting(tmp_path: Path, delay: float = 0.01, **changes: Any) -> Session:
    """A session with a search that starts with the app."""
    place = workspace(tmp_path)
    settings = SearchSettings(**{**SETTINGS, **changes})

    def make(listener: Callable[[AnyEvent], None]) -> Any:
        path = place.traces / "live.trace.jsonl"
        return new_job("textcraft", "2", settings, path, listener=listener, delay=delay)

    session = Session(place)
    session.start(make)
    return session


async def until(pilot: Pilot[Any], holds: Callable[[], bool], what: str) -> None:
    """Wait for something to become true on screen."""
    for _ in range(600):
        await pilot.pause(0.02)
        if holds():
            return
    raise AssertionError(f"never: {what}")


def shown(app: AgentrApp) -> str:
    """The text on the screen, cell by cell."""
    width, height = app.size
    return "\n".join("".join(segment.text for segment in strip).ljust(width) for strip in frame(app)[:height])


def search_screen(app: AgentrApp) -> SearchScreen:
    assert isinstance(app.screen, SearchScreen)
    return app.screen


# -- watching a search ---------------------------------------------------------------------------------


async def test_a_live_search_grows_on_screen_into_the_tree_of_its_file(tmp_path: Path) -> None:
    session = starting(tmp_path, delay=0.03)
    app = AgentrApp(session, "search")
    async with app.run_test(size=(110, 32)) as pilot:
        await until(pilot, lambda: "running" in shown(app), "a picture of the running search")
        await until(pilot, lambda: session.tree is not None and len(session.tree) > 20, "20 nodes")
        assert "get" in shown(app)
        await until(pilot, lambda: not session.running and session.live is None, "the end")
        assert "done (iterations)" in shown(app)
        assert session.tree is not None
        tree = load(tmp_path / "w/traces/live.trace.jsonl").tree
        assert [n.visits for n in tree.nodes] == [n.visits for n in session.tree.nodes]
        rows = search_screen(app).tree_view.rows
        assert rows is not None


async def test_space_pauses_s_steps_and_S_stops(tmp_path: Path) -> None:
    session = starting(tmp_path, delay=0.02, iterations=50)
    app = AgentrApp(session, "search")
    async with app.run_test(size=(110, 32)) as pilot:
        tree = session.tree
        assert tree is not None
        await until(pilot, lambda: len(tree) > 8, "some nodes")
        await pilot.press("space")
        await until(pilot, lambda: tree.state == "paused", "paused")
        await pilot.pause(0.3)
        before = sum(node.expanded for node in tree.nodes)
        await pilot.press("s")
        await until(pilot, lambda: sum(node.expanded for node in tree.nodes) == before + 1, "one more expansion")
        await pilot.pause(0.3)
        assert sum(node.expanded for node in tree.nodes) == before + 1
        assert "paused" in shown(app)
        await pilot.press("space")
        await until(pilot, lambda: sum(node.expanded for node in tree.nodes) > before + 3, "going on")
        await pilot.press("S")
        await until(pilot, lambda: tree.state == "stopped", "stopped")
        assert app.is_running


async def test_leaving_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    session = starting(tmp_path, delay=0.04)
    app = AgentrApp(session, "search")
    async with app.run_test(size=(110, 32)) as pilot:
        tree = session.tree
        assert tree is not None
        await until(pilot, lambda: len(tree) > 8, "some nodes")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running or app._exit, "left")
    assert app.return_value == 0
    path = tmp_path / "w/traces/live.trace.jsonl"
    assert load(path).tree.state == "stopped"
    from engine.search.job import resume_job

    await resume_job(path).run()
    whole = tmp_path / "whole.trace.jsonl"
    await new_job("textcraft", "2", SearchSettings(**SETTINGS), whole).run()
    assert compare(read_events(path), read_events(whole)) == []


async def test_an_app_that_ends_in_any_way_ends_its_paused_search(tmp_path: Path) -> None:
    session = starting(tmp_path, delay=0.02, iterations=50)
    assert session.live is not None
    live = session.live
    app = AgentrApp(session, "search")
    async with app.run_test(size=(110, 32)) as pilot:
        tree = session.tree
        assert tree is not None
        await pilot.press("space")
        await until(pilot, lambda: tree.state == "paused", "paused")
    for _ in range(500):
        await asyncio.sleep(0.02)
        if live.over:
            break
    assert live.over
    assert load(live.path).tree.state == "stopped"


async def test_q_with_a_running_search_asks_first(tmp_path: Path) -> None:
    session = starting(tmp_path, delay=0.05, iterations=50)
    app = AgentrApp(session, "library")
    async with app.run_test(size=(110, 32)) as pilot:
        await until(pilot, lambda: session.running, "running")
        await pilot.press("q")
        await pilot.pause(0.1)
        assert "A search is running" in shown(app)
        await pilot.press("escape")
        await pilot.pause(0.1)
        assert session.running
        session.control.pause()  # type: ignore[union-attr]
        await until(pilot, lambda: session.tree is not None and session.tree.state == "paused", "paused")
        await pilot.press("q")
        await pilot.pause(0.1)
        assert "A search is paused" in shown(app)
        assert "the search goes on again" in shown(app)
        await pilot.press("s")
        await until(pilot, lambda: not session.running, "stopped")


async def test_a_trace_that_another_process_writes_is_followed(tmp_path: Path) -> None:
    whole = await finished(tmp_path)
    assert whole.path is not None
    lines = whole.path.read_bytes().splitlines(keepends=True)
    growing = tmp_path / "growing.trace.jsonl"
    growing.write_bytes(b"".join(lines[:40]))
    session = Session(whole.workspace)
    session.open(growing, follow=True)
    app = AgentrApp(session, "search")
    async with app.run_test(size=(110, 32)) as pilot:
        await pilot.pause(0.2)
        assert session.tree is not None
        assert session.tree.seq == 39
        with growing.open("ab") as file:
            file.write(b"".join(lines[40:]) + b'{"type":"ite')
        await until(pilot, lambda: session.tree is not None and session.tree.seq == len(lines) - 1, "all events")
        assert app.is_running


# -- looking at nodes ----------------------------------------------------------------------------------


async def test_the_node_under_the_cursor_is_told_in_full(tmp_path: Path) -> None:
    session = await finished(tmp_path)
    app = AgentrApp(session, "search")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.pause(0.2)
        await pilot.press("j", "j")
        id = search_screen(app).tree_view.cursor_node
        assert session.tree is not None
        node = session.tree.nodes[id]
        text = " ".join(app.screen.query_one("#node", TextPane).plain.split())
        assert node.action in text
        assert node.observation.strip() in text
        why = app.screen.query_one("#tabs", TextPane).plain
        assert "score" in why
        for child in session.tree.nodes[node.parent].children:
            assert session.tree.nodes[child].action[:10] in why
        await pilot.press("right_square_bracket")
        assert node.response.splitlines()[0][:20] in app.screen.query_one("#tabs", TextPane).plain
        await pilot.press("right_square_bracket", "right_square_bracket")
        assert '"state_key"' in app.screen.query_one("#tabs", TextPane).plain


async def test_looking_back_shows_the_search_as_it_was_and_L_returns(tmp_path: Path) -> None:
    session = await finished(tmp_path)
    app = AgentrApp(session, "search")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.pause(0.2)
        tree = session.tree
        assert tree is not None
        await pilot.press("less_than_sign", "less_than_sign")
        assert session.past is not None
        assert session.past in tree.iteration_seqs
        then = tree.at(session.past)
        await pilot.pause(0.1)
        assert f"{len(then)} nodes" in str(search_screen(app).tree_view.border_title)
        assert "past" in shown(app)
        await pilot.press("comma")
        assert session.past == then.seq - 1
        await pilot.press("colon", *"t space 30".replace("space", "").split(), "enter")
        await pilot.press("L")
        assert session.past is None


async def test_a_node_or_a_time_can_be_gone_to_and_nonsense_is_refused(tmp_path: Path) -> None:
    session = await finished(tmp_path)
    app = AgentrApp(session, "search")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.pause(0.2)
        await pilot.press("colon", "5", "7", "enter")
        await pilot.pause(0.1)
        assert search_screen(app).tree_view.cursor_node == 57
        await pilot.press("colon", "t", "space", "3", "0", "enter")
        await pilot.pause(0.1)
        assert session.past == 30
        for nonsense in ("x", "99999", "t", ""):
            do_line(search_screen(app).parts, nonsense)
        await pilot.pause(0.1)
        assert session.past == 30
        assert app.is_running


# -- revising ------------------------------------------------------------------------------------------


def revision(app: AgentrApp) -> RevisionScreen:
    assert isinstance(app.screen, RevisionScreen)
    return app.screen


async def reviewing(pilot: Pilot[Any], app: AgentrApp) -> RevisionScreen:
    await until(
        pilot, lambda: isinstance(app.screen, RevisionScreen) and app.screen.front.shown is not None, "a sample"
    )
    await until(pilot, lambda: bool(app.screen.query_one("#spliced", TextPane).plain), "its lines")
    return revision(app)


async def test_p_on_a_leaf_goes_to_the_sample_of_its_best_pair(tmp_path: Path) -> None:
    session = await finished(tmp_path)
    app = AgentrApp(session, "search")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.pause(0.2)
        assert session.tree is not None
        leaf = next(leaf for leaf in session.tree.leaves() if leaf.reward == 0)
        search_screen(app).tree_view.go_to(leaf.id)
        await pilot.press("p")
        screen = await reviewing(pilot, app)
        assert screen.front.shown is not None
        assert screen.front.shown.sample.bad == leaf.id
        assert screen.front.shown.sample.verdict in ("verified", "reobserved", "diverged")
        text = screen.query_one("#spliced", TextPane).plain
        assert "trained" in text
        assert "masked" in text
        assert "first wrong step" in screen.query_one("#bad", TextPane).plain


async def test_p_on_a_node_that_is_no_leaf_says_so(tmp_path: Path) -> None:
    app = AgentrApp(await finished(tmp_path), "search")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.pause(0.2)
        await pilot.press("g", "p")
        await until(pilot, lambda: "No partner" in shown(app), "a word why")
        assert isinstance(app.screen, SearchScreen)


async def test_decisions_are_written_at_once_and_can_be_undone(tmp_path: Path) -> None:
    session = await finished(tmp_path)
    app = AgentrApp(session, "revision")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        screen = await reviewing(pilot, app)
        review = screen.front.review
        assert review is not None
        first, second = review.samples[0].id, review.samples[1].id

        def verdicts() -> dict[str, str | None]:
            session.decisions.refresh()
            return {id: standing.verdict for id, standing in session.decisions.current().items()}

        await pilot.press("a")
        await until(pilot, lambda: verdicts().get(first) == "accepted", "accepted")
        await pilot.pause(0.2)
        await pilot.press("r")
        await pilot.pause(0.2)
        await pilot.press("t")
        await until(pilot, lambda: verdicts().get(second) == "rejected", "rejected")
        assert session.decisions.current()[second].reason == "the thought does not fit"
        await pilot.pause(0.2)
        await pilot.press("u")
        await until(pilot, lambda: verdicts().get(second) is None, "undone")
        await pilot.press("U")
        await until(pilot, lambda: verdicts().get(second) == "rejected", "done again")
    again = Session(session.workspace)
    assert again.decisions.current()[first].verdict == "accepted"


async def test_the_mark_moves_after_the_fork_only_and_the_sample_is_replayed(tmp_path: Path) -> None:
    session = await finished(tmp_path)
    app = AgentrApp(session, "revision")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        screen = await reviewing(pilot, app)
        assert screen.front.review is not None
        assert screen.front.shown is not None
        sample = next(s for s in screen.front.review.samples if s.bad_depth - s.fork_depth >= 3)
        screen.front.review.place = screen.front.review.samples.index(sample)
        screen.front.show_later()
        await until(
            pilot, lambda: screen.front.shown is not None and screen.front.shown.sample.id == sample.id, "that sample"
        )
        for _ in range(12):
            await pilot.press("K")
            await pilot.pause(0.05)
        await until(
            pilot,
            lambda: screen.front.shown is not None and screen.front.shown.sample.mark == sample.fork_depth + 1,
            "up",
        )
        for _ in range(14):
            await pilot.press("J")
            await pilot.pause(0.05)
        await until(
            pilot, lambda: screen.front.shown is not None and screen.front.shown.sample.mark == sample.bad_depth, "down"
        )
        assert screen.front.shown.sample.replay is not None
        assert screen.front.shown.sample.replay.steps > 0
        await pilot.press("a")
        await pilot.pause(0.3)
    assert Session(session.workspace).decisions.current()[sample.id].mark == sample.bad_depth


async def test_thoughts_are_changed_and_comments_kept(tmp_path: Path) -> None:
    session = await finished(tmp_path)
    app = AgentrApp(session, "revision")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        screen = await reviewing(pilot, app)
        assert screen.front.shown is not None
        id, before = screen.front.shown.sample.id, screen.front.shown.sample.thought
        await pilot.press("t")
        await pilot.pause(0.1)
        await pilot.press("n")
        await until(
            pilot, lambda: screen.front.shown is not None and screen.front.shown.sample.thought != before, "another"
        )
        await pilot.press("c")
        await pilot.pause(0.1)
        await pilot.press(*"ok", "enter")
        await until(pilot, lambda: "ok" in screen.query_one("#replay", TextPane).plain, "the comment")
        await pilot.press("f")
        await pilot.pause(0.2)
        assert '"revise_log"' in screen.query_one("#spliced", TextPane).plain
    assert Session(session.workspace).decisions.current()[id].note == "ok"


async def test_a_tree_without_pairs_says_what_is_missing(tmp_path: Path) -> None:
    session = await finished(tmp_path, error_rate=0.95, iterations=1)
    app = AgentrApp(session, "revision")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: "No pair here" in shown(app), "a word why")


async def test_the_app_reuses_the_run_of_a_finished_trace(tmp_path: Path) -> None:
    session = await finished(tmp_path)
    for _ in range(2):
        app = AgentrApp(session, "revision")
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            await reviewing(pilot, app)
    assert len(session.workspace.runs()) == 1


# -- everywhere ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["library", "search", "pairs", "revision", "dataset"])
@pytest.mark.parametrize("size", [(80, 24), (110, 32), (200, 60), (20, 5), (60, 14)])
async def test_every_screen_shows_at_every_size(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    session = await finished(tmp_path, iterations=3)
    app = AgentrApp(session, mode)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0.3)
        if size == (20, 5):
            assert "too small" in shown(app)
        else:
            assert mode.capitalize() in shown(app)
        await pilot.resize_terminal(110, 32)
        await pilot.pause(0.2)
        assert mode.capitalize() in shown(app)


@pytest.mark.parametrize("mode", ["library", "search", "pairs", "revision", "dataset"])
async def test_every_screen_shows_without_a_tree_and_without_a_workspace_of_anything(tmp_path: Path, mode: str) -> None:
    app = AgentrApp(Session(workspace(tmp_path)), mode)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause(0.3)
        for key in (
            "space",
            "s",
            "a",
            "r",
            "J",
            "p",
            "f",
            "e",
            "enter",
            "L",
            "comma",
            "escape",
            "u",
            "right_curly_bracket",
        ):
            await pilot.press(key)
            await pilot.pause(0.02)
            await pilot.press("escape")
        assert app.is_running


async def test_help_names_the_keys_of_where_you_are(tmp_path: Path) -> None:
    app = AgentrApp(await finished(tmp_path), "search")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.pause(0.2)
        await pilot.press("question_mark")
        await pilot.pause(0.2)
        assert isinstance(app.screen, HelpScreen)
        assert "Pause the search" in app.screen.query_one(TextPane).plain
        await pilot.press("escape")
        assert isinstance(app.screen, SearchScreen)


async def test_every_binding_has_an_id_and_a_tooltip(tmp_path: Path) -> None:
    kinds: list[Any] = [AgentrApp, *AgentrApp.MODES.values()]
    for kind in kinds:
        for binding in kind.BINDINGS:
            assert isinstance(binding, Binding)
            assert binding.id, binding
            assert binding.tooltip, binding


async def test_a_broken_file_is_one_line_on_screen(tmp_path: Path) -> None:
    session = await finished(tmp_path)
    broken = tmp_path / "broken.trace.jsonl"
    broken.write_text('{"type":"what"}\n{}\n')
    app = AgentrApp(session, "search")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.pause(0.2)
        before = session.tree
        app.open_path(broken)
        await until(pilot, lambda: "broken.trace.jsonl" in shown(app), "the file's name")
        assert session.tree is before


async def test_an_engine_that_can_not_write_any_more_says_so_and_the_app_lives(tmp_path: Path) -> None:
    session = starting(tmp_path, delay=0.01, iterations=50)
    assert session.live is not None
    sink = session.live.job.search.sink

    def full(event: AnyEvent) -> None:
        if event.seq > 30:
            raise OSError(28, "No space left on device")
        sink(event)

    session.live.job.search.sink = full
    app = AgentrApp(session, "search")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: "No space left" in shown(app), "the error")
        assert app.is_running
        await asyncio.sleep(0)
        assert isinstance(app.screen, SearchScreen)


async def test_a_notice_that_is_said_again_stands_there_once_and_leaves_nothing(tmp_path: Path) -> None:
    app = AgentrApp(Session(Workspace.open(tmp_path / "w", create=True)), "library")
    async with app.run_test(size=(110, 32), notifications=True) as pilot:
        for _ in range(4):
            app.notify("The mark stays.")
            await pilot.pause()
        (rack,) = app.screen.query(ToastRack)
        await until(pilot, lambda: [len(frame.children) for frame in rack.children] == [1], "once, and in its frame")
