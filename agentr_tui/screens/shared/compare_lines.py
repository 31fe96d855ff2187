"""The comparison of two trajectories, or of two traces: lines, and the places of the differences.

Side by side where there is room, one under the other where there is not. Knows no Textual.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby, zip_longest

import msgspec
from rich.cells import cell_len, chop_cells

from agentr_tui.terminal.safe_text import clip, escape
from agentr_tui.terminal.theme import Glyphs, Role, format_value, glyphs, value_role
from agentr_tui.terminal.words import ENDED
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.explain.alignment import Parting, Piece, Step, align, partings, sizes, word_diff
from engine.query.nodes import tree_of
from engine.tree.node import ROOT
from engine.tree.reader import TreeReader
from engine.tree.tree import SearchTree
from engine.workspace.figures import TraceFigures

BESIDE = 84
"""From this width on the sides stand beside each other."""

FOLDED = 6
"""So many steps in a row that are the same are shown as one line."""

MOST_CHARACTERS = 4_000
"""Of one text; what is longer is cut, and says so."""

NAME = 9
"""Cells of what a text is: action, thought, observed; the same words as at the node."""

MOST_PARTINGS = 500

FIGURES = ("nodes", "leaves", "good", "bad", "pairs", "best_return", "max_depth", "calls", "cost", "failures")
"""Of `TraceFigures`: what is told of a search."""

Parts = list[tuple[str, Role]]

_WORD_OR_SPACE = re.compile(r"\s+|\S+")


@dataclass(frozen=True)
class Side:
    """One of two things that are compared."""

    name: str
    tree: SearchTree
    reader: TreeReader
    leaf: int = ROOT
    figures: TraceFigures | None = None  # where whole traces are compared

    @property
    def score_range(self) -> tuple[float, float]:
        """Least and greatest return."""
        return self.tree.started.score_range if self.tree.started is not None else (0.0, 1.0)


@dataclass
class Document:
    """Lines, and the keys of those at which a difference begins."""

    lines: list[Line] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)
    nodes: list[tuple[int | None, int | None]] = field(default_factory=list)  # of each stop: its node on either side

    def stop(self, one: int | None, other: int | None) -> int:
        """The next line begins a difference; its key."""
        self.stops.append(len(self.stops))
        self.nodes.append((one, other))
        return self.stops[-1]


# -- two trajectories ------------------------------------------------------------------------------------


ROLES: tuple[Role, Role] = ("poor", "focus")
"""Of one side and the other."""


def trajectory_document(
    one: Side, other: Side, width: int, *, unified: bool = False, roles: tuple[Role, Role] = ROLES
) -> Document:
    """Two trajectories from what they share to where they end.

    `one` and `other`: the tree and leaf of each. `width`: cells. `unified`: one below the other instead of side by
    side. `roles`: the colours of the two.
    """
    document, signs = Document(), glyphs()
    beside = width >= BESIDE and not unified
    shared, steps = align(one.reader, one.leaf, other.reader, other.leaf)
    _heads(document, one, other, width, beside, signs, roles)
    number_one = number_other = 0
    for is_same, group in groupby(enumerate(steps), key=lambda item: item[1].same):
        run = list(group)
        if is_same:
            _same_steps(document, one, [step for _, step in run], (number_one, number_other), signs)
        for place, step in run:
            if place == shared:
                document.lines.append(line((_rule(_fork(shared), width, signs), "focus")))
            number_one += step.one is not None
            number_other += step.other is not None
            if not is_same:
                numbers = (number_one, number_other)
                _changed_step(document, one, other, step, numbers, width if beside else 0, signs, roles)
    if shared == len(steps):
        document.lines += [BLANK, line(("no difference", "good"))]
    return document


def _fork(shared: int) -> str:
    return f" fork after step {shared} " if shared else " fork at the start: no step is shared "


def _heads(
    document: Document, one: Side, other: Side, width: int, beside: bool, signs: Glyphs, roles: tuple[Role, Role]
) -> None:
    heads = [_head(one, signs.minus, roles[0]), _head(other, signs.plus, roles[1])]
    if beside:
        document.lines += _rows(heads[0], heads[1], width, signs, None)
    else:
        document.lines += [line(*head, indent=2) for head in heads]


def _head(side: Side, sign: str, role: Role) -> Parts:
    node, low_high = side.reader.node(side.leaf), side.score_range
    q = side.reader.q(side.leaf)
    ended = f" · {ENDED[node.terminal]}" if node.terminal is not None and side.reader.exhausted(side.leaf) else ""
    return [
        (f"{sign} {side.name}", role),
        (f" · depth {node.depth} · Q ", "muted"),
        (format_value(q, *low_high, ascii=sign.isascii()), value_role(q, *low_high)),
        (ended, "muted"),
    ]


def _same_steps(document: Document, one: Side, steps: Sequence[Step], before: tuple[int, int], signs: Glyphs) -> None:
    shown = list(enumerate(steps, 1))
    if len(shown) > FOLDED:
        shown = [*shown[:2], (0, shown[2][1]), *shown[-2:]]
    for place, step in shown:
        if not place:
            document.lines.append(line((f"      {signs.cut} {len(steps) - 4} steps are the same", "faint")))
            continue
        assert step.one is not None
        node = one.reader.node(step.one)
        left, right = before[0] + place, before[1] + place
        number = str(left) if left == right else f"{left}/{right}"
        told = f"  {clip(node.observation, 160)}"
        writer = _writer(one, step.one)
        hand = f"  {signs.edited} by {writer}" if writer else ""
        document.lines.append(
            line((f"= {number:>3} ", "muted"), (node.action, "text"), (hand, "person"), (told, "muted"), indent=6)
        )


def _changed_step(
    document: Document,
    one: Side,
    other: Side,
    step: Step,
    numbers: tuple[int, int],
    width: int,
    signs: Glyphs,
    roles: tuple[Role, Role],
) -> None:
    """A step that differs, field by field; in two columns where `width` is given."""
    key = document.stop(step.one, step.other)
    x = one.reader.node(step.one) if step.one is not None else None
    y = other.reader.node(step.other) if step.other is not None else None
    fields: list[tuple[str, str | None, str | None]] = [
        ("action", x.action if x else None, y.action if y else None),
        ("thought", x.thought if x else None, y.thought if y else None),
        ("observed", x.observation if x else None, y.observation if y else None),
        ("written", _writer(one, step.one), _writer(other, step.other)),
    ]
    rows: list[Line] = []
    for name, a, b in fields:
        if not a and not b:
            continue
        left, right = _diffed(a, b)
        shown = numbers if name == "action" else (None, None)
        if a == b:
            starts = [_start("=", "muted", number, name) for number in shown]
            left = right = [(_cut(a), "muted")]
        else:
            starts = [
                _start(signs.minus, roles[0], shown[0], name),
                _start(signs.plus, roles[1], shown[1], name),
            ]
        if width:
            rows += _rows(
                [*starts[0], *left] if a is not None else [],
                [*starts[1], *right] if b is not None else [],
                width,
                signs,
                key,
            )
        elif a == b:
            rows.append(line(*starts[0], *left, indent=6 + NAME, key=key))
        else:
            sides = zip(starts, (left, right), (a, b), strict=True)
            for start, told, text in sides:
                if text is not None:
                    first, *rest = _by_line(told)
                    rows.append(line(*start, *first, indent=6 + NAME, key=key))
                    rows += [line((" " * (6 + NAME), "muted"), *each, indent=6 + NAME, key=key) for each in rest]
    document.lines += rows


def _writer(side: Side, id: int | None) -> str | None:
    """Who wrote a step by hand; None where the actor made it."""
    return None if id is None else tree_of(side.reader).written_by.get(id)


def _start(sign: str, role: Role, number: int | None, name: str) -> Parts:
    return [(f"{sign} {number if number is not None else '':>3} ", role), (f"{name:<{NAME}}", "muted")]


def _diffed(one: str | None, other: str | None) -> tuple[Parts, Parts]:
    """Both texts with their differences standing out; one that has no counterpart stands as it is."""
    a, b = _cut(one), _cut(other)
    if one is None or other is None:
        return [(a, "text")], [(b, "text")]
    left, right = word_diff(a, b)
    return _shown(left), _shown(right)


def _cut(text: str | None) -> str:
    if text is None or len(text) <= MOST_CHARACTERS:
        return text or ""
    return f"{text[:MOST_CHARACTERS]}… ({len(text)} characters)"


def _shown(pieces: Sequence[Piece]) -> Parts:
    return [(piece.text, "warn" if piece.changed else "text") for piece in pieces]


# -- rows of two columns -----------------------------------------------------------------------------------


def _rows(left: Parts, right: Parts, width: int, signs: Glyphs, key: int | None) -> list[Line]:
    """Two texts beside each other, each wrapped in its column."""
    room = (width - 3) // 2
    columns = _wrapped(left, room, 6 + NAME), _wrapped(right, width - 3 - room, 6 + NAME)
    lines = []
    nothing: Parts = []
    for one, other in zip_longest(*columns, fillvalue=nothing):
        filled = room - sum(cell_len(text) for text, _ in one)
        lines.append(line(*one, (" " * filled, "text"), (f" {signs.guide} ", "faint"), *other, key=key))
    return lines


def _wrapped(parts: Parts, width: int, indent: int) -> list[Parts]:
    """Parts in rows of at most `width` cells, broken between words; rows after the first are set in."""
    indent = min(indent, width // 2)
    rows: list[Parts] = [[]]
    used = 0
    for text, role in parts:
        for word in _WORD_OR_SPACE.findall(escape(text, multiline=True)):
            if "\n" in word:
                rows.append([(" " * indent, "text")])
                used = indent
                continue
            while word:
                room = width - used
                most = 4 * room + 16  # characters that are looked at: a word may be as long as the text
                if len(word) <= most and cell_len(word) <= room:
                    rows[-1].append((word, role))
                    used += cell_len(word)
                    break
                if word.isspace():
                    break
                if used <= indent:  # too long for any row
                    head = chop_cells(word[:most], max(1, room))[0]
                    rows[-1].append((head, role))
                    word = word[len(head) :]
                rows.append([(" " * indent, "text")])
                used = indent
    return rows if parts else []


def _by_line(parts: Parts) -> list[Parts]:
    """Parts of a text, line by line."""
    lines: list[Parts] = [[]]
    for text, role in parts:
        first, *rest = text.split("\n")
        lines[-1].append((first, role))
        lines += [[(each, role)] for each in rest]
    return lines


def _rule(name: str, width: int, signs: Glyphs) -> str:
    return signs.dash * 2 + name + signs.dash * max(2, width - cell_len(name) - 2)


# -- two traces --------------------------------------------------------------------------------------------


def trace_document(
    one: Side, other: Side, width: int, *, unified: bool = False, cancelled: Callable[[], bool] = lambda: False
) -> Document:
    """Two searches: settings and figures that differ, then every place where their trees part.

    `one` and `other`: the two trees. `width`: cells. `unified`: one below the other. `cancelled`: asked now and
    then; True ends the work early.
    """
    document, signs = Document(), glyphs()
    beside = width >= BESIDE and not unified
    document.lines += [
        line((f"{signs.minus} {one.name}", "poor"), indent=2),
        line((f"{signs.plus} {other.name}", "focus"), indent=2),
        BLANK,
    ]
    document.lines += _figure_lines(one, other, signs)
    below = sizes(one.reader), sizes(other.reader)
    count = 0
    for parting in partings(one.reader, other.reader):
        if cancelled():
            break
        count += 1
        if count <= MOST_PARTINGS:
            _parting(document, one, other, parting, below, width if beside else 0, width, signs)
    if count > MOST_PARTINGS:
        document.lines += [BLANK, line((f"{count - MOST_PARTINGS} more places are not shown", "warn"))]
    if not count:
        document.lines += [BLANK, line(("the trees are the same, step for step", "good"))]
    return document


def _figure_lines(one: Side, other: Side, signs: Glyphs) -> list[Line]:
    """What was set and what came of it, where it differs; the figures in any case."""
    lines: list[Line] = []
    a, b = one.tree.started, other.tree.started
    rows: list[tuple[str, str, str]] = []
    if a is not None and b is not None:
        rows += [("environment", a.environment, b.environment), ("task", a.task, b.task)]
        mine, theirs = msgspec.structs.asdict(a.settings), msgspec.structs.asdict(b.settings)
        rows += [(name.replace("_", " "), str(mine[name]), str(theirs[name])) for name in mine]
    changed = [row for row in rows if row[1] != row[2]]
    figures: list[tuple[str, str, str]] = []
    if one.figures is not None and other.figures is not None:
        for name in FIGURES:
            x, y = getattr(one.figures, name), getattr(other.figures, name)
            if x is not None or y is not None:
                figures.append((name.replace("_", " "), _figure(x), _figure(y)))
    size = max((max(cell_len(escape(row[1])), 8) for row in [*changed, *figures]), default=8)
    size = min(size, 30)
    lines.append(line((f"{'':<14}{signs.minus:<{size}}  {signs.plus}", "muted")))
    for name, x, y in [*changed, *figures]:
        role: Role = "warn" if x != y else "muted"
        shown = escape(clip(x, size)), escape(clip(y, 40))
        padding = " " * max(0, size - cell_len(shown[0]))
        lines.append(line((f"{name:<14}", "muted"), (shown[0] + padding + "  ", role), (shown[1], role)))
    if a is not None and b is not None and not changed:
        lines.append(line(("the same task and settings", "muted")))
    return lines


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _parting(
    document: Document,
    one: Side,
    other: Side,
    parting: Parting,
    below: tuple[list[int], list[int]],
    columns: int,
    width: int,
    signs: Glyphs,
) -> None:
    """One place where the trees part: the node, what differs in it, and the children that one of them lacks."""
    node = one.reader.node(parting.one)
    where = "root" if parting.one == ROOT else clip(node.action, max(16, width - 40))
    if parting.one == parting.other:
        which = f" {parting.one}" if parting.one != ROOT else ""
    else:
        which = f" {parting.one} / {parting.other}"
    key = document.stop(parting.one, parting.other)
    document.lines += [BLANK, line((_rule(f" depth {node.depth}{which} · {where} ", width, signs), "focus"), key=key)]
    if parting.text:
        x, y = one.reader.node(parting.one), other.reader.node(parting.other)
        for name, a, b in (("thought", x.thought, y.thought), ("observed", x.observation, y.observation)):
            if a == b:
                continue
            left, right = _diffed(a, b)
            starts = _start(signs.minus, "poor", None, name), _start(signs.plus, "focus", None, name)
            if columns:
                document.lines += _rows([*starts[0], *left], [*starts[1], *right], columns, signs, key)
            else:
                document.lines += [
                    line(*starts[0], *left, indent=6 + NAME, key=key),
                    line(*starts[1], *right, indent=6 + NAME, key=key),
                ]
    room = (columns // 2 if columns else width) - 8
    rows = (
        [_child(one, id, below[0][id], signs.minus, "poor", room) for id in parting.only_one],
        [_child(other, id, below[1][id], signs.plus, "focus", room) for id in parting.only_other],
    )
    if columns:
        for left, right in zip_longest(*rows, fillvalue=[]):
            document.lines += _rows(left, right, columns, signs, key)
    else:
        document.lines += [line(*parts, indent=6, key=key) for side in rows for parts in side]


def _child(side: Side, id: int, size: int, sign: str, role: Role, room: int) -> Parts:
    q, low_high = side.reader.q(id), side.score_range
    rest = f", {size - 1} below" if size > 1 else ""
    told = f"  N {side.reader.visits(id)}{rest} · Q "
    return [
        (f"{sign} {id:>5} ", role),
        (clip(side.reader.node(id).action, max(12, room - len(told) - 5)), "text"),
        (told, "muted"),
        (format_value(q, *low_high, ascii=sign.isascii()), value_role(q, *low_high)),
    ]
