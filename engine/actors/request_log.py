"""The request to the actor for one node, and the answer, as far as the trace has them. Never a key."""

from __future__ import annotations

from os import PathLike
from typing import Any

from engine.actors.base import draw_seed
from engine.actors.openai_request import form_fields, prepared, stops, wants_logprobs, with_chosen
from engine.base.compression import open_unpacked, reading
from engine.environment.permission import check, settings_claims
from engine.models.context_window import turns_of_steps
from engine.models.faults import RETRYABLE
from engine.models.structured_form import joined_system
from engine.models.tool_calls import as_sent, tool_fields
from engine.trace.trace_file import decode_event
from engine.tree.events import Message, Sampled
from engine.tree.folding.interventions import WRITTEN
from engine.tree.node import NO_PARENT
from engine.tree.tree import SearchTree


def seen_and_dropped(tree: SearchTree, id: int) -> tuple[list[Message], int, int]:
    """The conversation before a node's own step, the turn where its steps begin, how many of these were not seen."""
    node = tree.nodes[id]
    assert tree.started is not None
    messages = tree.conversation(id if node.parent == NO_PARENT else node.parent)
    dropped = tree.usages.get(id, (None, None, 0))[2]
    return messages, len(tree.started.header), dropped


def was_asked(tree: SearchTree, id: int) -> bool:
    """Whether the actor was asked for a node: not for a person's own step, the root, and a tree made elsewhere."""
    node = tree.nodes[id]
    return node.parent != NO_PARENT and node.draw != WRITTEN and tree.imported_from is None


def request_of(tree: SearchTree, id: int) -> dict[str, Any] | None:
    """Returns the request for a node, as the search made it; None where there was none.

    Like the search, leaves out parameters that the server refused, and asks for a form as the server has it. Raises
    `InputError` where prompts that it took are gone, or are where this trace may not have them read
    (`engine.environment.permission`).
    """
    if not was_asked(tree, id):
        return None
    node, settings = tree.nodes[id], tree.settings_at(tree.born_at(id))
    messages, header, dropped = seen_and_dropped(tree, id)
    where: dict[str, Any] = {"actor": settings.actor}
    more: dict[str, Any] = {}
    if settings.actor == "openai":
        files = [claim for claim in settings_claims(settings) if claim.name == "prompts"]
        check(files, tree.started, (), tree.source or "this trace")
        messages, header = prepared(settings, messages)
        if settings.no_system:
            turns = len(messages)
            messages = joined_system(messages)
            header -= turns - len(messages)
        where = {"POST": f"{settings.base_url or 'the default base URL'}/chat/completions", "model": settings.model}
        more = {"temperature": settings.temperature, "max_tokens": settings.max_tokens, "stream": False}
        if stop := stops(settings, bool(tree.started is not None and tree.started.tools)):
            more["stop"] = list(stop)
        if wants_logprobs(settings):
            more["logprobs"] = True
        tools = tree.started.tools if tree.started is not None else []
        more = with_chosen(settings, more | form_fields(settings) | tool_fields(settings, tools))
    sent = messages[:header] + messages[header + turns_of_steps(messages, header, dropped) :]
    return {
        **where,
        "messages": [as_sent(message, settings.send_reasoning) for message in sent],
        "seed": draw_seed(settings.seed, node.parent, node.draw),
        **more,
        **({"steps_not_sent": dropped} if dropped else {}),
    }


def answer_of(path: str | PathLike[str], parent: int, draw: int) -> Sampled | None:
    """Returns the answer to a draw as it arrived, read from the trace file; None where the file holds none. Raises
    `TraceError`.

    `path`: the trace. `parent`: the node that was expanded. `draw`: which of its draws, from 0. Reads the file up to
    that draw: do not call it on the event loop.
    """
    wanted = (f'"parent":{parent},'.encode(), f'"draw":{draw},'.encode())
    with reading(path), open_unpacked(path) as file:
        for number, line in enumerate(file, 1):
            if b'"sampled"' in line[:40] and all(part in line[:200] for part in wanted) and line.endswith(b"\n"):
                event = decode_event(line, path, number) if number > 1 else None
                if isinstance(event, Sampled) and (event.parent, event.draw) == (parent, draw):
                    return event
    return None


def calls_in_flight(tree: SearchTree) -> int:
    """Returns how many calls of the actor are in flight, by the events: draws that were asked for and neither answered
    nor given up, and at most as many as may be made at once."""
    if tree.started is None or tree.state not in ("running", "paused"):
        return 0
    settings = tree.started.settings
    waiting = 0
    for parent in tree.in_flight:
        given_up = set(tree.unusable.get(parent, ()))
        for draw, failure in tree.owed.get(parent, {}).items():
            if failure.what not in RETRYABLE or failure.attempt > settings.retries:
                given_up.add(draw)
        answered = tree.pending.get(parent, {})
        waiting += tree.draws_of[parent] - len(answered.keys() | given_up)
    return max(0, min(waiting, settings.concurrency))
