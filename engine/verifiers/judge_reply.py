"""Reads a judge's reply: its word, and the reasons before it.

Models write the one line that they are asked for in many forms: `Judgment: bad`, `**Judgement:** Bad`, a heading with
the word below it, `判断：Bad`, JSON, a box, a sentence. The word is read as a person would read it. A reply that only
repeats the choice (`Good|Bad|Uncertain`) holds no judgement.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, Literal, NamedTuple

Word = Literal["Good", "Bad", "Uncertain"]

WORDS: dict[str, Word] = {"good": "Good", "bad": "Bad", "uncertain": "Uncertain"}
_OTHER: dict[str, Word] = {"不好": "Bad", "不确定": "Uncertain", "好": "Good", "坏": "Bad", "差": "Bad"}

LONGEST = 20_000  # characters of a reply that are looked at, its last ones
MOST_LABELS = 50  # that are looked at, the last ones

_ONE = rf"(?:good|bad|uncertain)(?![\w-])|{'|'.join(_OTHER)}"
_DRESS = r"(?:[^\w≠¬]|_)"
"""What may stand around a word: markdown, quotes, brackets, signs; not one that says the opposite."""
_MARKS = rf"{_DRESS}*+"
_LONG_RUN = re.compile(rf"{_DRESS}{{61,}}+")
"""More than that stands around no word; the patterns below take up to the third power of its length in time."""
_SET = re.compile(r"</?(?:b|i|u|em|strong|span|font|p|div|code|mark|br)(?:\s[^<>]*)?/?>|~~[^~\n]{1,80}~~", re.I)
"""Tags that say how a text is set, and what was struck."""
_BOX = re.compile(r"\\(?:boxed|text\w*|mathrm|mathbf)\b")
_LABEL = (
    r"ju(?:dge?|gde?)?m[en]{1,3}ts?|(?:最终)?(?:判断|判定)(?:结果)?|评判|评价|评估|評価|判定結果|판단|평가"
    r"|jugement|urteil|bewertung|juicio|veredicto|valoración|giudizio|valutazione|oordeel|оценка|вердикт"
)
_LESSER = r"verdict|conclusion|assessment|evaluation|rating|classification|label|final answer|answer|decision|结论"
_LEAST = r"result|output|score|grade|status|final|overall|judged?|quality|(?:this )?step(?:\s+\d+)?"
"""Labels that count where the word stands alone behind them."""
_ADVERBS = (
    r"clearly|definitely|certainly|obviously|probably|likely|rather|quite|very|simply|just|thus|so|a|an|somewhat|mostly"
    r"|extremely|really|pretty|fairly|largely|slightly|leaning|overall|strongly"
)
_SEEMS = r"(?:['’]s|\s+(?:is|seems|appears)(?:\s+to\s+be)?)"
_CHOICE = re.compile(
    rf"(?:{_ONE}){_DRESS}*?(?:\||/|,|\bor\b|\band\b|或|、)\W*(?:or\s+)?(?:{_ONE})"
    rf"(?:{_DRESS}*?(?:\||/|,|\bor\b|\band\b|或|、)\W*(?:or\s+)?(?:{_ONE}))?",
    re.I,
)
_FIRST = re.compile(
    rf"{_MARKS}(?:(?:[a-c]|\d)[.)]|option\s+[a-c1-3]\b)?{_MARKS}(?:(?:{_ADVERBS})\s+)*"
    rf"(?P<word>{_ONE})",
    re.I,
)
_WORD = re.compile(rf"(?<![\w-])(?:{_ONE})", re.I)
_ALONE = re.compile(rf"{_DRESS}*(?P<word>{_ONE}){_DRESS}*", re.I)
_TICKED = re.compile(rf"(?:\[[x✓✔*]\]|[☑☒✅✔])\s*{_DRESS}*?(?P<word>{_ONE})", re.I)
_EMPHATIC = re.compile(rf"(?:\*\*|__|`|\[|<)\s*(?P<word>{_ONE})\s*(?:\*\*|__|`|\]|>)", re.I)
_SUBJECT = (
    r"(?:the|this|that|its|their|step)\s+(?:[\w'’-]{1,40}\s+){0,3}?(?:step|action|move|choice|decision)(?:\s+\d+)?"
    r"(?:\s+in question)?|step\s+\d+|the\s+(?:final\s+)?(?:answer|verdict)|my\s+(?:final\s+)?(?:answer|verdict)"
)
_SENTENCE = re.compile(
    rf"(?<!\w)(?:"
    rf"(?:{_SUBJECT})\s+(?:is|was|has been|must be|should be (?:called|judged|considered|rated|marked))\s+"
    rf"|(?:i\s+(?:would\s+|will\s+|'d\s+|’d\s+|therefore\s+|thus\s+)*|i['’]d\s+)"
    rf"(?:judge|call|rate|consider|deem|label|mark|classify)\s+(?:it|this|that|{_SUBJECT})[:\s]+(?:to be\s+|as\s+)?"
    rf"|i(?:['’]d|\s+would)\s+say\s*:?\s*(?:(?:it|this|that)(?:['’]s|\s+is)\s+)?"
    rf"|(?:therefore|thus|hence|so|overall|in short|in conclusion)\s*[,:]\s*(?:(?:it|this|that)\s+is\s+)?"
    rf")[:\s]*(?:(?:{_ADVERBS})\s+|judged\s+|considered\s+|called\s+|rated\s+|marked\s+|labell?ed\s+|as\s+|to be\s+)*"
    rf"[*_`\"'“‘\[<(]*(?P<word>{_ONE})(?P<after>[^.!?\n]{{0,24}})",
    re.I,
)
_NOUN = re.compile(
    rf"(?<!\w)(?:it|this|that)(?:['’]s|\s+(?:is|was))\s+(?:(?:{_ADVERBS})\s+)+[*_`\"'“]*"
    rf"(?P<word>{_ONE})[*_`\"'”]*\s+(?:step|action|move|choice|decision)(?P<after>)",
    re.I,
)
_OPINION = re.compile(
    rf"{_MARKS}(?:(?:so|thus|hence|therefore|overall|in short)\b,?\s*)?"
    rf"(?:i\s+(?:think|believe|feel|say|conclude)(?:\s+that)?:?\s+)?"
    rf"(?:(?:it|this|that|{_SUBJECT}){_SEEMS}\s+|that\s+makes\s+(?:it|this|{_SUBJECT})\s+)?"
    rf"(?:(?:{_ADVERBS})\s+)*{_MARKS}(?P<word>{_ONE})",
    re.I,
)
"""A whole line, or the beginning of what follows a label: `I think it is bad`."""
_HYPOTHETICAL = re.compile(r"\b(?:if|whether|unless|were|would be|could be|might be|when)\b[^,;]*$", re.I)


class Said(NamedTuple):
    """A judge's word and reasons."""

    word: Word | None  # None: nothing that a person could take for a judgement
    reason: str  # what it wrote besides


