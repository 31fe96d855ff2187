"""What a model says that calls tools, for `LLMServer`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from engine.actors.base import Request
from engine.actors.scripted import ScriptedActor
from envs.base import TextEnv, make
from envs.call_text import call_text
from tests.servers.llm_server import Body, Said


def calls(*made: tuple[str, str], text: str = "") -> dict[str, Any]:
    """A message with calls: names and arguments, as the model writes them."""
    return {
        "content": text or None,
        "tool_calls": [
            {"id": f"chatcmpl-tool-{place}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for place, (name, arguments) in enumerate(made)
        ],
    }


def always(said: Said) -> Callable[[Body], Said]:
    """The same answer to everything."""
    return lambda body: said


def plays_with_tools(body: Body, error_rate: float = 0.35, environment: str = "textcraft:tools") -> Said:
    """What the scripted actor calls in this conversation. Raises `AssertionError` where the request is not as the
    interface has it: every call has its result before the next turn, and each result names its call."""
    assert body["tools"]
    messages = body["messages"]
    env = make(environment)
    env.reset(options={"observation": messages[3]["content"]})
    steps = messages[4:]
    while steps:
        said, steps = steps[0], steps[1:]
        assert said["role"] == "assistant"
        made = said.get("tool_calls", [])
        results, steps = steps[: len(made) or 1], steps[len(made) or 1 :]
        assert [each["role"] for each in results] == (["tool"] * len(made) or ["user"])
        assert [each.get("tool_call_id") for each in results] == [call["id"] for call in made] or not made
        functions = [call["function"] for call in made]
        lines = [call_text(function["name"], function["arguments"]) for function in functions]
        env.step("\n".join(lines) if lines else said["content"].rsplit("\n", 1)[-1])

    async def environment_of(question: Callable[[TextEnv], Any]) -> Any:
        return question(env)

    request = Request(0, 0, 0, int(body.get("seed") or 0), list, environment_of, lambda *_: None)
    answer = asyncio.run(ScriptedActor(error_rate, tools=True).sample(request))
    if not answer.tool_calls:
        return answer.response
    loose = [(call.name, json.dumps(json.loads(call.arguments), indent=1)) for call in answer.tool_calls]
    return calls(*loose, text=answer.response)
