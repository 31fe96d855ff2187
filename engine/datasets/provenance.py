"""Where the records of a dataset come from: one line a record, in `OUT.provenance.jsonl`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from engine.recovery.store import Recovered
from engine.review.decisions import Decided, DecisionVerdict
from engine.samples.revise import Sample
from engine.samples.splice import Turn
from engine.tree.tree import SearchTree

MarkFrom = Literal["verifier", "moved after the fork", "person", "none"]
ThoughtFrom = Literal["list", "model", "person", "none"]


class Origin(Struct, kw_only=True):
    """Where one record comes from. In the file, `line` and `file` of the record stand before these."""

    sample: str
    kind: str
    run: str
    trace: str  # id
    path: str
    environment: str
    task: str
    good: int  # leaf
    bad: int | None
    fork: int
    fork_depth: int
    mark: int | None
    mark_from: MarkFrom
    marked_by: str  # verifier or reviewer
    thought_from: ThoughtFrom
    thought_by: str  # person or model
    replay: str  # verdict
    return_good: float
    return_bad: float | None
    tail_trace: str | None  # id of the search whose steps stand in place of the good leaf's (a repaired sample)
    tail_path: str | None
    tail_leaf: int | None
    decision: DecisionVerdict | None
    decisions: dict[str, DecisionVerdict]  # reviewer → latest verdict
    note: str | None
    written: dict[str, list[int]]  # person → nodes of the record whose steps they wrote in the search
    recovery: Recovered | None  # the newest continuations from the mark, where there are some
    problems: list[str]
    warnings: list[str] = []
    record: int = 1  # of those that the sample gives, counted from 1
    records: int = 1


class MixedOrigin(Struct, kw_only=True):
    """Where a record that was mixed in comes from."""

    mixed_from: str
    mixed_line: int  # counted from 1


def written_in(tree: SearchTree, turns: Sequence[Turn]) -> dict[str, list[int]]:
    """Who wrote steps of a trajectory in the search, and which: person → nodes in their order."""
    found: dict[str, list[int]] = {}
    for turn in turns:
        if turn.role == "assistant" and turn.node is not None and turn.node in tree.human:
            found.setdefault(tree.human[turn.node], []).append(turn.node)
    return found


def origin_of(
    run: str,
    stored: Sample,
    sample: Sample,
    decided: Decided | None,
    problems: list[str],
    warnings: list[str],
    written: dict[str, list[int]],
    recovery: Recovered | None,
) -> Origin:
    """Where a record comes from: `stored` is the sample as the run has it, `sample` as people left it."""
    mark_from: MarkFrom = "none"
    marked_by = ""
    if sample.mark is not None:
        moved = stored.found is not None and stored.mark != stored.found
        mark_from, marked_by = "moved after the fork" if moved else "verifier", stored.verifier
        if decided is not None and decided.mark is not None:
            mark_from, marked_by = "person", decided.marked_by
    thought_from: ThoughtFrom = "none"
    thought_by = ""
    if sample.bad is not None:
        thought_from, thought_by = ("model", stored.thought_by) if stored.thought_by else ("list", "")
        if decided is not None and decided.thought is not None:
            thought_from, thought_by = "person", decided.thought_by
    return Origin(
        sample=sample.id,
        kind=sample.kind,
        run=run,
        trace=sample.trace,
        path=sample.path,
        environment=sample.environment,
        task=sample.task,
        good=sample.good,
        bad=sample.bad,
        fork=sample.fork,
        fork_depth=sample.fork_depth,
        mark=sample.mark,
        mark_from=mark_from,
        marked_by=marked_by,
        thought_from=thought_from,
        thought_by=thought_by,
        replay=sample.verdict,
        return_good=sample.return_good,
        return_bad=None if sample.bad is None else sample.return_bad,
        tail_trace=sample.tail.trace if sample.tail else None,
        tail_path=sample.tail.path if sample.tail else None,
        tail_leaf=sample.tail.leaf if sample.tail else None,
        decision=decided.verdict if decided else None,
        decisions=dict(sorted(decided.by_reviewer.items())) if decided else {},
        note=decided.note if decided else None,
        written=written,
        recovery=recovery,
        problems=problems,
        warnings=warnings,
    )
