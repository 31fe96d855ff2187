"""Would it recover? A pane of the Revision screen: continuations with and without the revision thought, live.

A thread makes them, so that the person can go on reviewing. What is known about a sample is read from the workspace
when the sample is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace
from textual.timer import Timer

from agentr_tui.screens.revision.recovery_lines import curve_told, recovery_lines, recovery_told
from agentr_tui.screens.shared.dialogs import Choice, ask, ask_text, trusted
from agentr_tui.screens.shared.loud_workers import line_of
from agentr_tui.screens.shared.mode_screen import ModeScreen
from agentr_tui.state.review.shown_sample import Shown
from agentr_tui.widgets.partial_repaint import plain_title
from agentr_tui.widgets.text_pane import Line, TextPane, line
from engine.base.text import many
from engine.environment.permission import check_search
from engine.recovery.continuation_figures import MarkFigures
from engine.recovery.continuation_plan import (
    Mark,
    Price,
    RecoverySettings,
    actor_settings,
    figures_of,
    marks_of,
    named_server,
    newest,
    price_of,
)
from engine.recovery.continuation_store import Recoveries
from engine.recovery.continuations import Progress, Recovery
from engine.search.control import Control
from engine.tree.events import SearchSettings

COUNTS = (4, 8, 16, 32, 64)
"""Continuations to choose from."""

DEEPER = 10  # steps by which the depth limit is raised


@dataclass
class Job:
    """Continuations that are being made."""

    sample: str
    mark: int | None
    control: Control = field(default_factory=Control)
    progress: Progress | None = None  # the newest, whole; written by the thread that makes them


class KnownRecovery(NamedTuple):
    """What is known about a sample before any call."""

    sample: str
    settings: RecoverySettings
    actor: SearchSettings  # who would go on now
    marks: list[Mark]
    figures: list[MarkFigures]
    shown: tuple[SearchSettings, list[MarkFigures]]  # the same, or the newest figures where that actor has none yet
    own: Mark | None  # the sample's; None: it has none
    at_mark: Price
    everywhere: Price


class RecoveryPane(TextPane):
    """What continuations say of the sample in front; hidden where there are none."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: Shown | None = None
        self._folder = Path()
        self._alpha: float | None = None
        self._known: KnownRecovery | None = None
        self._refused = ""  # why nothing can be asked
        self._chosen: RecoverySettings | None = None  # the continuing actor, where a person chose one
        self._typed = RecoverySettings()  # as far as a person typed it
        self._count = 8
        self._job: Job | None = None
        self._ticking: Timer | None = None

    # -- the sample in front -----------------------------------------------------------------------

    def clear(self) -> None:
        """No sample is in front."""
        self._shown = self._known = None
        self._draw()

    def show(self, shown: Shown, folder: Path, alpha: float | None) -> None:
        """Show another sample, or the same one changed.

        `shown`: the sample. `folder`: keeps continuations. `alpha`: a return above it is a recovery; None: the default.
        """
        if self._shown is None or self._shown.sample.id != shown.sample.id:
            self._known = None
        self._shown, self._folder, self._alpha = shown, folder, alpha
        if shown.veiled or shown.sample.bad is None:  # the curve would tell where the mark is
            self._known = None
            self._draw()
        else:
            self._look()

    def _look(self, then: Callable[[], None] = lambda: None) -> None:
        """Read what is known of the sample in front, beside the screen."""
        shown = self._shown
        if shown is None:
            return
        chosen, folder, alpha, count = self._chosen, self._folder, self._alpha, self._count

        def look() -> None:
            found, why = None, ""
            try:
                found = _known(shown, folder, alpha, chosen, count)
            except Exception as error:  # also one that nobody foresaw
                why = line_of(self.app, error)
            if self.app.is_running:
                self.app.call_from_thread(self._looked, shown, found, why, then)

        self.run_worker(look, group="recovery-look", thread=True, exclusive=True, exit_on_error=False)

    def _looked(self, shown: Shown, found: KnownRecovery | None, why: str, then: Callable[[], None]) -> None:
        if self._shown is not None and self._shown.sample == shown.sample:  # closing a dialog shows the sample anew
            self._known, self._refused = found, why
            self._draw()
            then()

    def _draw(self) -> None:
        """The running continuations where they are this sample's, else what is known."""
        job, shown, known = self._job, self._shown, self._known
        sample = shown.sample if shown is not None else None
        mine = job is not None and sample is not None and job.sample == sample.id
        who: SearchSettings | None = None
        figures: Sequence[MarkFigures] = []
        if known is not None:
            who, figures = (known.actor, known.figures) if mine else known.shown
        if mine and job is not None and job.progress is not None:
            new = {each.mark: each for each in job.progress.figures}
            figures = [new.get(each.mark, each) for each in figures]
        tried = any(each.without.of or each.thought.of for each in figures)
        self.set_class(tried or job is not None, "-shown")
        self.border_title = plain_title("would it recover?" + (f" · {_who(who)}" if who is not None else ""))
        head = _running_lines(job, mine)
        if who is None or sample is None or not (tried or mine):
            self.set_lines(head, keep_scroll=True)
            return
        mark, actor = sample.mark, who.actor
        self.set_lines(lambda width: [*head, *recovery_lines(figures, mark, actor, width)], keep_scroll=True)

    # -- asking ------------------------------------------------------------------------------------

    def ask(self) -> None:
        """The menu, each choice with its price; of running continuations: stop them."""
        job, shown, known = self._job, self._shown, self._known
        if job is not None:
            calls = job.progress.calls if job.progress is not None else 0
            stop = Choice("S", f"stop ({many(calls, 'call')} so far; they are kept)", job.control.stop)
            ask(self.app, f"Sample {job.sample} is being continued.", [stop, _leave("let it go on")])
            return
        if shown is None:
            return
        if shown.veiled:
            self.notify("Blind mode: mark the first wrong step first (J, K).", severity="warning")
            return
        another = Choice("x", "another actor …", self._ask_actor)
        if known is None or known.sample != shown.sample.id:
            told = self._refused or "still reading what is known: once more, please"
            self.notify(told, severity="warning", markup=False)
            if self._refused:
                ask(self.app, "would it recover?", [another, _leave("leave it")])
            return
        choices = []
        if known.own is not None:
            told = known.own.over or known.at_mark.amount
            choices.append(Choice("m", f"after step {known.own.mark}: {told}", partial(self._go, known.own.mark)))
        first, last = (known.marks[0].mark, known.marks[-1].mark) if known.marks else (0, 0)
        if first < last:
            told = f"after each step from {first} to {last}: {known.everywhere.amount}"
            choices.append(Choice("a", told, partial(self._go, None)))
        more = next((count for count in COUNTS if count > self._count), COUNTS[0])
        told = f"{self._count} continuations each, with the thought and without it: take {more}"
        choices.append(Choice("k", told, partial(self._take, more)))
        deeper = known.actor.max_depth + DEEPER
        told = f"each ends {known.actor.max_depth + 1} steps from the start: let it go on to {deeper + 1}"
        choices.append(Choice("d", told, partial(self._deeper, deeper)))
        ask(self.app, f"would it recover? · {_who(known.actor)}", [*choices, another])

    def _take(self, count: int) -> None:
        self._count = count
        self._look(self.ask)

    def _deeper(self, max_depth: int) -> None:
        if self._known is not None:
            self._chosen = replace(self._known.settings, max_depth=max_depth)
            self._look(self.ask)

    def _ask_actor(self) -> None:
        value = ""
        if self._known is not None:
            value = f"{self._known.actor.actor} {self._known.actor.model} {self._known.actor.base_url}".strip()
        ask_text(self.app, "actor: scripted · openai MODEL [BASE URL] · recorded:FILE", self._choose_actor, value)

    def _choose_actor(self, text: str) -> None:
        words = text.split()
        if not words:
            return
        actor, model, url = (*words, "", "")[:3]
        self._typed = self._chosen = RecoverySettings(actor=actor, model=model or None, base_url=url or None)
        self._look(self.ask)

    # -- making them -------------------------------------------------------------------------------

    def _go(self, mark: int | None) -> None:
        """Make what is missing at that mark; None: at every step after the fork."""
        shown, known = self._shown, self._known
        if shown is None or known is None or self._job is not None:
            return
        marks = [each for each in known.marks if mark in (None, each.mark)]
        if all(each.over for each in marks):
            self.notify(f"{marks[0].over.capitalize()}; press d for a greater depth.", severity="warning")
            return
        price = known.everywhere if mark is None else known.at_mark
        if not price.continuations:
            self.notify("Nothing is missing; press k for more continuations.")
            return
        settings = replace(known.settings, continuations=self._count, alpha=self._alpha)
        screen = self.screen
        assert isinstance(screen, ModeScreen)
        own = [*screen.agentr.session.own, named_server(self._typed), {"actor": self._typed.actor}]
        tree = shown.tree
        assert tree.started is not None
        source = tree.source or shown.sample.path
        check = partial(check_search, known.actor, tree.started, own, source)
        if not trusted(self.app, check, partial(self._go, mark)):
            return
        job = self._job = Job(shown.sample.id, mark)
        self._ticking = self.set_interval(0.1, self._draw)
        self.screen.set_class(False, "-detail")  # in a narrow window: the side where this stands
        self._draw()
        folder = self._folder

        def heard(progress: Progress) -> None:
            """Keeps how far the continuations are, for the next frame."""
            job.progress = progress

        def run() -> None:
            """In a worker thread: make the continuations, and hand over an error's line where they end with one."""
            told = ""
            try:
                written = Recoveries(folder, shown.sample.trace)
                work = Recovery(
                    shown.tree, shown.sample, marks, settings, written, control=job.control, heard=heard, own=own
                )
                job.progress = work.run_blocking()
            except Exception as error:
                told = line_of(self.app, error)
            if self.app.is_running:
                self.app.call_from_thread(self._made, job, told)

        self.run_worker(run, group="recovery", thread=True, exit_on_error=False)

    def _made(self, job: Job, error: str) -> None:
        """It is over."""
        self._job = None
        if self._ticking is not None:
            self._ticking.stop()
        progress = job.progress
        if error:
            self.notify(f"sample {job.sample}: {error}; what was made is kept", severity="error", markup=False)
        elif progress is not None:
            self.notify(_made_told(job, progress), markup=False)
        self._look()

    def on_unmount(self) -> None:
        """Leaving: continuations that are being made stop; what was made stays."""
        if self._job is not None:
            self._job.control.stop()


