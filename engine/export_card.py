"""The card of an exported dataset: what it holds, how it was chosen, where it comes from. Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.formats import Format
from engine.pairs import ALPHA, BETA
from engine.workspace import Run

if TYPE_CHECKING:
    from engine.export import Exported

MOST_SOURCES = 50

_RULES = {
    "accepted": "samples that a reviewer accepted and that hold in the environment",
    "all that hold": "all samples that hold in the environment; nobody had reviewed any of them",
    "all": "every sample of the run, whatever reviewers and the replay said, duplicates included",
}


def card(exported: Exported, run: Run, format: Format) -> str:
    """The card's text. It holds no time of export: the same input gives the same card."""
    settings = run.info.settings
    lines = [
        f"# {code(exported.out.replace(chr(92), '/').rsplit('/', 1)[-1])}",
        "",
        f"{exported.lines} records, format {code(exported.format)} ({format.summary}), data type"
        f" {code(exported.data_type)}.",
        "",
        f"- chosen: {_RULES[exported.which]}",
        f"- loss mask: {format.mask}",
        f"- conversations that differ in more than the revision thought: {exported.distinct}",
        f"- SHA-256: `{exported.checksum}`",
        f"- where each record comes from: {code(exported.provenance.replace(chr(92), '/').rsplit('/', 1)[-1])}",
    ]
    lines += _table("Replay verdicts", "verdict", exported.verdicts)
    lines += _table("Left out", "reason", exported.dropped)
    lines += _table("Written although a rule is broken", "rule", exported.problems)
    lines += [
        "",
        "## How it was made",
        "",
        f"- run of `revise`: `{run.info.id}`, started {run.info.time}",
        f"- alpha: {_threshold(settings.alpha, ALPHA)}; beta: {_threshold(settings.beta, BETA)}"
        + ("; alpha compared with W, as in the original" if settings.compat else ""),
        f"- verifier: {code(settings.verifier) if settings.verify else 'none (direct revision)'}",
        f"- a mark before the fork: {'kept (compat)' if settings.compat else settings.before_fork}",
        f"- at most {settings.max_pairs} pairs a tree" if settings.max_pairs else "- all pairs of each tree",
        f"- seed of the thoughts: {settings.seed}",
    ]
    lines += _table("Environments", "environment", exported.environments)
    sources = dict(list(exported.sources.items())[:MOST_SOURCES])
    lines += _table("Traces", "trace", sources)
    if len(exported.sources) > MOST_SOURCES:
        lines += ["", f"and {len(exported.sources) - MOST_SOURCES} more: see the provenance file."]
    return "\n".join(lines) + "\n"


def _threshold(value: float | None, default: float) -> str:
    return f"{default:g} of the environment's score range (default)" if value is None else f"{value:g}"


def _table(title: str, of: str, counts: Mapping[str, int]) -> list[str]:
    if not counts:
        return []
    rows = [f"| {code(name)} | {count} |" for name, count in counts.items()]
    return ["", f"## {title}", "", f"| {of} | n |", "| --- | ---: |", *rows]


def code(text: str) -> str:
    """Text as a code span that nothing in it can leave, also inside a table."""
    safe = "".join(sign if sign.isprintable() else "�" for sign in text).replace("`", "'").replace("|", "¦")
    return f"`{safe}`"
