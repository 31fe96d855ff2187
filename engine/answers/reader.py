"""Reading an answer of a model as a person would: what it thought, and the first action that it named.

Answers come in every dress: labels in bold, in capitals, in another language; fences, bullets, quotes; JSON that
nobody asked for; an invented continuation after the action. `read_answer` finds the action, and `Reading.response` is
the answer as it is stored, sent back and trained: `Thought: …` and `Action: …` in this spelling, the action last and
bare, nothing else. The original's rule, for its own recordings, is `engine.base.text.parse_action`.

A label counts at the beginning of a line, and only where there is none within one (then the last). An answer that
names no action (a question back, a thought alone, JSON that can't be read) gives none: it is not in the form.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from engine.answers.form import ONE_LINE, AnswerForm, Note, Reading
from engine.answers.labels import Kind, Label, label_of
from engine.answers.structured import (
    Structured,
    begins_structured,
    called,
    input_text,
    joined_action,
    structured,
)
from engine.answers.undress import tidy, undress, without_control_tokens, without_formatting, words_of
from engine.answers.unlabelled import (
    FENCE,
    ONLY_MARKS,
    is_preamble,
    lines_reached,
    marked_command,
    may_act,
    next_filled,
)
from engine.base.text import clean

LONGEST = 200_000  # characters of an answer that are looked at
MOST_LABELS = 50  # that are looked under: the first ones at the head of a line, the last ones within lines
DEEPEST = 5  # labels before one action: `Action: action: go`


def read_answer(text: str, form: AnswerForm = ONE_LINE, *, held_to_form: bool = False) -> Reading:
    """Returns what an answer says: its thought, its first action, and what was odd about it.

    `text`: the answer without its reasoning (`engine.answers.thinking`). `form`: the form of the environment's actions.
    `held_to_form`: whether the model was told to answer in a form (JSON); bare text then holds no action.
    """
    text, cut = without_control_tokens(tidy(_unpacked(text[:LONGEST])).replace("｜DSML｜", ""))
    if not form.several_lines:
        text = without_formatting(text)
    reading = _Reader(text, form).read(held_to_form)
    reading = reading._replace(thought=clean(reading.thought), action=clean(reading.action))  # JSON escapes half pairs
    if not reading.action:
        return reading._replace(whole=cut)
    if held_to_form:  # what was asked for has no label
        reading = reading._replace(notes=tuple(note for note in reading.notes if note != "without label"))
    trimmed: tuple[Note, ...] = ("trimmed",) if cut and "trimmed" not in reading.notes else ()
    return reading._replace(notes=(*trimmed, *reading.notes), whole=reading.whole or cut)


def written_response(text: str, form: AnswerForm) -> str:
    """What a person wrote, in the form in which it is stored; as it is where it names no action."""
    reading = read_answer(clean(text), form)
    return reading.response if reading.action else clean(text)


def _unpacked(text: str) -> str:
    """A text that came as a JSON string."""
    if text.lstrip()[:2] in ('"{', '"T', '"A') and text.rstrip().endswith('"'):
        try:
            inner = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            return text
        return inner if isinstance(inner, str) else text
    return text


_INLINE = re.compile(r"(?<![\w])(?:Action|ACTION|action|Aktion|动作|行动)[ \t]*(?:1)?[*_`\"]*[ \t]*[:：](?!//)")
_INLINE_END = re.compile(
    r"(?:\s|(?<=[.!?]))[*_`]*(?:Observation|Obs|Thought|Action(?: Input)?|Final Answer|User|Human|Assistant"
    r"|Explanation|Reason|Reasoning|Note)[*_`]*(?: \d+)?[*_`]*\s*[:：]"
)
_INLINE_INPUT = re.compile(r"\s+[*_`]*Action[ _]Input[*_`]*\s*[:：]\s*", re.I)
_INLINE_WORLD = re.compile(r"(?:\s|(?<=[.!?]))[*_`]*(?:Observation|Obs|User|Human)[*_`]*(?: \d+)?[*_`]*\s*[:：]")
_AGAIN = re.compile(r"(?:command|cmd|execute|run)[ \t]*[:：][ \t]*(?=\S)", re.I)
_FENCE_START = re.compile(r"(?:```+|~~~+)(?P<info>[\w+-]*)\s*")
_LANGUAGES = words_of("text plaintext plain txt bash sh shell console json action python tool_code xml yaml code")


# -- reading -------------------------------------------------------------------------------------------


class _Found(NamedTuple):
    action: str
    line: int  # where it begins, and the one after it
    end: int
    whole: bool


class _Reader:
    """One answer, its lines and their labels."""

    def __init__(self, text: str, form: AnswerForm) -> None:
        self.text = text
        self.form = form
        self.several_lines, self.joined = form
        self.lines = text.split("\n")
        self.labels = [label_of(line) for line in self.lines]

    def read(self, held_to_form: bool = False) -> Reading:
        data_first = begins_structured(self.text)
        if data_first and (reading := self._of_data()):
            return reading
        if reading := self._of_labels(("action",)):
            return reading
        if not data_first and (reading := self._of_data()):
            return reading
        for ask in (self._of_inline, lambda: self._of_labels(("actions",)), lambda: self._of_labels(("command",))):
            if reading := ask():
                return reading
        if data_first or held_to_form:
            return Reading("", "")
        return self._of_bare()

    # -- with labels -------------------------------------------------------------------------------

    def _of_labels(self, kinds: tuple[Kind, ...]) -> Reading | None:
        found: _Found | None = None
        begun = False  # the thought, or a label that nothing stands under
        tried = 0
        for place, label in enumerate(self.labels):
            if label is None:
                continue
            if label.kind == "continuation" and begun:
                break
            begun = begun or label.kind in ("thought", "reason", *kinds)
            if label.kind in kinds:
                tried += 1
                if (found := self._content(place, label)) is not None or tried >= MOST_LABELS:
                    break
        if found is None:
            return None
        thought = self._thought_before(found.line)
        if not thought:
            thought = self._thought_after(found.end)
        return Reading(thought, found.action, self._notes(found, kinds), found.whole)

    def _notes(self, found: _Found, kinds: tuple[Kind, ...]) -> tuple[Note, ...]:
        notes: list[Note] = []
        after = self.lines[found.end :]
        if any(not ONLY_MARKS.match(line) for line in after):
            notes.append("trimmed")
        if kinds != ("action",):
            notes.append("without label")
        for label in self.labels[found.end :]:
            if label is not None and label.kind == "continuation":
                break
            if label is not None and label.kind in kinds:
                notes.append("several actions")
                break
        else:
            if kinds == ("actions",) and any(not ONLY_MARKS.match(line) for line in after[:1]):
                notes.append("several actions")
        return tuple(notes)

    def _content(self, place: int, label: Label) -> _Found | None:
        """What stands under a label; None where nothing does."""
        first, rest, fenced = place, label.rest, False
        opened = _FENCE_START.match(rest)
        if opened and "`" not in rest[opened.end() :]:
            fenced, rest = True, rest[opened.end() :]
            if opened["info"] and opened["info"] not in _LANGUAGES:
                rest = opened["info"] + " " + rest
        while ONLY_MARKS.match(rest):
            place += 1
            if place >= len(self.lines):
                return None
            fence = FENCE.match(self.lines[place])
            if fence is not None and not fenced:
                fenced = True
                continue
            if self.labels[place] is not None and not self._is_plain(place):
                return None
            rest = self.lines[place]
        data = self._data_at(place, rest)
        if data is not None:
            return data._replace(line=first)
        if self.several_lines:
            return self._several(first, place, rest, fenced)
        end = place + 1
        action, whole = self._one_line(rest)
        following = next_filled(self.lines, end)
        if following is not None:
            after = self.labels[following]
            if after is not None and after.kind == "input":
                given = after.rest
                end = following + 1
                if not given or FENCE.match(given):
                    inside = next_filled(self.lines, end)
                    given = self.lines[inside] if inside is not None and self.labels[inside] is None else ""
                    end = inside + 1 if given and inside is not None else end
                if given.lstrip().startswith("{"):
                    given = input_text("\n".join([given, *self.lines[end:]]))
                action = joined_action(action, undress(given), self.joined)
        if not action:
            return None
        return _Found(action, first, end, whole or end < len(self.lines))

    def _is_plain(self, place: int) -> bool:
        """Whether what looks like a label below a label is the action itself: `move: north`."""
        label = self.labels[place]
        return label is not None and label.kind in ("command", "input")

    def _one_line(self, rest: str) -> tuple[str, bool]:
        """The action of one line, and whether something ended it on that line."""
        given = None
        if match := _INLINE_INPUT.search(rest):
            given, rest = rest[match.end() :], rest[: match.start()]
            if end := _INLINE_END.search(given):
                given = given[: end.start()]
        whole = False
        if end := _INLINE_END.search(rest):
            rest, whole = rest[: end.start()], True
        action = undress(rest)
        for _ in range(DEEPEST):
            again = label_of(action)
            if again is None or again.kind not in ("action", "actions") or not again.named or not again.rest:
                break
            action = undress(again.rest)
        action = called(action) or _AGAIN.sub("", action)
        if given is not None:
            action = joined_action(action, undress(input_text(given)), self.joined)
        return action, whole

    def _several(self, first: int, place: int, rest: str, fenced: bool) -> _Found | None:
        kept, end, closed = [rest], place + 1, False
        while end < len(self.lines):
            line, label = self.lines[end], self.labels[end]
            if fenced and FENCE.match(line):
                closed = True
                end += 1
                break
            if not fenced and label is not None and label.named and label.kind in ("action", "thought", "continuation"):
                closed = True
                break
            kept.append(line)
            end += 1
        action = "\n".join(kept).strip("\n").rstrip()
        action = re.sub(r"\n?```+$", "", action)
        if "\n" not in action:
            action = undress(action)
        return _Found(action, first, end, closed) if action.strip() else None

    def _data_at(self, place: int, rest: str) -> _Found | None:
        """An action given as data under its label."""
        text = rest.lstrip("`* \t")
        if not text.startswith(("{", "[{", '["', "<action", "<tool_call", "<function")):
            return None
        found = structured("\n".join([text, *self.lines[place + 1 :]]), self.joined)
        if found is None or found.start > 1:
            return None
        end = place + 1 + lines_reached(text, self.lines[place + 1 :], found.end)
        return _Found(self._from_data(found.action), place, end, True)

    # -- the thought -------------------------------------------------------------------------------

    def _thought_before(self, place: int) -> str:
        """The thought that stands before a line: under its label where there is one, else all of it."""
        for kind in ("thought", "reason"):
            for at, label in enumerate(self.labels[:place]):
                if label is not None and label.kind == kind:
                    return self._cleaned([label.rest, *self.lines[at + 1 : place]])
        return self._cleaned(self.lines[:place])

    def _thought_after(self, place: int) -> str:
        """A thought that follows the action at once, and is followed by no other action."""
        at = next_filled(self.lines, place)
        if at is None:
            return ""
        label = self.labels[at]
        if label is None or label.kind not in ("thought", "reason"):
            return ""
        later = [other.kind for other in self.labels[at + 1 :] if other is not None]
        if "action" in later:
            return ""
        end = next(
            (n for n in range(at + 1, len(self.lines)) if self.labels[n] is not None or not self.lines[n].strip()),
            len(self.lines),
        )
        return self._cleaned([label.rest, *self.lines[at + 1 : end]])

    def _cleaned(self, lines: list[str]) -> str:
        """A thought less further labels of its own and the marks around it."""
        kept = []
        for line in lines:
            label = label_of(line)
            kept.append(label.rest if label is not None and label.kind == "thought" else line)
        while kept and ONLY_MARKS.match(kept[-1]):
            kept.pop()
        while kept and (ONLY_MARKS.match(kept[0]) or FENCE.match(kept[0])):
            kept.pop(0)
        thought = re.sub(r"\s*\[/\w+\]$|\s+\|$", "", "\n".join(line.rstrip() for line in kept).strip())
        for mark in ("***", "**", "__", "`", "</thought>", "</thoughts>"):
            if thought.endswith(mark) and thought.count(mark) % 2 == 1:
                thought = thought.removesuffix(mark).rstrip()
        return thought

    # -- with data ---------------------------------------------------------------------------------

    def _of_data(self) -> Reading | None:
        found: Structured | None = structured(self.text, self.joined)
        if found is None:
            return None
        action = self._from_data(found.action)
        if not action:
            return None
        before = self.text[: found.start].split("\n")
        thought = found.thought
        if thought is None:
            inner = _Reader(self.text[: found.start], self.form)
            thought = inner._thought_before(len(before)) if not is_preamble(self.text[: found.start]) else ""
        notes: list[Note] = ["without label"]
        if any(
            not ONLY_MARKS.match(line) and not line.lstrip().startswith("</")
            for line in self.text[found.end :].split("\n")
        ):
            notes.append("trimmed")
        if found.several:
            notes.append("several actions")
        return Reading(" ".join(thought.split()), action, tuple(notes), True)

    def _from_data(self, action: str) -> str:
        if self.several_lines and "\n" in action.strip():
            return action.strip("\n")
        line = next((line for line in action.split("\n") if not ONLY_MARKS.match(line)), "").lstrip(":： ")
        return self._one_line(line)[0]

    # -- without either ----------------------------------------------------------------------------

    def _of_inline(self) -> Reading | None:
        """The last label within a line, in what comes before an invented observation."""
        text = self.text
        labels = list(_INLINE.finditer(text))
        if not labels:
            return None
        if world := _INLINE_WORLD.search(text, labels[0].end()):
            text = text[: world.start()]
            labels = [label for label in labels if label.end() <= len(text)]
        for label in reversed(labels[-MOST_LABELS:]):
            rest = text[label.end() :]
            line, _, after = rest.partition("\n")
            action, whole = self._one_line(line)
            if ONLY_MARKS.match(action):
                continue
            inner = _Reader(text[: label.start()], self.form)
            thought = inner._thought_before(len(inner.lines))
            notes: list[Note] = ["trimmed"] if after.strip() or whole or len(text) < len(self.text) else []
            if len(labels) > 1:
                notes.append("several actions")
            return Reading(thought, action, tuple(notes), bool(after) or whole or len(text) < len(self.text))
        return None

    def _of_bare(self) -> Reading:
        """No label at all: the last line that is not prose, or the one command that is marked as such."""
        lines, start = self.lines, 0
        thought_at = next(
            (at for at, label in enumerate(self.labels) if label and label.kind in ("thought", "reason")), None
        )
        if thought_at is not None:
            start = thought_at + 1
        stop = next(
            (at for at in range(start, len(lines)) if (label := self.labels[at]) and label.kind == "continuation"),
            len(lines),
        )
        marked = marked_command(lines, start, stop)
        if marked is not None:
            action, place, ended = marked
        else:
            place = next((at for at in range(stop - 1, start - 1, -1) if may_act(lines[at])), -1)
            if place < 0:
                return Reading("", "")
            action, ended = self._one_line(lines[place])[0], place + 1 < len(lines)
        if not action:
            return Reading("", "")
        thought = self._thought_before(place)
        after = [line for line in lines[place + 1 :] if not ONLY_MARKS.match(line)]
        notes: tuple[Note, ...] = ("without label", "trimmed") if after else ("without label",)
        return Reading(thought, action, notes, ended)
