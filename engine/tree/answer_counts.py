"""How a model's answers went: cut, without a label, with several actions, not in the form, refused by the environment.

Counted in the fold, from what the trace records: the notes of answers that were used, the kinds of those that were of
no use, and the observations of the steps (`engine.base.step_kind`).
"""

from __future__ import annotations

from msgspec import Struct

from engine.tree.events import Failed, Sampled, SearchSettings

USELESS = {"cut off": "cut", "not in the form": "not_in_form", "empty": "empty"}
"""Kinds of failed draws that a model answered, and where they are counted."""

MANY = 0.2
"""Share of answers or actions that came to nothing from which it is said aloud."""


class AnswerCounts(Struct, kw_only=True):
    """Answers by what was odd about them; one may be counted in several places."""

    answers: int = 0  # that came, of use or not
    useless: int = 0  # those of no use: cut off before the action was whole, not in the form, empty
    cut: int = 0  # ended by the limit of tokens
    trimmed: int = 0  # with something after the action, or before the thought, that was taken off
    without_label: int = 0  # whose action had no label
    several_actions: int = 0  # that named further actions
    no_call: int = 0  # that called no tool, where there are tools
    not_in_form: int = 0  # that named no action
    empty: int = 0
    actions: int = 0  # steps that were executed
    refused: int = 0  # those of them to which the environment said that nothing was done

    def answered(self, event: Sampled) -> None:
        """Count a usable answer."""
        self.answers += 1
        for note in event.notes:
            name = note.replace(" ", "_")
            if name in ("cut", "trimmed", "without_label", "several_actions", "no_call"):
                setattr(self, name, getattr(self, name) + 1)

    def failed(self, event: Failed) -> None:
        """A draw failed."""
        name = USELESS.get(event.what)
        if name is not None:
            self.answers += 1
            self.useless += 1
            setattr(self, name, getattr(self, name) + 1)

    def add(self, other: AnswerCounts) -> None:
        """Count those of another trace, too."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def asks_model(settings: SearchSettings) -> bool:
    """Whether a model answers: neither the scripted or the random actor nor a file."""
    return settings.actor not in ("scripted", "random") and not settings.actor.startswith(("recorded:", "replayed:"))


def answer_words(counts: AnswerCounts) -> list[str]:
    """Returns what was odd about the answers, part by part; empty where nothing was."""
    parts = [
        (counts.cut, "cut"),
        (counts.not_in_form, "not in the form"),
        (counts.empty, "empty"),
        (counts.without_label, "without a label"),
        (counts.several_actions, "with several actions"),
        (counts.no_call, "without a call"),
        (counts.trimmed, "with more than thought and action"),
    ]
    words = [f"{count} {what}" for count, what in parts if count]
    if counts.refused:
        words.append(f"{counts.refused} of {counts.actions} actions refused")
    return words
