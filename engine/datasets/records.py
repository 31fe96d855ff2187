"""Which samples of a run are exported, and the records they give; what is left out is counted with its reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import groupby

from msgspec import structs

from engine.datasets.formats import Format, FormatOptions, Item
from engine.datasets.formats.ready import CONTROL, ESCAPED, holds_control
from engine.datasets.formats.rules import (
    CUT,
    TOO_LONG,
    UNTRAINED,
    record_problems,
    sample_problems,
    sample_warnings,
    texts_of,
    turn_problems,
)
from engine.datasets.formats.tokens import fitting, length
from engine.datasets.options import Exported, Issue
from engine.datasets.provenance import Origin, origin_of, written_in
from engine.datasets.reasoning import Thoughts, thoughts_of, with_reasoning
from engine.environment.replay import HOLDS, Replayer, opener
from engine.recovery.plan import recovered
from engine.recovery.store import FOLDER as RECOVERIES
from engine.recovery.store import Recoveries
from engine.review.curation import effective
from engine.review.decisions import Decided
from engine.samples.revise import Sample, turns_of
from engine.samples.splice import Turn
from engine.tree.tree import SearchTree
from engine.workspace.sample_tree import check_same_trace, load_tree, trace_path
from engine.workspace.workspace import Run, Workspace

NO_WRONG_STEP = "no wrong step found"
DUPLICATE = "duplicate"
UNDECIDED = "not decided"
MOST_ISSUES = 10_000  # that a report names; the rest are counted

Made = tuple[Sample, bytes, Origin]


class Records:
    """The records of one export, and what is counted on the way."""

    def __init__(
        self,
        workspace: Workspace,
        run: Run,
        current: Mapping[str, Decided],
        format: Format,
        options: FormatOptions,
        exported: Exported,
        only_verified: bool,
    ) -> None:
        self.workspace = workspace
        self.run = run
        self.current = current
        self.format = format
        self.options = options
        self.exported = exported
        self.only_verified = only_verified
        self.issues: list[Issue] = []
        self.more_issues = 0
        self.broken: Counter[str] = Counter()  # samples by the rule they break
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}
        self._seen: set[bytes] = set()  # digests of samples' records
        self._distinct: set[bytes] = set()  # digests of conversations, the thought aside

    def made(self, samples: Sequence[Sample], progress: Callable[[int, int], None] | None = None) -> Iterator[Made]:
        """Each record with its sample and where it comes from, tree by tree. Raises `InputError`."""
        wanted = [sample for sample in samples if not self._drop(self._left_out(sample))]
        order: dict[str, int] = {}  # path → place of its first sample: each tree is read once
        for sample in wanted:
            order.setdefault(sample.path, len(order))
        wanted.sort(key=lambda sample: order[sample.path])  # stable: the run's order within
        trees = [list(group) for _, group in groupby(wanted, key=lambda sample: sample.path)]
        for group in trees:
            trace_path(self.workspace, group[0])  # what is missing is said before the work
        done, all = len(samples) - len(wanted), len(samples)
        for group in trees:
            for each in self._of_one_tree(group):
                yield from each
                done += 1
                if progress is not None:
                    progress(done, all)

    def tell(self) -> None:
        """Put the counts into what the export says of itself."""
        exported = self.exported
        for name, count in self._counts.items():
            ordered = count if name == "sources" else dict(sorted(count.items()))  # sources stay in their order
            setattr(exported, name, dict(ordered))
        exported.distinct = len(self._distinct)

    def _drop(self, reason: str | None) -> bool:
        if reason is not None:
            self._counts["dropped"][reason] += 1
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

    def _of_one_tree(self, samples: Sequence[Sample]) -> Iterator[list[Made]]:
        """The records of each sample of a tree; an empty list for one that is left out."""
        environment = self.run.info.settings.environment
        tree = load_tree(self.workspace, samples[0], environment)
        model = model_of(tree)
        thoughts = thoughts_of(trace_path(self.workspace, samples[0])) if self.options.reasoning else None
        replayer = Replayer(tree, opener(tree, environment))
        known = Recoveries(self.workspace.path / RECOVERIES, samples[0].trace)
        self.exported.warnings += known.warnings
        try:
            for stored in samples:
                check_same_trace(tree, stored)
                decided = self.current.get(stored.id)
                sample = effective(stored, decided, tree, replayer)
                if self._drop(self._does_not_hold(sample)):
                    yield []
                    continue
                yield self._of_one_sample(tree, stored, sample, decided, model, known, thoughts)
        finally:
            replayer.close()

    def _of_one_sample(
        self,
        tree: SearchTree,
        stored: Sample,
        sample: Sample,
        decided: Decided | None,
        model: str,
        known: Recoveries,
        thoughts: Thoughts | None = None,
    ) -> list[Made]:
        """The records of a sample; none where a rule is broken, or an equal sample was exported."""
        turns = turns_of(tree, sample)
        if thoughts is not None:
            turns = with_reasoning(tree, turns, thoughts)
        approved = decided is not None and (decided.verdict == "accepted" or decided.mark is not None)
        item = Item(tree, sample, turns, approved)
        records = self.format.records(item, self.options)
        problems = self._problems(item, records)
        warnings = sample_warnings(sample, turns) + self._measure(item, records) + self._control(item, records)
        everything = self.exported.which == "all"
        self.broken.update(problems)
        if not records and not problems:
            self._drop(self.format.empty)  # the format has no place for this sample: no rule is broken
            return []
        if problems:
            self._note(sample, bool(records) and everything, problems, warnings)
            if not everything or not records:
                self._drop(problems[0])
                return []
        encoded = [encode(record) for record in records]
        digest = blake2b(b"\n".join(encoded), digest_size=16).digest()
        if not everything and digest in self._seen:
            self._drop(DUPLICATE)
            return []
        self._seen.add(digest)
        self._distinct.add(_digest_but_thought(turns))
        if warnings and not problems:
            self._note(sample, True, problems, warnings)
        self._count(sample, decided, model, problems, warnings)
        written = written_in(tree, turns)
        self._counts["writers"].update(written.keys())
        recovery = recovered(tree, sample, known, self.run.info.settings.alpha)
        origin = origin_of(self.run.info.id, stored, sample, decided, problems, warnings, written, recovery)
        origin.records = len(encoded)
        return [(sample, record, _nth(origin, number)) for number, record in enumerate(encoded, 1)]

    def _problems(self, item: Item, records: list[dict[str, object]]) -> list[str]:
        """The rules that a sample breaks, each once."""
        found = sample_problems(item.tree, item.sample) + turn_problems(item.turns)
        for record in records:
            found += self.format.validate(record)
            if self.format.build is not None:
                found += record_problems(record)
        if self.options.max_length is not None:
            whole = replace(self.options, max_length=None)
            if UNTRAINED in found and any(turn.loss for turn in item.turns):
                found[found.index(UNTRAINED)] = TOO_LONG
            elif not records and UNTRAINED not in found and self.format.records(item, whole):
                found.append(TOO_LONG)
        return list(dict.fromkeys(found))

    def _measure(self, item: Item, records: list[dict[str, object]]) -> list[str]:
        """Whether something was cut off to fit the length; the longest trajectory is remembered."""
        options = self.options
        if options.max_length is None and options.vocabulary is None:
            return []
        answered = fitting(item.turns, None, options.measure, options.markup)
        self.exported.longest = max(self.exported.longest, length(answered, options.measure, options.markup))
        if options.max_length is None:
            return []
        return [CUT] if records != self.format.records(item, replace(options, max_length=None)) else []

    def _control(self, item: Item, records: list[dict[str, object]]) -> list[str]:
        """Whether texts hold control tokens; where they were escaped, whether the sample's own did."""
        options = self.options
        texts = texts_of(records) if not options.escape else (turn.content for turn in item.turns)
        if options.vocabulary is not None:
            texts = (turn.content for turn in item.turns)
        held = any(holds_control(text, options.control) for text in texts)
        return [ESCAPED if options.escape else CONTROL] if held else []

    def _note(self, sample: Sample, written: bool, problems: list[str], warnings: list[str]) -> None:
        if len(self.issues) >= MOST_ISSUES:
            self.more_issues += 1
            return
        self.issues.append(
            Issue(
                sample=sample.id,
                path=sample.path,
                task=sample.task,
                written=written,
                problems=problems,
                warnings=warnings,
            )
        )

    def _count(
        self, sample: Sample, decided: Decided | None, model: str, problems: list[str], warnings: list[str]
    ) -> None:
        self.exported.samples += 1
        self._counts["problems"].update(problems)
        self._counts["warned"].update(warnings)
        self._counts["verdicts"][sample.verdict] += 1
        self._counts["sources"][sample.path] += 1
        self._counts["environments"][sample.environment] += 1
        self._counts["models"][model] += 1
        self._counts["reviewers"].update(decided.by_reviewer.keys() if decided is not None else ())


COUNTED = ("dropped", "problems", "warned", "verdicts", "sources", "environments", "models", "reviewers", "writers")
"""Fields of `Exported` that count samples by something."""


def _nth(origin: Origin, number: int) -> Origin:
    if origin.records == 1:
        return origin
    return structs.replace(origin, record=number)


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


def model_of(tree: SearchTree) -> str:
    """Who proposed the steps of a tree."""
    if tree.started is None or tree.imported_from is not None:
        return "unknown: a foreign tree"
    settings = tree.started.settings
    return f"{settings.actor}: {settings.model}" if settings.model else settings.actor
