"""Verifiers: who says which step of a bad trajectory is wrong.

A verifier judges the steps of the bad trajectory in order, Good, Bad or Uncertain, and stops at the first Bad: the
*first wrong step*. Steps are counted from 1, so step k leads to the node at depth k.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Protocol, runtime_checkable

from msgspec import Meta, Struct
from msgspec.structs import replace

from engine.errors import InputError
from engine.events import Message, Usage
from engine.pairs import Pair, Thresholds
from engine.standing import Opened
from engine.states import States
from engine.step_kind import refused
from engine.tree import SearchTree

Word = Literal["Good", "Bad", "Uncertain"]
NAMES = ("progress", "value", "openai", "openai:MODEL", "human", "recorded:FILE", "noisy:RATE")


VOTE_TEMPERATURE = 0.7  # votes that can't differ are one vote


class Judgement(Struct, omit_defaults=True, frozen=True):
    """What a verifier says of one step of the bad trajectory."""

    step: int  # 1 for the first
    word: Word
    reason: str = ""
    raw: str = ""  # the judgement as it was given, where it came from a text


class JudgeSettings(Struct, kw_only=True, frozen=True):
    """How a model judges (verifier `openai`)."""

    model: str = ""
    base_url: str = ""  # "" stands for the client library's own default
    key_env: str = "OPENAI_API_KEY"  # name of the environment variable that holds the key; never the key
    votes: Annotated[int, Meta(ge=1)] = 1  # replies a step of which more than half decide
    temperature: Annotated[float, Meta(ge=0)] | None = None  # None: 0 for one vote, VOTE_TEMPERATURE for several
    max_tokens: Annotated[int, Meta(ge=1)] = 500
    timeout: Annotated[float, Meta(gt=0)] = 120.0  # seconds a call
    retries: Annotated[int, Meta(ge=0)] = 4  # after the first try of a call
    price_in: Annotated[float, Meta(ge=0)] | None = None  # US dollars a million prompt tokens; None: unknown
    price_out: Annotated[float, Meta(ge=0)] | None = None  # US dollars a million completion tokens

    @property
    def heat(self) -> float:
        """The temperature that holds."""
        if self.temperature is not None:
            return self.temperature
        return VOTE_TEMPERATURE if self.votes > 1 else 0.0


class JudgeTotals(Struct):
    """What judging by a model came to. What is unknown is None, never 0."""

    calls: int = 0  # replies that were paid for
    cached: int = 0  # replies that were known
    unsaid: int = 0  # replies without a judgement, taken as Uncertain
    failed: int = 0  # votes that came to nothing, taken as Uncertain
    retried: int = 0  # failed attempts that were made again
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost: float | None = None  # US dollars

    def spend(self, usage: Usage) -> None:
        """Add what a call cost."""
        if usage.tokens_in is not None:
            self.tokens_in = (self.tokens_in or 0) + usage.tokens_in
        if usage.tokens_out is not None:
            self.tokens_out = (self.tokens_out or 0) + usage.tokens_out
        if usage.cost is not None:
            self.cost = (self.cost or 0.0) + usage.cost

    def add(self, other: JudgeTotals) -> None:
        """Add what another verifier came to."""
        self.calls += other.calls
        self.cached += other.cached
        self.unsaid += other.unsaid
        self.failed += other.failed
        self.retried += other.retried
        self.spend(Usage(other.tokens_in, other.tokens_out, other.cost))


class Verifier(Protocol):
    """Judges the bad trajectory of a pair."""

    def judge(self, pair: Pair, start: int = 1) -> Iterator[Judgement]:
        """Judgements of the steps from `start` on, up to the first Bad. Raises `InputError`."""
        ...


@runtime_checkable
class StepVerifier(Protocol):
    """A verifier that judges any step of the tree for itself, at no price."""

    def step_into(self, id: int) -> tuple[Word, str]:
        """Judgement and reason of the step into a node. Raises `InputError`."""
        ...


@runtime_checkable
class StateVerifier(Protocol):
    """A verifier that judges a step in any state that the environment can reach, in the tree or not."""

    def in_state(self, before: int, action: str, observation: str, after: int) -> tuple[Word, str]:
        """Judgement and reason of a step between two states of `engine.states.States`. Raises `InputError`."""
        ...


@runtime_checkable
class TextVerifier(Protocol):
    """A verifier that judges a step by the texts alone."""

    def by_text(self, log: Sequence[tuple[str, str]], action: str, observation: str, step: int) -> Judgement:
        """The judgement of a step after these (action, observation). Raises `WorkFailed`."""
        ...


def first_wrong_step(judgements: list[Judgement]) -> int | None:
    """The step judged Bad; None where there is none."""
    return next((judgement.step for judgement in judgements if judgement.word == "Bad"), None)


_WORD = re.compile(r"[A-Za-z]+")


def said_judgement(text: str) -> bool:
    """Whether a reply says one of the three words where a judgement belongs."""
    match = _WORD.search(text.rsplit("Judgement:", 1)[1]) if "Judgement:" in text else None
    return match is not None and match.group().lower() in ("good", "bad", "uncertain")


def read_judgement(text: str) -> Word:
    """The first word after the last `Judgement:`, brackets and case aside; Uncertain where there is none."""
    if "Judgement:" not in text:
        return "Uncertain"
    match = _WORD.search(text.rsplit("Judgement:", 1)[1])
    word = match.group().lower() if match else ""
    return "Good" if word == "good" else "Bad" if word == "bad" else "Uncertain"


def read_judgement_compat(text: str) -> Word:
    """As the original reads it: substrings `good` and `uncertain` of what follows the last `Judgement:`."""
    tail = text.rsplit("Judgement:", 1)[-1].lower()
    return "Good" if "good" in tail else "Uncertain" if "uncertain" in tail else "Bad"


class ProgressVerifier:
    """From the environment's plan: Bad where the steps left grow or it refuses, Uncertain where they stay."""

    def __init__(self, tree: SearchTree, open_environment: Callable[[], Opened], states: States | None = None) -> None:
        """`states`: those of the tree, where somebody has them already; who gives them closes them."""
        self._tree = tree
        self._own = states is None
        self._states = states or States(tree, open_environment)
        self._cache: dict[int, tuple[Word, str]] = {}  # node → judgement of the step into it
        assert tree.started is not None
        self._environment = tree.started.environment

    def judge(self, pair: Pair, start: int = 1) -> Iterator[Judgement]:
        """Judge by the expert's steps left before and after each step."""
        for step, id in enumerate(self._tree.ancestors(pair.bad)[start:], start):
            word, reason = self.step_into(id)
            yield Judgement(step, word, reason)
            if word == "Bad":
                return

    def step_into(self, id: int) -> tuple[Word, str]:
        """Judgement and reason of the step into a node. Raises `InputError`."""
        if id not in self._cache:
            node = self._tree.nodes[id]
            before, after = self._states.of_node(node.parent), self._states.of_node(id)
            self._cache[id] = self._judge(before, node.action, node.observation, after)
        return self._cache[id]

    def in_state(self, before: int, action: str, observation: str, after: int) -> tuple[Word, str]:
        """Judgement and reason of a step between any two of the states. Raises `InputError`."""
        return self._judge(before, action, observation, after)

    def _judge(self, before: int, action: str, observation: str, after: int) -> tuple[Word, str]:
        left, then = self._states.steps_left(before), self._states.steps_left(after)
        shown = f"steps left {'–' if left is None else left} → {'–' if then is None else then}"
        if refused(self._environment, action, observation):
            return "Bad", f"{shown}: the environment refused"
        if left is not None and (then is None or then > left):
            return "Bad", f"{shown}: farther from the goal"
        if left == then:
            return "Uncertain", f"{shown}: no progress"
        return "Good", shown

    def close(self) -> None:
        """Close the environment."""
        if self._own:
            self._states.close()


