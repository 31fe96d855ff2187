"""Loads a review: chooses the run, and adds planted faults to its samples. Does not import Textual."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from agentr_tui.state.review.queue import Review
from agentr_tui.state.review.traces import Traces
from engine.base.errors import InputError
from engine.base.untrusted_files import real_path
from engine.pairs.pairs import Pair
from engine.review.agreement import read_planted
from engine.review.curation import review_settings, reviewable
from engine.review.decisions import Decisions
from engine.samples.lessons import known_lessons
from engine.samples.revise import revise
from engine.samples.settings import Revised, ReviseSettings
from engine.trace.sources import load_any
from engine.tree.thresholds import Thresholds
from engine.verifiers.default_verifier import DEFAULT, verifier_for
from engine.workspace.workspace import RunInfo, Selection, Workspace

MAX_PAIRS = 2_000
"""Maximum pairs for samples that the app makes itself; `agentr revise` has no limit."""

PLANTED = "planted"
"""Folder of a workspace that records its planted faults."""


Progress = Callable[[int, int], None]
"""Called with the samples that were made, and with an estimate of how many there will be; 0: not known."""


def load_review(
    workspace: Workspace,
    decisions: Decisions,
    path: Path | None,
    settings: ReviseSettings,
    pair: Pair | None,
    told: Progress = lambda made, of: None,
) -> Review:
    """Returns the review of a tree: the newest run over it that is newer than it, else a new run. Raises `InputError`.

    In front is the sample of the pair, else the first of the tree that nobody decided about. The tree is read from its
    file: it is not the one on screen, which another thread changes.

    `workspace`: holds runs and traces. `decisions`: of the workspace. `path`: of the tree; None: the newest run of each
    trace. `settings`: of a new run. `pair`: the one chosen on screen. `told`: called for every sample that is made; an
    error that it raises ends the making, and nothing is written.
    """
    decisions.refresh()
    if path is None:
        chosen = workspace.select()
        review = _review_of(workspace, decisions, chosen, Traces(workspace, chosen.environment_of))
        review.find(lambda each: review.verdict(each) is None)
        return review
    source = load_any(path)
    started = source.tree.started
    assert started is not None
    resolved = str(real_path(path))
    info = _run_over(workspace, path, settings)
    if info is not None:
        environment = info.settings.environment
        traces = Traces(workspace, lambda sample: environment)
        if info.settings.environment is None:
            traces.know(resolved, source.tree)
        review = _review_of(workspace, decisions, workspace.select(info.id), traces)
        review.warnings[:0] = source.warnings
        if _go_to(review, started.trace, pair):
            return review
        if pair is None:
            return _nothing(workspace, decisions, info.id)
    settings = replace(settings, max_pairs=MAX_PAIRS)
    if settings.verifier == DEFAULT:
        settings = replace(settings, verifier=verifier_for([(path, started)], settings.environment, ())[0])
    if pair is not None:  # the sample of this very pair is wanted, whatever else teaches the same
        settings = replace(settings, rank="fork", per_lesson=0)
    figures = Revised()
    thresholds = Thresholds.for_range(started.score_range, settings.alpha, settings.beta)
    of = len(known_lessons(source.tree, thresholds)) if settings.rank == "lesson" else 0
    made = []
    told(0, of)
    for sample in revise(source.tree, resolved, settings, figures):
        made.append(sample)
        told(len(made), of)
    if all(sample.kind == "good" for sample in made):  # a run would hide one that has samples
        return _nothing(workspace, decisions, "")
    with workspace.new_run(settings, [resolved]) as run:
        run.figures = figures
        for sample in made:
            run.add(sample)
    traces = Traces(workspace)
    traces.know(resolved, source.tree)
    review = _review_of(workspace, decisions, workspace.select(run.id), traces)
    review.warnings[:0] = source.warnings
    if not _go_to(review, started.trace, pair) and pair is not None:
        raise InputError(
            "this pair is not among the samples: its leaves differ too little for alpha and beta, no clean way leads on"
            f" from its wrong step, or more than {MAX_PAIRS} pairs come before it"
        )
    return review


def _nothing(workspace: Workspace, decisions: Decisions, run: str) -> Review:
    """Returns the review of a tree without samples."""
    return Review(workspace, run, [], decisions, Traces(workspace), settings=review_settings(workspace.settings_file))


def _review_of(workspace: Workspace, decisions: Decisions, chosen: Selection, traces: Traces) -> Review:
    warnings: list[str] = decisions.warnings
    samples = reviewable(chosen.samples)
    planted = [each for each in read_planted(workspace.path / PLANTED, warnings) if each.run in chosen.ids]
    for each in planted:  # wherever chance puts them
        samples.insert(random.Random(each.id).randint(0, len(samples)), each.sample)
    review = Review(
        workspace,
        chosen.name,
        samples,
        decisions,
        traces,
        warnings=list(chosen.warnings),
        settings=review_settings(workspace.settings_file),
        planted=frozenset(each.id for each in planted),
    )
    if review.settings.fold:
        review.fold(traces.known)
    return review


def _go_to(review: Review, trace: str, pair: Pair | None) -> bool:
    """Goes to the sample of a pair, else to the first undecided sample of a trace, else to its first.

    Returns False if the trace has no sample.
    """
    if pair is not None:
        return review.find(lambda each: (each.trace, each.good, each.bad) == (trace, pair.good, pair.bad))
    return review.find(lambda each: each.trace == trace and review.verdict(each) is None) or review.find(
        lambda each: each.trace == trace
    )


def _run_over(workspace: Workspace, path: Path, settings: ReviseSettings) -> RunInfo | None:
    """Returns the newest finished run with these alpha and beta that read the file after its last change, or None."""
    resolved = str(real_path(path))
    changed = os.stat(path).st_mtime
    for info in workspace.runs():
        asked = ((settings.alpha, info.settings.alpha), (settings.beta, info.settings.beta))
        if any(mine is not None and mine != its for mine, its in asked):
            continue
        if info.sealed and any(str(real_path(known)) == resolved for known in info.paths):
            return info if os.stat(info.file).st_mtime >= changed else None
    return None
