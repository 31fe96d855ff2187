"""Where the records of a dataset come from: one line a record, in `OUT.provenance.jsonl`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from msgspec import Struct

from engine.base.untrusted_files import real_path
from engine.recovery.continuation_store import Recovered
from engine.review.decisions import Decided, DecisionVerdict
from engine.samples.sample import Sample
from engine.samples.splice import Turn
from engine.samples.tails.tail import Cut, TailMade
from engine.samples.thoughts.writers import REASON
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement

MarkFrom = Literal["verifier", "moved after the fork", "person", "none"]
ThoughtFrom = Literal["list", "reason", "model", "person", "none"]
"""`reason`: made of what is known of the wrong step (`engine.samples.thoughts.reasons`)."""


def shown_path(path: str, workspace: Path, beside: Path) -> str:
    """Returns a path as a dataset may show it: from the workspace on, or from the folder of the file; else the name
    alone. A dataset must not show the folders of a machine.

    `path`: may be empty. `workspace`: its folder. `beside`: the folder of the dataset.
    """
    if not path:
        return ""
    whole = Path(path).absolute()
    for folder in (workspace, beside):
        for base in (folder.absolute(), real_path(folder)):
            with suppress(ValueError):
                return whole.relative_to(base).as_posix()
    return whole.name


class Origin(Struct, kw_only=True):
    """Where one record comes from. In the file, `line` and `file` of the record come before these fields."""

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
    seam: str  # what a model said of a seam that nobody replayed: Good, Bad or Uncertain; "": nobody was asked
    return_good: float
    return_bad: float | None
    tail_made: TailMade | None  # how the tail came about, where it is not the good leaf's own steps
    tail_trace: str | None  # id of the search whose steps stand in place of the good leaf's (a repaired sample)
    tail_path: str | None
    tail_leaf: int | None
    tail_steps: int
    plan_left: int | None  # steps that the environment's plan has left just after the wrong step
    cut: list[Cut]  # steps that were taken out of context and tail
    uncut: list[int]  # nodes of steps that a person took back of these
    tail_judgements: list[Judgement]  # of the good steps after the fork, in the state of the splice
    lesson: str
    earlier: int  # mistakes before the wrong step that stay in the context
    unfinished: bool  # nobody saw the end of the bad trajectory
    decision: DecisionVerdict | None
    decisions: dict[str, DecisionVerdict]  # reviewer → latest verdict
    note: str | None
    written: dict[str, list[int]]  # person → nodes of the record whose steps they wrote in the search
    recovery: Recovered | None  # the newest continuations from the mark, where there are some
    problems: list[str]
    warnings: list[str] = []
    record: int = 1  # of those that the sample gives, counted from 1
    records: int = 1


OF_SAMPLE = (
    "kind", "trace", "environment", "task", "good", "bad", "fork", "fork_depth", "mark", "return_good", "plan_left",
    "cut", "tail_judgements", "lesson", "earlier", "unfinished",
)  # fmt: skip
"""Fields of an `Origin` that are the sample's own."""


class MixedOrigin(Struct, kw_only=True):
    """Where a record that was mixed in comes from."""

    mixed_from: str
    mixed_line: int  # counted from 1


def written_in(tree: SearchTree, turns: Sequence[Turn]) -> dict[str, list[int]]:
    """Who wrote steps of a trajectory in the search, and which: person → nodes in their order."""
    found: dict[str, list[int]] = {}
    for turn in turns:
        if turn.role == "assistant" and turn.node is not None and turn.node in tree.written_by:
            found.setdefault(tree.written_by[turn.node], []).append(turn.node)
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
    shown: Callable[[str], str],
    tail_steps: int,
) -> Origin:
    """Returns where a record comes from.

    `run`: its id. `stored`: the sample as the run has it; `sample`: as people left it. `decided`: the decisions in
    force; None: there are none. `problems` and `warnings`: lines of the format's checks. `written`: person → nodes of
    the record whose steps they wrote. `recovery`: what continuations from the wrong step came to; None: there are none.
    `shown`: turns a path into one that shows no folder of this machine (`shown_path`). `tail_steps`: steps after the
    thought.
    """
    mark_from: MarkFrom = "none"
    marked_by = ""
    if sample.mark is not None:
        moved = stored.found is not None and stored.mark != stored.found
        mark_from, marked_by = "moved after the fork" if moved else "verifier", stored.verifier
        if decided is not None and decided.mark is not None and decided.mark != stored.mark:
            mark_from, marked_by = "person", decided.marked_by
    thought_from: ThoughtFrom = "none"
    thought_by = ""
    if sample.kind != "good":
        thought_from, thought_by = ("model", sample.thought_by) if sample.thought_by else ("list", "")
        if sample.thought_by == REASON:
            thought_from, thought_by = "reason", ""
        if decided is not None and decided.thought is not None:
            thought_from, thought_by = "person", decided.thought_by
    return Origin(
        **{name: getattr(sample, name) for name in OF_SAMPLE},
        sample=sample.id,
        run=run,
        path=shown(sample.path),
        mark_from=mark_from,
        marked_by=marked_by,
        thought_from=thought_from,
        thought_by=thought_by,
        replay=sample.verdict,
        seam=sample.seam.word if sample.seam is not None else "",
        return_bad=None if sample.bad is None else sample.return_bad,
        tail_made=sample.tail.made if sample.tail else None,
        tail_trace=sample.tail.trace or None if sample.tail else None,
        tail_path=shown(sample.tail.path) or None if sample.tail else None,
        tail_leaf=sample.tail.leaf if sample.tail and sample.tail.path else None,
        tail_steps=tail_steps,
        uncut=[each.node for each in stored.cut if decided is not None and each.node in decided.uncut],
        decision=decided.verdict if decided else None,
        decisions=dict(sorted(decided.by_reviewer.items())) if decided else {},
        note=decided.note if decided else None,
        written=written,
        recovery=recovery,
        problems=problems,
        warnings=warnings,
    )
