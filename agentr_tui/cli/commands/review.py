"""The command `review`: decisions about samples without a screen."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from agentr_tui.cli.options import DECISION, OUTPUT, SAMPLES, JsonOption, RunOption, WorkspaceOption
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.terminal.output import emit_json, say, table, warn
from engine.base.errors import InputError
from engine.base.text import many
from engine.environment.replay import Replayer, opener
from engine.review.agreement import Planted, agreement, defect_rate, hit_rates, keep_planted, plant, read_planted
from engine.review.curation import REJECT_REASONS, UNDECIDED, Order, decision_of, effective, ordered, reviewable, tally
from engine.review.decisions import Decided, Decisions, DecisionVerdict
from engine.review.sample_query import select
from engine.samples.sample import Sample, turns_of
from engine.tree.tree import SearchTree
from engine.workspace.sample_tree import check_same_trace, load_tree
from engine.workspace.workspace import Selection, Workspace

Action = Literal[
    "list", "next", "accept", "reject", "skip", "note", "tag", "undo", "redo", "stats", "agreement", "plant"
]
VERDICTS: dict[str, DecisionVerdict] = {"accept": "accepted", "reject": "rejected", "skip": "skipped"}
FOLDER = "planted"
"""Folder of a workspace that remembers what was planted."""


def review(
    action: Annotated[Action, Parameter(help="What to do. The default lists samples.")] = "list",
    /,
    *words: Annotated[str, Parameter(help="Sample ids, or a query such as: verdict:diverged mark<3 text~plank.")],
    run: RunOption = None,
    reason: Annotated[
        str, Parameter(group=DECISION, show_default=False, help="Reason of a rejection: one of the list, or your own.")
    ] = "",
    note: Annotated[str | None, Parameter(group=DECISION, help="Comment on the samples.")] = None,
    tags: Annotated[
        list[str] | None,
        Parameter(group=DECISION, name="--tag", help="Tag that replaces the samples' tags. Repeatable."),
    ] = None,
    order: Annotated[
        Order, Parameter(group=SAMPLES, help="Order in which samples are listed, and in which `next` takes them.")
    ] = "run",
    seed: Annotated[int, Parameter(group=SAMPLES, help="Seed of the order stratified, and of `plant`.")] = 0,
    blind: Annotated[
        bool, Parameter(group=SAMPLES, help="Hide the verifier's mark and the verdict of undecided samples.")
    ] = False,
    share: Annotated[
        float, Parameter(group=DECISION, help="Number of faulty copies that `plant` makes, as a share of the samples.")
    ] = 0.05,
    limit: Annotated[int | None, Parameter(group=OUTPUT, help="Maximum samples to list.")] = None,
    reasons: Annotated[
        list[str] | None,
        Parameter(group=DECISION, help="Further reason to reject, besides those of the list. Repeatable."),
    ] = None,
    reviewer: Annotated[
        str | None,
        Parameter(group=DECISION, help="Name of the reviewer. The default is AGENTR_REVIEWER, else your user name."),
    ] = None,
    json: JsonOption = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """List, accept and reject samples without a screen, and print figures of the review."""
    place = Workspace.open(workspace)
    decisions = Decisions(place.decisions, reviewer)
    for warning in decisions.warnings:
        warn(warning)
    if action in ("undo", "redo"):
        return _take_back(decisions, action, json)
    info = place.select(run)
    samples = info.samples
    for warning in info.warnings:
        warn(warning)
    query = " ".join(words)
    if action in ("stats", "agreement"):
        return _stats(place, info, named(samples, decisions, words), decisions, json)
    if action == "plant":
        return _plant(place, info, select(samples, decisions.current(), query), share, seed, json)
    if action == "list":
        found = ordered(named(samples, decisions, words), decisions.current(), order, seed)
        return _list(info, found[:limit], len(found), decisions, blind, json)
    if action == "next":
        return _next(place, info, samples, words, decisions, order, seed, blind, json)
    if not query:
        raise InputError(f"review {action}: name samples by id or query, e.g. agentr review {action} kind:revision")
    if action == "reject" and not reason:
        known = "; ".join(dict.fromkeys([*REJECT_REASONS, *(reasons or ())]))
        raise InputError(f"review reject needs a --reason, your own or one of: {known}")
    if action == "note" and note is None:
        raise InputError("review note needs a --note")
    if action == "tag" and tags is None:
        raise InputError("review tag needs a --tag; --tag '' takes all off")
    known_plants = [each.sample for each in _planted(place, info)]
    chosen = named([*samples, *known_plants] if are_ids(words) else samples, decisions, words)
    lines = decisions.decide_all(
        [sample.id for sample in chosen],
        VERDICTS.get(action),
        reason=reason if action == "reject" else "",
        note=note,
        tags=tags,
    )
    did = VERDICTS.get(action, "noted" if action == "note" else "tagged")
    if json:
        emit_json({"run": info.name, "done": did, "samples": [line.sample for line in lines]})
    else:
        say(
            f"{many(len(lines), 'sample')} {did}; agentr review undo takes it back"
            if lines
            else "no sample matches: nothing was changed"
        )
    return 0


def are_ids(words: Sequence[str]) -> bool:
    """Whether all words look like ids of samples."""
    return bool(words) and all(len(word) == 12 and not set(word) - set("0123456789abcdef") for word in words)


def named(samples: Sequence[Sample], decisions: Decisions, words: Sequence[str]) -> list[Sample]:
    """Returns the samples that ids or a query name. Raises `InputError` for an id that is missing.

    `samples`: of the run. `decisions`: a query may be about them. `words`: ids, or the words of a query; empty: all
    samples.
    """
    if not are_ids(words):
        return select(samples, decisions.current(), " ".join(words))
    by_id = {sample.id: sample for sample in samples}
    missing = [word for word in words if word not in by_id]
    if missing:
        raise InputError(f"no sample {missing[0]} in this run: `agentr review list` names them")
    return [by_id[word] for word in dict.fromkeys(words)]


def _heard(decisions: Decisions, blind: bool) -> Mapping[str, Decided]:
    """What holds; to who is blind only what they said themselves."""
    return decisions.said_by(decisions.reviewer) if blind else decisions.current()


def _row(sample: Sample, current: Mapping[str, Decided], blind: bool) -> dict[str, Any]:
    decided = current.get(sample.id)
    verdict = decision_of(sample.id, current)
    hidden = blind and verdict == UNDECIDED
    mark = decided.mark if decided is not None and decided.mark is not None else None if hidden else sample.mark
    return {
        "id": sample.id,
        "kind": sample.kind,
        "env": sample.environment,
        "task": sample.task,
        "good": sample.good,
        "bad": sample.bad,
        "fork": sample.fork_depth,
        "mark": mark,
        "verdict": None if hidden else sample.verdict,
        "decision": verdict,
        "reason": decided.reason if decided else "",
        "reviewer": decided.reviewer if decided else "",
        "note": decided.note if decided else None,
        "tags": decided.tags if decided else [],
    }


def _list(info: Selection, samples: list[Sample], count: int, decisions: Decisions, blind: bool, json: bool) -> int:
    current = _heard(decisions, blind)
    rows = [_row(sample, current, blind) for sample in samples]
    if json:
        emit_json({"run": info.name, "count": count, "samples": rows})
        return 0
    names = ("id", "kind", "task", "good", "bad", "fork", "mark", "verdict", "decision", "reason", "tags")
    table(names, [[_cell(row[name]) for name in names] for row in rows], right=range(3, 7))
    more = f", {count - len(rows)} more" if count > len(rows) else ""
    say(f"{info.told}: {many(len(rows), 'sample')}{more}")
    return 0


def _cell(value: object) -> str:
    if value is None or value == "":
        return "–"
    return " ".join(value) or "–" if isinstance(value, list) else str(value)


def _planted(place: Workspace, info: Selection) -> list[Planted]:
    """What was planted among the samples of a run; lines that can't be read are told."""
    warnings: list[str] = []
    found = [each for each in read_planted(place.path / FOLDER, warnings) if each.run in info.ids]
    for warning in warnings:
        warn(warning)
    return found


