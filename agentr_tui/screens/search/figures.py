"""What the top bar and the tree's title say of a search: its state and its figures."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

from agentr_tui.screens.search.imports.attempts import figures_of
from agentr_tui.state.session import Session
from agentr_tui.terminal.theme import Role, glyphs
from engine.actors.request_log import calls_in_flight
from engine.base.text import many
from engine.pairs.pairs import count_pairs
from engine.tree.events import Paused
from engine.tree.tree import SearchTree
from envs.base import title_of


def search_figures(tree: SearchTree) -> list[str]:
    """Returns the figures of a search so far, the least important first: those are left out where there is no room.

    Figures that a model's server does not report are unknown, not 0.
    """
    assert tree.started is not None
    settings = tree.started.settings
    asks_model = settings.actor == "openai" and tree.imported_from is None and tree.calls > 0
    flying = calls_in_flight(tree)
    parts = [
        settings.algorithm,
        many(len(tree), "node"),
        _tokens(tree, asks_model),
        many(tree.calls, "call"),
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


def _tokens(tree: SearchTree, asks_model: bool) -> str:
    if tree.tokens_in is None and tree.tokens_out is None:
        return "tokens unknown" if asks_model else ""
    cached = (
        f" ({100 * tree.tokens_cached / tree.tokens_in:.0f}% cached)" if tree.tokens_cached and tree.tokens_in else ""
    )
    return f"{_count(tree.tokens_in)}→{_count(tree.tokens_out)} tokens{cached}"


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


STATE_ROLES: dict[str, Role] = {"running": "good", "paused": "warn", "stopped": "warn", "done": "muted"}
COUNTED_LEAVES = 1_000
"""Up to so many leaves pairs are counted on every flush; the Pairs screen counts beyond."""

Words = list[tuple[str, Role]]


def pause_reason(tree: SearchTree) -> str:
    """Returns why the search is paused: `paused`, the breakpoint that stopped it and the node, or what failed."""
    last = next((event for event in reversed(tree.chronicle.log) if isinstance(event, Paused)), None)
    if last is None or last.kind == "asked":
        return "paused"
    if last.kind == "breakpoint":
        return f"stopped at {last.query} · node {last.node}"
    return f"stopped: {last.reason}"


END_WORDS = {"exhausted": "nothing left to select"}
"""Reasons why searches end in words that need no glossary, where the trace's own do."""


def state_words(session: Session, tree: SearchTree) -> str:
    """The state of the search, and what it ended or stopped by."""
    if tree.state == "paused":
        return pause_reason(tree)
    if tree.state == "running" and session.control is None:
        return "not finished"
    reason = tree.end_reason if tree.state in ("done", "stopped") else None
    return tree.state if not reason or reason == tree.state else f"{tree.state} ({END_WORDS.get(reason, reason)})"


def next_step(session: Session) -> str:
    """Returns what a person does next with a search that is over, or why one stopped that goes on by a key; empty while
    one runs, where a person paused it, and in the past."""
    tree = session.tree
    if tree is None or not len(tree) or session.past is not None:
        return ""
    if session.control is not None:
        why = pause_reason(tree) if tree.state == "paused" else "paused"
        return f"{why} · space goes on" if why != "paused" else ""
    if sum(session.leaf_counts()) > COUNTED_LEAVES:
        return "3 shows its pairs · 4 reviews them"
    pairs = session.pair_count()
    if pairs:
        return f"4 reviews its {many(pairs, 'pair')} · 3 compares their leaves"
    if tree.attempts:
        return _without_pairs(session, tree)
    if tree.state == "running":
        return "not finished, no pairs yet · 1 the library, where r goes on with it"
    if not session.leaf_counts()[0]:
        return "no pairs: no leaf is good · 3 tells more · i s sets more iterations"
    return "no pairs: no bad leaf is worse by more than beta · 3 sets alpha and beta"


def _without_pairs(session: Session, tree: SearchTree) -> str:
    """Why attempts give no pairs, and what is left to do with them."""
    good, bad = session.leaf_counts()
    if all(attempt.reward is None for attempt in tree.attempts):
        return "no pairs: no attempt has a reward · agentr open FILE --map reward=FIELD names one"
    if not good or not bad:
        which = "failed" if not good else "was solved"
        return f"no pairs: every attempt {which}" + ("" if len(tree.attempts) < 2 else " · = compares two")
    if count_pairs(tree, replace(session.thresholds, beta=0.0)):
        return "no pairs: no bad leaf is worse by more than beta · 3 sets alpha and beta"
    return "no pairs: solved and failed attempts part by chance, at no decision of the agent · = compares two"


def top_line(session: Session, following: bool = False) -> tuple[Words, Words]:
    """Returns the top bar's text about the open search: the left part, and the figures at the right."""
    tree = session.tree
    assert tree is not None
    started = tree.started
    assert started is not None
    left: Words = [
        (f"{title_of(started.environment, started.task)} ", "strong"),
        (f" {started.instruction} ", "text"),
    ]
    past = session.past
    if past is None:
        sign = glyphs().paused if tree.state == "paused" else glyphs().live
        left.append((f" {sign} {state_words(session, tree)} ", STATE_ROLES.get(tree.state, "warn")))
        if following:
            left.append((" following ", "focus"))
        if tree.breakpoints and session.control is not None:
            left.append((f" break at {', '.join(tree.breakpoints)} ", "person"))
        done = tree.iteration
    else:
        left.append((f" {glyphs().here} past: event {past} ", "warn"))
        done = bisect_right(tree.iteration_seqs, past)
    if tree.imported_from is None:
        of = started.settings.iterations
        filled = round(8 * min(1.0, done / of))
        over = past is None and tree.state in ("done", "stopped")
        left.append((f" iteration {done if over else min(done + 1, of)}/{of} ", "text"))
        full, empty = ("#", ".") if glyphs().guide.isascii() else ("█", "░")
        left.append((full * filled + empty * (8 - filled), "focus"))
    figures = search_figures(tree) if past is None else [many(len(session.reader or tree), "node")]
    if tree.attempts:
        figures = [part for part in figures_of(session, tree) if part]
    return left, [(f"  {part}", "muted") for part in figures]


def tree_title(session: Session, found: str) -> str:
    """The title of the tree: nodes, matches (`found`), good and bad leaves, pairs."""
    tree = session.tree
    assert tree is not None
    told = [many(len(session.reader or tree), "node") + (f" of {len(tree):,}" if session.past is not None else "")]
    told += [found] if found else []
    if session.past is None:
        good, bad = session.leaf_counts()
        told += [f"{good:,} good", f"{bad:,} bad"]
        if good + bad <= COUNTED_LEAVES:
            told.append(many(session.pair_count(), "pair"))
    if tree.attempts:
        return f"tree of {many(len(tree.attempts), 'attempt')}  " + " · ".join(told)
    return "tree  " + " · ".join(told)
