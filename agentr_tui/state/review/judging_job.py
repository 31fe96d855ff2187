"""A model that judges a sample in a thread, step by step. Knows no Textual."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from engine.base.errors import WorkFailed
from engine.pairs.pairs import Pair
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, JudgeSettings

if TYPE_CHECKING:  # its client library takes half a second to import
    from engine.verifiers.openai import OpenAIVerifier


class ByModel:
    """What a model says of a sample's steps, as far as it came. `run` is a thread's, the rest is anybody's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.judgements: list[Judgement] = []  # only grows
        self._lock = threading.Lock()
        self._stopped = False
        self._verifier: OpenAIVerifier | None = None

    def run(self, tree: SearchTree, pair: Pair, settings: JudgeSettings, cache: Path) -> None:
        """Judge until the first Bad. Raises `InputError`, `WorkFailed`, also where it was stopped."""
        from engine.verifiers.openai import OpenAIVerifier

        verifier = OpenAIVerifier(tree, settings, cache=cache)
        try:
            with self._lock:
                self._verifier = verifier
                if self._stopped:
                    raise WorkFailed("the judging was stopped")
            for judgement in verifier.judge(pair):
                self.judgements.append(judgement)
        finally:
            with self._lock:
                self._verifier = None
            verifier.close()

    def stop(self) -> None:
        """Drop the call in flight and ask nothing more."""
        with self._lock:
            self._stopped = True
            if self._verifier is not None:
                self._verifier.stop()
