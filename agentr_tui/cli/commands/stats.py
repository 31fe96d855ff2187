"""The command `stats`: figures of traces and rollouts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from agentr_tui.cli.broken_files import BrokenFiles
from agentr_tui.cli.options import OUTPUT, JsonOption, WorkspaceOption
from agentr_tui.cli.rollouts import (
    MapOption,
    MergeOption,
    ReadAsOption,
    RewardOption,
    all_sources,
    options_of,
    parted,
)
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.terminal.output import emit_json, say, table, warn
from engine.base.intervals import three_digits
from engine.base.text import many
from engine.base.untrusted_files import real_path
from engine.explain.forks import ForkOf, fork_line
from engine.explain.forks import forks as forks_of
from engine.trace.sources import find_sources
from engine.tree.answer_counts import answer_words, asks_model
from engine.tree.thresholds import Thresholds
from engine.workspace.figures import TraceFigures, cached_figures, figures, total
from engine.workspace.rates import Rate, rates, verified_in
from engine.workspace.workspace import Workspace

MANY = 32
"""Files of a workspace from which on their figures are taken from its index."""

NONE = "–"
"""A figure that there is not."""


def stats(
    paths: Annotated[
        list[Path], Parameter(help="Traces, tree files, rollouts or folders. Folders are read recursively.")
    ],
    /,
    *,
    read_as: ReadAsOption = None,
    map_: MapOption = None,
    merge: MergeOption = "action",
    reward: RewardOption = None,
    forks: Annotated[
        bool,
        Parameter(
            group=OUTPUT,
            negative="",
            help="List the steps at which failed attempts leave solved ones, the surest first.",
        ),
    ] = False,
    json: JsonOption = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Print figures of traces: nodes, pairs, lessons, what 1,000 calls gave; of rollouts: solved attempts."""
    rows: list[TraceFigures] = []
    answers: list[str] = []
    found_forks: list[list[ForkOf]] = []
    notes: list[str] = []
    broken = BrokenFiles(paths)
    options = options_of(read_as, map_, merge, reward)
    plain, rollouts = parted(paths, options)
    files = find_sources(plain) if plain or not rollouts else []
    indexed = {} if forks else _in_workspace(workspace, files)
    if indexed:
        rows += cached_figures(Workspace(workspace), indexed, lambda path, error: broken.tell(Path(path), error))
    for source in all_sources([path for path in files if path not in indexed], rollouts, options, broken):
        if isinstance(source, TraceFigures):
            rows.append(source)
            found_forks += [[]] if forks else []
            continue
        for warning in source.warnings:
            warn(warning)
        rows.append(figures(source))
        notes += [f"{rows[-1].task}: {note}" for note in source.tree.import_notes]
        if forks:
            started = source.tree.started
            assert started is not None
            found_forks.append(forks_of(source.tree, Thresholds.for_range(started.score_range, None, None)))
        started, counts = source.tree.started, source.tree.answers
        if started is not None and asks_model(started.settings) and (words := answer_words(counts)):
            answers.append(f"{Path(source.path).name}: {many(counts.answers, 'answer')}: {', '.join(words)}")
    summed = total(rows)
    gave = rates(summed, verified_in(Workspace(workspace), rows))
    if json:
        told_rows = [msgspec.to_builtins(row) for row in rows]
        for told_row, ways in zip(told_rows, found_forks, strict=False):
            told_row["forks"] = msgspec.to_builtins(ways)
        emit_json({"traces": told_rows, "total": summed, "rates": gave, **broken.as_json()})
        return broken.code
    _print_figures(rows, bool(summed.attempts))
    for note in notes:
        say(note)
    for row, ways in zip(rows, found_forks, strict=False):
        _say_forks(row, ways)
    for told in answers:
        say(told)
    if summed.lessons:
        depths = _depth_words(summed.lessons_by_depth)
        say(f"{many(len(rows), 'trace')}, {many(summed.lessons, 'lesson')}: {depths}")
    elif len(rows) > 1:
        say(many(len(rows), "trace"))
    for line in _rate_lines(gave):
        say(line)
    return broken.code