def _known(
    shown: Shown, folder: Path, alpha: float | None, chosen: RecoverySettings | None, count: int
) -> KnownRecovery:
    """What is known of a sample, and what asking more costs. Raises `InputError`."""
    tree, sample = shown.tree, shown.sample
    known = Recoveries(folder, sample.trace)
    settings = chosen or newest(tree, sample, known)
    actor = actor_settings(tree, settings)
    marks = marks_of(tree, sample, actor.max_depth)
    own = next((mark for mark in marks if mark.mark == sample.mark), None)
    figures = figures_of(tree, sample.thought, marks, actor, known, alpha)
    shown_now = actor, figures
    if not any(each.without.of or each.thought.of for each in figures):  # what there is stays in sight until then
        before = actor_settings(tree, newest(tree, sample, known))
        old_marks = marks_of(tree, sample, before.max_depth)
        shown_now = before, figures_of(tree, sample.thought, old_marks, before, known, alpha)
    return KnownRecovery(
        sample.id,
        settings,
        actor,
        marks,
        figures,
        shown_now,
        own,
        price_of(tree, sample.thought, [own] if own is not None else [], actor, known, count),
        price_of(tree, sample.thought, marks, actor, known, count),
    )


def _who(actor: SearchSettings) -> str:
    return f"{actor.actor} {actor.model}".strip() if actor.actor == "openai" else actor.actor


