"""Judgements of recorded revision lines."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from engine.base.errors import InputError
from engine.base.untrusted_files import UNREADABLE
from engine.pairs.pairs import Pair
from engine.tree.events import Message
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, read_judgement, read_judgement_compat
from engine.verifiers.judge_reply import Word as Word
from engine.verifiers.judge_reply import read_said
from envs.base import EnvError
from envs.regular_files import read_whole

Key = tuple[tuple[str, str], ...]


def _key(messages: Iterable[Message | _Turn]) -> Key:
    return tuple((message.role, message.content) for message in messages)


class _Turn(Struct):
    role: str
    content: str


class _Feedback(Struct):
    revision_feedback: str


class _Line(Struct):
    """What is read of a recorded revision line."""

    low_log: list[_Turn]
    high_log: list[_Turn]
    revise_feedback: list[_Feedback] | Literal[""] | None  # "": of a line that was not judged yet


_line = msgspec.json.Decoder(_Line)


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
            raise InputError(f"{self._path}: has no judgements of leaf {pair.bad} against leaf {pair.good}")
        texts = lines[0]
        lines.rotate(-1)  # pairs with equal texts take their lines in turn
        for step, text in enumerate(texts, 1):
            word = self._read(text)
            yield Judgement(step, word, read_said(text).reason, text)
            if word == "Bad":
                return


def _read_lines(path: str) -> dict[tuple[Key, Key], deque[list[str]]]:
    found: dict[tuple[Key, Key], deque[list[str]]] = {}
    try:
        text = read_whole(path).decode()
    except EnvError as error:
        raise InputError(str(error)) from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (ValueError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not recorded revision lines: {error}") from error
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = _line.decode(line)
        except UNREADABLE as error:
            raise InputError(f"{path}:{number}: not a recorded revision line ({error})") from error
        texts = [item.revision_feedback for item in row.revise_feedback or []]
        found.setdefault((_key(row.low_log), _key(row.high_log)), deque()).append(texts)
    return found
