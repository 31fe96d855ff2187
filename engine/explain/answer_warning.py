"""A warning where many of a model's answers or actions were of no use, with what to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.tree.answer_counts import MANY, USELESS, AnswerCounts, asks_model
from engine.tree.events import SearchSettings

if TYPE_CHECKING:
    from engine.tree.tree import SearchTree


def answer_warning(tree: SearchTree) -> str | None:
    """Returns a warning where many of a model's answers or actions were of no use; None where few were."""
    assert tree.started is not None
    settings, counts = tree.started.settings, tree.answers
    if not asks_model(settings) or tree.imported_from is not None:
        return None
    said = []
    if counts.useless and counts.useless >= MANY * counts.answers:
        said.append(f"{counts.useless} of {counts.answers} answers were of no use ({_kinds(counts)})")
    if counts.refused and counts.refused >= MANY * counts.actions:
        said.append(f"{counts.refused} of {counts.actions} actions were refused")
    if not said:
        return None
    parts = [
        f"{' and '.join(said)}: look at an answer: {_example(tree)}",
        _remedy(settings, counts, bool(tree.started.tools)),
    ]
    return "; ".join(part for part in parts if part)


def _kinds(counts: AnswerCounts) -> str:
    cut = counts.useless - counts.not_in_form - counts.empty
    parts = [(cut, "cut off"), (counts.not_in_form, "not in the form"), (counts.empty, "empty")]
    return ", ".join(f"{count} {what}" for count, what in parts if count)


def _example(tree: SearchTree) -> str:
    """Where such an answer can be seen."""
    if tree.first_refused is not None and tree.answers.refused >= MANY * tree.answers.actions:
        return f"node {tree.first_refused}"
    useless = next(failure for failure in tree.failures if failure.what in USELESS)
    return f"answer {useless.draw + 1} of node {useless.parent}: {useless.error}"


def _remedy(settings: SearchSettings, counts: AnswerCounts, tools: bool) -> str:
    if counts.empty > counts.not_in_form + counts.refused:
        return ""  # why they are empty says what to do
    if counts.cut > counts.not_in_form + counts.refused:
        return "raise --max-tokens"
    if tools:
        often = counts.no_call >= MANY * counts.answers and settings.tools != "required"
        return "try --tools required" if often else "try another model"
    if not settings.structured:
        return "try --structured json"
    return "try --example" if not settings.example else "try another model"
