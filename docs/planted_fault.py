"""Write a tree of 400 nodes with a planted fault: `python docs/planted_fault.py planted.trace.jsonl`.

TextCraft task 12 takes ten steps. One trajectory takes them all; beside its step 7 stands a wrong one, after which
nothing leads to the goal any more. The rest are an expert's plausible mistakes. docs/guide.md looks for that step.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Hashable

from engine.trace.trace_file import write_trace
from engine.tree.events import AnyEvent, BackedUp, Child, Ended, Expanded, Message, Sampled, SearchSettings, Started
from envs.textcraft.env import make

NODES, WRONG, DEPTH = 400, 7, 10


def planted(seed: int = 0) -> list[AnyEvent]:
    """The events of the tree. Every observation is the environment's own."""
    env, rng = make(), random.Random(seed)
    first, _ = env.reset(options={"task": "12"})
    header = [Message("user", "Craft items by text."), Message("assistant", "OK."), Message("user", first)]
    settings = SearchSettings(max_depth=DEPTH, samples=4, iterations=100)
    events: list[AnyEvent] = [
        Started(seq=0, version=1, trace="planted", environment="textcraft", task="12", header=header,
                settings=settings, instruction="craft yellow bed")
    ]  # fmt: skip
    states: list[Hashable] = [env.snapshot()]
    depths = [0]
    open_nodes: list[int] = []

    def step(parent: int, draw: int, thought: str, action: str) -> Child:
        env.restore(states[parent])
        observation, score, done, _, _ = env.step(action)
        depth = depths[parent] + 1
        reason = "done" if done else "depth" if depth > DEPTH else None
        if reason is None:
            open_nodes.append(len(states))
        states.append(env.snapshot())
        depths.append(depth)
        events.append(Sampled(seq=0, parent=parent, draw=draw, response=f"Thought: {thought}\nAction: {action}"))
        return Child(draw=draw, action=action, observation=observation, reward=score, terminal=reason,
                     state_key=env.state_key())  # fmt: skip

    def expand(parent: int, steps: list[tuple[str, str]]) -> list[int]:
        born = len(states)
        children = [step(parent, draw, thought, action) for draw, (thought, action) in enumerate(steps)]
        events.append(Expanded(seq=0, parent=parent, children=children, steps=len(children)))
        for place, child in enumerate(children):
            if child.terminal is not None:
                events.append(BackedUp(seq=0, leaf=born + place, value=float(child.reward)))
        return list(range(born, born + len(children)))

    def mistakes(node: int, count: int) -> list[tuple[str, str]]:
        env.restore(states[node])
        wanted, found = env.plan().action, {}
        for _ in range(60):
            thought, action = env.mistake(rng)
            if action != wanted and len(found) < count:
                found.setdefault(action, thought)
        return [(thought, action) for action, thought in found.items()]

    node, wrong = 0, 0
    for number in range(1, DEPTH + 1):
        env.restore(states[node])
        action = env.plan().action
        assert action is not None
        others = [("The bed has to be white first.", "get 1 white bed")] if number == WRONG else []
        if number < WRONG:
            others = mistakes(node, 2)
        born = expand(node, [*others, ("This is what the plan needs next.", action)])
        if number == WRONG:
            wrong = born[0]
        if number >= WRONG:  # beside the way to the goal nothing else is tried from here on
            open_nodes.remove(born[-1]) if born[-1] in open_nodes else None
        else:
            open_nodes.remove(born[-1])
        node = born[-1]
    while depths[wrong] <= DEPTH:  # the line below the wrong step, to its end
        (wrong,) = expand(wrong, mistakes(wrong, 1))
        if wrong - 1 in open_nodes and depths[wrong] > WRONG:
            open_nodes.remove(wrong - 1)
    tried = set[int]()
    while len(states) < NODES:
        choices = [node for node in open_nodes if node not in tried]
        chosen = rng.choice(choices)
        tried.add(chosen)
        expand(chosen, mistakes(chosen, min(4, NODES - len(states))))
    events.append(Ended(seq=0, reason="iterations"))
    for seq, event in enumerate(events):
        event.seq = seq
    return events


if __name__ == "__main__":
    write_trace(sys.argv[1], planted(), overwrite=True)
