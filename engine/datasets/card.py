"""The card of an exported dataset: what it holds, how it was chosen, where it comes from. Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from engine.base.text import many
from engine.datasets.formats import Format
from engine.datasets.mixing import mix_without_folders
from engine.datasets.options import Exported, ExportOptions
from engine.samples.duplicates import THRESHOLD
from engine.samples.settings import ReviseSettings
from engine.tree.thresholds import ALPHA, BETA
from engine.workspace.workspace import RunInfo, Selection
from envs.base import title_of

MOST_SOURCES = 50
MOST_RUNS = 10

_TICKS = re.compile("`+")

_RULES = {
    "accepted": "samples that a reviewer accepted and that pass the replay in the environment",
    "all that hold": "all samples that pass the replay in the environment; nobody had reviewed any of them",
    "all": "every sample, whatever reviewers and the replay said, duplicates and marks without a judgement included",
}


def card(exported: Exported, chosen: Selection, format: Format, options: ExportOptions) -> str:
    """Returns the card's text. It holds no time of export: the same input gives the same card.

    `exported`: what the export wrote and left out. `chosen`: the runs and their samples. `format`: of the records.
    `options`: of the export.
    """
    lines = [
        f"# {code(_name(exported.out))}",
        "",
        f"{_counted(exported)}, format {code(exported.format)} ({format.summary}), data type"
        f" {code(exported.data_type)}.",
        "",
        f"- chosen: {_RULES[exported.which]}",
        f"- loss mask: {format.mask}",
        f"- conversations that differ in something else than the revision thought: {exported.distinct}",
        *_lengths(exported, options),
        *_unreplayed(exported),
        f"- licence: {code(options.licence) if options.licence else 'not stated'}",
        f"- defect rate: {exported.defects}",
        f"- where each record comes from: {code(_name(exported.provenance))}",
        f"- what was checked, and what is odd: {code(_name(exported.report))}",
    ]
    lines += [f"- {told}" for told in trained_told(exported)]
    lines += [f"- train on it, in this folder: {code(command)}" for command in exported.commands]
    lines += _files(exported)
    lines += _table("Replay verdicts", "verdict", exported.verdicts)
    lines += _table("Left out", "reason", exported.dropped)
    lines += _table("Written although a rule is broken", "rule", exported.problems)
    lines += _table("Written although odd", "warning", exported.warned)
    lines += ["", "## How it was made", "", *_options(exported, options)]
    for settings, infos in _by_settings(chosen.runs):
        lines += _made(settings, infos)
    lines += _table("Who proposed the steps", "actor", exported.models)
    lines += _table("Who reviewed them", "reviewer", exported.reviewers)
    lines += _table("Who wrote steps of them by hand", "person", exported.writers)
    lines += _table("Environments", "environment", {title_of(name): n for name, n in exported.environments.items()})
    lines += _table("Traces", "trace", _sources(exported))
    if len(exported.sources) > MOST_SOURCES:
        lines += ["", f"and {len(exported.sources) - MOST_SOURCES} more: see the provenance file."]
    return "\n".join(lines) + "\n"


def _unreplayed(exported: Exported) -> list[str]:
    count = exported.verdicts.get("unreplayed", 0)
    if not count:
        return []
    who = "; a person accepted each" if exported.which == "accepted" else ""
    judged = ", ".join(f"{count} {word}" for word, count in sorted(exported.seams.items()))
    seams = f"; their seams, as a model judges them: {judged}" if judged else ""
    return [
        f"- unreplayed: {count} of {many(exported.samples, 'sample')}, for which no environment was at hand{who}{seams}"
    ]


def trained_told(exported: Exported) -> list[str]:
    """What is trained and what is taught, a line each; for the card, the command and the screen."""
    lessons = exported.lessons
    told = [exported.trained.line]
    if exported.data_type == "good":
        return told
    verb = "names" if exported.samples == 1 else "name"
    told.append(
        f"{many(lessons.distinct, 'distinct lesson')}, {many(lessons.wrong_actions, 'distinct wrong action')};"
        f" {lessons.named:,} of {many(exported.samples, 'thought')} {verb} the mistake"
    )
    near = "near ones not counted" if lessons.near is None else f"{lessons.near} alike (Jaccard {THRESHOLD:g})"
    told.append(f"duplicates but for the thought: {lessons.exact} exact, {near}")
    if lessons.depths:
        told.append(f"wrong steps by depth: {_shares(lessons.depths, exported.samples)}")
    if any(lessons.earlier):
        told.append(f"earlier mistakes in the context: {_shares(lessons.earlier, exported.samples)}")
    if lessons.ratio is not None:
        told.append(
            f"tails: {lessons.ratio:.2f} times the plan ({many(lessons.tails, 'step')} where {lessons.plans} would do)"
        )
    return told


def _shares(counts: Mapping[int, int], of: int) -> str:
    return ", ".join(f"{value}: {count / of:.0%}" for value, count in counts.items())


def _by_settings(runs: Sequence[RunInfo]) -> list[tuple[ReviseSettings, list[RunInfo]]]:
    """Runs that were made alike together."""
    found: list[tuple[ReviseSettings, list[RunInfo]]] = []
    for info in runs:
        same = next((infos for settings, infos in found if settings == info.settings), None)
        if same is None:
            found.append((info.settings, [info]))
        else:
            same.append(info)
    return found


def _made(settings: ReviseSettings, infos: Sequence[RunInfo]) -> list[str]:
    """How some runs made their samples."""
    runs = "; ".join(f"{code(info.id)}, started {code(info.time)}" for info in infos[:MOST_RUNS])
    more = f"; and {len(infos) - MOST_RUNS} more" if len(infos) > MOST_RUNS else ""
    return [
        f"- {'run' if len(infos) == 1 else 'runs'} of `revise`: {runs}{more}",
        f"- alpha: {_threshold(settings.alpha, ALPHA)}; beta: {_threshold(settings.beta, BETA)}"
        + ("; alpha compared with W, as in the original" if settings.compat else ""),
        f"- verifier: {_verifier(settings)}",
        f"- a mark before the fork: {'kept (compat)' if settings.compat else settings.before_fork}",
        f"- pairs: {_pairs(settings)}",
        f"- thoughts: {code(settings.thought)}, seed {settings.seed}",
        f"- diverged samples: {_repair(settings)}",
    ]


def _verifier(settings: ReviseSettings) -> str:
    if not settings.verify:
        return "none (direct revision)"
    judge = f" with {code(settings.judge.model)}" if settings.judge.model else ""
    return code(settings.verifier) + judge


def _pairs(settings: ReviseSettings) -> str:
    told = [f"ranked by {settings.rank}"]
    told += [f"at most {settings.max_pairs} a tree"] if settings.max_pairs else []
    told += [f"at most {many(settings.per_tree, 'sample')} a tree"] if settings.per_tree else []
    told += [f"at most {many(settings.per_fork, 'sample')} a fork"] if settings.per_fork else []
    told += ["each wrong step once a tree"] if settings.diverse else []
    told += [f"samples of a similarity above {settings.duplicates:g} are one"] if settings.duplicates else []
    return ", ".join(told)


def _repair(settings: ReviseSettings) -> str:
    repair = settings.repair
    if repair is None:
        return "not repaired"
    return f"searched again, {many(repair.iterations, 'iteration')} and {many(repair.calls, 'call')} at most"


def _name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def _counted(exported: Exported) -> str:
    """How many records, and of how many samples where that differs."""
    text = many(exported.lines, "record")
    if exported.lines - exported.mixed != exported.samples:
        text += f" of {many(exported.samples, 'sample')} (factor {exported.factor:.2f})"
    if exported.mixed:
        text += f", {exported.mixed} of them from another dataset"
    return text


def _lengths(exported: Exported, options: ExportOptions) -> list[str]:
    if not exported.measured:
        return []
    limit = f", at most {options.max_length} were asked for" if options.max_length is not None else ""
    return [f"- longest trajectory: {exported.longest} tokens{limit}; counted {exported.measured}"]


def _options(exported: Exported, options: ExportOptions) -> list[str]:
    """What was done to the records after they were chosen."""
    told = []
    if options.split:
        told.append(f"- split by task: {code(options.split)}, seed {options.seed}")
    if options.mix:
        told.append(f"- mixed in: {code(mix_without_folders(options.mix))} (share of the lines of the first part)")
    if options.shuffle or (options.mix and options.shuffle is None):
        told.append(f"- shuffled, seed {options.seed}")
    if exported.format == "sharegpt" and options.loss_weight:
        told.append("- messages with `loss_weight`")
    if options.first_step:
        told.append("- only the first step after the fork")
    return told


def _files(exported: Exported) -> list[str]:
    """Every file of the dataset with its checksum."""
    rows = [
        f"| {code(_name(file.path), cell=True)} | {file.lines} | {file.size} | `{file.checksum}` |"
        for file in exported.files
    ]
    return ["", "## Files", "", "| file | records | bytes | SHA-256 |", "| --- | ---: | ---: | --- |", *rows]


def _sources(exported: Exported) -> dict[str, int]:
    """Samples by trace. The folders of a machine are nobody else's business, unless two traces have one name."""
    names = Counter(_name(path) for path in exported.sources)
    shown = list(exported.sources.items())[:MOST_SOURCES]
    return {_name(path) if names[_name(path)] == 1 else path: count for path, count in shown}


def _threshold(value: float | None, default: float) -> str:
    return f"{default:g} of the environment's score range (default)" if value is None else f"{value:g}"


def _table(title: str, of: str, counts: Mapping[str, int]) -> list[str]:
    if not counts:
        return []
    rows = [f"| {code(name, cell=True)} | {count} |" for name, count in counts.items()]
    return ["", f"## {title}", "", f"| {of} | n |", "| --- | ---: |", *rows]


def code(text: str, cell: bool = False) -> str:
    """Returns a text as a code span that it can't leave, and in which it is word for word, less what can't be shown.

    `text`: anybody's. `cell`: whether it stands in a table, where a bar ends the cell.
    """
    safe = "".join(sign if sign.isprintable() else "�" for sign in text) or " "
    fence = "`" * (1 + max(map(len, _TICKS.findall(safe)), default=0))
    apart = " " if safe.strip() and (safe[0] in " `" or safe[-1] in " `") else ""  # a reader takes one blank off
    if cell:
        safe = safe.replace("|", "\\|")
    return f"{fence}{apart}{safe}{apart}{fence}"