MOST_DEPTHS = 8
"""Depths of lessons that are told one by one."""

MOST_FORKS = 10
"""Of each tree so many are printed; `--json` has all."""


def _say_forks(row: TraceFigures, ways: list[ForkOf]) -> None:
    what = "attempts" if row.attempts else "leaves"
    if not ways:
        say(f"{row.task}: no step parts failed {what} from solved ones")
        return
    say(f"{row.task}: where failed {what} leave solved ones")
    for way in ways[:MOST_FORKS]:
        say(f"  {fork_line(way)}  {' '.join(way.action.split())[:80]}")
    if len(ways) > MOST_FORKS:
        say(f"  and {len(ways) - MOST_FORKS} more: --json lists them")


def _in_workspace(workspace: Path, sources: Sequence[Path]) -> dict[Path, None]:
    """Those of many files that lie in the workspace, whose index knows their figures; few are read."""
    if len(sources) < MANY or not workspace.is_dir():
        return {}
    place = real_path(workspace)
    inside = {folder: real_path(folder).is_relative_to(place) for folder in {source.parent for source in sources}}
    return {source: None for source in sources if inside[source.parent]}


def _rate_lines(gave: Mapping[str, Rate]) -> list[str]:
    """What each unit of cost gave, where it is known."""
    lines = []
    for name, unit in (
        ("per_1000_calls", "1,000 calls"),
        ("per_million_tokens", "million tokens"),
        ("per_dollar", "$"),
    ):
        known = {what: value for what, each in gave.items() if (value := getattr(each, name)) is not None}
        if known:
            parts = ", ".join(f"{three_digits(value)} {what.replace('_', ' ')}" for what, value in known.items())
            lines.append(f"per {unit}: {parts.replace('good', 'good leaves', 1)}")
    return lines


def _depth_words(counts: Mapping[int, int]) -> str:
    """Where the lessons are: each depth, or, where these are many, ranges that double (9 to 16, 17 to 32)."""
    if len(counts) <= MOST_DEPTHS:
        return ", ".join(f"{count} at depth {depth}" for depth, count in counts.items())
    ranges: Counter[int] = Counter()
    for depth, count in counts.items():
        ranges[max(2, (depth - 1).bit_length())] += count
    named = {2: "1 to 4", **{power: f"{2 ** (power - 1) + 1} to {2**power}" for power in ranges if power > 2}}
    return ", ".join(f"{count} at depth {named[power]}" for power, count in sorted(ranges.items()))


COLUMNS: tuple[tuple[str, Callable[[TraceFigures], str]], ...] = (
    ("trace", lambda row: Path(row.path).name),
    ("env", lambda row: row.env),
    ("task", lambda row: row.task),
    ("state", lambda row: row.state),
    ("nodes", lambda row: str(row.nodes)),
    ("leaves", lambda row: str(row.leaves)),
    ("good", lambda row: str(row.good)),
    ("bad", lambda row: str(row.bad)),
    ("best", lambda row: NONE if row.best_return is None else f"{row.best_return:g}"),
    ("depth", lambda row: str(row.max_depth)),
    ("pairs", lambda row: str(row.pairs)),
    ("lessons", lambda row: str(row.lessons)),
    ("calls", lambda row: str(row.calls)),
    ("s", lambda row: NONE if row.seconds is None else f"{row.seconds:.1f}"),
)
OF_ATTEMPTS: tuple[tuple[str, Callable[[TraceFigures], str]], ...] = (
    ("attempts", lambda row: str(row.attempts) if row.attempts else NONE),
    ("solved", lambda row: f"{row.solved / row.scored:.0%}" if row.attempts and row.scored else NONE),
)


def _print_figures(rows: Sequence[TraceFigures], attempts: bool) -> None:
    columns = COLUMNS + OF_ATTEMPTS if attempts else COLUMNS
    body = [[cell(row) for _, cell in columns] for row in rows]
    table([name for name, _ in columns], body, right=range(4, len(columns)))
