"""Numbers that somebody else wrote."""

from __future__ import annotations

MOST_DIGITS = 18
"""More has no count and no place here; Python refuses to read some thousand digits at all."""


def whole(text: str) -> int | None:
    """The number that a text of digits is; None for any other text, and for one of more digits than a count has."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS else None
