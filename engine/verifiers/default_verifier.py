"""The verifier where nobody named one: `progress`, or `value` where the environment has no plan."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.base.errors import InputError
from engine.environment.opened import at_hand, name_to_open, open_environment
from engine.environment.permission import TrustedSettings, permit
from engine.tree.events import Started
from envs.base import Planner

DEFAULT = "progress"
WITHOUT_PLAN = "value"


def lacks_plan(started: Started, environment: str | None, own: TrustedSettings, source: object) -> str:
    """Returns the name of the environment of a trace where it has no plan; empty where it has one, or can't be opened
    (whoever needs it reports that). Raises `UntrustedTrace`.

    `started`: the trace's first event. `environment`: its name; None: the trace's own. `own`: settings that a person
    named. `source`: the file, for messages.
    """
    name = environment or name_to_open(started)
    allowed = permit(name, started, own, source)
    try:
        opened = open_environment(allowed, started.task)
    except InputError:
        return ""
    try:
        return "" if isinstance(opened.env, Planner) else name
    finally:
        opened.env.close()


def verifier_for(
    traces: Iterable[tuple[Path, Started]], environment: str | None, own: TrustedSettings
) -> tuple[str, str]:
    """Returns the verifier for some traces, and the name of the environment without a plan that decided this; else
    empty. Raises `UntrustedTrace`.

    `traces`: their files and first events. `environment`: its name; None: the traces' own. `own`: settings that a
    person named.
    """
    named = list(own)
    seen: set[str] = set()
    for path, started in traces:
        name = environment or name_to_open(started)
        if name in seen:
            continue
        seen.add(name)
        if not at_hand(name):
            return WITHOUT_PLAN, name
        if lacking := lacks_plan(started, environment, named, path):
            return WITHOUT_PLAN, lacking
    return DEFAULT, ""
