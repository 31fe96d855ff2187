"""Chat JSONL of any origin: rows with `messages` (or `conversations`, or `prompt` and `completion`) and a reward.

Where a row holds a field elsewhere, `--map field=path` says where, such as `--map reward=scores.main`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.base.errors import InputError
from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.bounded_json import Malformed, decode, number, part, reward_of, rows, text
from engine.imports.files import RolloutFile, value
from engine.imports.messages import ROLES, conversation, digest_key, instruction_of, schemas_of, shorten
from engine.imports.reader import Reader, ReadOptions
from envs.numbers import whole

NAMES: dict[str, tuple[str, ...]] = {
    "messages": (
        "messages",
        "conversations",
        "conversation",
        "chat_completions",
        "messages_and_choices",
        "trajectory",
        "contents",
    ),
    "task": (
        "task_id",
        "instance_id",
        "example_id",
        "item_id",
        "problem_id",
        "prompt_id",
        "question_id",
        "group_id",
        "uid",
        "task",
        "index",
        "id",
    ),
    "reward": ("reward", "score", "resolved", "success", "acc", "is_correct", "correct", "passed"),
    "rewards": ("rewards", "scores"),
    "id": ("attempt_id", "rollout_id", "trial", "attempt", "sample_id", "rollout_idx", "sample_idx", "epoch"),
    "agent": ("agent", "agent_name", "harness", "scaffold"),
    "model": ("model", "model_name", "model_id"),
    "environment": ("environment", "env", "env_id", "env_name", "dataset", "data_source"),
    "instruction": ("instruction", "goal", "question", "problem_statement"),
    "tools": ("tools", "tool_defs", "functions"),
    "stop": ("stop", "stop_reason", "stop_condition", "finish_reason", "exit_status", "termination_reason"),
}
"""Fields of an attempt, and what they are called in chat rows, the first that is there."""

_ASIDE = ("metadata", "info", "extra", "extra_info", "meta")
_CUT_OFF = {"length", "max_tokens", "max_turns", "max_steps", "timeout", "context_length", "truncated", "error"}
_NOT_ROWS = {"schema_version", "responses_create_params", "nodes", "traces"}


def recognise(file: RolloutFile) -> bool:
    """Rows with messages under one of their usual names, or a bare list of messages."""
    if file.keys & _NOT_ROWS:
        return False
    if file.shape == "list" and file.has("role") and bool(file.keys & {"content", "tool_calls", "parts"}):
        return True
    if any((told := _listed(file.peek(name))) and _is_message(told[0]) for name in NAMES["messages"]):
        return True
    return file.has("prompt", "completion") or (file.has("prompt", "responses")) or file.has("chosen", "rejected")


def _listed(told: Any) -> list[Any]:
    """The list of messages in a field, also one that is written as text, as tables of data sets hold it."""
    if isinstance(told, str) and told.lstrip().startswith("["):
        try:
            told = decode(told)
        except Malformed:
            return []
    return told if isinstance(told, list) else []


def _is_message(told: Any) -> bool:
    return isinstance(told, dict) and bool(told.keys() & {"role", "from", "message"})


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """One attempt a row; of a bare list of messages, one; of a preference pair, two. Raises `InputError`."""
    unknown = sorted(name for name in options.mapping if name.partition(".")[0] not in NAMES)
    if unknown:
        raise InputError(f"--map {unknown[0]}=…: a field is one of {', '.join(NAMES)}")
    if file.shape == "list" and file.has("role") and not options.mapping:
        yield _attempt({"messages": [value(item) for _, item in file.pieces()]}, options.mapping, file, "")
        return
    for place, row in file.rows():
        with file.reporting(place):
            yield from _attempts(row, options.mapping, file, place)


def _attempts(row: dict[str, Any], mapping: Mapping[str, str], file: RolloutFile, place: str) -> Iterator[Attempt]:
    if "chosen" in row and "rejected" in row and "messages" not in mapping:
        asked = _side(row.get("prompt"), "user") if "prompt" in row else []
        for name, reward in (("chosen", 1.0), ("rejected", 0.0)):
            made = {**row, "messages": [*asked, *_side(row[name], "assistant")], "reward": reward}
            attempt = _attempt(made, {**mapping, "messages": "messages", "reward": "reward"}, file, f"{place}, {name}")
            attempt.id, attempt.rewards = name, {"chosen": reward}
            attempt.task = attempt.task if asked or _named(row, "task", mapping) else f"pair {place}"
            attempt.notes.append("a preference pair: the rewards 1 and 0 stand for chosen and rejected")
            yield attempt
        return
    responses = row.get("responses")
    if "prompt" in row and isinstance(responses, list) and "messages" not in mapping:
        scores = _named(row, "rewards", mapping)
        for index, response in enumerate(responses):
            told = [*_side(row["prompt"], "user"), *_side(response, "assistant")]
            given = scores[index] if isinstance(scores, list) and index < len(scores) else None
            made = {**row, "messages": told, "reward": given, "rewards": None, "scores": None}
            attempt = _attempt(made, {**mapping, "messages": "messages"}, file, f"{place}, response {index + 1}")
            attempt.id = str(index + 1)
            yield attempt
        return
    yield _attempt(row, mapping, file, place)


def _attempt(row: dict[str, Any], mapping: Mapping[str, str], file: RolloutFile, place: str) -> Attempt:
    notes: list[str] = []
    told = _named(row, "messages", mapping)
    told = _listed(told) or told
    if isinstance(told, str) and "messages" in mapping:
        told = [{"role": "assistant", "content": told}]
    if not isinstance(told, list) and "prompt" in row and "completion" in row:
        told = _side(row["prompt"], "user") + _side(row["completion"], "assistant")
    if not isinstance(told, list):
        names = ", ".join(NAMES["messages"])
        raise Malformed(f"has no list of messages ({names}); --map messages=PATH says where it is")
    messages = _system(row, told) + conversation(_choice(raw) for raw in [*told, *_answer(row, told)])
    if not messages:
        raise Malformed("has no messages")
    rewards, reward = _rewards(row, mapping, notes)
    task = _named(row, "task", mapping)
    task = task if isinstance(task, str | int) and not isinstance(task, bool) else None
    stop = _word(row, "stop", mapping)
    return Attempt(
        task=(shorten(task, 200) if isinstance(task, str) else str(task))
        if task not in (None, "")
        else digest_key(messages),
        source=str(file.path),
        format="chat",
        place=place,
        id=_word(row, "id", mapping),
        agent=_word(row, "agent", mapping),
        model=_word(row, "model", mapping),
        environment=_word(row, "environment", mapping),
        instruction=shorten(_word(row, "instruction", mapping)) or instruction_of(messages),
        tools=schemas_of(_named(row, "tools", mapping)),
        messages=messages,
        rewards=rewards,
        reward=reward,
        stop=stop,
        cut_off=stop in _CUT_OFF or row.get("is_truncated") is True or row.get("truncated") is True,
        notes=notes,
    )


def _choice(raw: Any) -> Any:
    """A message; of a sampled choice (`{"finish_reason", "message"}`), the message in it."""
    return (
        raw["message"] if isinstance(raw, dict) and isinstance(raw.get("message"), dict) and "role" not in raw else raw
    )


def _side(told: Any, role: str) -> list[Any]:
    """One side of a row as messages: text, a message, or a list of them."""
    if isinstance(told, str):
        return [{"role": role, "content": told}]
    if isinstance(told, dict):
        return [{"role": role, **told}]
    if isinstance(told, list):
        return told
    raise Malformed("`prompt` or its answer is neither text nor a list of messages")


def _answer(row: dict[str, Any], told: list[Any]) -> list[Any]:
    """The answer to a request that was logged: it stands beside the messages, as the server's object, a message, or
    text."""
    last = told[-1] if told and isinstance(told[-1], dict) else {}
    answer = row.get("response")
    if ROLES.get((text(last, "role") or text(last, "from")).lower()) == "assistant" or not answer:
        return []
    if isinstance(answer, str):
        return [{"role": "assistant", "content": answer}]
    choices = rows(answer, "choices")
    if choices and part(choices[0], "message"):
        return [{"role": "assistant", **part(choices[0], "message")}]
    return [{**answer, "role": "assistant"}] if isinstance(answer, dict) and "content" in answer else []


def _system(row: dict[str, Any], told: list[Any]) -> list[AttemptMessage]:
    """A system prompt that stands beside the messages."""
    said = row.get("system", row.get("system_prompt"))
    first = told[0] if told and isinstance(told[0], dict) else {}
    if not isinstance(said, str) or not said or (text(first, "role") or text(first, "from")) == "system":
        return []
    return [AttemptMessage(role="system", content=said)]


def _rewards(
    row: dict[str, Any], mapping: Mapping[str, str], notes: list[str]
) -> tuple[dict[str, float | None], float | None]:
    rewards: dict[str, float | None] = {}
    several = _named(row, "rewards", mapping)
    if isinstance(several, dict):
        rewards = {str(name): number(one) for name, one in several.items()}
    for name in mapping:
        if name.startswith("rewards."):
            rewards[name.partition(".")[2]] = number(_at(row, mapping[name]))
    told = _named(row, "reward", mapping)
    if isinstance(told, dict):
        rewards |= {str(name): number(one) for name, one in told.items()}
        told = None
    reward = reward_of(told, notes)
    if reward is not None:
        rewards = {"reward": reward, **rewards}
    elif rewards:
        reward = rewards.get("reward", next(iter(rewards.values())) if len(rewards) == 1 else None)
        if reward is None and len(rewards) > 1:
            notes.append(f"several rewards and none named reward: {', '.join(rewards)}")
    return rewards, reward


def _word(row: dict[str, Any], field: str, mapping: Mapping[str, str]) -> str:
    told = _named(row, field, mapping)
    return told if isinstance(told, str) else text({"told": told}, "told")


def _named(row: dict[str, Any], field: str, mapping: Mapping[str, str]) -> Any:
    """A field of an attempt: at its mapped path, else under its first usual name, in the row or what stands aside."""
    if field in mapping:
        return _at(row, mapping[field])
    for holder in (row, *(row[name] for name in _ASIDE if isinstance(row.get(name), dict))):
        for name in NAMES[field]:
            if holder.get(name) is not None and (field != "messages" or holder is row):
                return holder[name]
    return None


def _at(row: Any, path: str) -> Any:
    """The value at a dotted path; a number is a place in a list. None where there is none."""
    for key in path.split("."):
        if isinstance(row, dict):
            row = row.get(key)
        elif isinstance(row, list) and (place := whole(key.removeprefix("-"))) is not None:
            place = -place if key.startswith("-") else place
            row = row[place] if -len(row) <= place < len(row) else None
        else:
            return None
    return row


READER = Reader("chat", "chat JSONL (messages, conversations)", recognise, read)
