"""Whether a result reads the same as one that many others are compared with.

What differs in times only differs in the same lines again and again. These lines are remembered, and all between them
compares as it stands: so it takes no longer than to look for a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from operator import ne

from engine.imports.merging.equal_messages import apart, calls_of_user, without_ids
from engine.imports.merging.volatile import masked_line, remembered_line
from engine.tree.events import Message


class KnownAnswers:
    """What answers a step, to compare others with. `ids`: of the calls of its step, which do not count."""

    __slots__ = ("answers", "texts")

    def __init__(self, answers: Sequence[Message], ids: Sequence[str]) -> None:
        self.answers = answers
        self.texts = [KnownText(answer.content, ids) for answer in answers]

    def alike(self, answers: Sequence[Message], ids: Sequence[str]) -> bool:
        """Whether others have the same key (`equal_messages.seen`), found faster than by making both."""
        if len(answers) != len(self.answers):
            return False
        for own, known, text in zip(answers, self.answers, self.texts, strict=True):
            if own.role != known.role or own.tool_call_id != known.tool_call_id:
                return False
            if (own.tool_calls or known.tool_calls) and calls_of_user(own) != calls_of_user(known):
                return False
            if not text.alike(own.content, ids):
                return False
        return True


class KnownText:
    """One of these texts."""

    __slots__ = ("_changing", "_ids", "_parts", "_text")

    def __init__(self, text: str, ids: Sequence[str]) -> None:
        self._text, self._ids = text, ids
        self._changing: set[int] = set()  # numbers of lines that differed in what is masked
        self._parts: list[tuple[str, str]] = []  # what stands before each of these, and the line, masked; "": the end

    def alike(self, text: str, ids: Sequence[str]) -> bool:
        """Whether another text differs in nothing but what is masked, ids, line ends and blanks at its ends."""
        return text == self._text or (bool(self._parts) and self._fits(text, ids)) or self._differs_little(text, ids)

    def _fits(self, text: str, ids: Sequence[str]) -> bool:
        """Whether it differs in the lines alone in which others did, and in what is masked there."""
        at = 0
        for before, line in self._parts:
            if not text.startswith(before, at):
                return False
            at += len(before)
            if line:
                end = text.find("\n", at)
                end = len(text) if end < 0 else end
                own = text[at:end]
                if masked_line(own) != line and masked_line(without_ids(own, ids)) != line:
                    return False
                at = end
        return at == len(text)

    def _differs_little(self, text: str, ids: Sequence[str]) -> bool:
        known = self._text
        if not (_is_tidy(text) and _is_tidy(known)):
            mine, its = (each.split("\n") for each in apart(text, known, ids, self._ids))
            return len(mine) == len(its) and all(
                x == y or masked_line(x) == masked_line(y) for x, y in zip(mine, its, strict=True)
            )
        mine, its = text.split("\n"), known.split("\n")
        if len(mine) != len(its):
            return False
        differing = list(compress(range(len(mine)), map(ne, mine, its)))
        for place in differing:
            line = remembered_line(without_ids(its[place], self._ids))
            if masked_line(without_ids(mine[place], ids)) != line:
                return False
        if not self._changing.issuperset(differing):
            self._changing.update(differing)
            self._remember(its)
        return True

    def _remember(self, lines: Sequence[str]) -> None:
        self._parts, first = [], 0
        for place in sorted(self._changing):
            if line := masked_line(without_ids(lines[place], self._ids)):
                before = "".join([f"{each}\n" for each in lines[first:place]])
                self._parts.append((f"\n{before}" if self._parts else before, line))
                first = place + 1
        rest = "\n".join(lines[first:])
        self._parts.append((f"\n{rest}" if first < len(lines) else "", ""))


def _is_tidy(text: str) -> bool:
    """Whether `equal_messages.tidy` changes nothing."""
    return bool(text) and "\r" not in text and not text[0].isspace() and not text[-1].isspace()
