"""verifiers v1 (`traces.jsonl`): a line is an episode, its traces are message graphs.

A trace may have several leaves: the context was compacted, or a subagent ran. Those are not other attempts: the attempt
is the path of the last leaf that the model wrote to, and the rest is kept at the place where it left.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from engine.imports.attempt import Attempt, AttemptMessage, Transcript
from engine.imports.bounded_json import Malformed, listed, number, part, reward_of, rows, text
from engine.imports.files import RolloutFile
from engine.imports.messages import digest_key, instruction_of, messages_of, schemas_of, shorten
from engine.imports.reader import Reader, ReadOptions

CUT_OFF = {
    "max_turns",
    "max_input_tokens",
    "max_output_tokens",
    "max_total_tokens",
    "context_length",
    "timeout",
    "max_turns_reached",
    "max_total_completion_tokens_reached",
    "prompt_too_long",
    "timeout_reached",
    "has_error",
    "error",
}
"""Stop conditions of verifiers, v1 and before, that are no end of the agent's own."""


def recognise(file: RolloutFile) -> bool:
    """An episode (`traces` of a `task`), or a trace by itself (`nodes` of a `task`), as they were before."""
    return file.has("task", "traces") or file.has("task", "nodes", "rewards")


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """One attempt a trace."""
    for place, episode in file.rows():
        traces = episode.get("traces") if "traces" in episode else [episode]
        for index, trace in enumerate(traces if isinstance(traces, list) else []):
            where = place if index == 0 else f"{place}, trace {index + 1}"
            with file.reporting(where):
                yield _attempt(episode, trace, str(file.path), where)
        if not traces:
            errors = "; ".join(text(error, "message") or text(error, "type") for error in rows(episode, "errors"))
            file.problem(place, f"the episode has no traces{f': {errors}' if errors else ''}")


def _attempt(episode: dict[str, Any], trace: Any, source: str, place: str) -> Attempt:
    if not isinstance(trace, dict):
        raise Malformed("a trace is no object")
    messages, notes = _conversation(listed(trace, "nodes"))
    task = part(trace, "task") or part(episode, "task")
    agent = text(part(trace, "agent"), "name")
    rewards, reward = _rewards(trace.get("rewards"), notes)
    stop = text(trace, "stop_condition")
    errors = [text(error, "message") or text(error, "type") or "error" for error in rows(trace, "errors")]
    if errors:
        notes.append(f"errors: {'; '.join(errors)[:500]}")
    return Attempt(
        task=text(task, "key") or text(task, "hash") or text(part(task, "data"), "idx") or digest_key(messages),
        source=source,
        format="verifiers",
        place=place,
        id=text(trace, "id") or text(episode, "id"),
        agent="" if agent == "agent" else agent,
        model=next((text(call, "model") for call in reversed(rows(trace, "calls"))), ""),
        environment=text(part(episode, "env"), "id"),
        instruction=shorten(text(part(task, "data"), "prompt")) or instruction_of(messages),
        tools=schemas_of(trace.get("tools")),
        messages=messages,
        rewards=rewards,
        reward=reward,
        stop=stop or ("error" if errors else ""),
        cut_off=stop in CUT_OFF or bool(errors) or trace.get("is_timeout") is True,
        notes=notes,
        raw={"metrics": trace["metrics"]} if isinstance(trace.get("metrics"), dict) else {},
    )


def _rewards(told: Any, notes: list[str]) -> tuple[dict[str, float | None], float | None]:
    """The scores by name, and their weighted sum; None where none was given, or one is no number."""
    found = told if isinstance(told, dict) else {}
    odd: list[str] = []
    given_as = {name: row.get("score") if isinstance(row, dict) else row for name, row in found.items()}
    scores = {name: reward_of(one, odd, f"score {name} =") for name, one in given_as.items()}
    notes += odd
    weights = {name: number(row.get("weight", 1.0)) if isinstance(row, dict) else 1.0 for name, row in found.items()}
    given = [score * (weights[name] or 0.0) for name, score in scores.items() if score is not None]
    return scores, sum(given) if given and not odd else None


def _conversation(nodes: list[Any]) -> tuple[list[AttemptMessage], list[str]]:
    """The path of the last leaf that the model wrote to; other branches are kept where they left it."""
    parents: list[int] = []
    for index, node in enumerate(nodes):
        above = node.get("parent") if isinstance(node, dict) else None
        if not isinstance(node, dict) or (above is not None and not (type(above) is int and -1 <= above < index)):
            raise Malformed(f"node {index} is no object, or its parent does not stand before it")
        parents.append(-1 if above is None else above)
    if not nodes:
        return [], ["the trace has no messages"]
    inner = set(parents)
    leaves = [index for index in range(len(nodes)) if index not in inner]
    written: list[bool] = []  # whether the model wrote anything on the way to a node
    for node, above in zip(nodes, parents, strict=True):
        written.append(node.get("sampled") is True or (above >= 0 and written[above]))
    main = next((leaf for leaf in reversed(leaves) if written[leaf]), leaves[-1])
    path = _up(parents, main, set())
    messages = [_message(nodes[index]) for index in path]
    places = {node: at for at, node in enumerate(path)}
    notes, kept = [], set(path)
    for leaf in leaves:
        if leaf == main:
            continue
        branch = _up(parents, leaf, kept)
        kept |= set(branch)
        above = parents[branch[0]]
        at = min(places.get(above, -1) + 1, len(messages) - 1)  # the message after which it left
        side = Transcript(messages=tuple(_message(nodes[node]) for node in branch), agent="earlier context")
        compacted = messages[at].compacted or above in places
        messages[at] = replace(messages[at], sub=(*messages[at].sub, side), compacted=compacted)
        notes.append(
            f"{len(branch)} messages of another branch (compaction or a subagent) are kept at message {at + 1}"
        )
    return messages, notes


def _up(parents: list[int], leaf: int, kept: set[int]) -> list[int]:
    """The way to a leaf, from below what is kept already."""
    way = []
    while leaf != -1 and leaf not in kept:
        way.append(leaf)
        leaf = parents[leaf]
    return way[::-1]


def _message(node: dict[str, Any]) -> AttemptMessage:
    made = messages_of(node.get("message"))
    if len(made) != 1:
        raise Malformed("a node holds several messages")
    return made[0]


READER = Reader("verifiers", "verifiers traces.jsonl", recognise, read)
