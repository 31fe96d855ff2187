"""The first event of a search: what is searched, how, and by which code."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Iterable

from msgspec.structs import replace

from engine.base.version import __version__
from engine.environment.opened import Opened, instruction_of
from engine.environment.tools import header_of, tools_of
from engine.tree.events import FORMAT_VERSION, Fork, PrefixStep, SearchSettings, Started


def code_versions() -> dict[str, str]:
    """Versions of what makes the trace."""
    return {"agentr-tui": __version__, "python": platform.python_version()}


def started_event(
    opened: Opened,
    settings: SearchSettings,
    *,
    prefix: Iterable[PrefixStep] = (),
    forked_from: Fork | None = None,
    trace: str | None = None,
) -> Started:
    """Returns the first event of a new search.

    `opened`: the environment, reset to the task. `settings`: of the search. `prefix`: steps before the root.
    `forked_from`: the trace and event that it goes on from. `trace`: its id; None draws one.
    """
    return Started(
        seq=0,
        version=FORMAT_VERSION,
        trace=trace or uuid.uuid4().hex[:16],
        environment=opened.environment,
        task=opened.task,
        header=header_of(opened, settings),
        settings=settings,
        instruction=instruction_of(opened.first_observation),
        opened=opened.name if opened.name != opened.environment else "",
        score_range=opened.score_range,
        prefix=list(prefix),
        tools=tools_of(opened, settings),
        code=code_versions(),
        forked_from=forked_from,
    )


def with_notes(started: Started, notes: str) -> Started:
    """Returns the first event of a search whose actor reads these notes, below the rules of its environment.

    The rules are the second message; of a recording with a single message, that one.
    """
    header = list(started.header)
    if header:
        at = min(1, len(header) - 1)
        header[at] = replace(header[at], content=f"{header[at].content}\n\n{notes}")
    return replace(started, header=header)
