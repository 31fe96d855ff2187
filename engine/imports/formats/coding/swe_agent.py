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
    """A trajectory with its history and info; the retry agent's holds attempts. Of a file that was cut to its steps,
    or to its history (a demonstration), what is left."""
    if file.has("trajectory", "info") and file.keys & {"history", "environment", "attempts"}:
        return True
    if not (file.path.name.endswith((".traj", ".traj.gz")) or file.has("instance_id")):
        return False
    steps, history = _first(file, "trajectory"), _first(file, "history")
    return {"action", "observation"} <= steps.keys() or {"role", "message_type"} <= history.keys()


def _first(file: RolloutFile, key: str) -> dict[str, Any]:
    told = file.peek(key) if file.has(key) else None
    return told[0] if isinstance(told, list) and told and isinstance(told[0], dict) else {}


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
    instance = text(part(settings, "problem_statement"), "id") or text(document, "instance_id") or file.stem
    notes: list[str] = []
    if document.get("history"):
        messages = _history(listed(document, "history"), notes)
        messages += _beyond(messages, rows(document, "trajectory"), notes)
    else:
        notes.append("the file has no history: its prompt is unknown")
        messages = _steps(rows(document, "trajectory"))
    if not messages:
        raise Malformed("holds no steps")
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


def _steps(told: list[dict[str, Any]]) -> list[AttemptMessage]:
    """Steps as messages: the answer, with its action where it does not say it, and what was observed."""
    messages = []
    for step in told:
        said, action = text(step, "response") or text(step, "thought"), text(step, "action")
        if action.strip() and action.strip() not in said:
            said = f"{said}\n```\n{action}\n```" if said else f"```\n{action}\n```"
        messages.append(AttemptMessage(role="assistant", content=said))
        messages.append(AttemptMessage(role="user", content=text(step, "observation")))
    return messages


def _beyond(messages: list[AttemptMessage], steps: list[dict[str, Any]], notes: list[str]) -> list[AttemptMessage]:
    """The steps at the end that the history does not hold, because the run ended with them (a submission)."""
    answers = [message.content.strip() for message in messages if message.role == "assistant"]
    known = set(answers)
    at = len(steps)
    while at and text(steps[at - 1], "response").strip() not in known:
        at -= 1
    if at == len(steps) or not at or len(steps) <= len(answers):
        return []
    count = len(steps) - at
    which = "step is" if count == 1 else f"{count} steps are"
    notes.append(f"the last {which} of `trajectory`: `history` does not hold {'it' if count == 1 else 'them'}")
    return _steps(steps[at:])


def _goal(messages: list[AttemptMessage]) -> str:
    """The first line of the issue, which stands behind a fixed sentence."""
    own = [message.content for message in messages if message.role == "user" and not message.untrained]
    body = own[0].partition("ISSUE:\n")[2] if own and "ISSUE:\n" in own[0] else (own[0] if own else "")
    return shorten(body)


READER = Reader("swe-agent", "SWE-agent .traj", recognise, read)
