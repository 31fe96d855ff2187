"""The command `export`: a dataset of samples."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from agentr_tui.cli.export_options import ExportFlags
from agentr_tui.cli.options import (
    OUTPUT,
    SAMPLES,
    JsonOption,
    RunOption,
    WorkspaceOption,
)
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.terminal.output import emit_json, say, warn
from engine.base.errors import InputError, WorkFailed
from engine.base.text import many
from engine.datasets.card import trained_told
from engine.datasets.export import export as export_samples
from engine.datasets.formats import FORMATS
from engine.datasets.options import Exported, ExportOptions
from engine.datasets.sample_choice import WHICH_WORDS, expected_line, nothing_line
from engine.review.decisions import Decisions
from engine.workspace.workspace import Workspace

Shipped = Literal[
    "agent-r", "agent-r-rewrite", "atif", "axolotl", "openai", "sharegpt", "trl-sft", "trl-dpo", "trl-stepwise", "verl",
    "xtuner",
]  # fmt: skip
"""The formats that a shell completes; other packages may offer more."""


def export(
    *,
    format: Annotated[
        Shipped | str,
        Parameter(group=OUTPUT, show_choices=False, help=f"Format of the dataset: {', '.join(FORMATS)}."),
    ] = "agent-r",
    out: Annotated[Path, Parameter(group=OUTPUT, help="File to write.")],
    run: RunOption = None,
    data_type: Annotated[
        Literal["centric", "good"],
        Parameter(
            group=SAMPLES, help="Samples to export: centric (revision trajectories) or good (good trajectories)."
        ),
    ] = "centric",
    all: Annotated[
        bool,
        Parameter(
            group=SAMPLES, help="Export every sample, whatever its decision, verdict or mark, duplicates included."
        ),
    ] = False,
    only_verified: Annotated[
        bool, Parameter(group=SAMPLES, help="Export only samples whose every observation was verified.")
    ] = False,
    flags: Annotated[ExportFlags | None, Parameter(name="*")] = None,
    json: JsonOption = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Write a dataset of the samples that replay in the environment."""
    place = Workspace.open(workspace)
    options = ExportOptions(**(flags or {}))
    if options.per_lesson < 0:
        raise InputError("--per-lesson must be at least 1, or 0 for all")
    if not json:
        chosen = place.select(run)
        spliced = format not in FORMATS or FORMATS[format].spliced
        current = Decisions(place.decisions).current()
        warn(expected_line(chosen, current, data_type, all, only_verified, options, spliced))
    done = export_samples(
        place, run, format, out, data_type=data_type, all=all, only_verified=only_verified, options=options
    )
    for warning in done.warnings:
        warn(warning)
    if json:
        emit_json({"out": done.out, "lines": done.lines, "dropped": done.dropped})
    elif done.files:
        _say_exported(done)
    if not done.files:
        raise WorkFailed(nothing_line(done))
    return 0


def export_run(workspace: Workspace, format: str, out: Path) -> Exported:
    """Export all samples that pass, and print the result.

    `workspace`: holds runs and decisions. `format`: its name. `out`: the file to write.
    """
    done = export_samples(workspace, None, format, out)
    if done.files:
        _say_exported(done)
    else:
        warn(nothing_line(done))
    return done


def _say_exported(done: Exported) -> None:
    dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(done.dropped.items()))
    factor = f", {done.factor:.1f} lines a sample" if done.factor != 1 else ""
    runs = f", of {len(done.runs)} runs" if len(done.runs) > 1 else ""
    say(
        f"{many(done.lines, 'line')}, {WHICH_WORDS[done.which]}{factor}{runs}"
        + (f"; left out: {dropped}" if dropped else "")
    )
    for words in trained_told(done):
        say(f"  {words}")
    for reason, count in sorted(done.warned.items()):
        say(f"  {count} with a warning: {reason}")
    if done.configs:
        say("  for the trainer: " + ", ".join(done.configs))
    folder = Path(done.files[0].path).parent
    there = f"cd {shlex.quote(str(folder))} && " if done.configs and folder != Path() else ""
    for command in done.commands:
        say(f"  {'train' if done.format != 'agent-r' else 'note'}: {there}{command}")
    say(str(done.out))
