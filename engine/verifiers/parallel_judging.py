"""Judges many pairs side by side, while the samples are made one after the other, always in the same order.

Two functions look ahead: `looking_ahead` over the pairs of one tree, `fed` over trees. They begin only work that will
surely be needed, so a run makes the same calls and the same samples whatever `--concurrency` is.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from msgspec.structs import replace

from engine.pairs.limits import PairLimits
from engine.pairs.pairs import Pair, count_pairs
from engine.pairs.ranking import Rank, ranked
from engine.tree.node import Node
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import JudgeSettings, JudgeTotals, Verifier
from engine.verifiers.judge_price import JudgePrice

if TYPE_CHECKING:  # the client library takes half a second to import
    from engine.verifiers.judge_pool import JudgePool

T = TypeVar("T")

MOST_AHEAD = 2_000
"""Pairs of a tree that are begun before they are asked for."""

MOST_FED = 64
"""Trees, or pairs of `verify`, that are ready before they are asked for."""

CALLS_AHEAD = 2
"""So many calls a slot wait at most before no further tree is read."""

LOOK_EVERY = 0.01  # seconds

WARN_FROM = 0.2
FAIL_FROM = 0.8
"""Shares of votes that were unread or failed: from the first a run warns, from the second it has failed."""

QUOTED = 200  # characters of a reply in a warning


@runtime_checkable
class Begins(Protocol):
    """A verifier that can judge several pairs side by side."""

    def begin(self, pairs: Iterable[Pair]) -> None:
        """Begin with pairs that will surely be judged."""
        ...


def is_model(verifier: str) -> bool:
    """Whether the verifier of that name calls a model."""
    return verifier == "openai" or verifier.startswith("openai:")


def judge_named(judge: JudgeSettings, verifier: str) -> JudgeSettings:
    """The settings of the judge, its model the one that `openai:MODEL` names."""
    return replace(judge, model=verifier.removeprefix("openai").removeprefix(":") or judge.model)


def open_pool(judge: JudgeSettings, *verifiers: str) -> JudgePool | None:
    """The calls that all trees of a run share; None where no model judges. Raises `InputError`."""
    names = [name for name in verifiers if is_model(name)]
    if len(set(names)) != 1:  # two models have a pool a tree each: there is one client a pool
        return None
    from engine.verifiers.openai_judge import new_pool

    return new_pool(judge_named(judge, names[0]))


def looking_ahead(
    pairs: Iterator[Pair], verifier: Verifier | None, limits: PairLimits, most: int = MOST_AHEAD
) -> Iterator[Pair]:
    """Yields the same pairs; the verifier begins with later ones ahead of time, as far as they will surely be judged.

    `pairs`: in order. `verifier`: one that can't begin ahead of time changes nothing. `limits`: which pairs are tried.
    `most`: pairs to begin with at a time.
    """
    if not isinstance(verifier, Begins):
        yield from pairs
        return
    waiting: deque[Pair] = deque()  # read, in order
    begun: deque[Pair] = deque()  # the first of them, less those that will be passed over
    read = looked = 0  # of `waiting`, how many were looked at for beginning
    ended = False
    while True:
        new: list[Pair] = []
        while looked < most:
            if looked == len(waiting):
                pair = None if ended else next(pairs, None)
                if pair is None:
                    ended = True
                    break
                waiting.append(pair)
                read += 1
            sure = limits.surely(read - len(waiting) + looked, begun, waiting[looked])
            if sure is None:
                break
            looked += 1
            if sure:
                begun.append(waiting[looked - 1])
                new.append(waiting[looked - 1])
        verifier.begin(new)
        if not waiting:
            return
        pair = waiting.popleft()
        looked = max(0, looked - 1)
        if begun and begun[0] is pair:
            begun.popleft()
        yield pair


def fed(items: Iterator[T], busy: Callable[[], bool], most: int = MOST_FED) -> Iterator[T]:
    """Yields the same items, made ahead of time in a thread.

    `items`: what to make. `busy`: whether nothing should be made now. `most`: items that may be ready.
    """
    ready: deque[T] = deque()
    changed = threading.Condition()
    failed: list[BaseException] = []
    ended = stopped = False

    def feed() -> None:
        nonlocal ended
        try:
            while True:
                with changed:
                    while not stopped and ready and (len(ready) >= most or busy()):
                        changed.wait(LOOK_EVERY)
                    if stopped:
                        return
                item = next(items, changed)
                with changed:
                    if item is changed:
                        return
                    ready.append(item)  # type: ignore[arg-type]
                    changed.notify_all()
        except BaseException as error:  # the reader raises it, in its place
            failed.append(error)
        finally:
            with changed:
                ended = True
                changed.notify_all()

    thread = threading.Thread(target=feed, name="reading ahead", daemon=True)
    thread.start()
    try:
        while True:
            with changed:
                while not ready and not ended:
                    changed.wait()
                if not ready:
                    break
                item = ready.popleft()
                changed.notify_all()
            yield item
        if failed:
            raise failed[0]
    finally:
        with changed:
            stopped = True
            changed.notify_all()
        thread.join()


def busy(pool: JudgePool, judge: JudgeSettings) -> Callable[[], bool]:
    """Whether a pool has calls enough for all its slots."""
    return lambda: pool.waiting >= CALLS_AHEAD * judge.concurrency


def first_pairs(tree: SearchTree, thresholds: Thresholds, rank: Rank, limits: PairLimits) -> list[Pair]:
    """Returns the pairs with which a tree's judging surely begins.

    `tree`: the search. `thresholds`: which leaves are good and bad. `rank`: the order. `limits`: which of them are
    tried.
    """
    found: list[Pair] = []
    for place, pair in enumerate(islice(ranked(tree, thresholds, rank), MOST_AHEAD)):
        sure = limits.surely(place, found, pair)
        if sure is None:
            break
        if sure:
            found.append(pair)
    return found


def price_of_judging(
    tree: SearchTree,
    thresholds: Thresholds,
    judge: JudgeSettings,
    verifier: str,
    *,
    max_pairs: int | None = None,
    rank: Rank = "return",
    prompts: str = "",
    cache: Path | None = None,
) -> JudgePrice:
    """Returns what judging a tree's pairs costs at most. Raises `InputError`.

    `tree`: the search. `thresholds`: which leaves are good and bad. `judge` and `verifier`: who judges. `max_pairs` and
    `rank`: how many pairs (None: all), in which order. `prompts`: a folder whose files replace prompts. `cache`: the
    folder of replies, of which known ones cost nothing; None: there is none.
    """
    from engine.verifiers.openai_judge import OpenAIVerifier

    count = count_pairs(tree, thresholds)
    if max_pairs is None or max_pairs >= count:
        best = max((_q(leaf) for leaf in tree.leaves() if thresholds.good(leaf)), default=-inf) if count else -inf
        bads = [leaf.id for leaf in tree.leaves() if best - _q(leaf) > thresholds.beta]  # no pair needs to be listed
    else:
        bads = list(dict.fromkeys(pair.bad for pair in islice(ranked(tree, thresholds, rank), max_pairs)))
    asking = OpenAIVerifier(tree, judge_named(judge, verifier), prompts, cache)
    try:
        price = asking.price(bads)
    finally:
        asking.close()
    price.pairs = count if max_pairs is None else min(count, max_pairs)
    return price


def _q(leaf: Node) -> float:
    return leaf.q or 0.0


def complaint(totals: JudgeTotals | None, structured: bool = False) -> str:
    """Returns a warning after judging; empty where most votes were read. `structured`: whether a form was asked for."""
    if totals is None or totals.lost < WARN_FROM:
        return ""
    lost = totals.unread + totals.failed
    quote = " ".join(totals.quote.split())
    quote = quote if len(quote) <= QUOTED else f"{quote[:QUOTED]}…"
    in_form = "try another model" if structured else "--structured json asks for a form that small models keep"
    hint = f"; {in_form}" if totals.unread > totals.failed else ""
    return (
        f"{lost} of {totals.votes} votes gave no judgement ({totals.unread} unread, {totals.failed} failed)"
        f" and count as Uncertain{hint}; one of them: {quote}"
    )


def has_failed(totals: JudgeTotals | None) -> bool:
    """Whether so few votes were read that the judging is of no use."""
    return totals is not None and totals.lost >= FAIL_FROM
