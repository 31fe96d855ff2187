"""Evaluation: scores of episodes, and one run against another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.evaluate.episodes import Episode, by_family, difference, episode_of, episode_settings, family_of, scores_of
from engine.evaluate.recovered import WrongStep, recovery_scores
from engine.search.job import new_job
from engine.trace.sources import load_any
from engine.tree.events import SearchSettings


def episode(task: str, score: float, **more: Any) -> Episode:
    values: dict[str, Any] = {
        "path": "p", "env": "e", "task": task, "family": "e", "seed": 0, "score": score, "steps": 4, "repeated": 0,
        "end": "done", "calls": 4, "tokens_out": None, "cost": None,
    }  # fmt: skip
    return Episode(**{**values, **more})


def test_an_episode_is_one_line_of_at_most_so_many_steps(tmp_path: Path) -> None:
    settings = episode_settings(SearchSettings(error_rate=1.0), 7)
    job = new_job("textcraft", "2", settings, tmp_path / "t.trace.jsonl")
    job.run_blocking()
    found = episode_of(load_any(job.path))
    assert (found.steps, found.end, found.score, found.calls) == (7, "depth", 0.0, 7)
    assert len(job.tree) == 8
    actions = [node.action for node in job.tree.nodes[1:]]
    assert found.repeated == 7 - len(set(actions))


def test_fewer_errors_score_higher(tmp_path: Path) -> None:
    scores = []
    for rate in (0.1, 0.4, 0.7):
        episodes = []
        for task in range(10):
            settings = episode_settings(SearchSettings(error_rate=rate, seed=3), 12)
            path = tmp_path / f"{rate}-{task}.trace.jsonl"
            new_job("textcraft", str(task), settings, path).run_blocking()
            episodes.append(episode_of(load_any(path)))
        score = scores_of(episodes).score
        assert score is not None
        scores.append(score.value)
    assert scores[0] > scores[1] > scores[2]


def test_a_task_counts_once_however_many_episodes_it_has() -> None:
    found = scores_of([episode("1", 1.0), episode("2", 0.0), episode("2", 0.0), episode("2", 0.6)], success=0.5)
    assert found.score is not None
    assert found.success is not None
    assert found.score.value == pytest.approx((1.0 + 0.2) / 2)
    assert found.success.value == pytest.approx((1.0 + 1 / 3) / 2)
    assert (found.episodes, found.tasks, found.ends) == (4, 2, {"done": 4})


def test_runs_are_compared_task_by_task() -> None:
    one = [episode("1", 0.9), episode("2", 0.5), episode("3", 0.1), episode("8", 1.0)]
    other = [episode("1", 0.5, steps=6), episode("2", 0.5), episode("3", 0.4), episode("9", 0.0)]
    found = difference(one, other)
    assert found.score is not None
    assert found.steps is not None
    assert (found.tasks, found.better, found.worse) == (3, 1, 1)
    assert found.score.value == pytest.approx((0.4 + 0 - 0.3) / 3)
    assert found.steps.value == pytest.approx(-2 / 3)
    assert difference(one, []).score is None


def test_families_are_what_stands_before_the_variation() -> None:
    assert (family_of("scienceworld", "find-plant:3"), family_of("textcraft", "7")) == ("find-plant", "textcraft")
    assert list(by_family([episode("1", 1.0), episode("b:1", 0.0, family="b")])) == ["b", "e"]


def test_what_a_thought_adds_is_paired_by_wrong_step() -> None:
    def step(without: float | None, thought: float | None, task: str = "1", mark: int = 1) -> WrongStep:
        return WrongStep(
            sample="s", env="e", task=task, mark=mark, action="a", continuations=4, without=without, thought=thought,
            recovered_without=without, recovered_thought=thought,
        )  # fmt: skip

    found = recovery_scores([step(0.0, 1.0), step(0.5, 0.5), step(0.25, 0.5, "2", 7), step(1.0, None, mark=3)])
    assert found.difference is not None
    assert found.without is not None
    assert found.difference.value == pytest.approx((1 + 0 + 0.25) / 3)
    assert found.without.value == pytest.approx(0.25), "only steps that were tried both ways"
    assert (found.steps, found.tasks, found.continuations) == (3, 2, 16)
    assert found.revision_length is not None
    assert found.revision_length.value == (1 + 1 + 7 + 3) / 4, "steps up to the wrong one, which counts"
