"""The tools that an agent may call in an environment, and the conversation that it begins with."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from engine.base.errors import InputError
from engine.environment.opened import Opened
from engine.tree.events import Message, SearchSettings
from envs.base import info_of
from envs.tool_schemas import signature

CALLS_AS_TEXT = """\
The tools are:
{tools}

You call them by text here. Answer every observation with a short thought and one call, in this form and with nothing \
after it; the value of each argument is JSON:
Thought: why this is the next step
Action: NAME(ARGUMENT=VALUE, ARGUMENT=VALUE)"""


def tools_of(opened: Opened, settings: SearchSettings) -> list[dict[str, Any]]:
    """Returns the tools that the agent may call in an environment; none with `--tools off`. Raises `InputError` where
    calls are required and there is no tool."""
    if settings.tools == "required" and not opened.tools:
        kinds = info_of(opened.name).kinds
        own = f"{opened.name}:tools"
        if kinds is not None and any(kind.name == own for kind in kinds()):
            raise InputError(f"--tools required: {opened.name} has no tools: --env {own}")
        also = f"tools:{opened.name}"
        raise InputError(f"--tools required: {opened.name} has no tools; --env {also} gives it one, act(text)")
    return [] if settings.tools == "off" else opened.tools


def header_of(opened: Opened, settings: SearchSettings) -> list[Message]:
    """The messages before the first step. With `--tools off` the rules say how a call is written as text."""
    if settings.tools != "off" or not opened.tools or len(opened.header) < 2:
        return opened.header
    listed = "\n".join(f"- {signature(tool)}" for tool in opened.tools)
    system, rules, *more = opened.header
    written = f"{rules.content}\n\n{CALLS_AS_TEXT.format(tools=listed)}"
    return [system, replace(rules, content=written), *more]
