"""How a model's answers went is told: the search's last lines, `stats`, the top bar, the log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentr_tui.cli.main import run
from agentr_tui.screens.search.figures import search_figures
from agentr_tui.screens.search.why_lines import log_lines
from engine.explain.answer_warning import answer_warning
from engine.trace.trace_file import load
from engine.tree.events import Sampled, SearchSettings, Selected, Started, Usage
from engine.tree.tree import SearchTree
from tests.servers.llm_server import Body, LLMServer, plays_textcraft

ODD = (
    "Shall I go on?",
    "Thought: so\nAction: fly\nObservation: ok",
    "Thought: so\nAction: swim\n\nThat helps.",
    "dance",
    '{"thought": "so", "action": "sing"}',
)


def says_odd_things(body: Body) -> str:
    """An answer of another kind for each seed."""
    return ODD[body["seed"] % len(ODD)]


def searched(answer: object, out: Path, *more: str) -> int:
    with LLMServer(answer=answer) as server:  # type: ignore[arg-type]
        given = ["--actor", "openai", "--model", "m", "--base-url", server.url, "--task", "5", "--out", str(out)]
        return run(["search", "--iterations", "2", "--max-depth", "3", "--samples", "6", *given, *more])


def test_answers_are_counted_wherever_figures_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "t.trace.jsonl"
    assert searched(says_odd_things, out) == 0
    said = capsys.readouterr()
    tree = load(out).tree
    counts = tree.answers
    assert counts.answers == tree.calls + len(tree.failures)
    assert counts.useless == counts.not_in_form == len(tree.failures) > 0
    assert counts.trimmed > 0
    assert counts.without_label > 0
    assert counts.refused == counts.actions == len(tree) - 1
    told = f"{counts.answers} answers: {counts.not_in_form} not in the form, {counts.without_label} without a label, "
    assert told in said.out
    assert f"{counts.refused} of {counts.refused} actions were refused: look at an answer: node 1; try" in said.err
    assert run(["stats", str(out)]) == 0
    assert told in capsys.readouterr().out
    assert run(["stats", "--json", str(out)]) == 0
    shown = json.loads(capsys.readouterr().out)
    for each in (shown["traces"][0], shown["total"]):
        assert each["answers"]["refused"] == counts.refused
        assert each["answers"]["not_in_form"] == counts.not_in_form
    assert f"{counts.useless} useless, {counts.refused} refused" in search_figures(tree)
    assert told in "".join(part[0] for part in log_lines(tree)[0].parts)


def test_a_model_that_keeps_to_the_form_is_not_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "t.trace.jsonl"
    assert searched(lambda body: plays_textcraft(body, 0.0), out) == 0
    assert "answers" not in capsys.readouterr().err
    assert answer_warning(load(out).tree) is None


def test_the_scripted_actor_is_not_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "t.trace.jsonl"
    assert run(["search", "--task", "2", "--iterations", "2", "--error-rate", "0.9", "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert load(out).tree.answers.refused > 0
    assert "refused" not in said.out + said.err


def test_answers_that_are_cut_name_the_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LLMServer(answer=lambda body: f"Thought: {body['seed']} and on", finish="length") as server:
        given = ["--actor", "openai", "--model", "m", "--base-url", server.url, "--task", "5"]
        assert run(["search", "--out", str(tmp_path / "t.trace.jsonl"), "--samples", "2", *given]) == 1
    assert "2 of 2 answers were of no use (2 cut off): look at an answer: answer" in (said := capsys.readouterr().err)
    assert "raise --max-tokens" in said


def test_the_share_of_cached_tokens_is_told_where_a_server_tells_it() -> None:
    events: list[Any] = [
        Started(
            seq=0,
            version=2,
            trace="t",
            environment="textcraft",
            task="1",
            header=[],
            settings=SearchSettings(actor="openai", samples=2),
        ),
        Selected(seq=1, path=[0]),
        Sampled(seq=2, parent=0, draw=0, response="a", usage=Usage(1000, 10)),
    ]
    assert "1000→10 tokens" in search_figures(SearchTree(events))
    events.append(Sampled(seq=3, parent=0, draw=1, response="b", usage=Usage(1000, 10, None, 760)))
    tree = SearchTree(events)
    assert (tree.tokens_in, tree.tokens_cached) == (2000, 760)
    assert "2000→20 tokens (38% cached)" in search_figures(tree)