def read_said(text: str) -> Said:
    """The judgement in a reply, and its reasons."""
    plain = _SET.sub(" ", _BOX.sub("", unicodedata.normalize("NFKC", text[-LONGEST:])[-LONGEST:]))
    plain = _LONG_RUN.sub(_shortened, plain)
    plain = re.sub(r"\s*\n\s*\n", "\n\n", re.sub(r"([-=_*#~.])\1{9,}", r"\1\1\1", plain))
    found = _in_json(plain)
    if found is not None:
        return found
    for label in (_LABEL, _LESSER, _LEAST):
        found = _labelled(plain, label, alone=label == _LEAST)
        if found is not None:
            return found
    return _unlabelled(plain)


def judgement_is_whole(text: str) -> bool:
    """Whether the judgement of a reply that was cut off was not cut: a line follows it, or its object is closed."""
    said = read_said(text)
    if said.word is None:
        return False
    lines = text.rstrip().splitlines()
    return text.rstrip().endswith("}") or read_said("\n".join(lines[:-1])).word == said.word


def _shortened(run: re.Match[str]) -> str:
    """The beginning and the end of a run of signs and spaces; lines stay apart."""
    return run[0][:30] + "\n" * ("\n" in run[0]) + run[0][-30:]


def _word(text: str) -> Word:
    return WORDS.get(text.lower()) or _OTHER[text]


