"""SWE-agent `.traj`: the history is the attempt; demonstrations are marked, other agents' parts are left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.bounded_json import Malformed, decode, listed, part, rows, text
from engine.imports.files import RolloutFile
from engine.imports.formats.coding.reports import run_of, with_report
from engine.imports.messages import at_message, messages_of, shorten
from engine.imports.reader import Reader, ReadOptions


def recognise(file: RolloutFile) -> bool:
    """A trajectory with its history and info; the retry agent's holds attempts."""
    return file.has("trajectory", "info") and bool(file.keys & {"history", "environment", "attempts"})


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """One attempt a file; several where the agent tried again."""
    for place, document in file.rows():
        tries = rows(document, "attempts")
        if not tries:
            yield from _attempts(document, document, file, place)
        for index, again in enumerate(tries):
            yield from _attempts(again, document, file, f"attempt {index + 1}")


def _attempts(document: dict[str, Any], around: dict[str, Any], file: RolloutFile, place: str) -> Iterator[Attempt]:
    with file.reporting(place):
        yield _attempt(document, around, file, place)


def _attempt(document: dict[str, Any], around: dict[str, Any], file: RolloutFile, place: str) -> Attempt:
    settings = document.get("replay_config", around.get("replay_config"))
    if isinstance(settings, str):
        try:
            settings = decode(settings)
        except Malformed:
            settings = {}
    instance = text(part(settings, "problem_statement"), "id") or file.stem
    notes: list[str] = []
    messages = _history(listed(document, "history"), notes) if document.get("history") else _steps(document, notes)
    info = part(document, "info")
    stop = text(info, "exit_status")
    attempt = Attempt(
        task=instance,
        source=str(file.path),
        format="swe-agent",
        place=place,
        id=run_of(file, instance),
        agent="SWE-agent",
        model=text(part(settings, "agent", "model"), "name"),
        environment=text(document, "environment") or text(around, "environment"),
        instruction=shorten(text(part(settings, "problem_statement"), "text")) or _goal(messages),
        messages=messages,
        stop=stop,
        cut_off=stop not in ("submitted", ""),
        notes=notes,
        raw={"submission": submission} if (submission := text(info, "submission")) else {},
    )
    return with_report(attempt, file.path, instance)


def _history(told: list[Any], notes: list[str]) -> list[AttemptMessage]:
    messages = []
    agents = {text(raw, "agent") for raw in told if isinstance(raw, dict) and text(raw, "role") != "system"}
    for index, raw in enumerate(told):
        with at_message(index):
            made = messages_of(raw)
        ids = raw.get("tool_call_ids")
        for message in made:
            if message.role == "tool" and isinstance(ids, list) and ids and isinstance(ids[0], str):
                message = replace(message, tool_call_id=message.tool_call_id or ids[0])
            if raw.get("is_demo") is True or raw.get("message_type") == "demonstration":
                message = replace(message, untrained=True)
            messages.append(message)
    if len(agents) > 1:
        notes.append(f"the history holds {len(agents)} agents: {', '.join(sorted(agents))[:200]}")
    if any(message.untrained for message in messages):
        notes.append("a demonstration stands before the run: not to be trained on")
    return messages


def _steps(document: dict[str, Any], notes: list[str]) -> list[AttemptMessage]:
    """The steps, where a file has no history."""
    notes.append("the file has no history: its prompt is unknown")
    messages = []
    for step in rows(document, "trajectory"):
        messages.append(AttemptMessage(role="assistant", content=text(step, "response") or text(step, "action")))
        messages.append(AttemptMessage(role="user", content=text(step, "observation")))
    return messages


def _goal(messages: list[AttemptMessage]) -> str:
    """The first line of the issue, which stands behind a fixed sentence."""
    own = [message.content for message in messages if message.role == "user" and not message.untrained]
    body = own[0].partition("ISSUE:\n")[2] if own and "ISSUE:\n" in own[0] else (own[0] if own else "")
    return shorten(body)


READER = Reader("swe-agent", "SWE-agent .traj", recognise, read)
