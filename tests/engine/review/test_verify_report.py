"""The report of one verifier's marks against another's or a person's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentr_tui.cli.commands.verify import verify
from engine.base.errors import InputError
from engine.environment.replay import opener
from engine.pairs.pairs import pairs
from engine.review.curation import marks_of
from engine.review.decisions import Decisions
from engine.review.verifier_report import NOT_JUDGED, VerifyReport, measure
from engine.samples.sample import sample_id
from engine.samples.settings import ReviseSettings
from engine.search.job import new_job
from engine.trace.sources import load_any
from engine.tree.events import SearchSettings
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import JudgeSettings
from engine.verifiers.noisy import NoisyVerifier
from engine.verifiers.progress import ProgressVerifier
from engine.verifiers.registry import make_verifier
from tests.engine.made import honey_trace, made_workspace
from tests.servers.llm_server import Body, LLMServer

TREES = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Traces of TextCraft searches."""
    folder = tmp_path_factory.mktemp("traces")
    for task in range(TREES):
        settings = SearchSettings(iterations=6, seed=task, error_rate=0.5)
        new_job("textcraft", str(task), settings, folder / f"{task}.trace.jsonl").run_blocking()
    return folder


@pytest.fixture(scope="module")
def trees(folder: Path) -> list[SearchTree]:
    """And their trees."""
    return [load_any(path).tree for path in sorted(folder.iterdir())]


def report_of(trees: list[SearchTree], verifier: str, against: str = "progress", **changes: Any) -> VerifyReport:
    """The report of two verifiers."""
    return measure(trees, ReviseSettings(verifier=verifier, **changes), ReviseSettings(verifier=against))


def honey(tmp_path: Path) -> SearchTree:
    """The honey tree."""
    return load_any(honey_trace(tmp_path / "honey.trace.jsonl")).tree


def test_a_verifier_agrees_with_itself(trees: list[SearchTree]) -> None:
    report = report_of(trees, "progress")
    assert report.traces == TREES
    assert report.pairs > 100
    assert (report.precision, report.recall, report.exact, report.distance) == (1.0, 1.0, 1.0, 0.0)
    assert all(set(row) == {word} for word, row in report.confusion.items())


def test_the_figures_are_those_counted_by_hand(tmp_path: Path) -> None:
    """Honey: leaves 2 and 11 are good; 4 (wrong at 2: sugar), 6 and 8 are bad.

    `progress` marks step 2 of leaf 4 (the sugar), step 2 of leaf 8 (refused) and nothing in leaf 6, which only wastes a
    step; `value` marks the first step after the fork below which no good leaf is: 2 (shared: get) or 2, 1, 1.
    """
    tree = honey(tmp_path)
    report = report_of([tree], "value", before_fork="keep")
    progress = make_verifier("progress", tree, Thresholds(), opener(tree))
    value = make_verifier("value", tree, Thresholds(), opener(tree))
    marks = []
    for pair in pairs(tree, Thresholds()):
        found = [[each.step for each in judge.judge(pair) if each.word == "Bad"] for judge in (value, progress)]
        marks.append((*(steps[0] if steps else None for steps in found),))
    same = sum(a == b and a is not None for a, b in marks)
    both = [(a, b) for a, b in marks if a is not None and b is not None]
    assert 0 < same < len(both)
    assert any(b is None for _, b in marks)
    assert report.pairs == len(marks) == 6
    assert report.marked == sum(a is not None for a, _ in marks)
    assert report.marked_against == sum(b is not None for _, b in marks)
    assert report.precision == same / report.marked
    assert report.recall == same / report.marked_against
    assert report.exact == sum(a == b for a, b in marks) / 6
    assert report.distance == sum(abs(a - b) for a, b in both) / len(both)
    turned = measure([tree], ReviseSettings(before_fork="keep"), ReviseSettings(verifier="value"))
    assert (turned.precision, turned.recall, turned.exact) == (report.recall, report.precision, report.exact)
    assert turned.precision != turned.recall
    assert (report.early, report.late) == (sum(a < b for a, b in both), sum(a > b for a, b in both))


def test_a_mark_before_the_fork_moves_is_refused_or_stays(trees: list[SearchTree]) -> None:
    moved, kept, refused = (report_of(trees, "value", before_fork=what) for what in ("move", "keep", "refuse"))
    assert refused.refused > 0
    assert refused.pairs + refused.refused == moved.pairs == kept.pairs
    assert moved.same > kept.same  # two marks before the fork move to the same place


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_of_a_judge_that_is_wrong_by_a_known_share_the_confusion_shows_that_share(
    rate: float, trees: list[SearchTree]
) -> None:
    wrong = judged = 0
    for tree in trees:
        true, noisy = (make_verifier(name, tree, Thresholds(), opener(tree)) for name in ("progress", f"noisy:{rate}"))
        assert isinstance(true, ProgressVerifier)
        assert isinstance(noisy, NoisyVerifier)
        for id in range(1, len(tree)):
            judged += 1
            wrong += noisy.step_into(id)[0] != true.step_into(id)[0]
    assert judged > 500
    assert wrong / judged == pytest.approx(rate, abs=0.05 if 0 < rate < 1 else 0)
    report = report_of(trees, f"noisy:{rate}")
    assert report.exact is not None
    assert (report.exact == 1.0) == (rate == 0)
    off = sum(n for row, words in report.confusion.items() for word, n in words.items() if word != row)
    assert (off == 0) == (rate == 0)


