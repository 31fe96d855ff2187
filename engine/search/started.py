"""The first event of a search: what is searched, how, and by which code."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from engine.base.errors import InputError
from engine.base.version import __version__
from engine.environment.opened import Opened, instruction_of
from engine.tree.events import FORMAT_VERSION, Fork, Message, PrefixStep, SearchSettings, Started
from envs.tool_schemas import signature


def code_versions() -> dict[str, str]:
    """Versions of what makes the trace."""
    return {"agentr-tui": __version__, "python": platform.python_version()}


CALLS_AS_TEXT = """\
The tools are:
{tools}

You call them by text here. Answer every observation with a short thought and one call, in this form and with nothing \
after it; the value of each argument is JSON:
Thought: why this is the next step
Action: NAME(ARGUMENT=VALUE, ARGUMENT=VALUE)"""


def tools_of(opened: Opened, settings: SearchSettings) -> list[dict[str, Any]]:
    """The tools that the agent may call in an environment; none with `--tools off`. Raises `InputError` where calls are
    required and there is nothing to call."""
    if settings.tools == "required" and not opened.tools:
        also = f"tools:{opened.name}"
        raise InputError(f"--tools required: {opened.name} has no tools; --env {also} gives it one, act(text)")
    return [] if settings.tools == "off" else opened.tools


def _header(opened: Opened, settings: SearchSettings) -> list[Message]:
    """The messages before the first step. With `--tools off` the rules say how a call is written as text."""
    if settings.tools != "off" or not opened.tools or len(opened.header) < 2:
        return opened.header
    listed = "\n".join(f"- {signature(tool)}" for tool in opened.tools)
    system, rules, *more = opened.header
    written = f"{rules.content}\n\n{CALLS_AS_TEXT.format(tools=listed)}"
    return [system, replace(rules, content=written), *more]


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
        header=_header(opened, settings),
        settings=settings,
        instruction=instruction_of(opened.first_observation),
        opened=opened.name if opened.name != opened.environment else "",
        score_range=opened.score_range,
        prefix=list(prefix),
        tools=tools_of(opened, settings),
        code=code_versions(),
        forked_from=forked_from,
    )
