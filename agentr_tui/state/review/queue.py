"""A queue of samples under review: the current place, the decisions, and the current mark and thought.

The queue is a whole run of `revise`, over any number of traces, or what a query leaves of it. Knows no Textual.
`Review.show`, and everything else that reads traces, replays or writes decisions, may take a while: call it from a
worker thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from agentr_tui.state.review.judging_job import ByModel
from agentr_tui.state.review.shown_sample import Counts, Shown, people_marks
from agentr_tui.state.review.traces import Traces
from engine.base.text import many
from engine.environment.permission import TrustedSettings
from engine.recovery.repair import FOLDER as REPAIRS
from engine.recovery.repair import reobserve_cost, repair_cost, repair_sample, search_settings
from engine.review.curation import Order, ReviewSettings, effective, ordered
from engine.review.decisions import Decided, Decisions, DecisionVerdict, fold_one
from engine.review.sample_query import select
from engine.review.variety import Teaching, alike, teaching
from engine.samples.sample import Sample, replay_sample, turns_of
from engine.samples.settings import Repairs, RepairSettings
from engine.samples.splice import revision_thoughts
from engine.samples.tails.tail import Cut
from engine.samples.trained import StateWalk, trained_of
from engine.search.control import Control
from engine.tree.events import AnyEvent, SearchSettings
from engine.tree.tree import SearchTree
from engine.workspace.workspace import Workspace


@dataclass
class Review:
    """The samples of one run or of several, and the current place in the queue."""

    workspace: Workspace
    run: str
    samples: list[Sample]  # the queue: what the query leaves, in the order
    decisions: Decisions
    traces: Traces
    place: int = 0
    warnings: list[str] = field(default_factory=list)
    settings: ReviewSettings = field(default_factory=ReviewSettings)
    blind: bool = False
    order: Order = "run"
    query: str = ""
    planted: frozenset[str] = frozenset()  # ids of faulty copies

    def __post_init__(self) -> None:
        """Order and blind mode come from the settings."""
        self.by_model: dict[str, ByModel] = {}  # by sample: a model that judges it, or did
        self._replayed: dict[tuple[object, ...], Sample] = {}
        self._lock = threading.RLock()  # of the traces: a thread that was given up may still be at work
        self._all = list(self.samples)  # in the order of the run
        self._teaches: dict[str, Teaching | None] = {}  # by sample
        self._alike: dict[str, list[Sample]] = {}  # by the sample that stands for them
        self._open: set[str] = set()  # samples whose like stand in the queue, too
        self._last: str | None = None  # the sample that was in front last, where the queue is empty
        self.blind = self.blind or self.settings.blind
        if self.settings.order != "run":
            self.place = len(self.samples)  # nobody saw one yet: none is in front, and the queue begins at its first
            self.set_order(self.settings.order)

    @property
    def current(self) -> Sample | None:
        """The current sample, as the run has it."""
        return self.samples[self.place] if self.place < len(self.samples) else None

    @property
    def of_run(self) -> int:
        """Number of samples without a query."""
        return len(self._all)

    def show(self, sample: Sample) -> Shown:
        """Returns the sample with the reviewers' changes. A moved mark is replayed again. Raises `InputError`."""
        standing = self.standing(sample)
        with self._lock:
            trace = self.traces.of(sample)
            known = self._effective(sample, standing)
            progress = trace.known_progress(sample)
        if standing is not None and standing.thought is not None:
            known = replace(known, thought=standing.thought)
        turns = turns_of(trace.tree, known)
        with self._lock:
            faults = trained_of(trace.tree, known, turns, StateWalk(trace.tree, trace.replayer)).faults
        return Shown(
            known,
            turns,
            trace.tree,
            faults=faults,
            hidden=self.hidden(sample),
            own_mark=standing is not None and standing.mark is not None,
            decided=standing,
            progress=progress or (),
            by_model=(model.name, tuple(model.judgements)) if (model := self.by_model.get(sample.id)) else None,
            people=[mark for mark in people_marks(self.decisions, sample.id) if self._speaks(mark[0])],
            counts=self.counts(),
            like=self.like(sample),
        )

    def _effective(self, sample: Sample, standing: Decided | None) -> Sample:
        mark = standing.mark if standing is not None and standing.mark is not None else sample.mark
        repair = standing.repair.path if standing is not None and standing.repair is not None else ""
        back = tuple(standing.uncut) if standing is not None else ()
        known = self._replayed.get((sample.id, mark, repair, back))
        if known is None:
            trace = self.traces.of(sample)
            unsaid = replace(standing, thought=None) if standing is not None else None
            known = effective(sample, unsaid, trace.tree, trace.replayer)
            self._replayed[sample.id, mark, repair, back] = known
        return known

    def hidden(self, sample: Sample) -> bool:
        """Whether blind mode still hides the verifier's mark and the replay verdict."""
        return self.blind and self.verdict(sample) is None

    def _speaks(self, reviewer: str) -> bool:
        """Whether this reviewer's decisions count; in blind mode only one's own do."""
        return not self.blind or reviewer == self.decisions.reviewer

    def standing(self, sample: Sample) -> Decided | None:
        """Returns the decisions in force on a sample (in blind mode: only this reviewer's)."""
        current = self.decisions.current().get(sample.id)
        if not self.blind or current is None:
            return current
        return fold_one(sample.id, filter(lambda line: self._speaks(line.reviewer), self.decisions.lines_of(sample.id)))

    def judge(self, sample: Sample) -> bool:
        """Ask the verifier `progress` about a sample; False where it gave nothing new, or is being asked already.

        May take long, and blocks nothing.
        """
        with self._lock:
            trace = self.traces.of(sample)
        return trace.known_progress(sample) is None and bool(trace.by_progress(sample))

    def prefetch(self) -> None:
        """Make ready what comes next, by going on and by deciding, so that it is there at once.

        What others decided meanwhile is taken up. Raises `InputError`.
        """
        self.decisions.refresh()
        for place in {self.place + 1, self._next_undecided()}:
            if place is not None and place < len(self.samples):
                self.show(self.samples[place])
                self.judge(self.samples[place])

    def close(self) -> None:
        """Closes the environments."""
        with self._lock:
            self.traces.close()

    # -- the queue ---------------------------------------------------------------------------------

    def set_order(self, order: Order) -> None:
        """Changes the order of the queue and keeps the current sample. Raises `InputError`."""
        self._set_queue(self.query, order)

    def set_query(self, query: str) -> None:
        """Limits the queue to a query and keeps the current sample if it matches. Raises `InputError`."""
        self._set_queue(query, self.order)

    def _set_queue(self, query: str, order: Order) -> None:
        current = self.decisions.current()
        chosen = ordered(select(self._all, current, query), current, order)
        front = self.current.id if self.current is not None else self._last
        self._alike = alike(chosen, current, self._teaches) if not query else {}
        stands_for = {each.id: first for first, others in self._alike.items() for each in others}
        if front in stands_for:
            self._open.add(stands_for[front])
        queue: list[Sample] = []
        for sample in chosen:
            if sample.id not in stands_for:
                queue.append(sample)
                queue += self._alike[sample.id] if sample.id in self._open and sample.id in self._alike else ()
        self.samples, self.order, self.query, self._last = queue, order, query, front
        self.place = next((place for place, sample in enumerate(queue) if sample.id == front), 0)

    # -- samples that teach the same ---------------------------------------------------------------

    def fold(self, tree_of: Callable[[Sample], SearchTree | None] = lambda sample: None) -> None:
        """From now on samples that teach the same are one place of the queue. `tree_of` as `alike` needs it."""
        self._teaches = {
            sample.id: teaching(sample, tree_of(sample)) for sample in self._all if sample.id not in self.planted
        }
        self._set_queue(self.query, self.order)

    def like(self, sample: Sample) -> tuple[int, bool]:
        """Returns how many other samples teach the same as one in the queue, and whether they are in the queue, too."""
        for first, others in self._alike.items():
            if sample.id == first or any(each.id == sample.id for each in others):
                return len(others), first in self._open
        return 0, False

    @property
    def folded(self) -> int:
        """Number of samples that are folded behind others."""
        return sum(len(others) for first, others in self._alike.items() if first not in self._open)

    def toggle_like(self) -> int:
        """Puts the samples that teach the same as the current one into the queue, or folds them again. Returns how
        many these are."""
        front = self.current
        for first, others in self._alike.items():
            if front is not None and (front.id == first or any(each.id == front.id for each in others)):
                self._open ^= {first}
                if first not in self._open:  # the one in front may be one of those that go
                    self.place = next(place for place, sample in enumerate(self.samples) if sample.id == first)
                self._set_queue(self.query, self.order)
                return len(others)
        return 0

    def decide_all(self, verdict: DecisionVerdict, reason: str = "") -> int:
        """Decides all samples of the queue except planted ones, as one undo step. Returns their number."""
        ids = [sample.id for sample in self.samples if sample.id not in self.planted]
        return len(self.decisions.decide_all(ids, verdict, reason=reason))

    # -- repairing ---------------------------------------------------------------------------------

    def reobserve(self, sample: Sample) -> None:
        """Drops the cached replay of a sample: the next one runs in a newly opened environment."""
        with self._lock:
            for key in [key for key in self._replayed if key[0] == sample.id]:
                del self._replayed[key]
            trace = self.traces.of(sample)
            trace.reopen()
            stored = next(each for each in self._all if each.id == sample.id)
            again = replace(stored, replay=replay_sample(trace.tree, stored, trace.replayer))
            for samples in (self.samples, self._all):
                samples[:] = [again if each.id == sample.id else each for each in samples]

    def costs(self, sample: Sample) -> tuple[str, str]:
        """Returns the estimated cost of a replay and of a repair search, a line each. Raises `InputError`."""
        with self._lock:
            tree = self.traces.of(sample).tree
        return reobserve_cost(tree, sample), repair_cost(tree, RepairSettings())

    def repair_search(self, sample: Sample) -> SearchSettings:
        """Returns the settings of a repair search. Raises `InputError`."""
        with self._lock:
            return search_settings(self.traces.of(sample).tree, RepairSettings())

    def search_again(
        self, shown: Sample, control: Control, heard: Callable[[AnyEvent], None], own: TrustedSettings = ()
    ) -> str:
        """Search a new tail from just after the wrong step; a tail that holds becomes a decision. Returns one line
        about the result. Raises `InputError`, `WorkFailed`.

        `shown`: the sample. `control`: stops the search from another thread. `heard`: called with each event of the
        search. `own`: settings that the user gave, whose servers are trusted.
        """
        figures = Repairs()
        with self._lock:
            trace = self.traces.of(shown)
        replayer = trace.fresh_replayer()
        try:
            mended = repair_sample(
                trace.tree,
                replace(shown, tail=None),
                replayer,
                self.workspace.traces / REPAIRS,
                RepairSettings(),
                figures,
                control=control,
                listener=heard,
                own=own,
            )
        finally:
            replayer.close()
        if mended.tail is None:
            return f"not repaired: {', '.join(figures.failed)} ({many(figures.calls, 'call')})"
        self.decisions.decide(shown.id, repair=mended.tail)  # the mark stays whose it is
        steps, calls = many(len(mended.tail.steps), "step"), many(figures.calls, "call")
        return f"repaired: {steps} to return {mended.tail.score:g} ({calls})"

    # -- what was decided --------------------------------------------------------------------------

    def verdict(self, sample: Sample) -> DecisionVerdict | None:
        """Returns the decision on a sample (in blind mode: only this reviewer's)."""
        decided = self.decisions.current().get(sample.id)
        if decided is None or not self.blind:
            return decided.verdict if decided is not None else None
        return decided.by_reviewer.get(self.decisions.reviewer)

    def note(self, sample: Sample) -> str:
        """Sets this reviewer's comment on a sample."""
        standing = self.decisions.current().get(sample.id)
        return (standing.note or "") if standing else ""

    def tags(self, sample: Sample) -> list[str]:
        """Sets this reviewer's tags on a sample."""
        standing = self.decisions.current().get(sample.id)
        return standing.tags if standing else []

    def all_tags(self) -> list[str]:
        """Returns all tags in use, sorted."""
        return sorted({tag for standing in self.decisions.current().values() for tag in standing.tags})

    def counts(self) -> Counts:
        """Returns the counts of verdicts in the queue."""
        verdicts = [self.verdict(sample) for sample in self.samples]
        return Counts(*(verdicts.count(verdict) for verdict in ("accepted", "rejected", "skipped", None)))

    def go(self, by: int) -> None:
        """Moves forwards or backwards within the queue."""
        self.place = max(0, min(len(self.samples) - 1, self.place + by))

    def go_to_next_undecided(self) -> bool:
        """Goes to the next sample without a verdict, past the end if needed. Returns False if there is none."""
        place = self._next_undecided()
        if place is not None:
            self.place = place
        return place is not None

    def _next_undecided(self) -> int | None:
        count = len(self.samples)
        for step in range(1, count + 1):
            place = (self.place + step) % count
            if self.verdict(self.samples[place]) is None:
                return place
        return None

    def find(self, wanted: Callable[[Sample], bool]) -> bool:
        """Goes to the first sample of a kind, also to a folded one. Returns False if there is none."""
        for place, sample in enumerate(self.samples):
            if wanted(sample):
                self.place = place
                return True
        for first, others in self._alike.items():
            if first not in self._open and (hidden := next(filter(wanted, others), None)) is not None:
                self._open.add(first)
                self._set_queue(self.query, self.order)
                self.place = next(place for place, sample in enumerate(self.samples) if sample.id == hidden.id)
                return True
        return False

    def move_mark(self, shown: Sample, by: int) -> bool:
        """Move the mark; it stays after the fork and on the bad trajectory. False where it can't go there.

        Who is blind starts from either end, not from where the verifier put it.
        """
        standing = self.standing(shown)
        unseen = self.hidden(shown) and (standing is None or standing.mark is None)
        if unseen:
            now = shown.bad_depth + 1 if by < 0 else shown.fork_depth
        else:
            now = shown.mark if shown.mark is not None else shown.bad_depth + (1 if by < 0 else 0)
        return self.put_mark(shown, now + by)

    def put_mark(self, shown: Sample, mark: int) -> bool:
        """Sets the mark to a step of the bad trajectory, counted from 1; otherwise as `move_mark`."""
        if not shown.fork_depth < mark <= shown.bad_depth:
            return False
        self.decisions.decide(shown.id, mark=mark)
        return True

    def take_back(self, sample: Sample, node: int) -> bool:
        """Restores a step that was left out, or leaves it out again. Returns whether it is restored now."""
        standing = self.standing(sample)
        back = list(standing.uncut) if standing is not None else []
        now = [id for id in back if id != node] if node in back else [*back, node]
        self.decisions.decide(sample.id, uncut=now)
        return node in now

    def cuts(self, shown: Sample) -> list[tuple[Cut, bool]]:
        """Returns the steps left out of the sample, in order, and whether a reviewer restored each."""
        standing = self.standing(shown)
        back = set(standing.uncut) if standing is not None else set()
        stored = next((each for each in self._all if each.id == shown.id), shown)
        whole = stored.cut if stored.mark == shown.mark else shown.cut  # another mark: other cuts
        return [(each, each.node in back) for each in whole]

    def next_thought(self, shown: Sample) -> None:
        """Replaces the thought by the next of the list."""
        known = revision_thoughts()
        place = known.index(shown.thought) if shown.thought in known else -1
        self.decisions.decide(shown.id, thought=known[(place + 1) % len(known)])
