"""ATIF, the Agent Trajectory Interchange Format of Harbor and others, 1.x.

A turn's results are in the same step, its arguments are objects, subagents and continuations are documents of their
own. A step becomes its message and one message for each result. The reward is in a file beside it (`harbor`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from engine.base.text import many
from engine.imports.attempt import Attempt, AttemptMessage, AttemptRole, Transcript
from engine.imports.bounded_json import Malformed, decode, listed, number, part, rows, text
from engine.imports.files import RolloutFile, inside
from engine.imports.formats.evaluation import harbor
from engine.imports.messages import call_of, digest_key, instruction_of, schemas_of, text_of
from engine.imports.reader import Reader, ReadOptions
from engine.tree.events import ToolCall

MOST_PARTS = 1000  # continuations of one trajectory
MOST_NESTED = 8  # subagents of subagents
MOST_SUBAGENTS = 1000  # of one attempt
_SOURCES: dict[str, AttemptRole] = {"system": "system", "user": "user", "agent": "assistant"}


def recognise(file: RolloutFile) -> bool:
    """A `schema_version` of ATIF 1.x."""
    version = file.peek("schema_version") if file.has("schema_version", "steps") else None
    return isinstance(version, str) and version.startswith("ATIF-v1")


def read(file: RolloutFile, options: ReadOptions) -> Iterator[Attempt]:
    """One attempt a document."""
    for place, document in file.rows():
        try:
            attempt = attempt_of(document, file, place)
        except Malformed as error:
            file.problem(place, str(error))
            continue
        yield harbor.with_trial(attempt, file.path)


def attempt_of(document: dict[str, Any], file: RolloutFile, place: str = "") -> Attempt:
    """Returns the attempt of a document and its continuations. Raises `Malformed`.

    `document`: decoded JSON. `file`: the file that holds it. `place`: where in the file; empty: it is the whole file.
    """
    story = _Story(file.path.parent, file.path.name.removesuffix(".json").removesuffix("trajectory"))
    agent = part(document, "agent")
    messages = story.read(document)
    if not messages:
        raise Malformed("holds no steps")
    if story.subagents > MOST_SUBAGENTS:
        story.notes.append(f"{story.subagents - MOST_SUBAGENTS} further subagents are left out")
    extra = part(document, "extra")
    rewards = {name: number(told) for name, told in part(extra, "rewards").items()}
    reward = number(extra.get("reward"))
    return Attempt(
        task=text(extra, "task") or digest_key(messages),
        source=str(file.path),
        format="atif",
        place=place,
        id=text(extra, "attempt") or text(document, "trajectory_id"),
        agent=text(agent, "name"),
        model=text(agent, "model_name") or story.model,
        instruction=instruction_of(messages),
        environment=text(extra, "environment"),
        tools=schemas_of(agent.get("tool_definitions")),
        messages=messages,
        rewards=rewards or ({"reward": reward} if reward is not None else {}),
        reward=reward,
        stop=text(extra, "stop"),
        cut_off=extra.get("cut_off") is True,
        notes=story.notes,
        raw={
            key: found
            for key, found in (
                ("schema_version", document.get("schema_version")),
                ("agent_version", agent.get("version")),
                ("notes", document.get("notes")),
                ("final_metrics", document.get("final_metrics")),
            )
            if found is not None
        },
    )


class _Story:
    """A document and what it refers to, told in order."""

    def __init__(self, folder: Path, prefix: str = "", within: _Story | None = None) -> None:
        self.folder, self.prefix = folder, prefix  # the prefix of a renamed file: "run-1." of run-1.trajectory.json
        self.depth: int = within.depth + 1 if within is not None else 0
        self.top: _Story = within.top if within is not None else self
        self.subagents = 0  # counted at the top
        self.notes: list[str] = []
        self.model = ""

    def read(self, document: dict[str, Any]) -> list[AttemptMessage]:
        """The messages of a document and its continuations."""
        told = self._steps(document, continuation=bool(part(document, "agent", "extra").get("continuation_index")))
        seen = {""}
        while isinstance(following := document.get("continued_trajectory_ref"), str) and following not in seen:
            seen.add(following)
            if len(seen) > MOST_PARTS:
                self.notes.append(f"more than {MOST_PARTS} continuations; the rest is left out")
                break
            found = self._document(following)
            if found is None:
                self.notes.append(f"the continuation {following!r} is not beside the file; the attempt ends early")
                break
            document = found
            told = self._joined(told, document)
        return told

    def _joined(self, told: list[AttemptMessage], document: dict[str, Any]) -> list[AttemptMessage]:
        """What was told so far, a marked break, and what a continuation adds."""
        steps = rows(document, "steps")
        copied = [message for step in steps if _copied(step) for message in self._of_step(step, {})]
        if not told or not told[-1].compacted:
            marker = AttemptMessage(role="system", content="[context compacted]", compacted=True, synthesised=True)
            told = [*told, marker]
        if copied:
            context = Transcript(messages=tuple(copied), agent="context after the break")
            told = [*told[:-1], replace(told[-1], sub=(*told[-1].sub, context))]
            self.notes.append(f"{len(copied)} messages copied into a continuation are kept at the break, not repeated")
        return told + self._steps({**document, "steps": [step for step in steps if not _copied(step)]}, False)

    def _steps(self, document: dict[str, Any], continuation: bool) -> list[AttemptMessage]:
        nested = {
            text(sub, "trajectory_id") or text(sub, "session_id"): sub
            for sub in rows(document, "subagent_trajectories")
        }
        told: list[AttemptMessage] = []
        aside: list[AttemptMessage] = []  # of a side chain that was written into the main list
        copied = 0
        for index, step in enumerate(listed(document, "steps")):
            if not isinstance(step, dict):
                raise Malformed(f"step {index + 1} is no object")
            made = self._of_step(step, nested)
            if part(step, "extra").get("is_sidechain") is True:
                aside += made
                continue
            if _copied(step):
                copied += 1
                made = [replace(message, untrained=True) for message in made]
            if aside:
                told, aside = self._folded(told, made, aside), []
            told += made
        if aside:
            told = self._folded(told, [], aside)
        if copied:
            which = "a continuation whose first part is not read" if continuation else "an earlier context"
            self.notes.append(f"{many(copied, 'step is', 'steps are')} copied from {which}: not to be trained on")
        return told

    def _folded(
        self, told: list[AttemptMessage], following: list[AttemptMessage], aside: list[AttemptMessage]
    ) -> list[AttemptMessage]:
        """What was told, a side chain folded into the call before it; into what follows, where nothing was told."""
        chain = Transcript(messages=tuple(aside), agent="side chain")
        if told:
            at = next((at for at in range(len(told) - 1, -1, -1) if told[at].tool_calls), len(told) - 1)
            told[at] = replace(told[at], sub=(*told[at].sub, chain))
        elif following:
            following[0] = replace(following[0], sub=(*following[0].sub, chain))
        else:
            raise Malformed("all steps are of side chains")
        self.notes.append(f"{len(aside)} messages of a side chain are folded into one message")
        return told

    def _of_step(self, step: dict[str, Any], nested: dict[str, dict[str, Any]]) -> list[AttemptMessage]:
        role = _SOURCES.get(text(step, "source"))
        if role is None:
            raise Malformed(f"step {text(step, 'step_id')} has the source {text(step, 'source')[:40]!r}")
        self.model = self.model or text(step, "model_name")
        extra = part(step, "extra")
        calls = tuple(map(_call, rows(step, "tool_calls"))) if role == "assistant" else ()
        said = _marked(
            AttemptMessage(
                role="tool" if extra.get("role") == "tool" and role == "system" else role,
                content=text_of(step.get("message")),
                tool_calls=calls or tuple(map(call_of, rows(extra, "user_tool_calls"))),
                tool_call_id=text(extra, "tool_call_id"),
                reasoning=text(step, "reasoning_content") or text(extra, "reasoning_content"),
                sub=tuple(self._subagents(rows(extra, "subagents"), nested)),
            ),
            extra,
        )
        results = rows(part(step, "observation"), "results")
        names = {
            call_id: call.name
            for raw, call in zip(rows(step, "tool_calls"), calls, strict=False)
            if (call_id := text(raw, "tool_call_id"))
        }
        own_ids = {
            text(raw, "tool_call_id"): call.id for raw, call in zip(rows(step, "tool_calls"), calls, strict=False)
        }
        told: list[AttemptMessage] = []
        for result in results:
            sub = tuple(self._subagents(rows(result, "subagent_trajectory_ref"), nested))
            content, answered = result.get("content"), text(result, "source_call_id")
            if role != "assistant" and content is None:  # a system step that only tells of subagents
                said = replace(said, sub=(*said.sub, *sub))
                continue
            if calls and not answered and len(calls) == len(results) == 1:
                answered = text(rows(step, "tool_calls")[0], "tool_call_id")
            message = AttemptMessage(
                role="tool" if calls else "user" if role == "assistant" else said.role,
                content=text_of(content),
                tool_call_id=own_ids.get(answered, answered) if calls else "",
                name=names.get(answered, "") if calls else "",
                error=extra.get("tool_result_is_error") is True,
                sub=sub,
            )
            told.append(_marked(message, part(result, "extra")))
        return [said, *told]

    def _subagents(self, refs: list[dict[str, Any]], nested: dict[str, dict[str, Any]]) -> Iterator[Transcript]:
        for ref in refs:
            name, path = text(ref, "trajectory_id") or text(ref, "session_id"), text(ref, "trajectory_path")
            found = (
                nested.get(text(ref, "trajectory_id")) or nested.get(text(ref, "session_id")) or self._document(path)
            )
            self.top.subagents += 1
            if self.top.subagents > MOST_SUBAGENTS:
                return
            if found is None or self.depth >= MOST_NESTED:
                why = "is nested too deeply" if found is not None else "is not beside the file"
                self.notes.append(f"the subagent's trajectory {path or name!r} {why}")
                continue
            inner = _Story(self.folder, self.prefix, self)
            messages = tuple(inner.read(found))
            self.notes += inner.notes
            if messages:
                agent = text(part(found, "agent"), "name")
                own = part(found, "extra").get("id") if path == "" else None
                yield Transcript(messages=messages, agent=agent, id=own if isinstance(own, str) else name)

    def _document(self, name: str) -> dict[str, Any] | None:
        """The document in a file of that name, which must lie in the trajectory's own folder."""
        place = inside(self.folder, name) or inside(self.folder, self.prefix + name if name else "")
        try:
            found = decode(place.read_bytes()) if place is not None and place.stat().st_size < 1 << 28 else None
        except (OSError, Malformed):
            return None
        return found if isinstance(found, dict) and isinstance(found.get("steps"), list) else None


def _call(raw: dict[str, Any]) -> ToolCall:
    """A call of a step; what our own writer kept of it in `extra` counts."""
    call, extra = call_of(raw), part(raw, "extra")
    arguments, identity = extra.get("raw_arguments"), extra.get("id")
    return ToolCall(
        call.name,
        arguments if isinstance(arguments, str) else call.arguments,
        identity if isinstance(identity, str) else call.id,
    )


def _marked(message: AttemptMessage, extra: dict[str, Any]) -> AttemptMessage:
    """The message with the marks that stand in `extra`."""
    return replace(
        message,
        name=text(extra, "name") or message.name,
        error=message.error or extra.get("is_error") is True,
        compacted=part(extra, "context_management").get("type") == "compaction",
        synthesised=extra.get("synthesised") is True,
        untrained=extra.get("untrained") is True,
        of_user=extra.get("of_user") is True,
    )


def _copied(step: dict[str, Any]) -> bool:
    return step.get("is_copied_context") is True


READER = Reader("atif", "ATIF 1.x (Harbor)", recognise, read)
