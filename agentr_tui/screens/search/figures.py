"""The figures of a search, as the top bar of the Search screen shows them. Knows no Textual."""

from __future__ import annotations

from engine.actors.request_log import calls_in_flight
from engine.tree.tree import SearchTree


def search_figures(tree: SearchTree) -> list[str]:
    """What a search came to so far, the least important first: those are left out where there is no room.

    What a model's server does not tell is unknown, not 0.
    """
    assert tree.started is not None
    settings = tree.started.settings
    asks_model = settings.actor == "openai" and tree.imported_from is None and tree.calls > 0
    flying = calls_in_flight(tree)
    parts = [
        settings.algorithm,
        f"{len(tree)} nodes",
        _tokens(tree.tokens_in, tree.tokens_out, asks_model),
        f"{tree.calls} calls",
        f"${_money(tree.cost)}" if tree.cost is not None else "cost unknown" if asks_model else "",
        f"{len(tree.failures)} failed" if tree.failures else "",
        _answers(tree) if asks_model else "",
        f"{flying} in flight" if flying else "",
    ]
    return [part for part in parts if part]


def _answers(tree: SearchTree) -> str:
    """Answers that were of no use, and actions that were refused."""
    counts = tree.answers
    parts = [(counts.useless, "useless"), (counts.refused, "refused")]
    return ", ".join(f"{count} {what}" for count, what in parts if count)


def _tokens(tokens_in: int | None, tokens_out: int | None, asks_model: bool) -> str:
    if tokens_in is None and tokens_out is None:
        return "tokens unknown" if asks_model else ""
    return f"{_count(tokens_in)}→{_count(tokens_out)} tokens"


def _count(number: int | None) -> str:
    """A number in at most four characters or so; ? where it is unknown."""
    if number is None:
        return "?"
    if number < 10_000:
        return str(number)
    return f"{number / 1_000:.0f}k" if number < 10_000_000 else f"{number / 1_000_000:.0f}M"


def _money(dollars: float) -> str:
    """Cents, or two leading digits of less."""
    return f"{dollars:.2f}" if dollars >= 0.1 or not dollars else f"{dollars:.2g}"
