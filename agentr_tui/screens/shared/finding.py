"""The text after `/`: a query if it can be read as one, else words to search in texts. The same on every screen."""

from __future__ import annotations

import re
from difflib import get_close_matches

from engine.query.nodes import FLAGS, Query, QueryError, parse

_WORD = re.compile(r"[^<>=~!()\[\]\"|&\s]+")

KNOWN = (*FLAGS, "or", "and", "not")
ALIKE = 0.8
"""From this likeness to a flag on, 0 to 1, a word is taken for a misspelt flag."""


def find_query(text: str) -> Query:
    """The query on nodes that a text is; words that are no part of a query are looked for in the texts of a node.

    Raises `QueryError` where it is neither.
    """
    try:
        return parse(text)
    except QueryError as error:
        words = []
        for part in text.split():
            name = part.lower()
            if _WORD.fullmatch(part) is None or name in KNOWN:
                words.append(part)
            elif get_close_matches(name, KNOWN, 1, ALIKE):  # a flag with a slip: the error tells which
                raise
            else:
                words.append(f'text~"{part}"')
        try:
            return parse(" ".join(words))
        except QueryError:
            raise error from None
