"""Finds out by trying what an environment can do: names, valid actions, a plan, copies, whether it repeats itself."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from envs.any_gymnasium import guarded_calls
from envs.any_gymnasium.guarded_calls import Foreign, Reply
from envs.any_gymnasium.spec import Spec
from envs.any_gymnasium.valid_actions import attribute, lists_actions, valid_actions, with_names
from envs.base import EnvError
from envs.call_text import canonical
from envs.tool_schemas import misfit, name_of

STEPS = 6
SEED = 0
ACTIONS = ("look", "inventory", "go north", "go east", "open door", "help")
"""What is tried where nobody says what can be done."""

RANGE_SEEDS = (0, 1, 2)
RANGE_STEPS = 50
"""Of an episode by which `range=auto` measures returns."""

SHOWN = 60
"""Characters of a reply that a remark shows."""


@dataclass(frozen=True)
class Found:
    """What the probe found out."""

    spec: Spec  # with names of actions, and a range in the place of `auto`
    copies: bool  # whether copies do what the environment does
    plans: bool
    lists: bool  # whether it lists valid actions
    remarks: tuple[str, ...]


def probe(env: Foreign, spec: Spec) -> Found:
    """Reset it twice with the same seed and take the same few steps, and the same with a copy. Raises `EnvError`."""
    first, info = guarded_calls.reset(env, spec, SEED)
    spec = with_names(env, spec, info)
    tried = _tried(env, spec, info)
    spec = _batch_form(env, spec, tried)
    first, info = guarded_calls.reset(env, spec, SEED)
    twin = guarded_calls.copy_of(env)
    replies, infos = guarded_calls.transcript(env, spec, tried)
    copies = twin is not None and guarded_calls.transcript(twin, spec, tried)[0] == replies
    remarks = []
    again, _ = guarded_calls.reset(env, spec, SEED)
    if again != first:
        remarks.append(f"not repeatable: reset with the same seed answered {again[:SHOWN]!r}, {first[:SHOWN]!r} before")
    else:
        repeated, _ = guarded_calls.transcript(env, spec, tried)
        for step, (reply, said) in enumerate(zip(repeated, replies, strict=False), 1):
            if reply != said:
                remarks.append(not_repeatable(step, reply, said))
                break
    known = {**infos, **info}
    if spec.auto:
        spec, measured = _measured(env, spec)
        remarks.append(measured)
    return Found(
        spec,
        copies,
        callable(attribute(env, "plan")) or "policy_commands" in known,
        lists_actions(env, spec, known),
        (*guarded_calls.adapter_of(env).remarks, *remarks),
    )


def not_repeatable(step: int, reply: Reply, before: Reply) -> str:
    """Returns a remark: the same actions were answered otherwise.

    `step`: counted from 1. `reply`: the answer now. `before`: the answer the first time.
    """
    if reply.observation != before.observation:
        now, then = repr(reply.observation[:SHOWN]), repr(before.observation[:SHOWN])
    elif reply.score != before.score:
        now, then = f"with the score {reply.score:g}", f"{before.score:g}"
    else:
        now, then = ("with the end", "not") if reply.terminated or reply.truncated else ("without an end", "with it")
    return f"not repeatable: step {step} answered {now}, {then} before"


def _tried(env: Foreign, spec: Spec, info: dict[str, Any]) -> list[str]:
    try:
        known = valid_actions(env, spec, info)
    except Exception as error:
        raise EnvError(f"the environment's valid actions failed: {type(error).__name__}: {error}") from error
    return (known or _own_calls(env) or list(ACTIONS))[:STEPS]


def _own_calls(env: Foreign) -> list[str]:
    """Calls of the environment's own tools that take no arguments."""
    tools = attribute(env, "tools")
    try:
        schemas = list(tools()) if callable(tools) else []
    except Exception as error:
        raise EnvError(f"the environment's tools failed: {type(error).__name__}: {error}") from error
    return [canonical(name_of(schema), {}) for schema in schemas if misfit(schema, {}) is None]


def _batch_form(env: Foreign, spec: Spec, tried: Sequence[str]) -> Spec:
    """Whether a batch of one takes its action as a list: the form at which it does not fail."""
    adapter = guarded_calls.adapter_of(env)
    if not adapter.batched or spec.batch:
        return spec
    strict = spec._replace(observe=False)
    try:
        guarded_calls.step(env, strict, tried[0], 0.0)
        return spec
    except EnvError:
        other = adapter.turn_batch()
    try:
        guarded_calls.reset(env, strict, SEED)
        guarded_calls.step(env, strict, tried[0], 0.0)
    except EnvError:
        adapter.turn_batch()
        return spec
    return spec._replace(batch="list" if other == "list" else "text")


_measured_ranges: dict[str, tuple[float, float]] = {}  # in this process, by what stands after `gym:`


def _measured(env: Foreign, spec: Spec) -> tuple[Spec, str]:
    """The spec with the range in which returns lay in a few episodes, by chance and by the plan, and a remark."""
    known = _measured_ranges.get(spec.text)
    if known is None:
        sums = [0.0]
        for seed in RANGE_SEEDS:
            for planned in (False, True):
                sums += _episode(env, spec, seed, planned)
        threshold = getattr(getattr(env, "spec", None), "reward_threshold", None)
        highest = max(*sums, float(threshold) if threshold is not None else 0.0)
        low = _outwards(min(sums))
        high = 1.0 if 0 < highest < 1 or low == highest == 0 else _outwards(highest)
        known = _measured_ranges[spec.text] = low, high
    return spec.with_range(*known), f"?range=auto took {known[0]:g} to {known[1]:g}, by a few episodes"


def _episode(env: Foreign, spec: Spec, seed: int, planned: bool) -> list[float]:
    """The scores of an episode."""
    rng = random.Random(seed)
    scores: list[float] = []
    plan = attribute(env, "plan")
    try:
        _, info = guarded_calls.reset(env, spec, seed)
        for _ in range(RANGE_STEPS):
            if planned:
                way = [plan()[0]] if callable(plan) else list(info.get("policy_commands") or [])
                if not way or way[0] is None:
                    break
                action = str(way[0])
            else:
                action = rng.choice(valid_actions(env, spec, info) or list(ACTIONS))
            reply, more = guarded_calls.step(env, spec, action, scores[-1] if scores else 0.0)
            info = more if more is not None else info
            scores.append(reply.score)
            if reply.terminated or reply.truncated:
                break
    except Exception:  # an episode that fails has shown what it has
        return scores
    return scores


def _outwards(score: float) -> float:
    """The score rounded away from 0, to two digits."""
    if score == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(score))) - 1)
    return math.copysign(round(math.ceil(abs(score) / unit - 1e-9) * unit, 10), score)
