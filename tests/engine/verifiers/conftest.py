"""What tests of models that judge have in common: short waits, a key, a tree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.models import client as llm
from engine.models.reply_cache import shared_cache
from engine.trace.sources import load_any
from engine.tree.tree import SearchTree
from tests.engine.made import honey_trace

KEY = "sk-not-to-be-seen-0123456789"


@pytest.fixture(autouse=True)
def quick_and_keyed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Short waits, a key in the environment, and a cache that nobody read before."""
    monkeypatch.setattr(llm, "FIRST_WAIT", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    shared_cache.cache_clear()
    yield
    shared_cache.cache_clear()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> SearchTree:
    """The honey tree."""
    return load_any(honey_trace(tmp_path_factory.mktemp("trace") / "honey.trace.jsonl")).tree
