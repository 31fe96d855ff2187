"""The signs for kinds of nodes and for what was done with them, with ASCII ones for old locales."""

from __future__ import annotations

import codecs
import locale
from dataclasses import dataclass
from functools import cache

LIKE = {
    "…": "~", "·": ".", "•": "*", "×": "x", "–": "-", "—": "-", "−": "-", "→": ">", "←": "<", "↑": "^", "↓": "v",
    "›": ">", "≈": "~", "≤": "<", "≥": ">", "∞": "*", "⏎": "<", "⟨": "<", "⟩": ">", "␛": "^", "✓": "v", "✗": "x",
    "✖": "X", "●": "*", "○": "o", "◦": "=", "◌": "o", "◆": "#", "◇": "=", "◀": "<", "▸": "+", "▾": "-", "★": "*",
    "✎": "~", "↺": "@", "⊘": "!", "⊣": "]", "⋯": "~", "┊": ":", "▎": "|", "▏": "|", "▍": "|", "▌": "|", "▋": "|",
    "▊": "#", "▉": "#", "█": "#", "▇": "#", "▆": "=", "▅": "=", "▄": "-", "▃": "-", "▂": "_", "▁": "_", "░": ".",
    "▒": ":", "▓": "#", "■": "#", "□": "o", "≠": "!",
}  # fmt: skip
"""Letters that this program writes, as ASCII of the same width."""

ERRORS = "agentr-letters"
"""Name of the error handler for streams whose encoding lacks letters: ours look alike, others become escapes."""


def _look_alike(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte of a file's name
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return LIKE.get(letter) or ascii(letter)[1:-1]


codecs.register_error(ERRORS, _look_alike)


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Signs of one cell each (`joined`, `cut` aside), for what a node is and what was done with it."""

    good: str = "✓"
    bad: str = "✗"
    disaster: str = "⊘"  # the score fell below 0
    dead_end: str = "⊣"  # its draws were made and none was usable
    unseen: str = "◌"  # never visited, nothing below
    seen: str = "·"  # visited, nothing below
    folded: str = "▸"
    open: str = "▾"
    repeat: str = "↺"  # a state that was seen before
    mark: str = "✖"  # the first wrong step
    bookmark: str = "★"
    here: str = "◀"  # what the search takes next
    running: str = "●"
    paused: str = "◦"
    live: str = "●"
    edited: str = "✎"
    guide: str = "│"
    elbow: str = "╰"
    tee: str = "├"
    dash: str = "─"
    plus: str = "+"  # a step of the good trajectory of a pair, after the fork
    minus: str = "−"  # a step of the bad one
    cut: str = "⋯"  # levels that are not drawn
    joined: str = " › "  # between the steps of a chain of only children
    ellipsis: str = "…"
    trained: str = "▎"
    untrained: str = "┊"


_UNICODE = Glyphs()
_ASCII = Glyphs(
    good="v",
    bad="x",
    disaster="!",
    dead_end="]",
    unseen="o",
    seen=".",
    folded="+",
    open="-",
    repeat="@",
    mark="X",
    bookmark="*",
    here="<",
    running="*",
    paused="=",
    live="*",
    edited="~",
    guide="|",
    elbow="`",
    tee="|",
    dash="-",
    minus="-",
    cut="~",
    joined=" > ",
    ellipsis="~",
    trained="|",
    untrained=":",
)


def encoding_is_ascii() -> bool:
    """Whether the locale's encoding can't carry the glyphs (so the ASCII ones are to be used)."""
    return not _carries_glyphs(locale.getpreferredencoding(False))


@cache
def _carries_glyphs(encoding: str) -> bool:
    try:
        "".join(getattr(_UNICODE, name) for name in Glyphs.__slots__).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def glyphs(ascii: bool | None = None) -> Glyphs:
    """The glyphs: ASCII ones where asked for, or, with None, where the locale's encoding has no others."""
    return _ASCII if (encoding_is_ascii() if ascii is None else ascii) else _UNICODE
