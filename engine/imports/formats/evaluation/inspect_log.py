"""inspect_ai logs: `.eval` (a zip) and `.json`. A sample of an epoch is an attempt; scorers give letters or numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.imports.attempt import Attempt
from engine.imports.bounded_json import Malformed, listed, number, part, rows, text
from engine.imports.files import RolloutFile, each, value
from engine.imports.formats.evaluation.inspect_zip import LogZip
from engine.imports.messages import digest_key, instruction_of, messages_of, schemas_of, shorten, text_of
from engine.imports.reader import Reader, ReadOptions

LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""What the letters of a scorer count, by inspect's own rule."""

_WORDS = {"yes": 1.0, "true": 1.0, "correct": 1.0, "no": 0.0, "false": 0.0, "incorrect": 0.0}


def recognise(file: RolloutFile) -> bool:
    """A zip with a log's entries, or one object with `eval` and `status`."""
    if file.shape == "zip":
        try:
            with LogZip(file.path) as log:
                return log.is_log
        except Malformed:
            return file.path.name.endswith(".eval")
    return file.has("version", "status", "eval")


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """One attempt a sample and epoch."""
    if file.shape == "zip":
        with LogZip(file.path) as log:
            told = _Log(log.header(), file)
            if not any(name.startswith("samples/") for name in log.names):
                raise Malformed("the log holds no samples yet")
            for place, sample in log.samples(file.problem):
                yield from told.attempts(place, sample)
        return
    if file.shape == "document":
        yield from _of_log(file.document(), file, "")
        return
    for place, row in file.rows():
        with file.reporting(place):
            yield from _of_log(row, file, f"{place}, ")


def _of_log(fields: Mapping[str, Any], file: RolloutFile, where: str) -> Iterator[Attempt]:
    told = _Log({key: value(raw) for key, raw in fields.items() if key in ("eval", "status", "plan")}, file)
    raw = fields.get("samples")
    if raw is None:
        raise Malformed("the log holds no samples")
    for index, one in enumerate(each(raw, "samples")):
        place = f"{where}sample {index + 1}"
        try:
            sample = value(one)
            if not isinstance(sample, dict):
                raise Malformed("is no object")
        except Malformed as error:
            file.problem(place, str(error))
            continue
        yield from told.attempts(place, sample)


class _Log:
    """What a log says of all its samples."""

    def __init__(self, header: dict[str, Any], file: RolloutFile) -> None:
        self.file = file
        self.eval = part(header, "eval")
        self.unfinished = text(header, "status") not in ("success", "")

    def attempts(self, place: str, sample: dict[str, Any]) -> Iterator[Attempt]:
        """The attempt of a sample, or a problem."""
        with self.file.reporting(place):
            yield self._attempt(place, sample)

    def _attempt(self, place: str, sample: dict[str, Any]) -> Attempt:
        attached = part(sample, "attachments") | part(sample, "transcript", "content")
        raw = [_resolved(message, attached) for message in listed(sample, "messages")]
        messages = [message for one in raw for message in messages_of(_plain(one))]
        notes: list[str] = []
        rewards, reward, letters = _scores(part(sample, "scores"), notes)
        error, limit = sample.get("error"), part(sample, "limit")
        stop = text(limit, "type") or ("error" if error else "")
        events = rows(sample, "events") or rows(part(sample, "transcript"), "events")
        _odd(events, notes)
        if error:
            notes.append(f"error: {shorten(text(error, 'message') or text_of(error))}")
        if sample.get("invalidation"):
            notes.append("the sample was invalidated: its reward counts as unknown")
            reward = None
        task = text(self.eval, "task")
        sample_id = text(sample, "id") or digest_key(messages)
        return Attempt(
            task=f"{task}/{sample_id}" if task else sample_id,
            source=str(self.file.path),
            format="inspect",
            place=place,
            id=f"epoch {text(sample, 'epoch') or '1'}",
            agent=text(self.eval, "solver"),
            model=text(self.eval, "model"),
            environment=text(part(self.eval, "dataset"), "name"),
            instruction=shorten(text_of(_resolved(sample["input"], attached)))
            if isinstance(sample.get("input"), str)
            else instruction_of(messages),
            tools=_tools(events, attached),
            messages=messages,
            rewards=rewards,
            reward=reward,
            reward_range=(0.0, 1.0) if letters else None,
            stop=stop,
            cut_off=bool(stop),
            notes=notes,
            raw={"target": target} if isinstance(target := sample.get("target"), str | list) else {},
        )


def _plain(message: Any) -> Any:
    """A message of inspect in chat form: a tool's name is its `function`, an error an object of its own."""
    if not isinstance(message, dict):
        return message
    told = dict(message)
    if told.get("role") == "tool":
        told["name"] = told.get("function")
        if isinstance(told.get("error"), dict):
            told["is_error"] = True
            told["content"] = told.get("content") or text(told["error"], "message")
    return told


def _resolved(told: Any, attached: dict[str, Any]) -> Any:
    """The value with what it refers to (`attachment://…`, in old logs `tc://…`) put in."""
    if isinstance(told, str):
        if told.startswith(("attachment://", "tc://")):
            found = attached.get(told.partition("://")[2])
            return found if isinstance(found, str) else told
        return told
    if isinstance(told, list):
        return [_resolved(item, attached) for item in told]
    if isinstance(told, dict):
        return {key: _resolved(item, attached) for key, item in told.items()}
    return told


def _scores(scores: dict[str, Any], notes: list[str]) -> tuple[dict[str, float | None], float | None, bool]:
    """The scores by name, the one that counts (the first), and whether all are letters or yes and no."""
    rewards: dict[str, float | None] = {}
    letters = bool(scores)
    for name, score in scores.items():
        told = score.get("value") if isinstance(score, dict) else score
        if isinstance(told, dict):
            rewards |= {f"{name}.{key}": _number(one) for key, one in told.items()}
            letters = False
            continue
        letters = letters and (isinstance(told, bool) or (isinstance(told, str) and told in LETTERS))
        rewards[name] = _number(told)
        if told is not None and rewards[name] is None:
            notes.append(f"the score {name} = {str(told)[:40]!r} is no number: it counts as unknown")
    if len(rewards) > 1:
        notes.append(f"several scores ({', '.join(rewards)}): the first counts")
    return rewards, next(iter(rewards.values()), None), letters


def _number(told: Any) -> float | None:
    if isinstance(told, str):
        known = LETTERS.get(told, _WORDS.get(told.lower()))
        if known is not None:
            return known
        try:
            return number(float(told))
        except ValueError:
            return None
    return number(told)


def _tools(events: list[dict[str, Any]], attached: dict[str, Any]) -> list[dict[str, Any]]:
    """The tools of the first call of the model."""
    first = next((event for event in events if event.get("event") == "model" and event.get("tools")), None)
    return schemas_of(_resolved(first.get("tools"), attached)) if first else []


def _odd(events: list[dict[str, Any]], notes: list[str]) -> None:
    """Where the messages of a sample are not all that the model saw."""
    kinds = [text(event, "event") for event in events]
    if "compaction" in kinds:
        notes.append("the context was compacted: the messages are not all that the model saw")
    agents = {
        text(event, "id") for event in events if event.get("event") == "span_begin" and event.get("type") == "agent"
    }
    if len(agents) > 1:
        notes.append(f"{len(agents)} agents worked on the sample: the messages are the main one's")


READER = Reader("inspect", "inspect_ai logs (.eval, .json)", recognise, read)
