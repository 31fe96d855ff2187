"""verifiers before v1 (`results.jsonl`, prime-rl's `train_rollouts.jsonl`): a row is `prompt` and `completion`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.bounded_json import Malformed, decode, number, part, reward_of, text
from engine.imports.files import RolloutFile, small_json
from engine.imports.formats.training.verifiers_traces import CUT_OFF
from engine.imports.messages import conversation, digest_key, instruction_of, schemas_of
from engine.imports.reader import Reader, ReadOptions


def recognise(file: RolloutFile) -> bool:
    """`prompt`, `completion` and `reward`, with what only verifiers writes beside them."""
    return file.has("prompt", "completion", "reward") and bool(
        file.keys & {"example_id", "is_completed", "stop_condition", "token_usage"}
        or {"id", "task", "metrics"} <= file.keys
    )


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """One attempt a row."""
    beside = small_json(file.path.parent, "metadata.json")
    for place, row in file.rows():
        with file.reporting(place):
            yield _attempt(row, beside, str(file.path), place)


def _attempt(row: dict[str, Any], beside: dict[str, Any], source: str, place: str) -> Attempt:
    messages = _side(row.get("prompt"), "user") + _side(row.get("completion"), "assistant")
    stop, error = text(row, "stop_condition"), row.get("error")
    notes = [f"error: {text(error, 'error') or text(error, 'message') or error}"[:500]] if error else []
    reward = reward_of(row.get("reward"), notes)
    metrics = part(row, "metrics")
    environment = text(beside, "env_id")
    return Attempt(
        task=_named(environment, text(row, "example_id") or text(row, "id")) or digest_key(messages),
        source=source,
        format="verifiers-results",
        place=place,
        model=text(beside, "model"),
        environment=environment,
        instruction=instruction_of(messages),
        tools=schemas_of(row.get("tool_defs") or beside.get("tools")),
        messages=messages,
        rewards={"reward": reward, **{name: number(value) for name, value in metrics.items() if name != "reward"}},
        reward=reward,
        stop=stop or ("error" if error else "truncated" if row.get("is_truncated") is True else ""),
        cut_off=stop in CUT_OFF or bool(error) or row.get("is_truncated") is True,
        notes=notes,
        raw={"info": info} if (info := _info(row.get("info"))) else {},
    )


def _named(environment: str, example: str) -> str:
    """The key of an example, with its environment: a number alone says nothing beside other files."""
    return f"{environment}/{example}" if environment and example else example


def _side(told: Any, role: str) -> list[AttemptMessage]:
    if isinstance(told, str):
        return conversation([{"role": role, "content": told}])
    if not isinstance(told, list):
        raise Malformed("`prompt` or `completion` is neither text nor a list")
    return conversation(told)


def _info(told: Any) -> Any:
    if isinstance(told, str):
        try:
            return decode(told)
        except Malformed:
            return told[:1000]
    return told


READER = Reader("verifiers-results", "verifiers results.jsonl", recognise, read)
