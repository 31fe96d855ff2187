"""What samples have in common: an order that shows another mistake each time, and samples that teach the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from engine.review.decisions import Decided
from engine.samples.sample import Sample, whole_splice
from engine.samples.thoughts.writers import REASON
from engine.tree.tree import SearchTree

TELLING_TAIL = (2, 6)
"""Steps of a tail that shows how the lesson goes on, and can be read at a glance."""

_QUOTED = re.compile(r"`([^`]+)`")
_NUMBER = re.compile(r"\d+")


def without_amounts(text: str) -> str:
    """Returns a text with every number replaced by the same sign, and with single blanks."""
    return _NUMBER.sub("#", " ".join(text.split()))


def wrong_words(sample: Sample) -> str:
    """Returns the wrong step, amounts aside, as far as the sample itself has it: a thought that names the mistake
    quotes it. Else its place."""
    quoted = _QUOTED.search(sample.thought) if sample.thought_by == REASON else None
    return without_amounts(quoted[1]) if quoted is not None else f"step {sample.mark}"


def varied(samples: Sequence[Sample]) -> list[Sample]:
    """The samples in turn: one of each wrong action of each task, the most telling ones first, then the next of each.

    A telling one replays word for word, has no mistake in its context, a mark where the verifier set it, and a tail
    of a few steps.
    """
    groups: dict[tuple[str, str, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.environment, sample.task, wrong_words(sample)), []).append(sample)
    rows = [sorted(group, key=_telling) for group in groups.values()]
    rows.sort(key=lambda group: _telling(group[0]))
    longest = max(map(len, rows), default=0)
    return [row[at] for at in range(longest) for row in rows if at < len(row)]


def _telling(sample: Sample) -> tuple[bool, int, bool, bool, bool, int]:
    """The less, the sooner a person should see it."""
    steps = tail_length(sample)
    low, high = TELLING_TAIL
    return (
        sample.verdict != "verified",
        sample.earlier,
        sample.found is not None and sample.found != sample.mark,
        sample.kind != "revision",
        not low <= steps <= high,
        sample.mark or 0,
    )


def tail_length(sample: Sample) -> int:
    """Returns the number of steps of the tail, as the run has it."""
    if sample.tail is not None:
        return len(sample.tail.steps)
    return sample.good_depth - (sample.fork_depth if sample.bad is not None else sample.mark or 0)


def alike(
    samples: Sequence[Sample], current: Mapping[str, Decided], teaches: Mapping[str, Teaching | None]
) -> dict[str, list[Sample]]:
    """Returns the samples that teach the same as an earlier one, by the id of that one. A sample with a decision is not
    among them.

    `samples`: in order. `current`: the decisions in force, by sample id. `teaches`: by sample id what it teaches
    (`teaching`); None: not known.
    """
    first: dict[Teaching, str] = {}
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        key = teaches.get(sample.id)
        if key is None:
            continue
        decided = current.get(sample.id)
        if key not in first:
            first[key] = sample.id
        elif decided is None or (decided.verdict is None and decided.mark is None):
            found.setdefault(first[key], []).append(sample)
    return found


Teaching = tuple[str, ...]
"""Task, kind, wrong step and trained steps of a sample, amounts aside."""


def teaching(sample: Sample, tree: SearchTree | None = None) -> Teaching | None:
    """Returns what a sample teaches; None where only its tree has its steps, and the tree is not given."""
    if tree is None and (sample.tail is None or sample.thought_by != REASON):
        return None
    wrong, told = wrong_words(sample), []
    if tree is not None:
        path = tree.ancestors(sample.good if sample.bad is None else sample.bad)[1:]
        if sample.mark is not None and 0 < sample.mark <= len(path):
            wrong = without_amounts(tree.nodes[path[sample.mark - 1]].action)
    if sample.tail is not None:
        told = [without_amounts(step.action) for step in sample.tail.steps]
    elif tree is not None:
        told = [without_amounts(tree.nodes[id].action) for id in whole_splice(tree, sample).good]
    return (sample.environment, sample.task, sample.kind, wrong, *told)