def _queue(place: Workspace, info: Selection, samples: Sequence[Sample], seed: int) -> list[Sample]:
    """Samples to look at, good trajectories aside, and what was planted among them."""
    queue = reviewable(samples)
    rng = random.Random(f"{seed}/queue")
    for each in _planted(place, info):
        queue.insert(rng.randint(0, len(queue)), each.sample)
    return queue


def _next(
    place: Workspace,
    info: Selection,
    samples: Sequence[Sample],
    words: Sequence[str],
    decisions: Decisions,
    order: Order,
    seed: int,
    blind: bool,
    json: bool,
) -> int:
    current = _heard(decisions, blind)
    queue = ordered(named(_queue(place, info, samples, seed), decisions, words), current, order, seed)
    sample = next((each for each in queue if decision_of(each.id, current) == UNDECIDED), None)
    if sample is None:
        if json:
            emit_json({"run": info.name, "sample": None})
        else:
            say("every sample is decided")
        return 0
    environment = info.environment_of(sample)
    tree = load_tree(place, sample, environment)
    check_same_trace(tree, sample)
    replayer = Replayer(tree, opener(tree, environment))
    try:
        shown = effective(sample, current.get(sample.id), tree, replayer)
    finally:
        replayer.close()
    turns = [turn for turn in turns_of(tree, shown) if turn.part != "header"]
    if json:
        messages = [{"role": turn.role, "content": turn.said, "loss": turn.loss, "part": turn.part} for turn in turns]
        emit_json({"run": info.name, "sample": _row(shown, current, blind), "turns": [] if blind else messages})
        return 0
    row = _row(shown, current, blind)
    say("  ".join(f"{name} {_cell(row[name])}" for name in ("id", "kind", "task", "fork", "mark", "verdict")))
    say(f"goal: {shown.instruction}")
    if blind:
        leaf = shown.good if shown.bad is None else shown.bad  # a recovery goes wrong and on in one trajectory
        for step, id in enumerate(tree.ancestors(leaf)[1:], 1):
            say(f"{step:>3} {tree.nodes[id].action}")
            say(f"    {tree.nodes[id].observation}")
        return 0
    for turn in turns:
        sign = "env    " if turn.role != "assistant" else "trained" if turn.loss else "masked "
        for part in turn.said.splitlines():
            say(f"{sign} {part}")
    return 0


