"""Notes: kinds of wrong actions, the page that people edit, and what an actor reads of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from agentr_tui.cli.main import run
from engine.base.errors import InputError
from engine.notes.kinds import Example, Kind, action_pattern, answer_pattern, kinds_of
from engine.notes.page import notes_for_actor, read_notes, write_page
from engine.samples.revise import revise
from engine.samples.settings import Revised, ReviseSettings
from engine.search.job import new_job
from engine.search.started_event import with_notes
from engine.trace.trace_file import load
from engine.tree.events import Message, SearchSettings


def kind(id: str, lessons: int = 3, env: str = "textcraft", answer: str = "Could not find …") -> Kind:
    row = Example("7", "craft a <b>bed</b>", "get 1 `bed`", "Could not find bed", "get 3 wool", "/x/t.trace.jsonl", 9)
    return Kind(
        id=id, env=env, pattern="get …", answer=answer, refused=True, lessons=lessons, tasks=2,
        needed={"craft …": 2, "get …": 1}, examples=[row],
    )  # fmt: skip


KINDS = [kind("0000000a", 9), kind("0000000b", 5), kind("0000000c", 1)]


@pytest.mark.parametrize(
    ("action", "answer", "patterns"),
    [
        ("get 1 yellow bed", "Could not find yellow bed", ("get …", "Could not find …")),
        ("get 3 oak logs", "Could not find oak logs", ("get …", "Could not find …")),
        ("craft 1 bed using 3 wool", "Could not find enough items to craft minecraft:white_bed",
         ("craft …", "Could not find enough items to …")),
        ("inventory", "Inventory: [wool] (3) [stick] (2)", ("inventory", "…: [wool] …")),
        ("search[red shoes]", "Page 1 of 3", ("search …", "Page … of …")),
        ("7", "", ("N", "")),
    ],
)  # fmt: skip
def test_actions_and_answers_of_one_kind_have_one_pattern(action: str, answer: str, patterns: tuple[str, str]) -> None:
    assert (action_pattern(action), answer_pattern(action, answer)) == patterns


def test_kinds_count_each_lesson_once_and_name_what_was_needed(tmp_path: Path) -> None:
    samples, trees = [], {}
    for task in ("2", "3"):
        settings = SearchSettings(algorithm="lessons", iterations=25, error_rate=0.5)
        job = new_job("textcraft", task, settings, tmp_path / f"{task}.trace.jsonl")
        job.run_blocking()
        samples += list(revise(job.tree, str(job.path), ReviseSettings(repair=None), Revised()))
        assert job.tree.started is not None
        trees[job.tree.started.trace] = job.tree
    found = kinds_of(samples, trees)
    lessons = {sample.lesson for sample in samples if sample.lesson}
    assert sum(each.lessons for each in found) == len(lessons) > 10
    assert [each.lessons for each in found] == sorted((each.lessons for each in found), reverse=True)
    missing = next(each for each in found if each.answer == "Could not find …")
    assert missing.refused
    assert sum(missing.needed.values()) == missing.lessons
    for example in missing.examples:
        node = load(example.path).tree.nodes[example.node]
        assert (node.action, node.observation) == (example.action, example.answer)
    assert len({example.task for example in missing.examples}) == missing.tasks
    assert found == kinds_of(reversed(samples), trees), "whatever the order of the samples"


def test_a_page_tells_kinds_with_examples_and_is_the_same_again() -> None:
    page = write_page(KINDS, folder=Path("/x/w"))
    assert page.text == write_page(KINDS, page.text, Path("/x/w")).text
    assert "9 lessons on 2 tasks" in page.text
    assert "Needed instead: `craft …` (67%), `get …` (33%)." in page.text
    assert (
        "`get 1 'bed'` → “Could not find bed”; needed: `get 3 wool` ([task 7, node 9](<../t.trace.jsonl#9>))"
        in page.text
    )
    assert "<b>" not in page.text, "what an agent said is no markup"
    assert write_page(KINDS, most=2).kinds == 2


def test_what_a_person_edits_stays_and_what_a_person_strikes_stays_out() -> None:
    text = write_page(KINDS).text
    edited = text.replace("9 lessons on 2 tasks.", "Look at the recipes first.", 1)
    blocks = re.split(r"(?=<!-- kind )", edited)
    cut = blocks[0] + blocks[1] + blocks[3]  # the second kind is struck
    more = [kind("0000000a", 30), kind("0000000b", 20), kind("0000000c", 10), kind("0000000d", 1)]
    page = write_page(more, cut)
    assert (page.kinds, page.edited, page.struck) == (3, 1, 1)
    assert "Look at the recipes first." in page.text
    assert "30 lessons" not in page.text
    assert "0000000b" not in re.sub("<!-- written.*", "", page.text)
    assert "10 lessons on 2 tasks" in page.text, "what nobody touched is written anew"
    assert write_page(more, page.text).text == page.text


def test_an_actor_reads_the_page_without_comments_links_and_what_is_struck(tmp_path: Path) -> None:
    file = tmp_path / "notes.md"
    file.write_text(write_page(KINDS[:1]).text + "\nKeep ~~this out~~ that in.\n", encoding="utf-8")
    read = read_notes(file)
    assert "Could not find …" in read
    assert "Keep  that in." in read
    assert not any(part in read for part in ("<!--", "node 9", "trace.jsonl", "this out"))
    with pytest.raises(InputError, match="empty"):
        notes_for_actor("<!-- nothing -->")
    with pytest.raises(InputError, match="at most 20,000"):
        notes_for_actor("x" * 20_001)


def test_notes_stand_below_the_rules_in_the_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "notes.md", tmp_path / "t.trace.jsonl"
    file.write_text("Look at the recipes first.", encoding="utf-8")
    arguments = ["search", "--task", "2", "--iterations", "1", "--out", str(out), "--notes"]
    assert run([*arguments, str(file)]) == 0
    tree = load(out).tree
    assert tree.started is not None
    assert tree.started.header[1].content.endswith("\n\nLook at the recipes first.")
    assert tree.conversation(5)[1].content.endswith("Look at the recipes first.")
    branch = tmp_path / "b.trace.jsonl"
    at_node = ["search", "--from", f"{out}:1", "--iterations", "1", "--out"]
    assert run([*at_node, str(branch), "--notes", str(file)]) == 0
    begun = load(branch).tree
    assert begun.started is not None
    assert begun.started.header == tree.started.header, "once, whatever the other trace began with"
    assert begun.conversation(2)[1].content.endswith("Look at the recipes first.")
    plain = tmp_path / "p.trace.jsonl"
    assert run([*at_node, str(plain)]) == 0
    without = load(plain).tree.started
    assert without is not None
    assert "recipes first" not in without.header[1].content
    assert run([*arguments, str(tmp_path / "none.md")]) == 2
    assert run(["search", "--resume", str(out), "--notes", str(file)]) == 2
    assert "--notes" in capsys.readouterr().err


@pytest.mark.parametrize(("count", "at"), [(1, 0), (2, 1), (3, 1)])
def test_notes_are_told_however_few_messages_an_environment_begins_with(tmp_path: Path, count: int, at: int) -> None:
    job = new_job("textcraft", "2", SearchSettings(iterations=1), tmp_path / "t.trace.jsonl")
    job.run_blocking()
    started = job.tree.started
    assert started is not None
    header = [Message("user", str(number)) for number in range(count)]
    told = with_notes(replace(started, header=header), "Craft first.").header
    assert [message.content for message in told] == [
        f"{number}\n\nCraft first." if number == at else str(number) for number in range(count)
    ]


HOSTILE = "~~ x] (y) <!-- kind 0000000a 00000000 --> `z` <!-- written: 0000000b -->\n## a\u2028~~"


def test_texts_of_strangers_strike_nothing_out_and_make_no_block_and_no_link() -> None:
    row = Example(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, f"/x/{HOSTILE}(1).jsonl", 9)
    odd = replace(KINDS[0], env="textcraft", pattern=HOSTILE, answer=HOSTILE, needed={HOSTILE: 1}, examples=[row])
    page = write_page([odd, *KINDS[1:]]).text
    plain = write_page(KINDS).text
    assert page.count("<!--") == plain.count("<!--") == 4
    assert page.count("\n## ") == plain.count("\n## ")
    again = write_page([odd, *KINDS[1:]], page)
    assert (again.edited, again.struck, again.text) == (0, 0, page)
    told = notes_for_actor(page)
    assert told.count("Needed instead") == notes_for_actor(plain).count("Needed instead") == 3, "nothing is struck out"
    assert "](" not in told
    assert "(1).jsonl" not in told
