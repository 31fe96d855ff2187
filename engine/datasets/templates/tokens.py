"""Tokens: how long a conversation is for a trainer, and which of its tokens are trained.

A conversation is measured, cut and tokenized in the text that a chat template makes of it. Templates are made of a
piece before and a piece after each message, which begin and end with special tokens; so the tokens of a conversation
are those of its messages, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from engine.base.errors import InputError
from engine.base.tokenizer_file import TokenizerFile
from engine.datasets.templates.markup import Markup
from engine.samples.splice import Turn

Measure = Callable[[str], int]
"""The number of tokens of a text."""

IGNORED = -100
"""The label of a token that is not trained, for every trainer that is built on PyTorch."""


class Vocabulary:
    """A model's own tokenizer, from its `tokenizer.json`."""

    def __init__(self, path: str | Path, markup: Markup) -> None:
        """Raises `InputError` where the file or the package is missing, or the template is another model's."""
        self._tokenizer = TokenizerFile(path)
        if not self._tokenizer.knows(markup.end):
            raise InputError(
                f"{path}: has no token {markup.end}, so the chat template {markup.name} is not its own:"
                f" choose another with --for-model or --chat-template"
            )
        self.markup = markup
        self.measure: Measure = lru_cache(maxsize=4096)(self._tokenizer.count)

    def tokenize(self, turns: Sequence[Turn]) -> tuple[list[int], list[int]]:
        """Token ids and labels of a conversation: a label is the id itself, or `IGNORED`.

        Trained are the text of a trained turn and the token that ends it, as transformers' `generation` marks have it.
        """
        text, spans = self.markup.begin(turns), []
        for turn in turns:
            text += self.markup.head(turn)
            begin = len(text)
            text += self.markup.body(turn)
            if turn.loss:
                spans.append((begin, len(text)))
        encoding = self._tokenizer.encode(text)
        labels = [IGNORED] * len(encoding.ids)
        for begin, end in spans:
            first, last = (
                _token_at(encoding.char_to_token, begin, end, 1),
                _token_at(encoding.char_to_token, end - 1, begin - 1, -1),
            )
            if first is not None and last is not None:
                labels[first : last + 1] = encoding.ids[first : last + 1]
        return encoding.ids, labels


def _token_at(token_of: Callable[[int], int | None], start: int, stop: int, step: int) -> int | None:
    """The first token at or after a place (before it, for a step of -1): white space may belong to none."""
    for place in range(start, stop, step):
        token = token_of(place)
        if token is not None:
            return token
    return None


def length(turns: Sequence[Turn], measure: Measure, markup: Markup) -> int:
    """Returns the tokens of a conversation in a chat template.

    `turns`: the conversation. `measure`: counts the tokens of a text. `markup`: the pieces of the template.
    """
    begin = markup.begin(turns)
    return (measure(begin) if begin else 0) + sum(measure(markup.render(turn)) for turn in turns)


def fitting(turns: Sequence[Turn], most: int | None, measure: Measure, markup: Markup) -> list[Turn]:
    """Returns the longest beginning of a conversation that fits and ends with a turn of the assistant.

    Trainers cut a conversation that is too long in the middle of a turn; here whole turns are left out.

    `turns`: the conversation. `most`: tokens; None: no limit, so that only what follows the last response is left out,
    since nothing answers it. `measure`: counts the tokens of a text. `markup`: the pieces of the template.
    """
    begin = markup.begin(turns)
    kept, used = 0, measure(begin) if begin and most is not None else 0
    for place, turn in enumerate(turns, 1):
        if most is not None:
            used += measure(markup.render(turn))
            if used > most:
                break
        if turn.role == "assistant":
            kept = place
    return list(turns[:kept])
