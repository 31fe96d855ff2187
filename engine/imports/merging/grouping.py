"""Attempts sorted into trees: one for each task, agent, model, list of tools and prompt."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec

from engine.base.step_kind import info_or_none
from engine.environment.opened import instruction_of, score_range_of
from engine.imports.attempt import Attempt
from engine.imports.merging.equal_messages import Merge, seen
from engine.imports.merging.merge import TreeOfAttempts
from engine.imports.merging.steps import beginning, plain
from engine.tree.events import FORMAT_VERSION, AnyEvent, Imported, SearchSettings, Started
from envs.base import names_place, recognise

_encode = msgspec.json.Encoder(order="deterministic").encode

_OWN_WORDS = re.compile(
    r"(?<=[\s:='\"(])(?:/[\w.+-]+){2,}/?|\b(?:session|run|request|trace)[ _-]?id\b\W{1,4}[\w-]+", re.I
)
"""Of a system prompt: folders, and ids of a session."""


@dataclass
class Group:
    """The attempts of one tree."""

    first: Attempt  # without its messages
    tree: TreeOfAttempts
    key: str  # digest of what they share
    ranges: list[tuple[float, float]] = field(default_factory=list)  # that formats give themselves
    sources: dict[str, None] = field(default_factory=dict)
    formats: dict[str, None] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    known: int = 0  # attempts of an earlier import

    @property
    def name(self) -> str:
        """A name for people: the task and the agent."""
        who = " ".join(filter(None, (self.first.agent, self.first.model)))
        return f"{self.first.task} · {who}" if who else self.first.task


class Groups:
    """Takes attempts one by one and merges each into the tree that it belongs to."""

    def __init__(self, merge: Merge = "action") -> None:
        self.merge: Merge = merge
        self.groups: dict[str, Group] = {}
        self.least_and_greatest: dict[str, tuple[float, float]] = {}  # of each source

    def add(self, attempt: Attempt) -> Group:
        """Merge one more attempt; its messages are not kept but in the tree."""
        key = group_key(attempt)
        group = self.groups.get(key)
        if group is None:
            first = msgspec.structs.replace(attempt, messages=attempt.messages[:0])
            group = self.groups[key] = Group(first, TreeOfAttempts(self.merge), key)
            group.first.instruction = attempt.instruction or _asked(attempt)
        group.tree.add(attempt)
        group.sources[attempt.source] = None
        group.formats[attempt.format] = None
        if attempt.reward_range is not None:
            group.ranges.append(attempt.reward_range)
        if attempt.reward is not None:
            low, high = self.least_and_greatest.get(attempt.source, (math.inf, -math.inf))
            self.least_and_greatest[attempt.source] = min(low, attempt.reward), max(high, attempt.reward)
        return group

    def all(self) -> Iterator[tuple[Group, list[AnyEvent]]]:
        """Every group and the events of its tree, in the order of their first attempts."""
        for group in self.groups.values():
            yield group, self.events(group)

    def events(self, group: Group) -> list[AnyEvent]:
        """`started` and `imported`."""
        first, tree = group.first, group.tree
        score_range, how = self.range_of(group)
        settings = SearchSettings(algorithm="attempts", actor=first.agent or "unknown", model=first.model)
        content = [group.key, tree.merge, [attempt.digest for attempt in tree.attempts]]
        started = Started(
            seq=0,
            version=FORMAT_VERSION,
            trace=blake2b(_encode(content), digest_size=8).hexdigest(),
            environment=environment_of(first, tree),
            task=first.task,
            header=tree.header,
            settings=settings,
            instruction=first.instruction,
            score_range=score_range,
            tools=first.tools,
            code={"environment": first.environment} if first.environment else {},
        )
        notes = [*([how] if how else []), *shared_note(tree), *group.notes]
        source = "+".join(group.formats)
        return [
            started,
            Imported(seq=1, source=source, nodes=tree.rows, attempts=tree.attempts, merge=tree.merge, notes=notes),
        ]

    def range_of(self, group: Group) -> tuple[tuple[float, float], str]:
        """Least and greatest reward of a tree's scale, and a sentence where it had to be guessed."""
        if group.ranges:
            return (min(low for low, _ in group.ranges), max(high for _, high in group.ranges)), ""
        environment = environment_of(group.first, group.tree)
        if not environment.startswith("attempts:"):
            return score_range_of(environment), ""
        found = [self.least_and_greatest[source] for source in group.sources if source in self.least_and_greatest]
        low, high = min((low for low, _ in found), default=0.0), max((high for _, high in found), default=1.0)
        if low >= 0 and high <= 1:
            return (0.0, 1.0), ""
        if low == high:
            low, high = min(low, 0.0), max(high, 0.0)
        return (low, high), f"rewards lie between {low:g} and {high:g}: that is taken for their range"


def group_key(attempt: Attempt) -> str:
    """A digest of what the attempts of one tree share."""
    before = beginning(attempt)
    if attempt.played_user:
        first = next((place for place, each in enumerate(before) if each.role == "user"), len(before))
        before = before[:first]
    told = [
        [role, _OWN_WORDS.sub("", text) if role == "system" else text]
        for message in before
        for role, _, text, _ in seen([plain(message)])
    ]
    tools = sorted(_encode(tool) for tool in attempt.tools)
    content = [attempt.task, attempt.agent, attempt.model, tools, told]
    return blake2b(_encode(content), digest_size=8).hexdigest()


def _asked(attempt: Attempt) -> str:
    """The goal in a few words, of the first thing that a user says."""
    said = next((message.content for message in attempt.messages if message.role == "user"), "")
    return instruction_of(said)[:400]


def environment_of(first: Attempt, tree: TreeOfAttempts) -> str:
    """Returns the environment of a tree: the one that the reader names, or that the first observation shows; else the
    import's own name."""
    told = first.environment
    if told and info_or_none(told) is not None and not names_place(told):
        return told
    if tree.header and (known := recognise(tree.header[-1].content)) is not None:
        if not any(row.tool_calls for row in tree.rows):
            return known.name
        name = f"{known.name}:tools"  # calls mean nothing to the environment that takes texts
        if (tools := info_or_none(name)) is not None and tools.name == name:
            return name
    return f"attempts:{first.format}"


def shared_note(tree: TreeOfAttempts) -> list[str]:
    """What to say where attempts do not make a tree."""
    count = len(tree.attempts)
    if count < 2 or tree.merge == "none":
        return []
    roots = sum(row.parent == 0 for row in tree.rows[1:])
    if roots < count:
        return []
    last = tree.header[-1].role if tree.header else ""
    what = {"": "nothing", "system": "only the system prompt"}.get(last, "only the prompt")
    return [f"these {count} attempts share {what}"]


def group(attempts: Iterable[Attempt], merge: Merge = "action") -> Groups:
    """All attempts, merged."""
    groups = Groups(merge)
    for attempt in attempts:
        groups.add(attempt)
    return groups
