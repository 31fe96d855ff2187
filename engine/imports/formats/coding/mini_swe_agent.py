"""mini-swe-agent `.traj.json`: v2 (an object with `trajectory_format`), or v1's bare list of messages.

The last message may have the role `exit`: it is kept as what answered the last call.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.bounded_json import listed, part, text
from engine.imports.files import RolloutFile, value
from engine.imports.formats.coding.reports import run_of, with_report
from engine.imports.formats.training.nemo_gym import items
from engine.imports.messages import at_message, instruction_of, messages_of, shorten, text_of
from engine.imports.reader import Reader, ReadOptions


def recognise(file: RolloutFile) -> bool:
    """The format's name in the file, or a list of messages in a file of that ending."""
    told = file.peek("trajectory_format") if file.has("trajectory_format") else ""
    bare = file.shape == "list" and file.has("role") and ".traj" in file.path.name
    return (isinstance(told, str) and told.startswith("mini-swe-agent")) or bare


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """One attempt a file."""
    if file.shape == "list" and not file.has("trajectory_format"):
        yield _attempt({"messages": [value(item) for _, item in file.pieces()]}, file, "")
        return
    for place, document in file.rows():
        with file.reporting(place):
            yield _attempt(document, file, place)


def _attempt(document: dict[str, Any], file: RolloutFile, place: str) -> Attempt:
    info = part(document, "info")
    config = part(info, "config")
    instance = text(document, "instance_id") or file.stem
    messages = [message for index, raw in enumerate(listed(document, "messages")) for message in _messages(raw, index)]
    stop = text(info, "exit_status")
    attempt = Attempt(
        task=instance,
        source=str(file.path),
        format="mini-swe-agent",
        place=place,
        id=run_of(file, instance),
        agent="mini-swe-agent",
        model=text(part(config, "model"), "model_name"),
        environment=text(part(config, "environment"), "image"),
        instruction=_goal(messages),
        messages=messages,
        stop=stop,
        cut_off=stop.lower() not in ("submitted", ""),
        raw={"submission": submission} if (submission := text(info, "submission")) else {},
    )
    return with_report(attempt, file.path, instance)


def _goal(messages: list[AttemptMessage]) -> str:
    """The first line of the issue, which stands behind a fixed sentence in a tag."""
    told = next((message.content for message in messages if message.role == "user"), "")
    return shorten(told.partition("PR description:\n")[2]) or instruction_of(messages)


def _messages(raw: Any, index: int) -> Iterator[AttemptMessage]:
    if isinstance(raw, dict) and isinstance(raw.get("output"), list) and "role" not in raw:
        yield from items(raw["output"])  # an answer of the Responses API
    elif isinstance(raw, dict) and raw.get("role") == "exit":
        yield AttemptMessage(role="user", content=text_of(raw.get("content")), name="exit")
    elif isinstance(raw, dict) and raw.get("type") == "function_call_output":
        yield from items([raw])
    else:
        with at_message(index):
            yield from messages_of(raw)


READER = Reader("mini-swe-agent", "mini-swe-agent .traj.json", recognise, read)
