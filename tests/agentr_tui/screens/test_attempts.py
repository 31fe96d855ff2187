"""Imported attempts in the app: a newcomer's command, the list, the next one, and where failures leave successes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentr_tui.cli.main import run
from agentr_tui.cli.rollouts import options_of, with_stored
from agentr_tui.screens.search.imports.step_text import EDITS, _pretty, call_lines, row_label, text_lines
from agentr_tui.screens.search.overlays.compare import CompareScreen
from agentr_tui.state.session import Session
from agentr_tui.widgets.key_bar import KeyBar
from agentr_tui.widgets.row_table import RowTable
from agentr_tui.widgets.text_pane import Line
from agentr_tui.widgets.timeline import TimelineView
from agentr_tui.widgets.tree.view import TreeView
from engine.samples.tails.harmless import ERROR, READS, why_harmless
from engine.trace.sources import load_any
from engine.trace.treefile.write import save_tree
from engine.tree.events import FORMAT_VERSION, Imported, ImportedNode, Message, SearchSettings, Started, ToolCall
from engine.tree.node import Node
from engine.tree.tree import SearchTree
from tests.agentr_tui.apps import notices, opened, pane, running, searched, table_lines, until
from tests.engine.imports.attempts import attempt, tree_of


def row(reward: float | None, *commands: str, task: str = "mend", said: str = "") -> dict[str, object]:
    messages: list[dict[str, object]] = [{"role": "user", "content": "Mend it."}]
    for place, command in enumerate(commands):
        call = {
            "id": f"c{place}",
            "type": "function",
            "function": {"name": "bash", "arguments": json.dumps({"c": command})},
        }
        messages.append({"role": "assistant", "content": f"{said} {command}", "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"c{place}", "content": f"saw {command}"})
    messages.append({"role": "assistant", "content": "Done."})
    return {"task_id": task, "messages": messages, "reward": reward}


@pytest.fixture
def rollouts(tmp_path: Path) -> Path:
    path = tmp_path / "rollouts.jsonl"
    rows = [
        row(1, "look", "fix", said="A:"),
        row(1, "look", "fix", said="B:"),
        row(0, "look", "guess"),
        row(0, "look", "guess", "again"),
        row(None, "look", "nothing"),
        row(1, "other", task="second"),
    ]
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


async def test_the_library_has_a_row_for_each_task_with_its_solved_share(rollouts: Path, tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    paths, stored = with_stored([rollouts], options_of(None, None, "action", None), workspace.path, quiet=True)
    assert paths == stored
    async with running(Session(workspace)) as (app, pilot):
        await until(pilot, lambda: "2 of 5" in "\n".join(table_lines(app.screen.query_one(RowTable))))
        assert "1 of 1" in "\n".join(table_lines(app.screen.query_one(RowTable)))


async def test_keys_go_through_attempts_and_to_the_fork_where_failures_leave_successes(
    rollouts: Path, tmp_path: Path
) -> None:
    workspace = opened(tmp_path / "w")
    paths, _ = with_stored([rollouts], options_of(None, None, "action", None), workspace.path, quiet=True)
    session = Session(workspace)
    session.open(next(path for path in paths if "mend" in path.name))
    tree = session.tree
    assert tree is not None
    async with running(session, "search", size=(140, 40)) as (app, pilot):
        view = app.screen.query_one(TreeView)
        assert "5 attempts" in str(view.border_title)
        await pilot.press("right_curly_bracket")
        assert view.cursor_node == tree.attempts[0].leaf
        await pilot.press("right_curly_bracket")
        assert view.cursor_node == tree.attempts[2].leaf, "an equal attempt is passed over"
        assert "attempt 3 of 5" in notices(app)
        await pilot.press("left_curly_bracket")
        assert view.cursor_node == tree.attempts[1].leaf
        assert "2 of 5 attempts through here" in pane(app, "node")
        await pilot.press("D")
        assert view.cursor_node is not None
        assert tree.nodes[view.cursor_node].action == 'bash(c="guess")'
        assert "0% to 66% 0/2 bash guess" in pane(app, "forks")


async def test_an_attempt_that_goes_on_while_it_is_watched_is_one_and_its_half_step_is_left(tmp_path: Path) -> None:
    path, workspace, options = tmp_path / "a.jsonl", opened(tmp_path / "w"), options_of(None, None, "action", None)
    done, growing = row(1, "look", "fix"), row(0, "look", "guess", "again")
    messages = growing["messages"]
    assert isinstance(messages, list)
    half = {**growing, "messages": messages[:4], "reward": None}  # `guess` is not answered yet
    path.write_text("".join(json.dumps(each) + "\n" for each in (done, half)))
    (trace,), _ = with_stored([path], options, workspace.path, quiet=True)
    session = Session(workspace)
    session.open(trace, follow=True)
    async with running(session, "search") as (app, pilot):
        view = app.screen.query_one(TreeView)
        assert session.tree is not None
        left = session.tree.attempts[1].leaf
        view.go_to(left)
        path.write_text("".join(json.dumps(each) + "\n" for each in (done, growing)))
        with_stored([path], options, workspace.path, quiet=True)
        await until(pilot, lambda: session.tree is not None and session.tree.attempts[1].reward == 0)
        await until(pilot, lambda: "none through here any more" in pane(app, "node"))
        assert (view.cursor_node, "2 attempts" in str(view.border_title)) == (left, True)
        for key in ("right_curly_bracket", "left_curly_bracket", "D", "G", "k", "equals_sign"):
            await pilot.press(key)
        assert session.leaf_counts() == (1, 1)


def test_stats_counts_attempts_and_ranks_the_forks(rollouts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stats", str(rollouts), "--forks", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    first = found["traces"][0]
    assert (first["attempts"], first["solved"], first["scored"], first["source"]) == (5, 2, 4, "chat")
    assert found["total"]["attempts"] == 6
    assert [fork["action"] for fork in first["forks"]] == ['bash(c="guess")']
    assert first["forks"][0]["fall"] == 1


def test_convert_writes_a_trace_that_reads_as_the_import(
    rollouts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.trace.jsonl"
    assert run(["convert", str(rollouts), str(out)]) == 2
    assert "holds 2 tasks" in capsys.readouterr().err
    rollouts.write_text("".join(rollouts.read_text().splitlines(keepends=True)[:5]))
    assert run(["convert", str(rollouts), str(out)]) == 0
    tree = load_any(out).tree
    assert len(tree.attempts) == tree.nodes[0].visits == 5


def test_revise_of_rollouts_is_unreplayed_and_only_an_acceptance_exports_it(
    rollouts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = ["--workspace", str(tmp_path / "w")]
    assert run(["revise", str(rollouts), "--json", *work]) == 0
    told = capsys.readouterr()
    assert "--verifier value" in told.err
    made = json.loads(told.out)
    assert made["by_verdict"] == {"unreplayed": made["samples"]}
    out = tmp_path / "out.jsonl"
    assert run(["export", "--format", "openai", "--out", str(out), *work]) == 1
    assert "unreplayed" in capsys.readouterr().err
    assert run(["export", "--format", "trl-dpo", "--out", str(tmp_path / "dpo.jsonl"), *work]) == 0, "no splice in it"
    assert run(["review", "accept", "kind:revision", *work]) == 0
    assert run(["export", "--format", "openai", "--out", str(out), *work]) == 0
    (line,) = out.read_text().splitlines()
    said = [message["content"] for message in json.loads(line)["messages"] if message["role"] == "assistant"]
    assert said[0] == " look", "up to the wrong step in the words of the attempt that took it"
    assert said[1] == " guess"
    assert said[-1] == "Done."
    card = (tmp_path / "out.jsonl.card.md").read_text()
    assert "- unreplayed: 1 of 1 sample, for which no environment was at hand; a person accepted each" in card


def test_a_tree_of_the_original_whose_environment_nobody_knows_is_judged_by_the_tree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = [
        {"role": "system", "content": "You help."},
        {"role": "user", "content": "Rules of a place that nobody knows."},
        {"role": "assistant", "content": "Ok."},
        {"role": "user", "content": "You are somewhere else."},
    ]
    steps = [ImportedNode(visits=2, value=1.0)]
    for action, reward in (("good", 1), ("bad", 0)):
        said = f"Thought: so.\nAction: {action}"
        steps.append(ImportedNode(0, said, action, f"You did {action}.", reward, 1, reward, "done"))
    started = Started(
        seq=0,
        version=FORMAT_VERSION,
        trace="0" * 16,
        environment="unknown",
        task="7",
        header=[Message(**turn) for turn in head],  # type: ignore[arg-type]
        settings=SearchSettings(),
    )
    path = tmp_path / "search_results_7.json"
    save_tree(SearchTree([started, Imported(seq=1, source="agent-r", nodes=steps)]), path)
    assert run(["revise", str(path), "--json", "--workspace", str(tmp_path / "w")]) == 0
    told = capsys.readouterr()
    assert "no environment is at hand (unknown)" in told.err
    made = json.loads(told.out)
    assert made["pairs"] == 1
    assert set(made["by_verdict"]) <= {"unreplayed"}


@pytest.mark.parametrize(
    ("command", "result", "why"),
    [
        ("cat a.py | head -3", "text", READS),
        ("git log --oneline", "abc", READS),
        ("sed -i s/a/b/ a.py", "", ""),
        ("rm a.py", "", ""),
        ("rm b.py", "rm: cannot remove 'b.py': No such file or directory", ERROR),
        ("python x.py", "Traceback (most recent call last):\n", ""),
        ("cat a > b", "", ""),
    ],
)
def test_a_wrong_step_that_changed_nothing_is_the_safest(command: str, result: str, why: str) -> None:
    tree = tree_of(attempt(0, ("", command, result), "Done."))
    assert why_harmless(tree.nodes[1]) == why


def test_attempts_in_an_environment_that_is_known_are_replayed_and_gone_on_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = opened(tmp_path / "w")
    searched_tree = load_any(searched(workspace)).tree
    path = tmp_path / "rollouts.jsonl"
    with open(path, "w") as file:
        for leaf in searched_tree.leaves():
            said = [{"role": turn.role, "content": turn.content} for turn in searched_tree.conversation(leaf.id)]
            file.write(json.dumps({"task_id": "2", "messages": said, "reward": leaf.reward}) + "\n")
    work = ["--workspace", str(tmp_path / "other")]
    assert run(["revise", str(path), "--json", *work]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["samples"]
    assert made["by_verdict"].get("verified")
    (trace,) = (tmp_path / "other" / "traces").glob("*.trace.jsonl")
    tree = load_any(trace).tree
    assert tree.started is not None
    assert (tree.started.environment, tree.started.task) == ("textcraft", "2")
    node = next(node.id for node in tree.nodes[1:] if node.children)
    out = tmp_path / "b.trace.jsonl"
    assert run(["search", "--from", f"{trace}:{node}", "--iterations", "1", "--out", str(out), *work]) == 0
    new = load_any(out).tree.started
    assert new is not None
    assert len(new.prefix) == tree.nodes[node].depth


def test_an_import_without_an_environment_is_gone_on_from_only_where_one_is_named(
    rollouts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.trace.jsonl"
    rollouts.write_text("".join(rollouts.read_text().splitlines(keepends=True)[:5]))
    assert run(["convert", str(rollouts), str(out)]) == 0
    assert run(["search", "--from", f"{out}:1", "--env", "textcraft", "--workspace", str(tmp_path / "w")]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_file_that_is_nothing_known_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"colour": "red"}\n')
    assert run(["stats", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") <= 1 + 1


async def test_a_tree_of_attempts_shows_its_rows_list_and_forks_and_no_time(rollouts: Path, tmp_path: Path) -> None:
    async with running(mend(rollouts, tmp_path), "search", size=(140, 40)) as (app, pilot):
        view = app.screen.query_one(TreeView)
        assert "N attempts" in str(view.border_subtitle)
        assert not app.screen.query_one(TimelineView).display
        rows = "\n".join(view.render_line(y).text for y in range(view.size.height))
        assert "bash  guess" in rows, "a row tells the call and what it is about"
        assert "all ended" not in rows
        await pilot.press("right_curly_bracket")
        listed = pane(app, "tabs").replace(" ", "")
        assert "◀1✓13steps" in listed
        assert "3✗03steps" in listed
        bar = app.screen.query_one(KeyBar)
        keys = [each.display for each in KeyBar.keys(bar)]
        assert keys[:4] == ["{ }", "D", "=", "o"]
        assert ", ." not in keys


async def test_long_results_are_folded_until_o_is_pressed(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps(row(reward, "look", said=str(reward))) + "\n" for reward in (0, 1)))
    long = "\\n".join(f"line {number}" for number in range(500))
    path.write_text(path.read_text().replace("saw look", long))
    async with running(mend(path, tmp_path), "search", size=(120, 60)) as (app, pilot):
        await pilot.press("j")
        assert "488 more lines: o shows them" in pane(app, "node")
        assert "line 499" in pane(app, "node"), "an error stands at the end"
        assert "line 100 " not in pane(app, "node")
        await pilot.press("o")
        assert "line 100 " in pane(app, "node")


async def test_an_attempt_is_compared_with_the_one_that_ended_otherwise_from_where_they_part(
    rollouts: Path, tmp_path: Path
) -> None:
    async with running(mend(rollouts, tmp_path), "search", size=(140, 40)) as (app, pilot):
        await pilot.press("left_curly_bracket", "left_curly_bracket", "equals_sign")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen.document is not None)
        assert "attempt 4 (reward 0)" in pane(app, "compare")
        assert "attempt 1 (reward 1)" in pane(app, "compare"), "solved, and parts from it latest"
        assert "fork" in pane(app, "compare")
        await pilot.press("right_curly_bracket")
        await until(pilot, lambda: "attempt 3 (reward 0)" in pane(app, "compare"))


def mend(rollouts: Path, tmp_path: Path) -> Session:
    """A session with the tree of the task `mend` open."""
    workspace = opened(tmp_path / "w")
    paths, _ = with_stored([rollouts], options_of(None, None, "action", None), workspace.path, quiet=True)
    session = Session(workspace)
    session.open(next(path for path in paths if "mend" in path.name))
    return session


def said(lines: Sequence[Line]) -> list[tuple[str, str]]:
    """Text and colour of the last part of each line."""
    return [("".join(text for text, _ in each.parts).strip(), each.parts[-1][1]) for each in lines]


@pytest.mark.parametrize("names", EDITS)
def test_an_edit_reads_as_what_goes_and_what_comes(names: tuple[str, str]) -> None:
    call = ToolCall("edit", json.dumps({"path": "a/b/c.py", names[0]: "one\ntwo\nsix", names[1]: "one\ntoo\nsix"}))
    assert said(call_lines(call, 0, whole=False)) == [
        ("edit", "focus"),
        ("path a/b/c.py", "text"),
        ("one", "muted"),
        ("- two", "bad"),
        ("+ too", "good"),
        ("six", "muted"),
    ]
    node = Node(1, 0, 1, "", "edit(…)", "")
    node.calls = (call,)
    assert row_label(node) == "edit  …/c.py two → too"


def test_json_is_set_out_and_diffs_have_their_colours() -> None:
    assert said(text_lines('{"a": {"b": [1]}}', 0, whole=True))[1:4] == [
        ('"a": {', "text"),
        ('"b": [', "text"),
        ("1", "text"),
    ]
    diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n same"
    assert said(text_lines(diff, 0, whole=True))[3:] == [
        ("@@ -1 +1 @@", "focus"),
        ("-old", "bad"),
        ("+new", "good"),
        ("same", "text"),
    ]
    assert said(text_lines("- a list\n- of things", 0, whole=True)) == [("- a list", "text"), ("- of things", "text")]
    (image,) = text_lines("see [image: sha256:9f68 image/png] here", 0, whole=True)
    assert ("[image: sha256:9f68 image/png]", "person") in image.parts


@given(st.text(max_size=400), st.integers(0, 40))
def test_a_text_in_full_loses_no_word(text: str, indent: int) -> None:
    """JSON aside, which is set out: its numbers and words are those of the text."""
    shown = "".join("".join(part for part, _ in each.parts) for each in text_lines(text, indent, whole=True))
    assert "".join(shown.split()) == "".join((_pretty(text) or text).split())


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_call_has_a_row_and_lines(name: str, arguments: str, value: str) -> None:
    for given_ in (arguments, json.dumps({arguments: value}), json.dumps([{"old": value, "new": name}])):
        call = ToolCall(name, given_)
        node = Node(1, 0, 1, "", "x", "")
        node.calls = (call,)
        assert "\n" not in row_label(node)
        assert call_lines(call, 4, whole=False)
