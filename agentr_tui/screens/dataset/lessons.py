"""The lessons of a run by wrong action: how often each is disowned, and how the environment answered it. No Textual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agentr_tui.screens.dataset.rows import holds
from agentr_tui.terminal.theme import bar
from agentr_tui.widgets.row_table import Cell, Column, cell
from engine.datasets.sample_lengths import Shape, wrong_key
from engine.review.curation import decision_of
from engine.review.decisions import Decided
from engine.samples.sample import Sample

COLUMNS = (
    Column("wrong action", 18, flex=3),
    Column("n", 4, right=True),
    Column("", 12, drop=2),
    Column("the environment said", 12, flex=2, drop=1),
    Column("to review", 9, right=True),
)
BAR = 12


@dataclass
class WrongAction:
    """Samples whose wrong steps are equal, amounts aside."""

    key: str  # environment and action, numbers aside
    ids: list[str] = field(default_factory=list)
    actions: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    passing: int = 0  # of these, pass the replay
    undecided: int = 0

    @property
    def action(self) -> str:
        """The most common wording."""
        return self.actions.most_common(1)[0][0]

    @property
    def answer(self) -> str:
        """The environment's most frequent answer."""
        return self.answers.most_common(1)[0][0]


def wrong_actions(
    samples: Sequence[Sample], current: Mapping[str, Decided], shapes: Mapping[str, Shape | None]
) -> list[WrongAction]:
    """Returns the wrong actions of some samples, the most frequent first, as far as the traces were read.

    `samples`: of the run. `current`: the decisions in force, by sample id. `shapes`: by sample id; None: its trace is
    missing.
    """
    found: dict[str, WrongAction] = {}
    for sample in samples:
        shape = shapes.get(sample.id)
        if shape is None or not shape.wrong:
            continue
        key = wrong_key(sample.environment, shape.wrong)
        each = found.setdefault(key, WrongAction(key))
        each.ids.append(sample.id)
        each.actions[shape.wrong] += 1
        each.answers[shape.answer] += 1
        each.passing += holds(sample)
        each.undecided += decision_of(sample.id, current) == "undecided"
    return sorted(found.values(), key=lambda each: -len(each.ids))


def lesson_cells(each: WrongAction, most: int) -> list[Cell]:
    """The cells of a wrong action, one for each of `COLUMNS`."""
    count = len(each.ids)
    return [
        cell(each.action, "text"),
        cell(str(count), "strong"),
        cell(bar(count / most if most else 0.0, BAR), "bad"),
        cell(" ".join(each.answer.split()), "muted"),
        cell(str(each.undecided), "warn" if each.undecided else "muted"),
    ]
