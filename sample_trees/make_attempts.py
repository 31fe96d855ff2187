"""Makes the bundled attempts: episodes of the scripted actor over `textcraft:tools`, as ATIF documents.

`python -m sample_trees.make_attempts FOLDER` writes a file a task, a line an attempt; the same ones each time.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from engine.base.step_kind import refused
from engine.evaluate.episodes import episode_settings
from engine.imports.attempt import Attempt, AttemptMessage
from engine.imports.formats.writing import atif_document
from engine.search.job import new_job
from engine.trace.trace_file import load
from engine.tree.events import Message, SearchSettings

ENVIRONMENT = "textcraft:tools"
ATTEMPTS = 8  # of each task
TASKS = {"2": (7, 0.35), "5": (6, 0.3), "10": (7, 0.3)}
"""Tasks: the steps that an attempt has, and the share of them that err. Few steps: an error then costs the goal."""


def attempt_of(task: str, seed: int, folder: Path) -> Attempt:
    """One episode."""
    steps, error_rate = TASKS[task]
    path = folder / f"{task}-{seed}.trace.jsonl"
    new_job(
        ENVIRONMENT, task, episode_settings(SearchSettings(seed=seed, error_rate=error_rate), steps), path
    ).run_blocking()
    tree = load(path).tree
    started, last = tree.started, tree.nodes[-1]
    assert started is not None
    limited = last.terminal == "depth"
    return Attempt(
        task=task,
        source="",
        format="agentr",
        id=f"{task}-{seed}",
        agent="scripted",
        environment=ENVIRONMENT,
        tools=list(started.tools),
        messages=list(map(_message, tree.conversation(last.id))),
        rewards={"reward": last.reward},
        reward=last.reward,
        stop="max_steps" if limited else "",
        cut_off=limited,
    )


def _message(said: Message) -> AttemptMessage:
    return AttemptMessage(
        role=said.role,
        content=said.content,
        tool_calls=said.tool_calls,
        tool_call_id=said.tool_call_id,
        name=said.name,
        error=said.role == "tool" and refused(ENVIRONMENT, "", said.content),
    )


def make(folder: Path) -> None:
    """Write the files."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as episodes:
        for task in TASKS:
            attempts = [attempt_of(task, seed, Path(episodes)) for seed in range(ATTEMPTS)]
            lines = [json.dumps(atif_document(attempt), ensure_ascii=False) + "\n" for attempt in attempts]
            (folder / f"textcraft-tools-{task}.atif.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
