"""The scripted actor: seeded, plausible errors."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from engine.actors.base import Answer, DrawFailed, Request
from engine.actors.scripted import ScriptedActor
from engine.base.text import parse_action
from envs.base import TextEnv
from envs.textcraft.env import TextCraft, tasks
from tests.benchmarks.bench_search import Walk


def ask(actor: ScriptedActor, env: TextEnv, seed: int) -> Answer:
    """One draw at the state in which `env` stands."""

    async def environment(question: Callable[[TextEnv], Any]) -> Any:
        return question(env)

    return asyncio.run(actor.sample(Request(0, 0, 0, seed, list, environment, lambda *_: None)))


def test_without_errors_it_reaches_every_goal_it_has_time_for() -> None:
    env = TextCraft()
    actor = ScriptedActor(0.0)
    for task in tasks()[:40]:
        env.reset(options={"task": task})
        done, score, steps = False, 0.0, 0
        left = env.plan().steps_left
        while not done:
            _, score, done, _, _ = env.step(parse_action(ask(actor, env, steps).response))
            steps += 1
        assert (score, steps) == (1, left)


def test_the_same_draw_gives_the_same_answer_and_another_seed_may_not() -> None:
    env, actor = TextCraft(), ScriptedActor(0.5)
    answers = [ask(actor, env, seed) for seed in range(60)]
    assert answers == [ask(ScriptedActor(0.5), TextCraft(), seed) for seed in range(60)]
    assert len({answer.response for answer in answers}) > 10


def test_errors_are_of_every_kind() -> None:
    """Wrong amount, missing ingredient, fetching what must be crafted, wrong order, idling, giving up."""
    kinds: Counter[str] = Counter()
    rng = random.Random(0)
    env = TextCraft()
    for task in tasks()[:60]:
        env.reset(options={"task": task})
        for _ in range(6):
            before = env.snapshot()
            route = env.route()
            for _ in range(10):
                _, action = env.mistake(rng)
                assert action != route[0]
                words = action.split()
                same = [step for step in route if step.split()[0] == words[0]]
                if action in ("inventory", "look around"):
                    kinds["idling"] += 1
                elif action == "stop":
                    kinds["giving up"] += 1
                elif words[0] == "get" and " ".join(words[2:]) == env.goal:
                    kinds["fetching the goal"] += 1
                elif action in route[1:]:
                    kinds["wrong order"] += 1
                elif any(step.split()[2:] == words[2:] and step != action for step in same):
                    kinds["wrong amount"] += 1
                elif any(
                    step.startswith(action.split(" using ")[0]) and action.count(",") < step.count(",") for step in same
                ):
                    kinds["missing ingredient"] += 1
                else:
                    kinds["other"] += 1
            env.restore(before)
            env.step(route[0])
            if len(route) == 1:
                break
    wanted = {"idling", "giving up", "fetching the goal", "wrong order", "wrong amount", "missing ingredient"}
    assert wanted <= set(kinds)


def test_an_environment_without_a_plan_fails_the_draw() -> None:
    with pytest.raises(DrawFailed, match="plan"):
        ask(ScriptedActor(0.0), Walk(), 0)