def _labelled(text: str, label: str, *, alone: bool) -> Said | None:
    """The word after the last label that has one. `alone`: only where nothing else stands there."""
    start = rf"(?:^|\n){_DRESS}*(?:\d+[.)]\s*)?(?:(?:final|my|overall|the|our)\s+){{0,4}}(?P<label>{label})\b"
    tag = rf"<(?P<label>{label})>"
    inside = rf"(?<!\w)(?P<label>{label})(?=\W{{0,4}}[:=]|\W{{0,4}}\s(?:is|would be|→|⇒|->|[-–—])\W)"
    matches = [match for pattern in (start, inside, tag) for match in re.finditer(pattern, text, re.I)]
    for match in sorted(matches, key=lambda match: -match.end())[:MOST_LABELS]:
        after = text[match.end() :]
        word = _alone_after(after) if alone else _after_label(after)
        if word is not None:
            return Said(word, text[: match.start("label")].rstrip(" \t\n*_#`>-([{\"'").strip() or _rest(after))
    return None


def _alone_after(after: str) -> Word | None:
    """The word in the rest of a label's line, where that says nothing else."""
    line = after.split("\n", 1)[0]
    match = _ALONE.fullmatch(line) if re.match(r"\W*[:=]", line) else None
    return _word(match["word"]) if match is not None else None


def _after_label(after: str) -> Word | None:
    """The word in what follows a label: on its line, else in the first line below that says anything."""
    after = re.sub(
        r"^[ \t]*(?:\([^)\n]*\)|\[[^\]\n]*[|/][^\]\n]*\]|\W?\s*\{[^}\n]*\})(?=\s*[:=])"
        r"|^\s+(?:of|for|on|about)\s[^:\n]*(?=:)",
        "",
        after,
    )
    for line in after.splitlines()[:6]:
        bare = re.sub(rf"^{_DRESS}+", "", line)
        bare = re.sub(r"^(?:is|would be)\b\W*", "", bare, flags=re.I)
        if not bare.strip():
            continue
        return _of_line(bare or line, line)
    return None


def _of_line(bare: str, line: str) -> Word | None:
    """The word that a line says where a judgement belongs."""
    ticked = [match["word"] for match in _TICKED.finditer(line)]
    if len(ticked) == 1:
        return _word(ticked[0])
    choice = _CHOICE.search(line)
    if choice is not None and _is_echo(choice.group(), line[choice.end() :]):
        if (word := _after_choice(line)) is not None:
            return word
        chosen = {match["word"].lower() for match in _EMPHATIC.finditer(line)}
        return _word(chosen.pop()) if len(chosen) == 1 else None
    match = _FIRST.match(bare) or _OPINION.match(bare)
    if match is not None:
        return _word(match["word"])
    return _in_row(line) or _sentence(re.sub(r"^(?:it|this|that)\s+(?=is\b|was\b)", "the step ", bare, flags=re.I))


def _in_row(line: str) -> Word | None:
    """The word that is alone in a cell of a table's row, where it is the only one."""
    cells = line.split("|") if line.count("|") > 1 else []
    said = [cell["word"] for each in cells if (cell := _ALONE.fullmatch(each))]
    return _word(said[0]) if len(said) == 1 else None


def _after_choice(line: str) -> Word | None:
    """The word that stands alone behind the choice: `Good|Bad|Uncertain: Bad`."""
    choice = _CHOICE.search(line)
    last = _ALONE.fullmatch(line[choice.end() :]) if choice is not None else None
    return _word(last["word"]) if last is not None else None


