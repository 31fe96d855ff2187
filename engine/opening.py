"""The first event of a search: what is searched, how, and by which code."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Iterable

from engine import __version__
from engine.events import FORMAT_VERSION, Fork, PrefixStep, SearchSettings, Started
from engine.standing import Opened


def code_versions() -> dict[str, str]:
    """Versions of what makes the trace."""
    return {"agentr-tui": __version__, "python": platform.python_version()}


def instruction_of(first_observation: str) -> str:
    """The goal in a few words: what follows the last `Goal:`, or the first line with a letter in it (a game may draw a
    banner first)."""
    if "Goal:" in first_observation:
        return first_observation.rsplit("Goal:", 1)[1].strip().rstrip(".")
    if "Instruction: [SEP]" in first_observation:
        return first_observation.split("Instruction: [SEP]", 1)[1].split("[SEP]", 1)[0].strip()
    lines = (line.strip() for line in first_observation.splitlines())
    return next((line for line in lines if any(map(str.isalpha, line))), "")


def started_event(
    opened: Opened,
    settings: SearchSettings,
    *,
    prefix: Iterable[PrefixStep] = (),
    forked_from: Fork | None = None,
    trace: str | None = None,
) -> Started:
    """The first event of a new search."""
    return Started(
        seq=0,
        version=FORMAT_VERSION,
        trace=trace or uuid.uuid4().hex[:16],
        environment=opened.environment,
        task=opened.task,
        header=opened.header,
        settings=settings,
        instruction=instruction_of(opened.first_observation),
        opened=opened.name if opened.name != opened.environment else "",
        score_range=opened.score_range,
        prefix=list(prefix),
        code=code_versions(),
        forked_from=forked_from,
    )
