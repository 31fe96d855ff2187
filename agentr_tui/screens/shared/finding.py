"""What is looked for after `/`: a query where it is one, else words that a text holds. The same on every screen."""

from __future__ import annotations

import re

from engine.query.nodes import FLAGS, Query, QueryError, parse

_WORD = re.compile(r"[^<>=~!()\"|&\s]+")


def find_query(text: str) -> Query:
    """The query on nodes that a text is; words that are no part of a query are looked for in the texts of a node.

    Raises `QueryError` where it is neither.
    """
    try:
        return parse(text)
    except QueryError as error:
        words = [
            f'text~"{part}"' if _WORD.fullmatch(part) and part.lower() not in (*FLAGS, "or", "and", "not") else part
            for part in text.split()
        ]
        try:
            return parse(" ".join(words))
        except QueryError:
            raise error from None
