"""A chat template written anew from its pieces, with the marks that say what is trained."""

from __future__ import annotations

import json

from engine.datasets.formats.masks import THOUGHT
from engine.datasets.templates.markup import JOINT, THINK, Markup
from engine.datasets.templates.tool_calls import AFTER_TOOLS, BEFORE_TOOLS, CALL, RESULT


def marked_template(markup: Markup) -> str:
    """Returns the template in jinja. The end of a response is inside its mark, so that a model learns to stop."""
    text = "message['content'] | trim" if markup.trim else "message['content']"
    said = f"({text})" if markup.trim else text
    lines = [
        f"{{#- The chat template {_comment(markup.title or markup.name)}, written anew and marked for training: what",
        "stands between `generation` and `endgeneration` is the assistant's, the end of its turn included. It adds no",
        "thinking: a response is trained as it follows this template's own prompt. Serve the model with it, too. -#}",
    ]
    if markup.start:
        lines.append(_say(_quoted(markup.start)))
    if markup.unspoken:
        unless = " and not tools" if markup.calls else ""
        lines += [
            f"{{%- if (not messages or messages[0]['role'] != 'system'){unless} -%}}",
            "    " + _say(_quoted(markup.unspoken)),
            "{%- endif -%}",
        ]
    if markup.calls:
        lines += _tools(markup)
    thought = f"{_quoted(THINK[0])} + message['{THOUGHT}'] + {_quoted(THINK[1])}"
    lines += [
        "{%- for message in messages -%}",
        "    {%- if message['role'] == 'assistant' -%}",
        *_saying(8, markup.opening),
        "        {%- generation -%}",
        *_saying(12, markup.lead),
        f"            {{%- if message['{THOUGHT}'] -%}}",
        "                " + _say(thought),
        "            {%- endif -%}",
        "            " + _say(said),
        *(_calls(said) if markup.calls else []),
        "            " + _say(_quoted(markup.after)),
        "        {%- endgeneration -%}",
        "    {%- elif message['role'] == 'system' -%}",
        *_system(markup, said),
        *(_results(markup, said) if markup.calls else []),
        "    {%- else -%}",
        *_user(markup, said),
        "    {%- endif -%}",
        "{%- endfor -%}",
    ]
    if markup.opening:
        lines += ["{%- if add_generation_prompt -%}", "    " + _say(_quoted(markup.opening)), "{%- endif -%}"]
    return "\n".join(lines) + "\n"


def _system(markup: Markup, said: str) -> list[str]:
    if markup.system is None:
        return []  # its text stands in the first user turn
    before, after = markup.system
    if not markup.calls:
        return ["        " + _say(" + ".join([*_piece(before), said, *_piece(after)]))]
    return [
        "        " + _say(" + ".join([*_piece(before), said])),
        "        {%- if tools and loop.first -%}",
        "            " + _say(f"{_quoted(JOINT)} + ns.tools"),
        "        {%- endif -%}",
        "        " + _say(_quoted(after)),
    ]


def _tools(markup: Markup) -> list[str]:
    """The tools, kept for the system's turn; a turn of their own where there is none."""
    assert markup.system is not None
    before, after = markup.system
    return [
        f"{{%- set ns = namespace(tools={_quoted(BEFORE_TOOLS)}) -%}}",
        "{%- for tool in tools or [] -%}",
        "    {%- set ns.tools = ns.tools + '\\n' + (tool | tojson) -%}",
        "{%- endfor -%}",
        f"{{%- set ns.tools = ns.tools + {_quoted(AFTER_TOOLS)} -%}}",
        "{%- if tools and (not messages or messages[0]['role'] != 'system') -%}",
        "    " + _say(" + ".join([*_piece(before), "ns.tools", *_piece(after)])),
        "{%- endif -%}",
    ]


def _calls(said: str) -> list[str]:
    """What an assistant calls."""
    given = "call['arguments'] if call['arguments'] is string else call['arguments'] | tojson"
    return [
        "            {%- for each in message['tool_calls'] or [] -%}",
        "                {%- set call = each['function'] or each -%}",
        f"                {{%- if {said} or not loop.first -%}}",
        "                    {{- '\\n' -}}",
        "                {%- endif -%}",
        "                "
        + _say(f"{_quoted(CALL[0])} + '{{\"name\": ' + (call['name'] | tojson) + ', \"arguments\": '"),
        f"                {{{{- ({given}) or '{{}}' -}}}}",
        "                " + _say(f"'}}' + {_quoted(CALL[1])}"),
        "            {%- endfor -%}",
    ]


def _results(markup: Markup, said: str) -> list[str]:
    """What tools returned: results that follow each other are one turn of the user's."""
    before, after = markup.user
    return [
        "    {%- elif message['role'] == 'tool' -%}",
        "        {%- if loop.first or messages[loop.index0 - 1]['role'] != 'tool' -%}",
        "            " + _say(_quoted(before)),
        "        {%- else -%}",
        "            {{- '\\n' -}}",
        "        {%- endif -%}",
        "        " + _say(f"{_quoted(RESULT[0])} + {said} + {_quoted(RESULT[1])}"),
        "        {%- if loop.last or messages[loop.index0 + 1]['role'] != 'tool' -%}",
        "            " + _say(_quoted(after)),
        "        {%- endif -%}",
    ]


def _user(markup: Markup, said: str) -> list[str]:
    before, after = markup.user
    if markup.system is not None:
        return ["        " + _say(" + ".join([*_piece(before), said, *_piece(after)]))]
    return [
        *_saying(8, before),
        "        {%- if loop.index0 == 1 and messages[0]['role'] == 'system' -%}",
        "            " + _say(f"messages[0]['content'] + {_quoted(JOINT)}"),
        "        {%- endif -%}",
        "        " + _say(" + ".join([said, *_piece(after)])),
    ]


def _piece(text: str) -> list[str]:
    return [_quoted(text)] if text else []


def _saying(indent: int, text: str) -> list[str]:
    return [" " * indent + _say(_quoted(text))] if text else []


def _say(expression: str) -> str:
    return f"{{{{- {expression} -}}}}"


def _quoted(text: str) -> str:
    """A text in jinja, whose escapes are Python's."""
    return "'" + json.dumps(text, ensure_ascii=False)[1:-1].replace("'", "\\'").replace('\\"', '"') + "'"


def _comment(text: str) -> str:
    return f"of {text.replace('#', '')}"
