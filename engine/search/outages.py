"""Outages: failed draws that say nothing about their node, in contrast to answers about it, counted by their source.

An answer about the node is one that is too long, refused, empty, cut off or not in the form, or an action at which the
environment fails while it lives on: the draw is made, and gives no child. Every other failure means that no answer
could be had: the draw is owed, and is made again when the search goes on. A node with an owed draw is not expanded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.tree.events import SearchSettings
from engine.tree.failure_kinds import HOPELESS, OF_ENVIRONMENT, STEP_FAILED, is_outage

if TYPE_CHECKING:
    from engine.tree.tree import SearchTree


Source = Literal["model", "environment"]


def owed_words(tree: SearchTree) -> str:
    """Which draws of a search are owed, in a line; "" where none is."""
    count = tree.draws_owed
    if not count:
        return ""
    last = max((event for draws in tree.owed.values() for event in draws.values()), key=lambda event: event.seq)
    return f"{count} draw{' is' if count == 1 else 's are'} owed, the last ({last.what}): {last.error}"


class Outages:
    """Outages in a row, counted by source, and whether the search may go on."""

    def __init__(self, settings: SearchSettings) -> None:
        """`settings`: of the search; they may change while it runs."""
        self.reason = ""  # why the search may not go on; "" where it may
        self._settings = settings
        self._in_a_row: dict[Source, int] = {"model": 0, "environment": 0}
        self._furthest: dict[int, int] = {}  # node whose steps met an outage → most steps that were made at once

    def failed(self, what: str, error: str) -> None:
        """A draw, or its step, failed for good."""
        if not is_outage(what):
            if what != STEP_FAILED:
                self.answered()
            return
        source: Source = "environment" if what in OF_ENVIRONMENT else "model"
        self._in_a_row[source] += 1
        count = self._in_a_row[source]
        if what in HOPELESS:
            self._stop(f"no further call would be answered ({what}): {error}")
        elif count >= self._settings.max_failures:
            things = "draw" if source == "model" else "step"
            told = f"1 {things} failed" if count == 1 else f"{count} {things}s in a row failed, the last"
            self._stop(f"{told} ({what}): {error}")

    def answered(self) -> None:
        """The model answered."""
        self._in_a_row["model"] = 0

    def stepped(self, node: int, steps: int, whole: bool) -> None:
        """Count that the environment made steps. Steps that were made before an earlier outage of this node are
        repeated: they prove nothing.

        `node`: where the steps begin. `steps`: how many. `whole`: whether those were all the steps to make.
        """
        if whole or steps > self._furthest.get(node, 0):
            self._in_a_row["environment"] = 0
        if whole:
            self._furthest.pop(node, None)
        else:
            self._furthest[node] = max(steps, self._furthest.get(node, 0))

    def nothing_usable(self, draws: int, what: str, error: str) -> None:
        """Stop the search: no draw of the root gave a child, so there is nothing to go on with.

        `draws`: how many were made. `what`: kind of the last failure; `error`: its line.
        """
        answers = "the only answer was not" if draws == 1 else f"none of the {draws} answers was"
        self._stop(f"{answers} usable, the last ({what}): {error}")

    def forgive(self) -> None:
        """Count anew."""
        self.reason = ""
        self._in_a_row = {"model": 0, "environment": 0}
        self._furthest.clear()

    def _stop(self, reason: str) -> None:
        self.reason = self.reason or reason
