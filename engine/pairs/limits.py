"""Limits how many of a tree's ranked pairs become samples, and says why the others do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from engine.pairs.pairs import Pair
from engine.tree.tree import SearchTree

MOST_OF_PAIR = 2
"""Maximum samples of one pair: a recovery of its good trajectory, and a revision."""

PER_TREE = "more than asked for a tree"
PER_FORK = "more than asked for a fork"
PER_LESSON = "more than asked for a lesson"
MAX_PAIRS = "beyond the most pairs"
SAME_STEP = "the same wrong step"
REFUSED = "mark before the fork"
NONE_AFTER = "no wrong step after the fork"
"""Why pairs are dropped."""


def wrong_step(tree: SearchTree, bad: int, mark: int | None) -> tuple[str, str]:
    """Returns the key of a wrong step for `--diverse`: its state (the parent's key or id) and its action.

    `tree`: the search. `bad`: the last node of the bad trajectory. `mark`: the wrong step, counted from 1; None: the
    last step.
    """
    path = tree.ancestors(bad)
    at = path[-1] if mark is None else path[mark]
    node = tree.nodes[at]
    parent = tree.nodes[node.parent]
    return parent.state_key or f"node {parent.id}", node.action


class PairLimits:
    """Applies `--max-pairs`, `--per-tree`, `--per-fork` and `--diverse`, and counts what each drops."""

    def __init__(
        self,
        tree: SearchTree,
        pairs: int,
        drop: Callable[[str, int], None],
        *,
        max_pairs: int | None = None,
        per_tree: int | None = None,
        per_fork: int | None = None,
        diverse: bool = False,
    ) -> None:
        """`pairs`: number of pairs of the tree. `drop`: called with a reason and a count for pairs that are dropped.

        max_pairs limits pairs; per_tree and per_fork limit samples; None is no limit.
        """
        self.tree, self.pairs, self.drop = tree, pairs, drop
        self.max_pairs, self.per_tree, self.per_fork, self.diverse = max_pairs, per_tree, per_fork, diverse
        self.samples = 0  # accepted so far
        self._of_fork: Counter[int] = Counter()
        self._steps: set[tuple[str, str]] = set()

    def surely(self, place: int, before: Sequence[Pair], pair: Pair) -> bool | None:
        """Returns whether a pair will certainly be tried (True) or skipped (False); None if that is not yet known.

        `place`: its index among all pairs. `before`: earlier pairs that are still in progress. `pair`: the pair.
        """
        if self.max_pairs is not None and place >= self.max_pairs:
            return None
        if self.per_tree is not None and self.samples + MOST_OF_PAIR * len(before) >= self.per_tree:
            return None
        if self.per_fork is not None:
            if self._of_fork[pair.fork] >= self.per_fork:
                return False
            may_come = MOST_OF_PAIR * sum(each.fork == pair.fork for each in before)
            if self._of_fork[pair.fork] + may_come >= self.per_fork:
                return None
        return True

    def filter(self, all: Iterator[Pair]) -> Iterator[Pair]:
        """Yields the pairs to try. When a limit is reached, the rest are only counted."""
        for place, pair in enumerate(all):
            for most, reached, reason in (
                (self.max_pairs, place, MAX_PAIRS),
                (self.per_tree, self.samples, PER_TREE),
            ):
                if most is not None and reached >= most:
                    self.drop(reason, self.pairs - place)
                    return
            if not self.allows(pair.fork):
                self.drop(PER_FORK, 1)
                continue
            yield pair

    def allows(self, fork: int) -> bool:
        """Returns whether `--per-fork` allows another sample of this fork."""
        return self.per_fork is None or self._of_fork[fork] < self.per_fork

    def is_repeat(self, bad: int, mark: int | None) -> bool:
        """Returns whether `--diverse` drops this wrong step because a sample has it already; counts it then."""
        if not self.diverse or wrong_step(self.tree, bad, mark) not in self._steps:
            return False
        self.drop(SAME_STEP, 1)
        return True

    def accept(self, fork: int, bad: int, mark: int | None) -> None:
        """Records that a pair became a sample.

        `fork` and `bad`: nodes of the pair. `mark`: the sample's first wrong step, counted from 1; None: there is none.
        """
        self.samples += 1
        self._of_fork[fork] += 1
        if self.diverse:
            self._steps.add(wrong_step(self.tree, bad, mark))
