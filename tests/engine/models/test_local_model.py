"""A real model on loopback grows a real tree. Runs where the extra `local` is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.base.errors import InputError
from engine.environment.replay import opener, replay_tree
from engine.models.local_server import INSTALL, command, missing, served, settings_of
from engine.search.job import new_job
from engine.tree.answer_counts import answer_words


def test_what_is_missing_is_named_with_the_remedy() -> None:
    why = missing()
    if why is None:
        assert "engine.models.local_server" in command()
        return
    assert INSTALL in why
    with pytest.raises(InputError, match="agentr-tui"):
        command()


def test_a_small_model_grows_a_tree_whose_answers_are_read_and_that_replays(tmp_path: Path) -> None:
    if why := missing():
        pytest.skip(why)
    with served() as url:
        settings = replace(settings_of(url), structured="", iterations=1, max_depth=1, samples=2, timeout=600.0)
        job = new_job("textcraft", "5", settings, tmp_path / "local.trace.jsonl")
        job.run_blocking()
    tree = job.tree
    print(f"{len(tree)} nodes in {tree.t:.0f} s; {', '.join(answer_words(tree.answers))}")
    assert tree.answers.answers >= 2
    assert tree.answers.not_in_form < tree.answers.answers / 2
    assert all("\n" not in node.action and "\nObservation" not in node.response for node in tree.nodes)
    assert tree.tokens_in
    assert tree.tokens_out
    assert list(replay_tree(tree, opener(tree)())) == []
