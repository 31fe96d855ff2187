"""What a query may ask of a node (`docs/query.md`); `engine.query.nodes` answers it."""

from __future__ import annotations

from engine.query.grammar import FieldTable

FIELDS: dict[str, str] = {
    "q": "mean return Q = W / N; no value where N = 0",
    "visits": "N, how many leaves below were backed up",
    "w": "W, the sum of their returns",
    "depth": "steps from the root",
    "reward": "the environment's score after the step",
    "return": "the score of a leaf; no value elsewhere",
    "id": "the node's number",
    "children": "how many children it has",
    "draw": "which of its parent's draws it came of, from 0; -1: a person wrote it",
    "prior": "how likely the actor was to say it",
    "repeats": "further draws that gave the same response",
    "seen": "how many nodes stand in the same state, itself included",
    "tokens": "of its draw, in and out; no value where unknown",
}
"""Fields of numbers, and what they mean."""

FLAGS: dict[str, str] = {
    "terminal": "it has no future: done, disaster, too deep or a dead end",
    "leaf": "it is the end of a trajectory that has a return",
    "good": "a leaf whose return exceeds alpha",
    "bad": "any other leaf",
    "done": "the environment ended the episode",
    "disaster": "the score fell below 0",
    "too_deep": "deeper than max_depth",
    "dead_end": "its draws were made and none was usable",
    "expanded": "its draws were made",
    "exhausted": "nothing at or below it can be selected any more",
    "unseen": "never visited: N = 0",
    "failed": "draws of it failed",
    "human": "a person wrote it, or did something to it",
    "pruned": "a person ruled it, or what is above it, out",
    "repeat": "its state was seen before, at an older node",
    "cut": "the actor did not see the whole conversation: it did not fit the context",
}
"""Flags, and what they mean."""

TEXTS: dict[str, str] = {
    "action": "the action as executed",
    "obs": "what the environment answered",
    "thought": "the response less its action",
    "response": "the actor's whole answer",
    "text": "any of these",
}
"""Fields of text, and what they mean."""

ALIASES = {
    "n": "visits",
    "value": "q",
    "score": "reward",
    "observation": "obs",
    "leaves": "leaf",
    "deadend": "dead_end",
    "unvisited": "unseen",
    "edited": "human",
    "loop": "repeat",
}

NODE = FieldTable(numbers=FIELDS, flags=FLAGS, texts=TEXTS, aliases=ALIASES, example="q>0.5, disaster or action~craft")
