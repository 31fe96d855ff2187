"""Where failed attempts leave solved ones: the forks of a tree, by how much the chance of success falls at each.

At a fork, the attempts that did one thing are compared with those that did another. Shares have Wilson's interval,
their difference has Newcombe's, both of 95 %: with few attempts the intervals are wide. Forks are ranked by the
cautious end of that interval. Where the same action had several outcomes, these count together, since nobody decided
between them.
"""

from __future__ import annotations

from math import sqrt

from msgspec import Struct

from engine.pairs.parting import action_group, is_silent
from engine.tree.node import NO_PARENT
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree

Z = 1.959963984540054


class Share(Struct, frozen=True):
    """How many of some attempts were solved."""

    solved: int
    of: int

    @property
    def value(self) -> float:
        """The share; 0 of none."""
        return self.solved / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval."""
        if not self.of:
            return 0.0, 1.0
        n, p = self.of, self.value
        middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
        return max(0.0, middle - half), min(1.0, middle + half)


class ForkOf(Struct, frozen=True, kw_only=True):
    """One way on from a fork, against all others."""

    node: int  # the fork
    child: int  # the way on; the first of several outcomes
    depth: int  # of the step
    after: str  # the action before
    action: str
    before: Share  # all attempts at the fork
    taken: Share  # those that went this way
    others: Share  # those that went another
    fall: float  # how much lower the share is here than with the others
    low: float  # its interval
    high: float


def difference(one: Share, other: Share) -> tuple[float, float]:
    """Newcombe's interval of the difference of two shares, `one` less `other`."""
    (low1, high1), (low2, high2) = one.interval, other.interval
    p1, p2 = one.value, other.value
    under = sqrt((p1 - low1) ** 2 + (high2 - p2) ** 2)
    over = sqrt((high1 - p1) ** 2 + (p2 - low2) ** 2)
    return p1 - p2 - under, p1 - p2 + over


def shares(tree: SearchTree, thresholds: Thresholds) -> list[Share]:
    """For each node, how many of the attempts that pass it were solved. In a search each leaf is one."""
    solved, of = [0] * len(tree), [0] * len(tree)
    for leaf in tree.leaves():
        count = leaf.visits - leaf.unscored if tree.attempts else 1
        of[leaf.id] += count
        solved[leaf.id] += count * thresholds.good(leaf)
    for node in reversed(tree.nodes):
        if node.parent != NO_PARENT:
            solved[node.parent] += solved[node.id]
            of[node.parent] += of[node.id]
    return [Share(*each) for each in zip(solved, of, strict=True)]


def forks(tree: SearchTree, thresholds: Thresholds) -> list[ForkOf]:
    """All ways on at which the chance of success falls, the surest and greatest fall first. O(nodes)."""
    below = shares(tree, thresholds)
    found: list[ForkOf] = []
    for node in tree.nodes:
        all_of = below[node.id]
        if len(node.children) < 2 or not 0 < all_of.solved < all_of.of:
            continue
        groups: dict[int, list[int]] = {}
        for child in node.children:
            if not is_silent(tree.nodes[child]):
                groups.setdefault(action_group(tree.nodes[child]), []).append(child)
        decided = _sum([below[child] for group in groups.values() for child in group])
        for first, group in groups.items():
            taken = _sum([below[child] for child in group])
            others = Share(decided.solved - taken.solved, decided.of - taken.of)
            if not taken.of or not others.of or others.value <= taken.value:
                continue
            low, high = difference(others, taken)
            step = tree.nodes[first]
            found.append(
                ForkOf(
                    node=node.id,
                    child=first,
                    depth=step.depth,
                    after=node.action if node.parent != NO_PARENT else "",
                    action=step.action,
                    before=all_of,
                    taken=taken,
                    others=others,
                    fall=others.value - taken.value,
                    low=low,
                    high=high,
                )
            )
    found.sort(key=lambda fork: (-round(fork.low, 9), -fork.fall, fork.depth, fork.child))
    return found


def _sum(all_shares: list[Share]) -> Share:
    return Share(sum(each.solved for each in all_shares), sum(each.of for each in all_shares))


def fork_line(fork: ForkOf) -> str:
    """A fork in a line."""
    low, high = fork.taken.interval
    return (
        f"step {fork.depth}: {fork.before.value:.0%} → {fork.taken.value:.0%} [{low:.0%}, {high:.0%}]"
        f" ({fork.taken.solved} of {fork.taken.of}; others {fork.others.solved} of {fork.others.of})"
    )
