"""What is looked for after `/`: a query where it is one, else words that a text holds. The same on every screen."""

from __future__ import annotations

import re

from engine.query.nodes import Query, QueryError, parse

_WORDS = re.compile(r"[^<>=~!()\"|&]+")


def find_query(text: str) -> Query:
    """The query on nodes that a text is; a word that is no query is looked for in the texts of a node.

    Raises `QueryError` where it is neither.
    """
    try:
        return parse(text)
    except QueryError:
        words = text.replace("'", " ").split()
        if not words or not _WORDS.fullmatch(text):
            raise
        return parse(f'text~"{" ".join(words)}"')
