"""The Revision screen: repairs, blindness, orders, tags; hundreds an hour by keys alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from textual.pilot import Pilot

from agentr_tui.app.app import AgentrApp
from agentr_tui.cli.revising import revise_paths
from agentr_tui.screens.revision.sample_lines import BLIND
from agentr_tui.screens.revision.screen import RevisionScreen
from agentr_tui.state.session import Session
from engine.environment.replay import opener
from engine.pairs.pairs import Pair
from engine.review.decisions import Decisions
from engine.samples.sample import Sample, steps_to_replay
from engine.samples.settings import ReviseSettings
from engine.tree.events import SearchSettings
from engine.verifiers.base import first_wrong_step
from engine.verifiers.progress import ProgressVerifier
from tests.agentr_tui.apps import notices, opened, pane, revised, running, searched, until
from tests.engine.made import AS_FOUND


def session_over(folder: Path) -> Session:
    """A session with a finished search open, and a run over its pairs as they are found."""
    workspace = opened(folder)
    path = searched(workspace)
    revised(workspace, path)
    session = Session(workspace)
    session.open(path)
    return session


async def reviewing(pilot: Pilot[Any], app: AgentrApp) -> RevisionScreen:
    """The screen with a sample on it."""
    await until(pilot, lambda: isinstance(app.screen, RevisionScreen) and app.screen.front.shown is not None)
    assert isinstance(app.screen, RevisionScreen)
    return app.screen


async def at(pilot: Pilot[Any], screen: RevisionScreen, sample: Sample) -> None:
    """Go to a sample."""
    assert screen.front.review is not None
    screen.front.review.place = screen.front.review.samples.index(sample)
    screen.front.show_later()
    await until(pilot, lambda: screen.front.shown is not None and screen.front.shown.sample.id == sample.id)


def diverged(screen: RevisionScreen) -> Sample:
    assert screen.front.review is not None
    return next(sample for sample in screen.front.review.samples if sample.verdict == "diverged")


async def test_what_diverged_is_searched_again_with_its_cost_first(tmp_path: Path) -> None:
    session = session_over(tmp_path)
    async with running(session, "revision", (120, 40)) as (app, pilot):
        screen = await reviewing(pilot, app)
        await at(pilot, screen, diverged(screen))
        assert "diverged" in pane(app, "replay")
        await pilot.press("R")
        await pilot.pause(0.1)
        menu = app.screen
        told = " ".join(str(option.prompt) for option in menu.query_one("OptionList")._options)  # type: ignore[attr-defined]
        assert "at most 200 calls of scripted" in told
        assert "no calls" in told
        await pilot.press("s")
        await until(pilot, lambda: "repaired: " in notices(app))
        await until(pilot, lambda: "✓ repaired" in pane(app, "replay"))
        assert "tail: leaf" in pane(app, "replay")
        await pilot.press("u")
        await until(pilot, lambda: "diverged" in pane(app, "replay"))


async def test_a_search_for_a_tail_counts_along_and_can_be_stopped(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    path = searched(workspace)
    text = path.read_text(encoding="utf-8")
    revised(workspace, path)
    session = Session(workspace)
    session.open(path)
    async with running(session, "revision", (120, 40)) as (app, pilot):
        screen = await reviewing(pilot, app)
        await at(pilot, screen, diverged(screen))
        assert screen.front.shown is not None
        assert screen.front.shown.tree.started is not None
        slow = SearchSettings(actor="scripted", error_rate=1.0, iterations=4, max_depth=40, samples=8)
        screen.front.shown.tree.started.settings = slow  # it never gets there
        await pilot.press("R")
        await pilot.pause(0.05)
        await pilot.press("s")
        await until(pilot, lambda: not screen.repair.repairing or "R stops it" in pane(app, "replay"))
        await pilot.press("R")
        await pilot.pause(0.05)
        await pilot.press("S", "escape")
        await until(pilot, lambda: not screen.repair.repairing)
        await until(pilot, lambda: "not repaired" in notices(app))
        await until(pilot, lambda: "diverged" in pane(app, "replay"))
    assert path.read_text(encoding="utf-8") == text  # the trace itself is never touched


async def test_samples_made_while_a_search_went_on_are_made_of_the_whole_tree_once_it_is_over(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    path = searched(workspace)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) // 2]))
    lock = FileLock(f"{path}.lock")
    lock.acquire()  # its search goes on in a process of its own
    session = Session(workspace)
    session.open(path, follow=True)
    assert session.tree is not None
    async with running(session, "revision", (120, 40)) as (app, pilot):
        screen = await reviewing(pilot, app)
        assert screen.front.review is not None
        first, size = len(screen.front.review.samples), len(session.tree)
        await pilot.press("2")
        with path.open("ab") as file:
            file.writelines(lines[len(lines) // 2 :])
        await until(pilot, lambda: session.tree is not None and session.tree.state == "done")
        assert len(session.tree) > size
        await pilot.press("4")
        await until(pilot, lambda: app.current_mode == "revision")
        assert len(screen.front.review.samples) == first  # what a person is about to decide stays
        lock.release()
        await pilot.press("2", "4")
        await until(pilot, lambda: screen.front.review is not None and len(screen.front.review.samples) > first)


async def test_reobserving_replays_again(tmp_path: Path) -> None:
    async with running(session_over(tmp_path), "revision", (120, 40)) as (app, pilot):
        screen = await reviewing(pilot, app)
        assert screen.front.review is not None
        before = pane(app, "replay")
        replayed = len(screen.front.review._replayed)
        await pilot.press("R")
        await pilot.pause(0.05)
        await pilot.press("o")
        await pilot.pause(0.3)
        assert pane(app, "replay") == before
        assert len(screen.front.review._replayed) <= replayed


async def test_blind_hides_what_the_verifier_said_and_accepting_needs_an_own_mark(tmp_path: Path) -> None:
    session = session_over(tmp_path)
    async with running(session, "revision", (120, 40)) as (app, pilot):
        screen = await reviewing(pilot, app)
        assert screen.front.shown is not None
        sample = screen.front.shown.sample
        assert "first wrong step" in pane(app, "bad")
        await pilot.press("b")
        await until(pilot, lambda: BLIND in pane(app, "replay"))
        for name in ("bad", "queue", "spliced", "replay"):
            text = pane(app, name)
            assert not any(word in text for word in ("steps left", "verified", "diverged", "reobserved")), name
        assert "━━ first wrong step ━━" not in pane(app, "bad")
        assert "trained" not in pane(app, "spliced")
        await pilot.press("a")
        await pilot.pause(0.2)
        assert "mark the first wrong step first" in notices(app)
        assert session.decisions.current().get(sample.id) is None
        await pilot.press("J")
        await until(pilot, lambda: "trained" in pane(app, "spliced"))
        assert BLIND in pane(app, "replay")
        await pilot.press("a")
        await until(pilot, lambda: session.decisions.current()[sample.id].verdict == "accepted")
        assert session.decisions.current()[sample.id].mark == sample.fork_depth + 1


async def test_tags_orders_and_reasons_of_the_settings_are_at_hand(tmp_path: Path) -> None:
    session = session_over(tmp_path)
    session.workspace.settings_file.write_text('[review]\nreasons = ["too long"]\n', encoding="utf-8")
    async with running(session, "revision", (120, 40)) as (app, pilot):
        screen = await reviewing(pilot, app)
        assert screen.front.shown is not None
        assert screen.front.review is not None
        id = screen.front.shown.sample.id
        await pilot.press("T")
        await pilot.pause(0.1)
        await pilot.press(*"odd", "space", *"later", "enter")
        await until(pilot, lambda: "odd later" in pane(app, "replay"))
        assert session.decisions.current()[id].tags == ["odd", "later"]
        await pilot.press("o")
        await pilot.pause(0.1)
        await pilot.press("v")
        await until(pilot, lambda: screen.front.review is not None and screen.front.review.order == "unsure")
        assert screen.front.shown.sample.id == id
        await pilot.press("r")
        await pilot.pause(0.1)
        await pilot.press("a")  # the first free letter is the settings' own reason
        await until(pilot, lambda: session.decisions.current()[id].verdict == "rejected")
        assert session.decisions.current()[id].reason == "too long"


async def test_twenty_samples_are_reviewed_by_keys_alone_undo_included(tmp_path: Path) -> None:
    session = session_over(tmp_path)
    session.workspace.settings_file.write_text("[review]\nfold = false\n")
    async with running(session, "revision", (120, 40)) as (app, pilot):
        screen = await reviewing(pilot, app)
        assert screen.front.review is not None
        queue = [sample.id for sample in screen.front.review.samples[:20]]
        slowest = 0.0
        for place, id in enumerate(queue):
            await until(pilot, lambda id=id: screen.front.shown is not None and screen.front.shown.sample.id == id)  # type: ignore[misc]
            began = time.perf_counter()
            await pilot.press(*(("r", "m") if place % 5 == 4 else ("s",) if place % 7 == 3 else ("a",)))
            follows = screen.front.review.samples[place + 1].id
            await until(pilot, lambda id=follows: screen.front.shown is not None and screen.front.shown.sample.id == id)  # type: ignore[misc]
            slowest = max(slowest, time.perf_counter() - began)
        await pilot.press("u")
        await until(pilot, lambda: session.decisions.current().get(queue[-1]) is None)
        await pilot.press("U")
        await until(pilot, lambda: session.decisions.current().get(queue[-1]) is not None)
    written = Decisions(session.workspace.decisions).current()
    assert [written[id].verdict for id in queue] == [
        "rejected" if place % 5 == 4 else "skipped" if place % 7 == 3 else "accepted" for place in range(20)
    ]
    assert slowest < 3  # seconds, on a machine that others use; the key itself takes 0.1


async def test_marks_of_verifier_progress_and_people_stand_side_by_side(tmp_path: Path) -> None:
    session = session_over(tmp_path)
    assert session.path is not None
    revise_paths(
        session.workspace, [session.path], ReviseSettings(**AS_FOUND, repair=None, verifier="value"), quiet=True
    )
    async with running(session, "revision", (120, 40)) as (app, pilot):
        screen = await reviewing(pilot, app)
        assert screen.front.review is not None
        sample = next(s for s in screen.front.review.samples if s.bad_depth - s.fork_depth > 2)
        await at(pilot, screen, sample)
        assert sample.bad is not None
        tree = screen.front.shown.tree  # type: ignore[union-attr]
        pair = Pair(sample.good, sample.bad, sample.fork, 1.0)
        by_plan = first_wrong_step(list(ProgressVerifier(tree, opener(tree)).judge(pair)))
        assert f"value {sample.found} · progress {by_plan}" in pane(app, "bad")
        await pilot.press("b", "J", "b")  # from the fork on
        told = f"progress {by_plan} · {session.decisions.reviewer} {sample.fork_depth + 1}"
        await until(pilot, lambda: told in pane(app, "bad").replace(" (shared)", ""))
        assert "marked by" in pane(app, "bad")
        assert str(screen.query_one("#bad").border_subtitle) == "value | progress | people"


async def test_the_replay_is_told_step_by_step_with_what_was_expected_and_what_came(tmp_path: Path) -> None:
    async with running(session_over(tmp_path), "revision", (200, 60)) as (app, pilot):
        screen = await reviewing(pilot, app)
        sample = diverged(screen)
        await at(pilot, screen, sample)
        await pilot.press("]")
        await until(pilot, lambda: "expected" in pane(app, "spliced"))
        told = pane(app, "spliced")
        replay, tree = sample.replay, screen.front.shown.tree  # type: ignore[union-attr]
        assert replay is not None
        assert replay.observations
        steps = steps_to_replay(tree, sample)
        for place, got in replay.observations.items():
            assert " ".join(f"expected {steps[place].observation} got {got}".split()) in told
        assert told.count("expected ") == len(replay.observations) + 1  # and the return
        assert f"expected {sample.expected_return:g} · got {replay.score:g}" in told


async def test_a_query_narrows_the_queue_and_all_of_it_is_decided_and_undone_at_once(tmp_path: Path) -> None:
    session = session_over(tmp_path)
    async with running(session, "revision", (120, 40)) as (app, pilot):
        screen = await reviewing(pilot, app)
        review = screen.front.review
        assert review is not None
        samples = session.workspace.select().samples
        wanted = {sample.id for sample in samples if sample.verdict == "diverged" and sample.kind != "good"}
        await pilot.press("slash")
        await pilot.pause(0.1)
        await pilot.press(*"verdict:diverged", "enter")
        await until(pilot, lambda: {sample.id for sample in review.samples} == wanted)
        await pilot.press("A")
        await pilot.pause(0.1)
        await pilot.press("r")
        await pilot.pause(0.1)
        await pilot.press("g")
        await until(pilot, lambda: set(session.decisions.current()) == wanted)
        assert {said.verdict for said in session.decisions.current().values()} == {"rejected"}
        await pilot.press("u")
        await until(pilot, lambda: not session.decisions.current())
        await pilot.press("slash")
        await pilot.pause(0.1)
        await pilot.press("space", *"color:red", "enter")  # a query that can't be read changes nothing
        await until(pilot, lambda: "unknown field 'color'" in notices(app))
        assert {sample.id for sample in review.samples} == wanted
        await pilot.press("escape")
        await until(pilot, lambda: len(review.samples) + review.folded == review.of_run)


async def test_keys_that_come_faster_than_samples_decide_nothing_unseen(tmp_path: Path) -> None:
    session = session_over(tmp_path)
    async with running(session, "revision", (120, 40)) as (app, pilot):
        screen = await reviewing(pilot, app)
        review = screen.front.review
        assert review is not None
        for _ in range(12):
            screen.action_accept()
            await pilot.pause(0.002)
        await until(pilot, lambda: not screen.front.changing)
        decided = list(session.decisions.current())
        assert decided == [sample.id for sample in review.samples[: len(decided)]]
        assert all(len(session.decisions.lines_of(id)) == 1 for id in decided)
        assert screen.front.shown is not None
        assert screen.front.shown.sample.id == review.samples[len(decided)].id


async def test_an_editor_without_a_terminal_is_a_word_and_the_app_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITOR", "true")
    monkeypatch.delenv("VISUAL", raising=False)
    session = session_over(tmp_path)
    async with running(session, "revision", (120, 40)) as (app, pilot):
        screen = await reviewing(pilot, app)
        screen.thoughts.edit()  # as in a browser, there is no terminal here
        await until(pilot, lambda: "an editor needs a terminal" in notices(app))
        assert app.is_running
        assert screen.front.shown is not None
