"""Reading the nodes of a nested tree file one by one, without recursion and without holding the file.

The original nests children in their parent and repeats the whole conversation (`state`) and all steps
(`recent_actions`) in every node, so a file grows with depth squared. This scanner walks over a window of the text.
Values are parsed by the JSON library's own scanner; a stack stands in for the nesting of `children`. Where the text
of a child's list begins with the text of its parent's list, only what follows is parsed.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from engine.tree.node import NO_PARENT

CHUNK = 1 << 17
"""Characters read at a time."""

GROWING = ("state", "recent_actions")
"""Lists that a child's node repeats and continues."""

REQUIRED = frozenset(
    {
        "visits",
        "value",
        "prior",
        "puct_value",
        "obs",
        "llm_response",
        "depth",
        "is_terminal",
        "action",
        "env_score",
        "disaster",
        *GROWING,
    }
)
"""Every field of a node but `children`."""

_S = r"[ \t\n\r]*+"
_OPEN = re.compile(_S + r"\{")
_SPACE = re.compile(_S)
# Each matches all that may stand at its place, so that no match is an error and not a question.
_FIELD_OR_END = re.compile(rf'{_S}(?:(,)?({_S})"((?:[^"\\\x00-\x1f]++|\\.)*+)"{_S}:{_S}|(\}}))')
_CHILD_OR_END = re.compile(rf"{_S}(?:(,)?{_S}(\{{)|(\]))")
_ITEM_OR_END = re.compile(rf"{_S}([,\]]){_S}")
# What the end of a file may leave of a value that is not a list, an object or the middle of a text, and of a field.
_CUT_VALUE = re.compile(r"|t|tr|tru|f|fa|fal|fals|n|nu|nul|-|\\?u?[0-9a-fA-F]{0,4}")
_CUT_FIELD = re.compile(rf'{_S},?{_S}(?:[.eE][+-]?|"(?:[^"\\]++|\\.)*+(?:\\|"{_S})?)?')

_LONGEST_GAP = 1 << 20  # characters; what is longer between two values is no white space
_NUMBER_TAIL = 3  # a number cut at "1.5e+" parses as 1.5: so near to the end of the window nothing is certain
_ESCAPE_TAIL = 16  # an error so near to the end of the window may come of the cut

_parse: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
# The value at an index and where it ends: `raw_decode` without a call in between.


class Broken(Exception):
    """The text is not a tree: the message is one line with place and reason."""


class _NeedMore(Exception):
    """The window ends in the middle of a value."""


class Grown:
    """A list that may continue the parent's list of the same name."""

    __slots__ = ("_indented", "continues", "indent", "items", "text")

    def __init__(self, items: Any, continues: bool, text: str, indent: str) -> None:
        self.items = items  # the whole value, or, where `continues`, what follows the parent's
        self.continues = continues
        self.text = text  # up to the end of the last item; "" where there is nothing to continue
        self.indent = indent  # the white space before its key
        self._indented = (indent, text)  # the text as children with that indent would write it

    def text_at(self, indent: str) -> str:
        """Returns its text as a child writes it: in an indented file a child is further to the right."""
        if self._indented[0] != indent:
            deeper = self.text
            if "\n" in indent and indent.startswith(self.indent):
                deeper = deeper.replace("\n", "\n" + indent[len(self.indent) :])
            self._indented = (indent, deeper)
        return self._indented[1]


class ScannedNode:
    """One node as the file has it."""

    __slots__ = ("depth", "fields", "grown", "id", "parent", "ready")

    def __init__(self, id: int, parent: int, depth: int) -> None:
        self.id = id  # in order of appearance
        self.parent = parent  # NO_PARENT at the root
        self.depth = depth  # of nesting
        self.fields: dict[str, Any] = {}  # without `children` and the growing lists
        self.grown: dict[str, Grown] = {}
        self.ready = False  # all fields are there

    def complete(self) -> bool:
        """Whether every required field was seen."""
        return self.fields.keys() | self.grown.keys() >= REQUIRED

    def missing(self) -> list[str]:
        """Required fields that were not seen."""
        return sorted(REQUIRED - self.fields.keys() - self.grown.keys())


