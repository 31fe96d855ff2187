"""Judges one sample by a model, step by step, in a worker thread. Does not import Textual."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from engine.base.errors import WorkFailed
from engine.pairs.pairs import Pair
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, JudgeSettings

if TYPE_CHECKING:  # its client library takes half a second to import
    from engine.verifiers.openai_judge import OpenAIVerifier


class ByModel:
    """The judgements of a model on one sample so far. `run` is for a worker thread; any thread may call the rest."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.judgements: list[Judgement] = []  # only grows
        self._lock = threading.Lock()
        self._stopped = False
        self._verifier: OpenAIVerifier | None = None

    def run(self, tree: SearchTree, pair: Pair, settings: JudgeSettings, cache: Path) -> None:
        """Judges steps up to the first Bad.

        `tree`: the search. `pair`: its bad trajectory is judged. `settings`: of the model. `cache`: folder of replies.

        Raises `InputError`, and `WorkFailed` if the model failed or `stop` was called.
        """
        from engine.verifiers.openai_judge import OpenAIVerifier

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
        """Cancels the call in flight and makes no more."""
        with self._lock:
            self._stopped = True
            if self._verifier is not None:
                self._verifier.stop()
