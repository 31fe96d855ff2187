"""For locales whose encoding lacks what the screen is drawn with: every line in letters that it has, as wide as before.

Without it Python writes an escape of six letters in place of a line of a box, and nothing is where it belongs.
"""

from __future__ import annotations

import locale
import unicodedata

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from agentr_tui.terminal.glyphs import LIKE


class Plain(LineFilter):
    """Writes what an encoding can't carry in what it can."""

    def __init__(self, encoding: str | None = None) -> None:
        """`encoding`: None for the locale's own."""
        self._encoding = encoding or locale.getpreferredencoding(False)
        super().__init__(enabled=not self._carries("│✓█…∞"))
        self._known: dict[str, str] = {}

    def _carries(self, text: str) -> bool:
        try:
            text.encode(self._encoding)
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments in other letters."""
        return [
            segment
            if segment.control or segment.text.isascii()
            else Segment("".join(map(self._letter, segment.text)), segment.style)
            for segment in segments
        ]

    def _letter(self, letter: str) -> str:
        if letter.isascii():
            return letter
        found = self._known.get(letter)
        if found is None:
            found = self._known[letter] = letter if self._carries(letter) else _like(letter)
        return found


def _like(letter: str) -> str:
    """ASCII that is as wide as the letter, and looks like it as far as that goes."""
    width = cell_len(letter)
    if letter in LIKE:
        return LIKE[letter]
    name = unicodedata.name(letter, "")
    if name.startswith("BOX DRAWINGS"):
        down, across = "VERTICAL" in name, "HORIZONTAL" in name
        return "-" if across and not down else "|" if down and not across else "+"
    simple = "".join(part for part in unicodedata.normalize("NFKD", letter) if part.isascii() and part.isprintable())
    return simple if simple and len(simple) == width else "?" * width