def _leave(label: str) -> Choice:
    return Choice("escape", label, lambda: None)


def _running_lines(job: Job | None, mine: bool) -> list[Line]:
    if job is None:
        return []
    progress = job.progress
    told = "beginning" if progress is None else (
        f"{progress.ended} of {many(progress.continuations, 'continuation')}, {many(progress.calls, 'call')}"
    )  # fmt: skip
    if progress is not None and progress.cost is not None:
        told += f", ${progress.cost:.4f}"
    if progress is not None and progress.failed:
        told += f", {sum(progress.failed.values())} failed"
    of = "" if mine else f" (sample {job.sample})"
    return [line(("● ", "focus"), (f"{told}{of} · w stops it", "text"), indent=2)]


def _made_told(job: Job, progress: Progress) -> str:
    """What came of it, in a line."""
    told = f"sample {job.sample}: {many(progress.calls, 'call')}"
    if job.control.stop_reason is not None:
        return f"{told}, stopped: the rest goes on from there"
    found = recovery_told(progress.figures[0]) if job.mark is not None else curve_told(progress.figures)
    told = f"{found} ({many(progress.calls, 'call')})"
    if progress.failed:
        failed = [f"{count} answers failed ({kind}): {progress.words[kind]}" for kind, count in progress.failed.items()]
        told += f"; {'; '.join(failed)}"
    return told