class _Frame:
    """A node whose end was not read yet."""

    __slots__ = ("children_seen", "first", "in_children", "node")

    def __init__(self, node: ScannedNode) -> None:
        self.node = node
        self.first = True  # nothing was read yet, of the node or of its children
        self.in_children = False
        self.children_seen = False


class NodeScanner:
    """Iterates over the nodes of a tree file, parents first, siblings in order. Raises `Broken`.

    `read(n)` gives up to n characters, none at the end. A node comes as soon as all its fields are known; in files
    that write `children` before other fields that is late, and nodes wait. Fields that follow the children of a
    node that was already given are in `late` at the end.
    """

    def __init__(self, read: Callable[[int], str]) -> None:
        self.late: dict[int, dict[str, Any]] = {}
        self._read = read
        self._text = ""  # the window
        self._at = 0
        self._base = 0  # characters before the window
        self._eof = False

    def __iter__(self) -> Iterator[ScannedNode]:
        self._open()
        frames = [_Frame(ScannedNode(0, NO_PARENT, 0))]
        waiting = deque([frames[0].node])  # in order of appearance
        count = 1
        while frames:
            frame = frames[-1]
            if not frame.in_children:
                parent = frames[-2].node if len(frames) > 1 else None
                if not self._field(frame, parent):
                    self._finish(frame)
                    frames.pop()
                elif not frame.in_children or not frame.node.complete():
                    continue
                frame.node.ready = True
                while waiting and waiting[0].ready:
                    yield waiting.popleft()
            elif self._child(frame):
                node = ScannedNode(count, frame.node.id, len(frames))
                count += 1
                waiting.append(node)
                frames.append(_Frame(node))
        self._match(_SPACE)
        if self._at < len(self._text):
            raise Broken(f"more text after the tree at character {self._place()}")

    # -- the parts of a node -----------------------------------------------------------------------

    def _open(self) -> None:
        if self._match(_OPEN) is None:
            self._match(_SPACE)
            empty = self._at >= len(self._text)
            raise Broken("the file is empty" if empty else "not a tree: the outermost value is not an object")

    def _field(self, frame: _Frame, parent: ScannedNode | None) -> bool:
        """Read one field, or the opening bracket of `children`; False at the end of the node."""
        found = self._match(_FIELD_OR_END)
        if found is None:
            raise self._unexpected()
        comma, indent, name, end = found.groups()
        if end:
            return False
        if (comma is None) != frame.first:
            raise Broken(f"a comma is missing or too many before character {self._place()}")
        frame.first = False
        if "\\" in name:
            name = _unescaped(name, self._place())
        node = frame.node
        if name in node.fields or name in node.grown or (name == "children" and frame.children_seen):
            raise Broken(f"the field `{name}` occurs twice in one node, before character {self._place()}")
        if name == "children":
            if not self._text.startswith("[", self._at):
                if self._at == len(self._text):
                    raise self._cut_off()
                raise Broken(f"`children` is not a list at character {self._place()}")
            self._at += 1
            frame.in_children = frame.children_seen = frame.first = True
        elif name in GROWING:
            before = parent.grown.get(name) if parent is not None else None
            node.grown[name] = self._grown(before.text_at(indent) if before else "", indent)
        elif node.ready:
            self.late.setdefault(node.id, {})[name] = self._value(_parse)
        else:
            node.fields[name] = self._value(_parse)
        return True

    def _child(self, frame: _Frame) -> bool:
        """Whether another child begins; else the list is closed."""
        found = self._match(_CHILD_OR_END)
        if found is None:
            raise self._unexpected()
        comma, begins, _ = found.groups()
        if begins and (comma is None) != frame.first:
            raise Broken(f"a comma is missing or too many before character {self._place()}")
        frame.first = False
        frame.in_children = begins is not None
        return frame.in_children

    def _finish(self, frame: _Frame) -> None:
        node = frame.node
        missing = node.missing() if not node.ready else []
        if not frame.children_seen:
            missing.append("children")
        if missing:
            names = ", ".join(f"`{name}`" for name in missing)
            raise Broken(f"not a tree: node {node.id} (depth {node.depth}) lacks {names}")

    def _grown(self, prefix: str, indent: str) -> Grown:
        """A growing list, of which the parent's is `prefix` where it continues it."""

        def parse(text: str, at: int) -> tuple[Grown, int]:
            if prefix and text.startswith(prefix, at):
                tail = _tail(text, at + len(prefix))
                if tail is not None:
                    items, last, end = tail
                    return Grown(items, True, text[at:last], indent), end
                if not self._eof:
                    raise _NeedMore
            elif prefix and not self._eof and len(text) - at < len(prefix):
                raise _NeedMore
            value, end = _parse(text, at)
            whole = text[at : end - 1].rstrip(" \t\n\r") if type(value) is list and value else ""
            return Grown(value, False, whole, indent), end

        grown: Grown = self._value(parse)
        return grown

    # -- the window --------------------------------------------------------------------------------

    def _place(self) -> int:
        return self._base + self._at

    def _more(self) -> bool:
        """Drop what was consumed and read on, at least doubling what is kept; False at the end of the file."""
        if not self._eof:
            kept = self._text[self._at :]
            fresh = self._read(max(CHUNK, len(kept)))
            self._eof = not fresh
            self._base += self._at
            self._text, self._at = kept + fresh, 0
        return not self._eof

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Match at the current place and step behind it; None (and no step) where nothing matches."""
        while True:
            found = pattern.match(self._text, self._at)
            if found is not None and (found.end() < len(self._text) or self._eof):
                self._at = found.end()
                return found
            if found is None and (self._eof or len(self._text) - self._at > _LONGEST_GAP):
                return None
            self._more()

    def _value(self, parse: Callable[[str, int], tuple[Any, int]]) -> Any:
        """The value at the current place, by a function of (text, index) that gives value and end."""
        while True:
            try:
                value, end = parse(self._text, self._at)
                if self._eof or end < len(self._text) - _NUMBER_TAIL:
                    self._at = end
                    return value
            except _NeedMore:
                pass
            except StopIteration as error:
                self._refuse("no value", error.value)
            except json.JSONDecodeError as error:
                self._refuse(error.msg, len(self._text) if error.msg.startswith("Unterminated") else error.pos)
            except RecursionError:
                raise Broken(f"a value is nested too deep at character {self._place()}") from None
            except ValueError as error:  # a number of more digits than Python reads
                raise Broken(f"{error} (character {self._place()})") from None
            self._more()

    def _refuse(self, what: str, at: int) -> None:
        """Raise for an error at index `at` of the window, unless more text may mend it."""
        if self._eof and _CUT_VALUE.fullmatch(self._text, at):
            raise self._cut_off()
        if self._eof or at < len(self._text) - _ESCAPE_TAIL:
            raise Broken(f"{what} at character {self._base + at}")

    def _unexpected(self) -> Broken:
        if self._eof and _CUT_FIELD.fullmatch(self._text, self._at):
            return self._cut_off()
        self._match(_SPACE)
        return Broken(f"unexpected text at character {self._place()}")

    def _cut_off(self) -> Broken:
        return Broken(f"the file ends in the middle, after {self._base + len(self._text)} characters")


def _unescaped(name: str, place: int) -> str:
    try:
        return str(json.loads(f'"{name}"'))
    except json.JSONDecodeError as error:
        raise Broken(f"{error.msg} in the name before character {place}") from None


def _tail(text: str, at: int) -> tuple[list[Any], int, int] | None:
    """Items from within a list to its end: they, the end of the last, the end of the list. None where it is cut."""
    items: list[Any] = []
    while True:
        found = _ITEM_OR_END.match(text, at)
        if found is None:
            return None
        if found[1] == "]":
            return items, at, found.end(1)
        value, at = _parse(text, found.end())
        items.append(value)
