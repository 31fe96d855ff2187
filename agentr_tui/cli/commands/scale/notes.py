"""The command `notes`: the lessons of a workspace as a page that people edit and actors read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agentr_tui.cli.options import OUTPUT, JsonOption, RunOption, WorkspaceOption
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.terminal.output import emit_json, say, warn
from engine.base.errors import InputError
from engine.base.files import write_beside
from engine.base.untrusted_files import read_text, real_path, what_is
from engine.notes.kinds import kinds_of
from engine.notes.page import write_page
from engine.samples.sample import Sample
from engine.tree.tree import SearchTree
from engine.workspace.rates import is_verified
from engine.workspace.sample_tree import check_same_trace, load_tree
from engine.workspace.workspace import Workspace


def notes(
    *,
    run: RunOption = None,
    out: Annotated[
        Path | None, Parameter(group=OUTPUT, help="File of the page. The default is notes.md in the workspace.")
    ] = None,
    kinds: Annotated[int, Parameter(group=OUTPUT, help="Kinds of each environment, the most frequent ones.")] = 12,
    examples: Annotated[int, Parameter(group=OUTPUT, help="Examples of each kind.")] = 2,
    json: JsonOption = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Write the lessons of a workspace as a page of notes; what was edited there is kept."""
    for name, value in (("kinds", kinds), ("examples", examples)):
        if value < 1:
            raise InputError(f"--{name} {value}: must be at least 1")
    place = Workspace.open(workspace)
    selection = place.select(run)
    samples = [sample for sample in selection.samples if is_verified(sample)]
    found = kinds_of(samples, _trees(place, samples), examples)
    file = out or place.path / "notes.md"
    old = read_text(file) if what_is(file) is not None else ""
    page = write_page(found, old, real_path(file).parent, kinds)
    write_beside(file, lambda stream: stream.write(page.text.encode()), follow=out is not None)
    lessons = sum(kind.lessons for kind in found)
    if json:
        told = {"kinds": found, "edited": page.edited, "struck": page.struck}
        emit_json({"out": str(file), "lessons": lessons, **told})
    else:
        kept = f"; {page.edited} edited and {page.struck} struck by people" if page.edited or page.struck else ""
        say(f"{file}: {page.kinds} of {len(found)} kinds of wrong actions, from {lessons} verified lessons{kept}")
    if not found:
        warn("no lesson holds in a replay: agentr revise makes them")
        return 1
    return 0


def _trees(place: Workspace, samples: Sequence[Sample]) -> dict[str, SearchTree]:
    """The trees of the samples, by trace; one that is missing, or that its samples do not fit, is told."""
    found: dict[str, SearchTree] = {}
    missing: set[str] = set()
    for sample in samples:
        if sample.trace in missing:
            continue
        try:
            tree = found.get(sample.trace) or load_tree(place, sample)
            check_same_trace(tree, sample)
            found[sample.trace] = tree
        except InputError as error:
            missing.add(sample.trace)
            found.pop(sample.trace, None)
            warn(str(error))
    return found
