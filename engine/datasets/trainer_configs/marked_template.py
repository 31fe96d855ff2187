"""A chat template written anew from its pieces, with the marks that say what is trained."""

from __future__ import annotations

import json

from engine.datasets.formats.masks import THOUGHT
from engine.datasets.templates.markup import JOINT, THINK, Markup


def marked_template(markup: Markup) -> str:
    """The template in jinja. The end of a response stands within its mark, so that a model learns to stop."""
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
        lines += [
            "{%- if not messages or messages[0]['role'] != 'system' -%}",
            "    " + _say(_quoted(markup.unspoken)),
            "{%- endif -%}",
        ]
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
        "            " + _say(f"{said} + {_quoted(markup.after)}"),
        "        {%- endgeneration -%}",
        "    {%- elif message['role'] == 'system' -%}",
        *_system(markup, said),
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
    return ["        " + _say(" + ".join([*_piece(before), said, *_piece(after)]))]


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
