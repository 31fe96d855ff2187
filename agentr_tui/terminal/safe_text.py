"""Making texts of agents and environments safe to show.

What they wrote is data: a control character must be seen, not obeyed; nothing may be invisible or turn the order
of what stands around it. Whatever leaves this module holds no control, format, surrogate or separator character
(Unicode categories Cc, Cf, Cs, Zl, Zp), newlines aside where they were asked for. It is still never markup: hand
it to widgets as a plain string, `Content` or `Segment`.
"""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len, split_graphemes

ELLIPSIS = "…"
NEWLINE = "⏎"
REPLACEMENT = "\ufffd"
TAB = "    "

# Controls (C0, DEL, C1); format characters: soft hyphen, bidirectional marks, zero-width ones, tags, …; line and
# paragraph separators; lone surrogates; and what else a terminal draws as nothing: fillers, variation selectors.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_NOT_ASCII = re.compile("[\x00-\x1f\x7f-\U0010ffff]")


def _visible(match: re.Match[str]) -> str:
    """The visible form of one unsafe character."""
    character = match.group()
    code = ord(character)
    if character == "\n":
        return NEWLINE
    if character == "\t":
        return TAB
    if code < 0x20:
        return chr(0x2400 + code)  # control pictures: ␀ ␛ ␍
    if code == 0x7F:
        return "␡"
    if 0xD800 <= code <= 0xDFFF:
        return REPLACEMENT
    return f"⟨U+{code:04X}⟩"


def escape(text: str, *, multiline: bool = False) -> str:
    """The text with every control, invisible and reordering character in a visible form: ␛, ␀, ⟨U+202E⟩.

    Newlines are kept with `multiline`, else shown as ⏎; a tab becomes four spaces, a lone surrogate U+FFFD. A
    combining mark that has nothing to stand on gets a ◌, so that it can't change what is drawn before the text.
    """
    if multiline and "\n" in text:
        return "\n".join(map(escape, text.split("\n")))
    if _UNSAFE.search(text) is not None:
        text = _UNSAFE.sub(_visible, text)
    if text and not text[0].isascii() and unicodedata.category(text[0])[0] == "M":
        text = "◌" + text
    return text


def without_controls(text: str) -> str:
    """Returns the text without the characters that `escape` would replace."""
    return text if text.isprintable() else _UNSAFE.sub("", text)


def in_escapes(json: str, ascii_only: bool = False) -> str:
    """The same JSON with what `escape` would write out as `\\uXXXX`: its value is the same, a terminal obeys nothing.

    `ascii_only`: whether every letter past ASCII is written so.
    """
    if json.isascii() and json.isprintable():
        return json
    return (_NOT_ASCII if ascii_only else _UNSAFE).sub(_json_escape, json)


def _json_escape(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def fit(text: str, width: int, *, ellipsis: str = ELLIPSIS) -> str:
    """Returns a text cut to a width.

    `text`: safe already. `width`: most cells. `ellipsis`: the end of a text that was cut.
    """
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text
    room = width - cell_len(ellipsis)
    if room < 0:
        return "." * width
    if text.isascii():
        return text[:room] + ellipsis
    spans, _ = split_graphemes(text)
    end = 0
    for _, span_end, size in spans:
        room -= size
        if room < 0:
            break
        end = span_end
    return text[:end] + ellipsis


def clip(text: str, width: int, *, ellipsis: str = ELLIPSIS) -> str:
    """Returns a text as one line, safe to show, cut to a width. Takes as long as what can be seen, however long the
    text is. A text that hides many combining marks behind few cells is cut early.

    `text`: any. `width`: most cells. `ellipsis`: the end of a text that was cut.
    """
    if width <= 0:
        return ""
    limit = 4 * width + 16
    if len(text) <= limit:
        return fit(escape(text), width, ellipsis=ellipsis)
    return fit(escape(text[:limit]) + ellipsis, width, ellipsis=ellipsis)


def pad(text: str, width: int) -> str:
    """A safe text, filled with spaces to exactly `width` cells, or cut to it."""
    text = fit(text, width)
    return text + " " * (width - cell_len(text))
