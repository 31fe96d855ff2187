"""The search engine of agentr: traces, trees, searches, verification, path surgery and datasets.

Importable and testable without a terminal: nothing here imports `textual` or `agentr_tui`. The names below are the
public API (docs/api.md); each is loaded when it is first asked for. Everything else may change from one version to the
next.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.base.errors import AgentrError as AgentrError
    from engine.base.version import __version__ as __version__
    from engine.datasets.export import export as export
    from engine.environment.opened import open_environment as open_environment
    from engine.environment.replay import Replayer as Replayer
    from engine.environment.replay import opener as opener
    from engine.environment.replay import replay_tree as replay_tree
    from engine.pairs.pairs import Pair as Pair
    from engine.pairs.pairs import count_pairs as count_pairs
    from engine.pairs.ranking import ranked as ranked_pairs
    from engine.query.find import find as find
    from engine.query.nodes import parse as parse_query
    from engine.samples.revise import revise as revise
    from engine.samples.sample import Sample as Sample
    from engine.samples.sample import turns_of as turns_of
    from engine.samples.settings import Revised as Revised
    from engine.samples.settings import ReviseSettings as ReviseSettings
    from engine.search.job import new_job as new_job
    from engine.search.job import resume_job as resume_job
    from engine.trace.sources import find_sources as find_sources
    from engine.trace.sources import load_any as load
    from engine.tree.events import SearchSettings as SearchSettings
    from engine.tree.node import Node as Node
    from engine.tree.reader import TreeReader as TreeReader
    from engine.tree.thresholds import Thresholds as Thresholds
    from engine.tree.tree import SearchTree as SearchTree
    from engine.verifiers.base import first_wrong_step as first_wrong_step
    from engine.verifiers.registry import make_verifier as make_verifier
    from engine.workspace.workspace import Workspace as Workspace

_PLACES = {
    "AgentrError": "engine.base.errors",
    "Node": "engine.tree.node",
    "Pair": "engine.pairs.pairs",
    "Replayer": "engine.environment.replay",
    "ReviseSettings": "engine.samples.settings",
    "Revised": "engine.samples.settings",
    "Sample": "engine.samples.sample",
    "SearchSettings": "engine.tree.events",
    "SearchTree": "engine.tree.tree",
    "Thresholds": "engine.tree.thresholds",
    "TreeReader": "engine.tree.reader",
    "Workspace": "engine.workspace.workspace",
    "__version__": "engine.base.version",
    "count_pairs": "engine.pairs.pairs",
    "export": "engine.datasets.export",
    "find": "engine.query.find",
    "find_sources": "engine.trace.sources",
    "first_wrong_step": "engine.verifiers.base",
    "load": "engine.trace.sources:load_any",
    "make_verifier": "engine.verifiers.registry",
    "new_job": "engine.search.job",
    "open_environment": "engine.environment.opened",
    "opener": "engine.environment.replay",
    "parse_query": "engine.query.nodes:parse",
    "ranked_pairs": "engine.pairs.ranking:ranked",
    "replay_tree": "engine.environment.replay",
    "resume_job": "engine.search.job",
    "revise": "engine.samples.revise",
    "turns_of": "engine.samples.sample",
}
"""Public name → the module that defines it, and its name there where that is another."""

__all__ = [
    "AgentrError",
    "Node",
    "Pair",
    "Replayer",
    "ReviseSettings",
    "Revised",
    "Sample",
    "SearchSettings",
    "SearchTree",
    "Thresholds",
    "TreeReader",
    "Workspace",
    "__version__",
    "count_pairs",
    "export",
    "find",
    "find_sources",
    "first_wrong_step",
    "load",
    "make_verifier",
    "new_job",
    "open_environment",
    "opener",
    "parse_query",
    "ranked_pairs",
    "replay_tree",
    "resume_job",
    "revise",
    "turns_of",
]


def __getattr__(name: str) -> Any:
    """Load a public name (PEP 562). Raises `AttributeError` for any other."""
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, own = place.partition(":")
    return getattr(importlib.import_module(module), own or name)


def __dir__() -> list[str]:
    return sorted(__all__)
