"""What an agent of another harness did and saw, as text that reads: calls by argument, edits as diffs, JSON set out,
long outputs folded. Knows no Textual.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

from agentr_tui.terminal.theme import Role, glyphs
from agentr_tui.widgets.text_pane import Line, line, lines_of
from engine.pairs.parting import is_silent
from engine.tree.events import ToolCall
from engine.tree.node import Node

HEAD, TAIL = 7, 5
"""Lines that a folded text shows from its beginning and from its end: what failed is told at the end."""

LABEL_CHARACTERS = 300
"""Of a row."""

LONGEST_JSON, LONGEST_EDIT = 200_000, 600
"""Characters up to which a text is tried as JSON, and lines up to which an edit is compared."""

EDITS = (("oldText", "newText"), ("old_str", "new_str"), ("old_string", "new_string"), ("old", "new"),
         ("search", "replace"))  # fmt: skip
"""Names that harnesses give to what an edit takes away and puts in its place."""

_KEY = re.compile(r'^(\s*)("(?:[^"\\]|\\.)*":)(.*)$', re.DOTALL)
_PATH = re.compile(r"^(?:[^/\s]*/){2,}")
_IMAGE = re.compile(r"\[(?:image|audio|sound|video|file)\b[^\]]*\]")


# -- one line ----------------------------------------------------------------------------------------------


def row_label(node: Node) -> str:
    """Returns a step in one line: each call's name and what it is about, else the words of the turn."""
    if node.calls:
        return " + ".join(_gist(call) for call in node.calls[:9])[:LABEL_CHARACTERS]
    if is_silent(node) and node.answers:
        told = node.answers[0]
        return f"{told.role}: {_one_line(told.content)}"
    return _one_line(node.action or node.response or node.observation)


def _one_line(text: str) -> str:
    return " ".join(text[: 4 * LABEL_CHARACTERS].split())[:LABEL_CHARACTERS]


def _gist(call: ToolCall) -> str:
    given = _arguments(call)
    if given is None:
        return f"{_one_line(call.name)}  {_one_line(call.arguments)}".strip()
    parts = []
    for name, value in sorted(given.items(), key=lambda item: not isinstance(item[1], str)):
        edits = list(_edits(value if isinstance(value, list) else [value]))
        if edits:
            parts.append(_change(*edits[0]) + (f" and {len(edits) - 1} more" if len(edits) > 1 else ""))
        elif not any(name in pair for pair in EDITS):
            told = _one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
            told = _PATH.sub("…/", told) if _PATH.match(told) and " " not in told else told
            parts.append(told if not parts else f"{_one_line(name)}={told}")
    parts += [_change(*edit) for edit in _edits([given])]
    return f"{_one_line(call.name)}  {' '.join(parts)}".strip()


def _change(old: str, new: str) -> str:
    """The first line that an edit changes, before and after."""
    for tag, low, high, from_, to in SequenceMatcher(None, one := old.split("\n")[:200], two := new.split("\n")[:200],
                                                     autojunk=False).get_opcodes():  # fmt: skip
        if tag != "equal":
            before, after = _one_line(" ".join(one[low:high])), _one_line(" ".join(two[from_:to]))
            return f"{before or 'nothing'} → {after or 'nothing'}"
    return "no change"


def _arguments(call: ToolCall) -> dict[str, Any] | None:
    try:
        given = json.loads(call.arguments) if len(call.arguments) <= LONGEST_JSON else None
    except (ValueError, RecursionError):
        return None
    return given if isinstance(given, dict) else None


def _edits(values: list[Any]) -> Iterator[tuple[str, str]]:
    for value in values:
        if not isinstance(value, dict):
            continue
        for old, new in EDITS:
            if isinstance(value.get(old), str) and isinstance(value.get(new), str):
                yield value[old], value[new]


# -- many lines --------------------------------------------------------------------------------------------