def test_the_noise_is_the_same_each_time(trees: list[SearchTree]) -> None:
    assert report_of(trees, "noisy:0.3") == report_of(trees, "noisy:0.3")


@pytest.mark.parametrize("rate", ["", "some", "1.5", "-1", "nan"])
def test_a_share_that_is_none_is_refused(rate: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="number from 0 to 1"):
        report_of([honey(tmp_path)], f"noisy:{rate}")


def test_steps_after_ones_first_bad_are_not_counted_as_judged(trees: list[SearchTree]) -> None:
    report = report_of(trees, "value")
    total = sum(n for row in report.confusion.values() for n in row.values())
    steps = 0
    for tree in trees:
        for pair in pairs(tree, Thresholds()):
            judges = [make_verifier(name, tree, Thresholds(), opener(tree)) for name in ("value", "progress")]
            steps += max(len(list(judge.judge(pair))) for judge in judges)
    assert total == steps
    assert NOT_JUDGED in report.confusion
    assert NOT_JUDGED not in report.confusion[NOT_JUDGED]


def test_pairs_that_no_person_marked_are_left_out(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path / "ws")
    tree = load_any(next(workspace.traces.iterdir())).tree
    assert tree.started is not None
    chosen = list(pairs(tree, Thresholds()))[:2]
    decisions = Decisions(workspace.decisions)
    for pair, mark in zip(chosen, (2, 1), strict=True):
        decisions.decide(sample_id("revision", tree.started.trace, pair.good, pair.bad), mark=mark)
    settings = ReviseSettings(verifier="value", before_fork="keep"), ReviseSettings(verifier="human")
    report = measure([tree], *settings, marks_of(decisions.current()))
    assert (report.pairs, report.left_out, report.marked_against) == (2, 4, 2)
    turned = measure([tree], settings[1], settings[0], marks_of(decisions.current()))
    assert (turned.pairs, turned.left_out, turned.marked) == (2, 4, 2)


def test_where_nothing_is_compared_the_shares_are_unknown(tmp_path: Path) -> None:
    report = report_of([honey(tmp_path)], "value", "human")
    assert (report.pairs, report.left_out) == (0, 6)
    assert (report.precision, report.recall, report.exact, report.distance) == (None, None, None, None)


def test_a_model_is_measured_and_what_it_cost_is_told(tmp_path: Path) -> None:
    def judges(body: Body) -> str:
        return "Judgement: " + ("Bad" if "Could not" in body["messages"][-1]["content"] else "Good")

    with LLMServer(answer=judges) as server:
        judge = JudgeSettings(model="m", base_url=server.url)
        settings = ReviseSettings(verifier="openai", judge=judge), ReviseSettings(verifier="progress")
        report = measure([honey(tmp_path)], *settings, cache=tmp_path / "cache")
        assert report.judging is not None
        assert report.judging.calls == len(server.calls) > 0
        assert report.judging.tokens_in == server.told.tokens_in
        assert report.judging.cost is None
    assert 0 < (report.recall or 0) < 1


def test_the_command_prints_a_report_and_one_object(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify([folder], verifier="value", against="progress", json=True, workspace=tmp_path / "ws") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["traces"] == TREES
    assert {"precision", "recall", "exact", "distance", "confusion", "pairs", "left_out"} <= set(report)
    assert verify([folder], verifier="value", against="progress", workspace=tmp_path / "ws") == 0
    shown = capsys.readouterr().out
    assert (
        f"value against progress: {report['pairs']:,} pairs ({report['bad_leaves']:,} bad leaves) of {TREES} trees"
        in shown
    )
    assert f"{report['precision']:.1%}" in shown
    assert not (tmp_path / "ws").exists()  # looking writes nothing


def test_the_command_refuses_what_it_does_not_know(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown verifier 'oracle': one of .*openai"):
        verify([folder], against="oracle", workspace=tmp_path)
    with pytest.raises(InputError, match="--max-pairs"):
        verify([folder], against="value", max_pairs=0, workspace=tmp_path)
    with pytest.raises(InputError, match="--model"):
        verify([folder], against="openai", workspace=tmp_path)
