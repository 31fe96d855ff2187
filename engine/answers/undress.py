"""Taking off what models put around an action: bullets, quotes, fences, emphasis, tags, control tokens."""

from __future__ import annotations

import re
import unicodedata

_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad\u200e\u200f\u202a-\u202e\u2066-\u2069\x00-\x08\x0e-\x1f\x7f]")
_COLOURS = re.compile("\x1b\\[[0-9;]*[A-Za-z]")
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_LONG_GAP = re.compile(r"\s{200,}")
_ESCAPED_LABEL = re.compile(r"\\n\s*[*_#]*(?:Thought|Action|Observation)\b", re.I)

_CONTROL = re.compile(
    r"<\|(?![^|<>\n]{0,40}(?:tool|python_tag|function))[^|<>\n]{1,40}\|>|<｜(?![^｜<>\n]{0,40}tool)[^｜<>\n]{1,40}｜>"
    r"|</?s>|<(?:start|end)_of_(?:turn|text|image)>|<(?:eos|bos|pad|unk|EOT|EOS|BOS)>|\[/?INST\]|<</?SYS>>"
    r"|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|EOS|BOS|PAD)\]|<(?:extra_id|SPECIAL|unused|reserved)_?\d+>|</?assistant>"
    r"|<turn\|>|<\|turn>",
)
_TOOL_TOKEN = re.compile(r"<\|[^|<>\n]{1,40}\|>|<｜[^｜<>\n]{1,40}｜>|\[/?TOOL_CALLS\]")
_LEADING = re.compile(
    r"\s*(?:(?:<\|start_header_id\|>|<\|im_start\|>|<start_of_turn>|<\|start\|>|<\|turn>)\s*(?:assistant|model)?"
    rf"|{_CONTROL.pattern}|[*_]*(?:assistant|model|agent)[*_]*\s*[:：]+[*_]*(?=\s)|assistant\s*\n)",
    re.I,
)

_FORMATTING = re.compile(
    r"</?(?:b|strong|i|em|u|p|span|div|font|h[1-6]|li|ul|ol|answer|response|output|final|result|final_answer)(?:\s[^<>]*)?>",
    re.I,
)
_BREAK = re.compile(r"<br\s*/?>", re.I)
_LATEX = re.compile(r"\\(?:text|textbf|textit|texttt|emph|mathbf|mathrm)\{([^{}]*)\}")

_BULLET = re.compile(r"(?:[-*•·‣▪●○◦▶→⇒>$–—+]+[ \t]+|\(?\d+[.)][ \t]+|step[ \t]*\d+[ \t]*[:.)-][ \t]*)(?=\S)", re.I)
_TAG = re.compile(r"</?(?:b|i|u|em|strong|code|pre|span|kbd|tt|mark|p|div|br|action|act|command|answer)\s*/?>", re.I)
_ESCAPED_MARK = re.compile(r"\\([\[\]_*`#()<>])")
_BOXED = re.compile(r"\\(?:boxed|text|texttt|mathtt)\{(.*)\}")
_COMMENT = re.compile(
    r"\s+(?://|#)\s+[^\])}]*$|\s+[#=~|*_-]{2,}$|\s*\[/\w+\]$|\s+<--+\s[^`\"]*$|(?:\\n)+$"
    r"|\s*[(\[](?:i(?:['’]ll| will)? )?(?:now )?(?:wait|waiting|awaiting|paus(?:e|ing))\b[^()\[\]]*[)\]]\.?$"
    r"|\s+PAUSE\.?$"
)
_MARKED_FIRST = re.compile(
    r"(?:(?P<mark>`|\*\*)(?P<marked>[^`*]+)(?P=mark)|(?P<quote>[\"“])(?P<quoted>[^\"”]+)[\"”])"
    r"(?P<after>\s+(?:[-–—(,;:#]|(?:to|because|since|as|so|which|for|then|and|in)\b).*|\s*[(,;:–—].*)"
)
_MARKED_LAST = re.compile(
    r"(?:(?:I|I'll|I'm|we|let)\b[^`]*|(?:please\s+)?(?:run|use|execute|type|enter|issue|perform|do|call|send)\b[^`]{0,40})"
    r"`(?P<marked>[^`]+)`[^`]*",
    re.I,
)
_INTENT = re.compile(
    r"(?:I(?:['’]ll|\s+will|\s+would|\s+should|\s+shall|['’]m\s+going\s+to|\s+am\s+going\s+to|\s+want\s+to|\s+need\s+to"
    r"|\s+choose\s+to|\s+must|['’]d\s+like\s+to)|Let\s+me|Let['’]s|We\s+(?:will|should|need\s+to))\s+(?=\S)",
    re.I,
)
_AROUND = [
    ("**", "**"), ("__", "__"), ("*", "*"), ("_", "_"), ("```", "```"), ("`", "`"), ('"', '"'), ("'", "'"),
    ("“", "”"), ("‘", "’"), ("«", "»"), ("‹", "›"), ("„", "“"), ("「", "」"), ("『", "』"), ("【", "】"), ("《", "》"),
    ("[", "]"), ("(", ")"), ("{", "}"), ("<", ">"), ("$", "$"), ("~~", "~~"), ("||", "||"),
]  # fmt: skip
_OPENERS = {close: open for open, close in _AROUND if open != close}
_EDGES = "*_`~"
LONGEST = 2_000  # characters of a line that is looked at closely
_QUOTES = "\"'“”"


