"""A search by a model that goes on from where its trace ends: what is run in processes that are killed."""

from __future__ import annotations

from pathlib import Path

from engine.actors.openai import OpenAIActor as OpenAIActor  # imported once, by the server that forks
from engine.models.client import open_client
from engine.models.endpoint import Endpoint
from engine.search.job import new_job, resume_job
from engine.tree.events import SearchSettings
from envs.textcraft.env import TextCraft

IN_FLIGHT = 8

TextCraft().reset(options={"task": "2"})  # reads the recipes: once, too
open_client(Endpoint("m", "http://127.0.0.1:1/v1"))  # imports what a first client does


def go_on(url: str, path: Path) -> None:
    """The search, until it is over."""
    if path.exists() and path.stat().st_size:
        resume_job(path).run_blocking()
        return
    settings = SearchSettings(
        actor="openai", model="m", base_url=url, iterations=5, max_depth=7, concurrency=IN_FLIGHT, parallel_nodes=2
    )
    new_job("textcraft", "2", settings, path).run_blocking()