def _is_echo(choice: str, after: str) -> bool:
    """Whether the choice is repeated, not made: all three words, or two with a bar, a slash or an `or` between."""
    words = {word.lower() for word in _WORD.findall(choice)}
    if len(words) < 2:
        return False
    if re.search(r"\||/", choice):
        return True
    goes_on = re.match(r"\W*\w", after) is not None  # `Uncertain, good or bad can't be told`
    return not goes_on and (len(words) == 3 or bool(re.search(r"\bor\b|或", choice, re.I)))


def _sentence(text: str) -> Word | None:
    """The word of the last sentence that says it of the step: `the step is bad`."""
    found = None
    for match in sorted((*_SENTENCE.finditer(text), *_NOUN.finditer(text)), key=lambda match: match.start("word")):
        if re.match(r"[*_`\"'”’\])>]*\s*(?:,?\s*(?:or|and|nor)\b|/|\|)", match["after"], re.I):
            continue  # `good or bad`
        if _HYPOTHETICAL.search(re.split(r"[.!?\n]", text[max(0, match.start() - 200) : match.start()])[-1]):
            continue
        found = _word(match["word"])
    return found


def _unlabelled(text: str) -> Said:
    """A reply without a label: a line of the word alone (the last one, else the first), else a sentence."""
    lines = [line for line in text.splitlines() if line.strip()]
    for line in (lines[-1], lines[0]) if lines else ():
        match = _ALONE.fullmatch(line) or _OPINION.fullmatch(line.rstrip(" .!*_`\"'”’)"))
        ticked = [each["word"] for each in _TICKED.finditer(line)]
        if match is not None or len(ticked) == 1:
            word = match["word"] if match is not None else ticked[0]
            return Said(_word(word), "\n".join(each for each in lines if each is not line).strip())
        if (word := _after_choice(line) or _in_row(line)) is not None:
            return Said(word, "\n".join(each for each in lines if each is not line).strip())
    ticked = [match["word"] for match in _TICKED.finditer(text)]
    if len(ticked) == 1:
        return Said(_word(ticked[0]), text.strip())
    return Said(_sentence(text), text.strip())


def _rest(after: str) -> str:
    """The reasons that follow a judgement."""
    lines = after.strip().splitlines()
    return "\n".join(lines[1:]).strip()


# -- JSON --------------------------------------------------------------------------------------------------

_decoder = json.JSONDecoder()
_KEY = re.compile(rf"^(?:\w+_)?(?:{_LABEL}|{_LESSER}|word)$", re.I)
_REASONS = ("reason", "reasons", "reasoning", "explanation", "rationale", "analysis", "thought")


def _in_json(text: str) -> Said | None:
    """The judgement in the last JSON object that holds one."""
    found = None
    at = text.find("{")
    while at >= 0:
        try:
            value, end = _decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
            continue
        word = _of_object(value)
        if word is not None:
            found = Said(word, _reason_of(value) or text[:at].strip(" \n`").removesuffix("json").strip(" \n`"))
        at = text.find("{", end)
    return found


def _of_object(value: Any, depth: int = 0) -> Word | None:
    if not isinstance(value, dict) or depth > 4:
        return None
    for name, each in value.items():
        key = re.sub(r"[\W]+", "_", str(name)).strip("_").replace("final_answer", "answer")
        if _KEY.match(key):
            if isinstance(each, dict):
                nested = [word for inner in each.values() if isinstance(inner, str) and (word := _of_text(inner))]
                if len(nested) == 1:
                    return nested[0]
            elif isinstance(each, list) and len(each) == 1 and isinstance(each[0], str):
                return _of_text(each[0])
            elif isinstance(each, str) and (word := _of_text(each)):
                return word
    for each in value.values():
        if (word := _of_object(each, depth + 1)) is not None:
            return word
    return None


def _of_text(text: str) -> Word | None:
    text = text.replace("_", " ")
    return _of_line(re.sub(rf"^{_DRESS}+", "", text), text)


def _reason_of(value: dict[str, Any]) -> str:
    by_name = {str(name).lower(): each for name, each in value.items()}
    said = next((by_name[name] for name in _REASONS if by_name.get(name)), "")
    return said.strip() if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