def words_of(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def tidy(text: str) -> str:
    """The text with plain line ends and spaces, without what can't be seen."""
    if "\x1b" in text:
        text = _COLOURS.sub("", text)
    text = _SPACES.sub(" ", _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text)))
    text = _LONG_GAP.sub(lambda gap: "\n" if "\n" in gap[0] else " ", text)
    if "\n" not in text.strip() and _ESCAPED_LABEL.search(text):  # line ends that were escaped twice
        text = text.replace("\\r\\n", "\n").replace("\\n", "\n")
    return text


def without_formatting(text: str) -> str:
    """The text without the tags and commands that only say how it is set."""
    if "<" in text:
        text = _FORMATTING.sub("", _BREAK.sub("\n", text))
    return _LATEX.sub(r"\1", text) if "\\" in text else text


def without_control_tokens(text: str) -> tuple[str, bool]:
    """Returns the text before the first control token that is not at the very beginning, and whether there was one."""
    while lead := _LEADING.match(text):
        text = text[lead.end() :]
    token = _CONTROL.search(text)
    cut = token is not None
    if token is not None:
        text = text[: token.start()]
    return (_TOOL_TOKEN.sub("\n", text) if "<" in text or "[" in text else text), cut


def undress(action: str) -> str:
    """One line without the decoration around it."""
    action = action.strip()
    while len(action) <= LONGEST:
        before = action
        action = _BULLET.sub("", action, count=1) if _BULLET.match(action) else action
        action = (
            _INTENT.sub("", _TAG.sub("", action).strip(), count=1) if _INTENT.match(action) else _TAG.sub("", action)
        )
        action = _COMMENT.sub("", action.strip()) or action.strip()
        if first := _MARKED_FIRST.fullmatch(action):
            action = first["marked"] or first["quoted"]
        elif last := _MARKED_LAST.fullmatch(action):
            action = last["marked"]
        if boxed := _BOXED.fullmatch(action):
            action = boxed[1]
        action = _unwrapped(action)
        action = _trimmed(action)
        if action == before:
            break
    if "\\" not in action:
        return action
    plain = _ESCAPED_MARK.sub(r"\1", action)
    return _unwrapped(plain) if plain[:1] in ("`", "*") and plain != action else plain


def _unwrapped(action: str) -> str:
    for open, close in _AROUND:
        inside = action[len(open) : -len(close)]
        if action.startswith(open) and action.endswith(close) and len(action) > len(open) + len(close):
            whole = open not in inside if open == close else _is_balanced(inside, open, close)
            if whole and inside.strip():
                return inside.strip()
    return action


def _is_balanced(inside: str, open: str, close: str) -> bool:
    depth = 0
    for letter in inside:
        depth += (letter == open) - (letter == close)
        if depth < 0:
            return False
    return depth == 0


def _trimmed(action: str) -> str:
    """Without marks at the ends that have no counterpart, and without the full stop."""
    while action:
        last, first = action[-1], action[0]
        spaced = action[-2:-1].isspace()  # `ls *`, `cd .`: a word of its own
        if (last in ".。;,;" and not spaced and not action.endswith("..")) or (
            last in _EDGES and action.count(last) % 2 == 1 and not spaced
        ):
            action = action[:-1].rstrip()
        elif last in _EDGES and action.endswith(last * 2) and action.count(last * 2) == 1:
            action = action.rstrip(last).rstrip()
        elif first in _EDGES and action.startswith(first * 2) and action.count(first * 2) == 1:
            action = action.lstrip(first).lstrip()
        elif first in _EDGES and action.count(first) % 2 == 1 and len(action) > 1:
            action = action[1:].lstrip()
        elif (last in _OPENERS and action.count(last) > action.count(_OPENERS[last])) or (
            last in _QUOTES
            and action.count(last) % 2 == 1
            and not (last == "'" and action[-2:-1].isalpha() and first != "'")
        ):
            action = action[:-1].rstrip()
        elif (first in _QUOTES and action.count(first) % 2 == 1) or (
            first in "[({<「【" and action.count(first) > action.count(dict(_AROUND)[first])
        ):
            action = action[1:].lstrip()
        elif unicodedata.category(last) == "So":
            action = action[:-1].rstrip()
        elif unicodedata.category(first) == "So":
            action = action[1:].lstrip()
        else:
            return action
    return action