class ValueVerifier:
    """From the tree alone: the first step after the fork below which no good leaf was ever found is Bad."""

    def __init__(self, tree: SearchTree, thresholds: Thresholds) -> None:
        self._tree = tree
        self._good_below = bytearray(len(tree))  # 1 where a good leaf is the node or below it
        for leaf in tree.leaves():
            if thresholds.good(leaf):
                id = leaf.id
                while id >= 0 and not self._good_below[id]:
                    self._good_below[id] = 1
                    id = tree.nodes[id].parent

    def judge(self, pair: Pair, start: int = 1) -> Iterator[Judgement]:
        """Judge by whether a good leaf was ever found below each step."""
        fork = self._tree.nodes[pair.fork].depth
        for step, id in enumerate(self._tree.ancestors(pair.bad)[start:], start):
            if step <= fork:
                yield Judgement(step, "Good", "shared with the good trajectory")
                continue
            word, reason = self.step_into(id)
            yield Judgement(step, word, reason)
            if word == "Bad":
                return

    def step_into(self, id: int) -> tuple[Word, str]:
        """Judgement and reason of the step into a node."""
        if id < len(self._good_below) and self._good_below[id]:
            return "Good", "a good leaf was found below"
        return "Bad", "no good leaf was ever found below"


class HumanVerifier:
    """Marks that people set; a pair that nobody marked has no judgement yet."""

    def __init__(self, marks: Callable[[Pair], int | None]) -> None:
        self._marks = marks

    def judge(self, pair: Pair, start: int = 1) -> Iterator[Judgement]:
        """The step that a person marked."""
        mark = self._marks(pair)
        if mark is not None and mark >= start:
            yield Judgement(mark, "Bad", "marked by a person")