def call_lines(call: ToolCall, indent: int, whole: bool) -> list[Line]:
    """Returns a call: its name, then an argument a line; an edit as the lines that go and that come.

    `call`: the call. `indent`: cells. `whole`: whether to show long texts in full.
    """
    given = _arguments(call)
    if given is None:
        return [_at(indent, (f"{call.name}  ", "focus")), *text_lines(call.arguments, indent + 2, whole)]
    lines = [_at(indent, (call.name, "focus"))]
    paired = {name for old, new in EDITS if old in given and new in given for name in (old, new)}
    for name, value in given.items():
        if name in paired:
            continue
        edits = list(_edits(value)) if isinstance(value, list) else []
        if edits and len(edits) == len(value):
            lines.append(_at(indent + 2, (name, "muted")))
            lines += [piece for edit in edits for piece in _diff(*edit, indent + 2, whole)]
            continue
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
        if "\n" not in text:
            lines.append(_at(indent + 2, (f"{name} ", "muted"), (text, "text")))
        else:
            lines += [_at(indent + 2, (name, "muted")), *text_lines(text, indent + 4, whole)]
    for edit in _edits([given]):
        lines += _diff(*edit, indent + 2, whole)
    return lines


def _diff(old: str, new: str, indent: int, whole: bool) -> list[Line]:
    one, two = old.split("\n"), new.split("\n")
    if len(one) + len(two) > LONGEST_EDIT:
        changes = [("delete", 0, len(one), 0, 0), ("insert", 0, 0, 0, len(two))]
    else:
        changes = [*SequenceMatcher(None, one, two, autojunk=False).get_opcodes()]
    lines = []
    for tag, low, high, from_, to in changes:
        if tag == "equal":
            lines += [_at(indent, ("  ", "faint"), (text, "muted")) for text in one[low:high]]
            continue
        lines += [_at(indent, ("- ", "bad"), (text, "bad")) for text in one[low:high]]
        lines += [_at(indent, ("+ ", "good"), (text, "good")) for text in two[from_:to]]
    return folded(lines, indent, whole)


def text_lines(text: str, indent: int, whole: bool, role: Role = "text") -> list[Line]:
    """Returns a text in its lines: JSON set out, diffs in their colours, images named.

    `text`: any. `indent`: cells. `whole`: whether to show it in full, however long. `role`: its colour.
    """
    pretty = _pretty(text)
    shown = pretty if pretty is not None else text.strip("\n")
    found = shown.split("\n")
    if whole or len(found) <= HEAD + TAIL + 1:
        found = lines_of(shown)
        return [_styled(piece, indent, role, pretty is not None, found) for piece in found]
    left = len(found) - HEAD - TAIL
    ends = [_styled(piece, indent, role, pretty is not None, found) for piece in found[:HEAD] + found[-TAIL:]]
    return [*ends[:HEAD], _fold(left, indent), *ends[HEAD:]]


def folded(lines: list[Line], indent: int, whole: bool) -> list[Line]:
    """Returns the first and last of many lines, and between them how many are left out.

    `lines`: of a text. `indent`: cells. `whole`: whether to show all.
    """
    if whole or len(lines) <= 2 * (HEAD + TAIL) + 1:
        return lines
    return [*lines[: 2 * HEAD], _fold(len(lines) - 2 * (HEAD + TAIL), indent), *lines[-2 * TAIL :]]


def _fold(count: int, indent: int) -> Line:
    return _at(indent, (f"{glyphs().ellipsis} {count} more lines: o shows them", "warn"))


def _pretty(text: str) -> str | None:
    bare = text.strip()
    if len(bare) > LONGEST_JSON or bare[:1] + bare[-1:] not in ("{}", "[]"):
        return None
    try:
        return json.dumps(json.loads(bare), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None


def _styled(piece: str, indent: int, role: Role, is_json: bool, found: list[str]) -> Line:
    if is_json and (known := _KEY.match(piece)):
        blank, name, value = known.groups()
        return _at(indent, (blank + name, "muted"), (value, role))
    if not is_json and _is_diff(found):
        if piece.startswith("+"):
            role = "good"
        elif piece.startswith("-"):
            role = "bad"
        elif piece.startswith(("@@", "diff --git", "index ")):
            role = "focus"
    parts: list[tuple[str, Role]] = []
    end = 0
    for image in _IMAGE.finditer(piece):
        parts += [(piece[end : image.start()], role), (image.group(), "person")]
        end = image.end()
    return _at(indent, *parts, (piece[end:], role))


def _is_diff(found: list[str]) -> bool:
    head = found[:40]
    old = next((place for place, piece in enumerate(head) if piece.startswith("--- ")), None)
    return any(piece.startswith(("@@ -", "diff --git ")) for piece in head) or (
        old is not None and old + 1 < len(head) and head[old + 1].startswith("+++ ")
    )


def _at(indent: int, *parts: tuple[str, Role]) -> Line:
    return line((" " * indent, "text"), *parts, indent=indent)
