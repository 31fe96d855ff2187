"""A conversation with calls of tools as the texts that a chat template makes of it.

The form is that of Hermes, which Qwen 2.5 and 3 took over: the tools stand behind the system's text, each call is a
JSON object in `<tool_call>`, each result stands in `<tool_response>` in a turn of the user's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.samples.splice import Turn
    from engine.tree.events import ToolCall

Tools = Sequence[dict[str, Any]]
"""JSON schemas of functions, in OpenAI's form."""

BEFORE_TOOLS = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
)
AFTER_TOOLS = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within"
    " <tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)
"""What the template says around the tools: the models were trained with these words."""
CALL = ("<tool_call>\n", "\n</tool_call>")
RESULT = ("<tool_response>\n", "\n</tool_response>")


def tools_text(tools: Tools) -> str:
    """Returns the tools as text that follows the system's text."""
    return BEFORE_TOOLS + "".join(f"\n{json.dumps(tool, ensure_ascii=False)}" for tool in tools) + AFTER_TOOLS


def call_json(call: ToolCall) -> str:
    """A call as JSON; its arguments are the model's own string."""
    name = json.dumps(call.name, ensure_ascii=False)
    return f'{{"name": {name}, "arguments": {call.arguments or "{}"}}}'


def said_text(content: str, calls: Sequence[ToolCall]) -> str:
    """Returns the text of an assistant's turn, its calls included."""
    blocks = [f"{CALL[0]}{call_json(call)}{CALL[1]}" for call in calls]
    return "\n".join([content, *blocks] if content or not blocks else blocks)


def result_text(content: str) -> str:
    """What a tool returned."""
    return f"{RESULT[0]}{content}{RESULT[1]}"


def as_texts(turns: Sequence[Turn], tools: Tools) -> list[Turn]:
    """The conversation without tools' roles: calls and results are texts, results that follow each other one turn."""
    found: list[Turn] = []
    for turn in turns:
        if turn.role == "tool":
            text = result_text(turn.content)
            if found and found[-1].role == "tool":
                found[-1] = found[-1]._replace(content=f"{found[-1].content}\n{text}")
            else:
                found.append(turn._replace(content=text))
        elif turn.calls:
            found.append(turn._replace(content=said_text(turn.content, turn.calls), calls=()))
        else:
            found.append(turn)
    found = [turn._replace(role="user", call_id="", name="") if turn.role == "tool" else turn for turn in found]
    if tools and found:
        text = tools_text(tools)
        if found[0].role == "system":
            found[0] = found[0]._replace(content=f"{found[0].content}\n\n{text}")
        else:
            found.insert(0, found[0]._replace(role="system", content=text, loss=None, part="header", node=None))
    return found
