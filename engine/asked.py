"""What an actor was asked for one node, and what it answered, as far as the trace tells. Never a key."""

from __future__ import annotations

from os import PathLike
from typing import Any

from engine.actor import draw_seed
from engine.events import Message, Sampled
from engine.human import WRITTEN
from engine.packed import open_unpacked, reading
from engine.trace import decode_event
from engine.tree import NO_PARENT, SearchTree

STEP_TURNS = 2


def seen_and_dropped(tree: SearchTree, id: int) -> tuple[list[Message], int, int]:
    """The conversation before a node's own step, the turn where its steps begin, how many of them were not seen."""
    node = tree.nodes[id]
    assert tree.started is not None
    messages = tree.conversation(id if node.parent == NO_PARENT else node.parent)
    dropped = tree.usages.get(id, (None, None, 0))[2]
    return messages, len(tree.started.header), dropped


def request_of(tree: SearchTree, id: int) -> dict[str, Any] | None:
    """The request that a node came of, as the search made it; None where there was none.

    A person's own step, the root and a tree that was made elsewhere have none. What a server gets beside that (stop
    words, log-probabilities) follows from the settings.
    """
    node = tree.nodes[id]
    if node.parent == NO_PARENT or node.draw == WRITTEN or tree.imported_from is not None or tree.started is None:
        return None
    settings = tree.settings_at(tree.born_at(id))
    messages, first, dropped = seen_and_dropped(tree, id)
    if settings.actor == "openai" and settings.example:
        from engine.openai_actor import with_example  # its client library takes half a second to import

        longer = with_example(messages, settings.prompts)
        messages, first = longer, first + len(longer) - len(messages)
    sent = messages[:first] + messages[first + STEP_TURNS * dropped :]
    return {
        "actor": settings.actor,
        **({"model": settings.model, "base_url": settings.base_url} if settings.model else {}),
        "messages": [{"role": message.role, "content": message.content} for message in sent],
        "temperature": settings.temperature,
        "max_tokens": settings.max_tokens,
        "seed": draw_seed(settings.seed, node.parent, node.draw),
        **({"structured": settings.structured} if settings.structured else {}),
        **({"steps_not_sent": dropped} if dropped else {}),
    }


def answer_of(path: str | PathLike[str], parent: int, draw: int) -> Sampled | None:
    """The answer to a draw as it arrived, read from the trace file; None where it holds none. Raises `TraceError`.

    Reads the file up to there: not for the event loop.
    """
    wanted = (f'"parent":{parent},'.encode(), f'"draw":{draw},'.encode())
    with reading(path), open_unpacked(path) as file:
        for number, line in enumerate(file, 1):
            if b'"sampled"' in line[:40] and all(part in line[:200] for part in wanted) and line.endswith(b"\n"):
                event = decode_event(line, path, number) if number > 1 else None
                if isinstance(event, Sampled) and (event.parent, event.draw) == (parent, draw):
                    return event
    return None
