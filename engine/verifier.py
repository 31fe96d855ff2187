"""Verifiers: who says which step of a bad trajectory is wrong.

A verifier judges the steps of the bad trajectory in order, Good, Bad or Uncertain, and stops at the first Bad: the
*first wrong step*. Steps are counted from 1, so step k leads to the node at depth k.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, Protocol

from msgspec import Struct

from engine.errors import InputError
from engine.events import Message
from engine.pairs import Pair, Thresholds
from engine.replay import Replayer
from engine.standing import Opened
from engine.tree import SearchTree
from envs.base import EnvError, Planner, info_of

Word = Literal["Good", "Bad", "Uncertain"]
NAMES = ("progress", "value", "human", "recorded:FILE")


class Judgement(Struct, omit_defaults=True, frozen=True):
    """What a verifier says of one step of the bad trajectory."""

    step: int  # 1 for the first
    word: Word
    reason: str = ""
    raw: str = ""  # the judgement as it was given, where it came from a text


class Verifier(Protocol):
    """Judges the bad trajectory of a pair."""

    def judge(self, pair: Pair) -> Iterator[Judgement]:
        """Judgements of steps 1, 2, …, up to the first Bad. Raises `InputError`."""
        ...


def first_wrong_step(judgements: list[Judgement]) -> int | None:
    """The step judged Bad; None where there is none."""
    return next((judgement.step for judgement in judgements if judgement.word == "Bad"), None)


_WORD = re.compile(r"[A-Za-z]+")


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

    def __init__(self, tree: SearchTree, open_environment: Callable[[], Opened]) -> None:
        self._tree = tree
        self._replayer = Replayer(tree, open_environment)
        self._cache: dict[int, tuple[Word, str]] = {}  # node → judgement of the step into it
        assert tree.started is not None
        try:
            self._refuses = info_of(tree.started.environment).refuses
        except EnvError:
            self._refuses = lambda observation: False

    def judge(self, pair: Pair) -> Iterator[Judgement]:
        """Judge by the expert's steps left before and after each step."""
        for step, id in enumerate(self._tree.ancestors(pair.bad)[1:], 1):
            if id not in self._cache:
                self._cache[id] = self._judge(id)
            word, reason = self._cache[id]
            yield Judgement(step, word, reason)
            if word == "Bad":
                return

    def _steps_left(self, id: int) -> int | None:
        env = self._replayer.stand().go_to(id)
        if not isinstance(env, Planner):
            assert self._tree.started is not None
            raise InputError(
                f"the environment {self._tree.started.environment!r} has no plan to measure progress by:"
                " use --verifier value"
            )
        return env.plan().steps_left

    def _judge(self, id: int) -> tuple[Word, str]:
        node = self._tree.nodes[id]
        before, after = self._steps_left(node.parent), self._steps_left(id)
        shown = f"steps left {'–' if before is None else before} → {'–' if after is None else after}"
        if self._refuses(node.observation):
            return "Bad", f"{shown}: the environment refused"
        if before is not None and (after is None or after > before):
            return "Bad", f"{shown}: farther from the goal"
        if before == after:
            return "Uncertain", f"{shown}: no progress"
        return "Good", shown

    def close(self) -> None:
        """Close the environment."""
        self._replayer.close()


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

    def judge(self, pair: Pair) -> Iterator[Judgement]:
        """Judge by whether a good leaf was ever found below each step."""
        fork = self._tree.nodes[pair.fork].depth
        for step, id in enumerate(self._tree.ancestors(pair.bad)[1:], 1):
            if step <= fork:
                yield Judgement(step, "Good", "shared with the good trajectory")
            elif self._good_below[id]:
                yield Judgement(step, "Good", "a good leaf was found below")
            else:
                yield Judgement(step, "Bad", "no good leaf was ever found below")
                return


class HumanVerifier:
    """Marks that people set; a pair that nobody marked has no judgement yet."""

    def __init__(self, marks: Callable[[Pair], int | None]) -> None:
        self._marks = marks

    def judge(self, pair: Pair) -> Iterator[Judgement]:
        """The step that a person marked."""
        mark = self._marks(pair)
        if mark is not None:
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

    def judge(self, pair: Pair) -> Iterator[Judgement]:
        """The recorded judgements. Raises `InputError` where the recording has none for this pair."""
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
) -> Verifier:
    """The verifier of that name for one tree. Raises `InputError` with the names there are."""
    if name == "progress":
        return ProgressVerifier(tree, open_environment)
    if name == "value":
        return ValueVerifier(tree, thresholds)
    if name == "human":
        return HumanVerifier(marks)
    if name.startswith("recorded:"):
        return RecordedVerifier(tree, name.removeprefix("recorded:"), thresholds.compat)
    raise InputError(f"unknown verifier {name!r}: one of {', '.join(NAMES)}")