def _take_back(decisions: Decisions, action: str, json: bool) -> int:
    """Undo or redo what this reviewer decided last, in whatever process."""
    decisions.recall()
    lines = decisions.undo() if action == "undo" else decisions.redo()
    if json:
        emit_json({"done": action, "samples": [line.sample for line in lines]})
    elif not lines:
        say(f"nothing to {action} for {decisions.reviewer}")
    else:
        said = lines[0].verdict or ("a mark" if lines[0].mark is not None else "a note, tag or thought")
        say(f"{'took back' if action == 'undo' else 'decided again'}: {said} on {many(len(lines), 'sample')}")
    return 0


def _stats(place: Workspace, info: Selection, samples: Sequence[Sample], decisions: Decisions, json: bool) -> int:
    current = decisions.current()
    mine = reviewable(samples)
    count, good = tally(mine, current), tally((each for each in samples if each.kind == "good"), current)
    rate, agreed = defect_rate(mine, current), agreement(mine, current)
    hits = hit_rates(_planted(place, info), decisions.lines_of)
    reasons = Counter(
        decided.reason
        for sample in mine
        if (decided := current.get(sample.id)) is not None and decided.verdict == "rejected" and decided.reason
    )
    if json:
        told = {
            "run": info.name,
            "samples": len(mine),
            "tally": count,
            "good": good,
            "reasons": dict(reasons.most_common()),
        }
        emit_json({**told, "defect_rate": rate, "agreement": agreed, "planted": hits})
        return 0
    say(f"{info.told}: {many(len(mine), 'sample')}, {count.decided} decided")
    say(f"  {count.accepted} accepted, {count.rejected} rejected, {count.skipped} skipped, {count.disputed} disputed")
    for reason, number in reasons.most_common():
        say(f"    {number} {reason}")
    if good_count := good.decided + good.undecided:
        aside = many(good_count, "good trajectory", "good trajectories")
        say(f"  {aside} aside, {good.decided} decided: {good.accepted} accepted, {good.rejected} rejected")
    say(f"  defect rate {rate.line}")
    if agreed.both:
        alpha = "not defined" if agreed.alpha is None else f"{agreed.alpha:.3f}"
        same = f"{agreed.same} of {agreed.both} samples with several verdicts agree"
        say(f"  agreement: Krippendorff's alpha {alpha}; {same}")
    else:
        say("  agreement: no sample has verdicts of several reviewers")
    for hit in hits:
        say(f"  planted faults: {hit.reviewer} found {hit.found} of {hit.shown}")
    return 0


def _plant(place: Workspace, info: Selection, samples: Sequence[Sample], share: float, seed: int, json: bool) -> int:
    made = []
    by_path: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.bad is not None:
            by_path.setdefault(sample.path, []).append(sample)
    for group in by_path.values():
        tree: SearchTree = load_tree(place, group[0], info.environment_of(group[0]))
        for sample in group:
            check_same_trace(tree, sample)
        made += plant(tree, group, info.run_of(group[0]).id, share, seed)
    keep_planted(place.path / FOLDER, made)
    kinds = Counter(each.fault for each in made)
    if json:
        emit_json({"run": info.name, "planted": len(made), "faults": dict(kinds)})
    else:
        say(f"{len(made)} faulty copies were added to the queue of {info.told}; no export includes them")
    return 0