Key = tuple[tuple[str, str], ...]


def _key(messages: list[Message]) -> Key:
    return tuple((message.role, message.content) for message in messages)


class RecordedVerifier:
    """Judgements of recorded revision lines, matched by the whole text of both trajectories."""

    def __init__(self, tree: SearchTree, path: str, compat: bool) -> None:
        self._tree = tree
        self._path = path
        self._read = read_judgement_compat if compat else read_judgement
        self._lines: Mapping[tuple[Key, Key], deque[list[str]]] = _read_lines(path)

    def judge(self, pair: Pair, start: int = 1) -> Iterator[Judgement]:
        """The recorded judgements; none behind the first Bad. Raises `InputError` where none are of this pair."""
        if start > 1:
            return
        low, high = _key(self._tree.conversation(pair.bad)), _key(self._tree.conversation(pair.good))
        lines = self._lines.get((low, high))
        if not lines:
            raise InputError(f"{self._path}: holds no judgements of leaf {pair.bad} against leaf {pair.good}")
        texts = lines[0]
        lines.rotate(-1)  # pairs with equal texts take their lines in turn
        for step, text in enumerate(texts, 1):
            word = self._read(text)
            yield Judgement(step, word, text.rsplit("Judgement:", 1)[0].strip(), text)
            if word == "Bad":
                return


def _read_lines(path: str) -> dict[tuple[Key, Key], deque[list[str]]]:
    found: dict[tuple[Key, Key], deque[list[str]]] = {}
    try:
        with open(path, "rb") as file:
            data = file.read()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise InputError(f"{path}: not recorded revision lines: {error}") from error
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            keys = [
                tuple((message["role"], message["content"]) for message in row[side])
                for side in ("low_log", "high_log")
            ]
            texts = [item["revision_feedback"] for item in row["revise_feedback"] or []]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{path}:{number}: not a recorded revision line ({error})") from error
        found.setdefault((keys[0], keys[1]), deque()).append(texts)
    return found


def make_verifier(
    name: str,
    tree: SearchTree,
    thresholds: Thresholds,
    open_environment: Callable[[], Opened],
    marks: Callable[[Pair], int | None] = lambda pair: None,
    *,
    judge: JudgeSettings | None = None,
    prompts: str = "",
    cache: Path | None = None,
    states: States | None = None,
) -> Verifier:
    """The verifier of that name for one tree. Raises `InputError` with the names there are.

    `judge`, `prompts` (a folder that replaces prompts) and `cache` (the folder of judgements) concern `openai` only;
    `states` are those of the tree where somebody has them already, for verifiers that look into the environment.
    """
    if name == "progress":
        return ProgressVerifier(tree, open_environment, states)
    if name == "value":
        return ValueVerifier(tree, thresholds)
    if name == "human":
        return HumanVerifier(marks)
    if name.startswith("recorded:"):
        return RecordedVerifier(tree, name.removeprefix("recorded:"), thresholds.compat)
    if name == "openai" or name.startswith("openai:"):
        from engine.openai_verifier import OpenAIVerifier  # its client library takes half a second to import

        judge = judge or JudgeSettings()
        model = name.removeprefix("openai").removeprefix(":") or judge.model
        return OpenAIVerifier(tree, replace(judge, model=model), prompts, cache)
    if name.startswith("noisy:"):
        from engine.noisy_verifier import NoisyVerifier

        return NoisyVerifier(tree, ProgressVerifier(tree, open_environment, states), name.removeprefix("noisy:"))
    raise InputError(f"unknown verifier {name!r}: one of {', '.join(NAMES)}")
