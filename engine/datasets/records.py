"""Which samples of a run are exported, and the records they give; what is left out is counted with its reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from itertools import groupby
from pathlib import Path

from msgspec import structs

from engine.base.errors import InputError
from engine.base.secrets import redacted, redacted_record
from engine.datasets.formats import Format, FormatOptions, Item
from engine.datasets.formats.preparation import CONTROL, ESCAPED, holds_control
from engine.datasets.formats.rules import (
    CUT,
    TAKEN_OUT,
    TOO_LONG,
    UNTRAINED,
    record_problems,
    sample_problems,
    sample_warnings,
    texts_of,
    turn_problems,
)
from engine.datasets.options import Exported, Issue
from engine.datasets.provenance import Origin, origin_of, shown_path, written_in
from engine.datasets.reasoning import Thoughts, thoughts_of, with_reasoning
from engine.datasets.sample_choice import SAME_LESSON, does_not_hold, kept_of_lessons, left_out
from engine.datasets.templates.tokens import fitting, length
from engine.environment.replay import Replayer, opener
from engine.recovery.continuation_plan import recovered
from engine.recovery.continuation_store import FOLDER as RECOVERIES
from engine.recovery.continuation_store import Recoveries
from engine.review.curation import effective
from engine.review.decisions import Decided
from engine.samples.duplicates import NEAR, THRESHOLD, Duplicates
from engine.samples.sample import Sample, sample_words, turns_of
from engine.samples.splice import Turn
from engine.samples.thoughts.writers import REASON
from engine.samples.trained import StateWalk, Trained, trained_of
from engine.tree.tree import SearchTree
from engine.workspace.sample_tree import check_same_trace, load_tree, trace_path
from engine.workspace.workspace import Selection, Workspace

DUPLICATE = "duplicate"
MOST_COMPARED = 20_000  # samples among which near duplicates are looked for
MOST_ISSUES = 10_000  # that a report names; the rest are counted

Made = tuple[Sample, bytes, Origin]


class Records:
    """The records of one export, and what is counted on the way."""

    def __init__(
        self,
        workspace: Workspace,
        chosen: Selection,
        current: Mapping[str, Decided],
        format: Format,
        options: FormatOptions,
        exported: Exported,
        only_verified: bool,
        per_lesson: int = 1,
    ) -> None:
        self.workspace = workspace
        self.chosen = chosen
        self.current = current
        self.format = format
        self.options = options
        self.exported = exported
        self.only_verified = only_verified
        self.per_lesson = per_lesson
        self.issues: list[Issue] = []
        self.more_issues = 0
        self.broken: Counter[str] = Counter()  # samples by the rule they break
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}
        self.stuck: set[str] = set()  # reasons for which samples gave no record at all
        self._seen: set[bytes] = set()  # digests of samples' records
        self._distinct: set[bytes] = set()  # digests of conversations, the thought aside
        self._lessons: set[str] = set()
        self._wrong: set[str] = set()  # wrong actions
        self._near = near_duplicates()

    def made(self, samples: Sequence[Sample], progress: Callable[[int, int], None] | None = None) -> Iterator[Made]:
        """Each record with its sample and where it comes from, tree by tree. Raises `InputError`."""
        which, verified, current = self.exported.which, self.only_verified, self.current
        wanted = [
            sample
            for sample in samples
            if not self._drop(left_out(sample, current.get(sample.id), which, verified, self.format.spliced))
        ]
        if self.exported.which != "all" and self.per_lesson:
            kept = kept_of_lessons(wanted, self.current, self.per_lesson)
            wanted = [sample for sample in wanted if sample.id in kept or not self._drop(SAME_LESSON)]
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
        """Put the counts into the result of the export."""
        exported = self.exported
        for name, count in self._counts.items():
            ordered = count if name == "sources" else dict(sorted(count.items()))  # sources stay in their order
            setattr(exported, name, dict(ordered))
        exported.distinct = len(self._distinct)
        told = exported.lessons
        told.distinct, told.wrong_actions = len(self._lessons), len(self._wrong)
        told.depths, told.earlier = dict(sorted(told.depths.items())), dict(sorted(told.earlier.items()))
        told.exact = exported.samples - exported.distinct

    def _drop(self, reason: str | None) -> bool:
        if reason is not None:
            self._counts["dropped"][reason] += 1
        return reason is not None

    def _of_one_tree(self, samples: Sequence[Sample]) -> Iterator[list[Made]]:
        """The records of each sample of a tree; an empty list for one that is left out."""
        environment = self.chosen.environment_of(samples[0])
        tree = load_tree(self.workspace, samples[0], environment)
        model = model_of(tree)
        thoughts = thoughts_of(trace_path(self.workspace, samples[0])) if self.options.reasoning else None
        replayer = Replayer(tree, opener(tree, environment))
        known = Recoveries(self.workspace.path / RECOVERIES, samples[0].trace)
        self.exported.warnings += known.warnings
        walk = StateWalk(tree, replayer)
        try:
            for stored in samples:
                check_same_trace(tree, stored)
                decided = self.current.get(stored.id)
                sample = effective(stored, decided, tree, replayer)
                if self._drop(does_not_hold(sample, self.exported.which, self.only_verified, self.format.spliced)):
                    yield []
                    continue
                yield self._of_one_sample(tree, stored, sample, decided, model, known, walk, thoughts)
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
        walk: StateWalk,
        thoughts: Thoughts | None = None,
    ) -> list[Made]:
        """The records of a sample; none where a rule is broken, or an equal sample was exported."""
        turns = turns_of(tree, sample)
        if thoughts is not None:
            turns = with_reasoning(tree, turns, thoughts, sample_words(tree, sample))
        taken = 0
        if self.options.redact:
            turns, taken = _redacted_turns(turns)
        approved = decided is not None and (decided.verdict == "accepted" or decided.mark is not None)
        item = Item(tree, sample, turns, approved)
        records = self.format.records(item, self.options)
        if self.options.redact:  # some formats write more than the trajectory
            records, more = redacted_record(records)
            taken = max(taken, more)
        trained = trained_of(tree, sample, turns, walk)
        problems = self._problems(item, records) + trained.faults
        warnings = sample_warnings(sample, turns) + self._measure(item, records) + self._control(item, records)
        warnings += [TAKEN_OUT] if taken else []
        everything = self.exported.which == "all"
        self.broken.update(problems)
        if not records and not problems:
            reason = self.format.why_no_record(item, self.options)  # the format has no place for it: no rule is broken
            self.stuck.add(reason)
            self._drop(reason)
            return []
        if problems:
            self._note(sample, bool(records) and everything, problems, warnings)
            if not everything or not records:
                if not records:
                    self.stuck.add(problems[0])
                self._drop(problems[0])
                return []
        encoded = [encode(record) for record in records]
        digest = blake2b(b"\n".join(encoded), digest_size=16).digest()
        said = _digest_but_thought(turns)
        if not everything and (digest in self._seen or said in self._distinct):
            self._drop(DUPLICATE)
            return []
        self._seen.add(digest)
        self._distinct.add(said)
        if warnings and not problems:
            self._note(sample, True, problems, warnings)
        self._count(sample, decided, model, problems, warnings)
        self.exported.calling += any(turn.calls for turn in turns)
        tail = sum(turn.part == "good" and turn.role == "assistant" for turn in turns)
        self._count_lesson(sample, turns, trained, tail)
        written = written_in(tree, turns)
        self._counts["writers"].update(written.keys())
        info = self.chosen.run_of(stored)
        recovery = recovered(tree, sample, known, info.settings.alpha)
        shown = partial(shown_path, workspace=self.workspace.path, beside=Path(self.exported.out).parent)
        origin = origin_of(info.id, stored, sample, decided, problems, warnings, written, recovery, shown, tail)
        origin.records = len(encoded)
        self.exported.redacted += taken
        return [(sample, record, _nth(origin, number)) for number, record in enumerate(encoded, 1)]

    def _count_lesson(self, sample: Sample, turns: Sequence[Turn], trained: Trained, tail: int) -> None:
        """What a written sample teaches."""
        told = self.exported.lessons
        self.exported.trained.add(trained)
        if sample.kind == "good":
            return
        wrong = next((turn for turn in reversed(turns) if turn.part == "bad" and turn.role == "assistant"), None)
        action = wrong.action if wrong is not None else ""
        self._wrong.add(action)
        self._lessons.add(sample.lesson or f"{sample.environment}\0{sample.task}\0{sample.id}")
        if sample.mark is not None:
            told.depths[sample.mark] = told.depths.get(sample.mark, 0) + 1
        told.earlier[sample.earlier] = told.earlier.get(sample.earlier, 0) + 1
        if sample.plan_left:
            told.tails, told.plans = told.tails + tail, told.plans + sample.plan_left
        told.named += sample.thought_by == REASON
        if self._near is None or self.exported.samples > MOST_COMPARED:
            told.near = None
        elif told.near is not None:
            told.near += self._near.reason(sample.environment, sample.task, turns) == NEAR

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
        # a record may hold the template's own tokens around calls, or ids in place of texts
        own = options.escape or options.vocabulary is not None or any(turn.calls for turn in item.turns)
        texts = (turn.said for turn in item.turns) if own else texts_of(records)
        held = any(holds_control(text, options.control) for text in texts)
        return [ESCAPED if options.escape else CONTROL] if held else []

    def _note(self, sample: Sample, written: bool, problems: list[str], warnings: list[str]) -> None:
        if len(self.issues) >= MOST_ISSUES:
            self.more_issues += 1
            return
        self.issues.append(
            Issue(
                sample=sample.id,
                path=shown_path(sample.path, self.workspace.path, Path(self.exported.out).parent),
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
        if sample.seam is not None:
            self._counts["seams"][sample.seam.word] += 1
        shown = shown_path(sample.path, self.workspace.path, Path(self.exported.out).parent)
        self._counts["sources"][shown] += 1
        self._counts["environments"][sample.environment] += 1
        self._counts["models"][model] += 1
        self._counts["reviewers"].update(decided.by_reviewer.keys() if decided is not None else ())


def _redacted_turns(turns: Sequence[Turn]) -> tuple[list[Turn], int]:
    """The turns without strings that look like keys, and how many those were."""
    found, taken = [], 0
    for turn in turns:
        (content, one), (reasoning, other) = redacted(turn.content), redacted(turn.reasoning)
        arguments = [redacted(call.arguments) for call in turn.calls]
        calls = [structs.replace(call, arguments=text) for call, (text, _) in zip(turn.calls, arguments, strict=True)]
        found.append(turn._replace(content=content, reasoning=reasoning, calls=tuple(calls)))
        taken += one + other + sum(count for _, count in arguments)
    return found, taken


def near_duplicates() -> Duplicates | None:
    """Returns what finds near duplicates; None where its package is missing."""
    try:
        return Duplicates(THRESHOLD)
    except InputError:
        return None


COUNTED = (
    "dropped",
    "problems",
    "warned",
    "verdicts",
    "seams",
    "sources",
    "environments",
    "models",
    "reviewers",
    "writers",
)
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
        text = "" if turn.part == "thought" else turn.action if turn.revises else turn.said
        digest.update(f"{turn.role}\0{turn.loss}\0{text}\0".encode("utf-8", "backslashreplace"))
    return digest.digest()


def model_of(tree: SearchTree) -> str:
    """Who proposed the steps of a tree."""
    if tree.started is None or tree.imported_from is not None:
        return "unknown: a foreign tree"
    settings = tree.started.settings
    return f"{settings.actor}: {settings.model}" if settings.model else settings.actor
