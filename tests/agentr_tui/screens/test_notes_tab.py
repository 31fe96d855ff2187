"""The tab *notes* of the Dataset screen: rounds, and the page as people left it, followed while it is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentr_tui.cli.main import run
from agentr_tui.cli.revising import revise_paths
from agentr_tui.screens.dataset.notes import NotesReader, notes_lines, read_notes_of, text_lines
from agentr_tui.state.session import Session
from agentr_tui.widgets.text_pane import Line
from engine.notes.kinds import Kind
from engine.notes.page import standing, write_page
from engine.rounds.record import Round, Stage, folder_of, write_round
from engine.samples.settings import ReviseSettings
from engine.workspace.workspace import Workspace
from tests.agentr_tui.apps import WIDE, opened, pane, running, searched, until
from tests.agentr_tui.services import FakeServices


def told(workspace: Workspace) -> str:
    return "\n".join(plain(each) for each in notes_lines(read_notes_of(workspace.path, workspace.runs_folder)))


def plain(line: Line) -> str:
    return "".join(text for text, _ in line.parts)


def scored(value: float) -> dict[str, object]:
    return {"scores": {"score": {"value": value, "low": value - 0.1, "high": value + 0.1}}}


async def test_the_tab_shows_the_page_and_follows_what_a_person_edits(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    revise_paths(workspace, [searched(workspace)], ReviseSettings(repair=None), quiet=True)
    async with running(Session(workspace), "dataset", WIDE) as (app, pilot):
        await until(pilot, lambda: "verified" in pane(app, "counts"))
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "No notes yet" in pane(app, "counts"))
        assert "agentr notes" in pane(app, "counts")
        assert run(["notes", "--workspace", str(workspace.path)]) == 0
        page = workspace.path / "notes.md"
        count = standing(page.read_text()).kinds
        assert count > 1
        await until(pilot, lambda: f"{count} kinds of wrong actions" in pane(app, "counts"))
        assert "edited" not in pane(app, "counts")
        edited = page.read_text().replace("Needed instead:", "Rather [b]first[/b] \x1b[31m", 1)
        page.write_text(edited)
        await until(pilot, lambda: "1 edited and 0 struck by people" in pane(app, "counts"))
        assert "Rather [b]first[/b]" in pane(app, "counts")
        assert "\x1b" not in pane(app, "counts")


def test_what_a_person_edits_strikes_or_takes_out_is_told(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    page = workspace.path / "notes.md"
    kinds = [
        Kind(id=f"0000000{at}", env="textcraft", pattern="get …", answer="no", refused=True, needed={"craft …": 2})
        for at in range(3)
    ]
    page.write_text(write_page(kinds).text)
    whole = page.read_text()
    first, second, *_ = [at for at in range(len(whole)) if whole.startswith("<!-- kind", at)]
    page.write_text(whole[:first] + whole[second:].replace("Needed", "~~Needed", 1).replace(".\n", ".~~\n", 1))
    before, now = standing(whole), standing(page.read_text())
    assert (now.kinds, now.edited, now.struck) == (before.kinds - 1, 1, 1)
    assert "1 edited and 1 struck by people" in told(workspace)
    assert "<!--" not in told(workspace)


def test_spans_of_a_line_have_their_roles_and_links_no_paths() -> None:
    (shown, after) = text_lines("**get …** is ~~never~~ refused ([task 7, node 9](<../t.trace.jsonl#9>))\n## env")
    assert shown.parts == (
        ("get …", "strong"), (" is ", "text"), ("never", "cut"), (" refused", "text"), (" (task 7, node 9)", "muted"),
    )  # fmt: skip
    assert after.parts == (("env", "focus"),)


def test_the_table_of_rounds_stands_above_and_a_broken_record_is_named(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    folder = folder_of(workspace.path, "loop")
    for number in (0, 1):
        stages = [Stage(name="eval", command=["eval"], began="", seconds=2.0, figures=scored(0.3 + number / 2))]
        write_round(folder, Round(round=number, learned="m", stages=stages))
    assert "rounds  loop" in told(workspace)
    assert "0.8 [0.7, 0.9]" in told(workspace)
    assert "No notes yet" in told(workspace)
    for number in (0, 1):
        (folder / f"round-{number}").mkdir()
        (folder / f"round-{number}" / "notes.md").write_text(f"Learned in round {number}.\n")
    assert "Learned in round 1." in told(workspace)
    assert "Learned in round 0." not in told(workspace)
    record = json.loads((folder / "round-1.json").read_text())
    record["stages"][0]["figures"]["scores"]["score"] = {"worth": 1}
    (folder / "round-1.json").write_text(json.dumps(record))
    assert "0.8 [0.7, 0.9]" not in (shown := told(workspace)), "a figure of another kind is not known"
    assert "rounds  loop" in shown
    (folder / "round-1.json").write_text("{")
    assert "round-1.json: not the record of a round" in told(workspace)


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_page_that_cant_be_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    workspace = opened(tmp_path)
    page = workspace.path / "notes.md"
    if content is not None:
        page.write_bytes(content)
    assert ("notes.md: not UTF-8" if content else "No notes yet") in told(workspace)


def test_nothing_is_read_again_before_a_file_changes_nor_while_nobody_looks(tmp_path: Path) -> None:
    services = FakeServices(tmp_path)
    reader = NotesReader(services)

    def look() -> list[bool]:
        reader.look()
        services.work()
        return [reader.was_read(event) for event in services.told(NotesReader.Read)]

    assert look() == []
    reader.shown = True
    assert look()[-1:] == [True]
    assert look()[-1:] == [False]
    (services.session.workspace.path / "notes.md").write_text("# Notes\n\nCraft first.\n")
    assert look()[-1:] == [True]
    assert "Craft first." in [plain(each) for each in reader.lines]
