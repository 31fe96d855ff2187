"""Exact and near duplicates among samples: each is taken once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from importlib import import_module
from typing import Any

from engine.base.errors import InputError
from engine.samples.splice import Turn

EXACT = "exact duplicate"
NEAR = "near duplicate"
"""Why a pair gives no sample."""

THRESHOLD = 0.9
"""Of the Jaccard similarity from which on two samples are one, where nobody names another."""

SHINGLE = 3  # words
PERMUTATIONS = 128  # of MinHash: the estimate of a Jaccard similarity near 0.9 is right to about 0.03


class Duplicates:
    """The samples taken so far: two are duplicates where the flagged action is the same and the trained parts agree.

    *Exact*: the same words in the trained part (except the revision thought, which is drawn) and in the steps before
    it. *Near*: the sets of word 3-shingles of the trained parts have a Jaccard similarity of at least `threshold`, as
    MinHash estimates it. Samples of different tasks are never duplicates.
    """

    def __init__(self, threshold: float) -> None:
        """Raises `InputError` for a threshold that is no share, or where the package is missing."""
        if not 0 < threshold <= 1:
            raise InputError(f"the threshold of near duplicates is a share above 0 and up to 1, not {threshold:g}")
        try:
            datasketch: Any = import_module("datasketch")  # brings SciPy: half a second
        except ImportError as error:
            raise InputError(
                "near duplicates need the package datasketch: pip install 'agentr-tui[review]', or --duplicates 0"
            ) from error
        self.threshold = threshold
        self._exact: set[bytes] = set()
        self._hash = datasketch.MinHash
        self._make = datasketch.MinHashLSH
        rows = 4 if threshold >= 0.7 else 2  # a band: so that hardly any similar one is missed
        self._bands = (PERMUTATIONS // rows, rows)
        self._of_action: dict[str, Any] = {}  # flagged action → index of sketches
        self._kept: dict[bytes, Any] = {}  # sample → sketch
        self._sketches: dict[bytes, Any] = {}  # text → sketch

    def reason(self, environment: str, task: str, turns: Sequence[Turn]) -> str | None:
        """Returns why a trajectory is a duplicate (`EXACT`, `NEAR`); None where it is none, and then it is remembered.

        `environment` and `task`: of the sample; samples of other tasks are no duplicates. `turns`: its conversation.
        """
        trained = [turn.action if turn.revises else turn.said for turn in turns if turn.loss and turn.part != "thought"]
        before = [turn for turn in turns if turn.role == "assistant" and turn.loss is False]
        key = _digest([environment, task, *(turn.said for turn in before), "", *trained])
        if key in self._exact:
            return EXACT
        action = "\0".join((environment, task, before[-1].action if before else ""))
        text = _digest(trained)
        sketch = self._sketches.get(text)
        if sketch is None:
            sketch = self._sketches[text] = self._hash(num_perm=PERMUTATIONS, seed=1)
            sketch.update_batch([shingle.encode("utf-8", "replace") for shingle in shingles(trained)])
        index = self._of_action.get(action)
        if index is None:
            index = self._of_action[action] = self._make(num_perm=PERMUTATIONS, params=self._bands)
        for found in index.query(sketch):
            if self._kept[found].jaccard(sketch) >= self.threshold:
                return NEAR
        self._exact.add(key)
        self._kept[key] = sketch
        index.insert(key, sketch)
        return None


def shingles(texts: Iterable[str]) -> set[str]:
    """The word 3-shingles of some texts; a text of fewer words is one shingle."""
    found: set[str] = set()
    for text in texts:
        words = text.casefold().split()
        if len(words) < SHINGLE:
            found.add(" ".join(words))
        found.update(" ".join(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1))
    return found


def _digest(texts: Iterable[str]) -> bytes:
    digest = blake2b(digest_size=16)
    for text in texts:
        digest.update(text.encode("utf-8", "replace") + b"\0")
    return digest.digest()
