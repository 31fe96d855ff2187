"""Export: from a run of `revise` and what people decided to a dataset that a trainer loads as it is.

Three files are written: the dataset, `OUT.provenance.jsonl` (where every record comes from) and `OUT.card.md`. The
same run, decisions and traces give the same bytes. Records are streamed: of the traces one tree is held at a time.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b, sha256
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
from msgspec import Struct

from engine.curation import effective
from engine.decisions import Decided, Decisions, DecisionVerdict
from engine.errors import InputError
from engine.export_card import card
from engine.files import refusal, write_beside
from engine.formats import DATA_TYPES, DataType, Format, data_type_of, format_named
from engine.formats.rules import sample_problems, turn_problems
from engine.replay import HOLDS, Replayer, opener
from engine.revision import Turn
from engine.samples import Sample, turns_of
from engine.stats import load_any
from engine.tree import SearchTree
from engine.workspace import Run, Workspace

Which = Literal["accepted", "all that hold", "all"]
MarkFrom = Literal["verifier", "moved after the fork", "person", "none"]
ThoughtFrom = Literal["drawn", "person", "none"]

NO_WRONG_STEP = "no wrong step found"
DUPLICATE = "duplicate"
UNDECIDED = "not decided"


class Exported(Struct, kw_only=True):
    """What an export wrote and what it left out."""

    out: str
    lines: int  # records
    dropped: dict[str, int]  # reason → samples left out
    which: Which  # the rule by which samples were chosen
    run: str
    format: str
    data_type: DataType
    card: str  # path of the dataset card
    provenance: str  # path of the file that says where every record comes from
    problems: dict[str, int] = {}  # only with `all`: records that were written although a rule is broken
    verdicts: dict[str, int] = {}  # replay verdict → records
    sources: dict[str, int] = {}  # path of a trace → records
    environments: dict[str, int] = {}  # → records
    distinct: int = 0  # records that differ in more than the revision thought
    checksum: str = ""  # SHA-256 of the dataset
    warnings: list[str] = []


class Provenance(Struct, kw_only=True):
    """Where one record comes from."""

    line: int  # record, counted from 1
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
    replay: str  # verdict
    return_good: float
    return_bad: float | None
    decision: DecisionVerdict | None
    decisions: dict[str, DecisionVerdict]  # reviewer → latest verdict
    note: str | None
    problems: list[str]


def export(
    workspace: Workspace,
    run: str | None,
    format: str,
    out: str | os.PathLike[str],
    *,
    data_type: DataType = "centric",
    all: bool = False,
    only_verified: bool = False,
) -> Exported:
    """Write a dataset from a run (None: the newest that is complete).

    Samples that hold in the environment and were accepted; where nobody gave a verdict on any sample of this data
    type in the run, all that hold. `all` takes every sample of the data type, duplicates and broken rules included.
    `only_verified` narrows either to the replay verdict `verified`. Raises `InputError` for an unknown run or format
    or a missing trace, `WorkFailed` where the disk is full; then `out` is as it was before.
    """
    chosen = format_named(format)
    if data_type not in DATA_TYPES:
        raise InputError(f"unknown data type {data_type!r}: one of {', '.join(DATA_TYPES)}")
    if data_type not in chosen.data_types:
        raise InputError(
            f"the format {format} holds no {data_type} trajectories: {' or '.join(chosen.data_types)} only"
        )
    loaded = workspace.load_run(run)
    decisions = Decisions(workspace.decisions)
    current = decisions.current()
    of_type = [sample for sample in loaded.samples if data_type_of(sample) == data_type]
    anyone = any(sample.id in current and current[sample.id].verdict for sample in of_type)
    which: Which = "all" if all else "accepted" if anyone else "all that hold"

    target = Path(out)
    if target.is_dir():
        raise InputError(f"{target}: is a folder: name a file")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refusal(target.parent, error) from error
    exported = Exported(
        out=str(target),
        lines=0,
        dropped={},
        which=which,
        run=loaded.info.id,
        format=chosen.name,
        data_type=data_type,
        card=f"{target}.card.md",
        provenance=f"{target}.provenance.jsonl",
        warnings=loaded.warnings + decisions.warnings,
    )
    work = _Work(workspace, loaded, current, chosen, exported, only_verified)
    provenance = Path(exported.provenance)

    def write_both(data: BinaryIO) -> None:
        write_beside(provenance, lambda origins: work.write(of_type, data, origins))
        write_beside(Path(exported.card), lambda stream: _write_text(stream, card(exported, loaded, chosen)))

    write_beside(target, write_both)  # the dataset is moved to its place last: where it is, the rest is
    return exported


def _write_text(stream: BinaryIO, text: str) -> None:
    stream.write(text.encode("utf-8", "replace"))


class _Work:
    """One export going on."""

    def __init__(
        self,
        workspace: Workspace,
        run: Run,
        current: Mapping[str, Decided],
        format: Format,
        exported: Exported,
        only_verified: bool,
    ) -> None:
        self.workspace = workspace
        self.run = run
        self.current = current
        self.format = format
        self.exported = exported
        self.only_verified = only_verified
        self.dropped: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.seen: set[bytes] = set()  # digests of records
        self.distinct: set[bytes] = set()  # digests of conversations, the thought aside
        self.sources: Counter[str] = Counter()
        self.environments: Counter[str] = Counter()

    def write(self, samples: Sequence[Sample], data: BinaryIO, origins: BinaryIO) -> None:
        """Write records and where they come from."""
        checksum, lines, array = sha256(), 0, self.format.array
        for record, origin in self._records(samples):
            piece = (b",\n" if lines else b"[\n") + record if array else record + b"\n"
            lines += 1
            origin.line = lines
            checksum.update(piece)
            data.write(piece)
            origins.write(encode(msgspec.to_builtins(origin)) + b"\n")
        if array:
            piece = b"\n]\n" if lines else b"[]\n"
            checksum.update(piece)
            data.write(piece)
        exported = self.exported
        exported.lines, exported.checksum = lines, checksum.hexdigest()
        exported.dropped = dict(sorted(self.dropped.items()))
        exported.problems = dict(sorted(self.problems.items()))
        exported.verdicts = dict(sorted(self.verdicts.items()))
        exported.sources, exported.environments = dict(self.sources), dict(sorted(self.environments.items()))
        exported.distinct = len(self.distinct)

    def _records(self, samples: Sequence[Sample]) -> Iterator[tuple[bytes, Provenance]]:
        wanted = [sample for sample in samples if not self._drop(self._left_out(sample))]
        order: dict[str, int] = {}  # path → place of its first sample: each tree is read once
        for sample in wanted:
            order.setdefault(sample.path, len(order))
        wanted.sort(key=lambda sample: order[sample.path])  # stable: the run's order within
        trees = [list(group) for _, group in groupby(wanted, key=lambda sample: sample.path)]
        for group in trees:
            trace_path(self.workspace, group[0])  # what is missing is said before the work
        for group in trees:
            yield from self._of_one_tree(group)

    def _drop(self, reason: str | None) -> bool:
        if reason is not None:
            self.dropped[reason] += 1
        return reason is not None

    def _left_out(self, sample: Sample) -> str | None:
        """Why a sample is left out, as far as that can be told without its tree."""
        decided = self.current.get(sample.id)
        if self.exported.which == "accepted":
            verdict = decided.verdict if decided else None
            if verdict != "accepted":
                return verdict or UNDECIDED
        if decided is None or decided.mark is None or sample.bad is None:
            return self._does_not_hold(sample)
        return None  # a person's mark is replayed first

    def _does_not_hold(self, sample: Sample) -> str | None:
        """Why a sample is left out for what the verifier or the replay said."""
        if self.exported.which != "all":
            if sample.no_wrong_step:
                return NO_WRONG_STEP
            if sample.verdict not in HOLDS:
                return sample.verdict
        if self.only_verified and sample.verdict != "verified":
            return sample.verdict
        return None

    def _of_one_tree(self, samples: Sequence[Sample]) -> Iterator[tuple[bytes, Provenance]]:
        environment = self.run.info.settings.environment
        tree = load_tree(self.workspace, samples[0], environment)
        replayer = Replayer(tree, opener(tree, environment))
        try:
            for stored in samples:
                check_same_trace(tree, stored)
                decided = self.current.get(stored.id)
                sample = effective(stored, decided, tree, replayer)
                if self._drop(self._does_not_hold(sample)):
                    continue
                written = self._render(tree, sample)
                if written is None:
                    continue
                record, problems = written
                self.problems.update(problems)
                self.verdicts[sample.verdict] += 1
                self.sources[sample.path] += 1
                self.environments[sample.environment] += 1
                yield record, origin_of(self.run.info.id, stored, sample, decided, problems)
        finally:
            replayer.close()

    def _render(self, tree: SearchTree, sample: Sample) -> tuple[bytes, list[str]] | None:
        """A record and what is wrong with it; None where it is left out."""
        turns = turns_of(tree, sample)
        record = self.format.render(tree, sample, turns)
        found = sample_problems(tree, sample) + turn_problems(turns) + self.format.validate(record)
        problems = list(dict.fromkeys(found))
        if self.exported.which != "all" and problems:
            self._drop(problems[0])
            return None
        encoded = encode(record)
        digest = blake2b(encoded, digest_size=16).digest()
        if self.exported.which != "all" and digest in self.seen:
            self._drop(DUPLICATE)
            return None
        self.seen.add(digest)
        self.distinct.add(_digest_but_thought(turns))
        return encoded, problems


_BREAKS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def encode(record: object) -> bytes:
    """A record as one line of JSON.

    Signs that some readers take for the end of a line, and half surrogate pairs, are written as JSON's escapes.
    """
    text = json.dumps(record, ensure_ascii=False)
    if not text.isascii():
        for sign, escape in _BREAKS.items():
            text = text.replace(sign, escape)
    return text.encode("utf-8", "backslashreplace")


def _digest_but_thought(turns: Sequence[Turn]) -> bytes:
    digest = blake2b(digest_size=16)
    for turn in turns:
        text = "" if turn.part == "thought" else turn.content
        digest.update(f"{turn.role}\0{turn.loss}\0{text}\0".encode("utf-8", "backslashreplace"))
    return digest.digest()


def trace_path(workspace: Workspace, sample: Sample) -> Path:
    """Where the trace of a sample is: where `revise` read it, else in the workspace. Raises `InputError`."""
    recorded = Path(sample.path)
    places = (recorded, workspace.path / recorded, workspace.traces / recorded.name)
    for place in places:
        if place.is_file():
            return place
    raise InputError(
        f"{sample.path}: the trace of sample {sample.id} is missing: put it back there, or into {workspace.traces}"
    )


def load_tree(workspace: Workspace, sample: Sample, environment: str | None = None) -> SearchTree:
    """The tree that a sample is made from. Raises `InputError`."""
    return load_any(trace_path(workspace, sample), environment).tree


def check_same_trace(tree: SearchTree, sample: Sample) -> None:
    """Raise `InputError` where the file no longer holds the trace that the sample was made from."""
    trace = tree.started.trace if tree.started else ""
    leaves = [sample.good] if sample.bad is None else [sample.good, sample.bad]
    if trace != sample.trace or max(leaves) >= len(tree):
        raise InputError(
            f"{sample.path}: holds another trace ({trace}) than sample {sample.id} was made from ({sample.trace}):"
            " put that one back, or run `agentr revise` again"
        )


def origin_of(run: str, stored: Sample, sample: Sample, decided: Decided | None, problems: list[str]) -> Provenance:
    """Where a record comes from: `stored` is the sample as the run has it, `sample` as people left it."""
    mark_from: MarkFrom = "none"
    marked_by = ""
    if sample.mark is not None:
        moved = stored.found is not None and stored.mark != stored.found
        mark_from, marked_by = "moved after the fork" if moved else "verifier", stored.verifier
        if decided is not None and decided.mark is not None:
            mark_from, marked_by = "person", decided.marked_by
    thought_from: ThoughtFrom = "none"
    if sample.bad is not None:
        thought_from = "person" if decided is not None and decided.thought is not None else "drawn"
    return Provenance(
        line=0,
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
        replay=sample.verdict,
        return_good=sample.return_good,
        return_bad=None if sample.bad is None else sample.return_bad,
        decision=decided.verdict if decided else None,
        decisions=dict(sorted(decided.by_reviewer.items())) if decided else {},
        note=decided.note if decided else None,
        problems=problems,
    )
