"""The revision thought of a sample: one that names the mistake (`engine.samples.thoughts.reasons`), one of the list,
drawn or by number, or one that a model writes from the verifier's judgements.

The model that judges (`engine.verifiers.base.JudgeSettings`) writes the thought; replies are kept by content, so a
second run pays nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from engine.base.errors import InputError, WorkFailed
from engine.models.endpoint import Endpoint, check_endpoint
from engine.models.prompts import fill, prompt, prompt_lines
from engine.samples.splice import choose_thought
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, JudgeSettings, JudgeTotals

REASON = "reason"
DRAWN = "list"
SEEDED = "seeded"  # as runs made before call it
MODEL = "model"
LIST = "revision_thoughts.txt"
MAX_THOUGHT = 600  # characters of a written thought; a longer one is no thought


class ThoughtWriter(Protocol):
    """Writes the thought of a sample from the verifier's judgements."""

    name: str  # who it is, as it stands in the sample

    def write(self, bad: int, mark: int | None, judgements: Sequence[Judgement]) -> str | None:
        """Returns a thought for the bad trajectory up to the mark; None where the model's is not usable. Raises
        `WorkFailed`.

        `bad`: the leaf. `mark`: the first wrong step, counted from 1; None: there is none. `judgements`: what the
        verifier said.
        """
        ...


def check_thought(thought: str, prompts: str = "") -> None:
    """Raises `InputError` where `thought` is not `reason`, `list`, `model` or a number of the list."""
    if thought in (REASON, DRAWN, SEEDED, MODEL):
        return
    count = len(prompt_lines(LIST, prompts))
    if not (thought.isascii() and thought.isdecimal() and 1 <= int(thought) <= count):
        raise InputError(f"--thought {thought!r}: reason, list, model, or a number of the list (1 to {count})")


def thought_for(sample: str, thought: str, seed: int, prompts: str = "") -> str:
    """Returns a sample's thought of the list: the numbered one, else one drawn by sample and seed.

    `sample`: its id. `thought`: the setting: a number from 1, or a word. `seed`: of the run. `prompts`: a folder whose
    files replace the list; empty: none.
    """
    lines = prompt_lines(LIST, prompts)
    if thought in (REASON, DRAWN, SEEDED, MODEL):
        return choose_thought(sample, seed, lines)
    return lines[int(thought) - 1]


def make_writer(
    thought: str, tree: SearchTree, judge: JudgeSettings, prompts: str = "", cache: Path | None = None
) -> ThoughtWriter | None:
    """Returns what writes the thoughts of a tree; None where they are from the list. Raises `InputError`.

    `thought`: the setting. `tree`: the search. `judge`: settings of the model. `prompts`: a folder whose files replace
    prompts; empty: none. `cache`: the folder of replies; None: keep none.
    """
    if thought != MODEL:
        return None
    try:
        import openai  # noqa: F401 - half a second
    except ImportError as error:
        raise InputError("--thought model needs the package openai: pip install openai") from error
    return ModelWriter(tree, judge, prompts, cache)


def usable(text: str) -> str | None:
    """The thought in a reply: one line, without a label or quotes; None where that is no thought."""
    line = " ".join(text.split())
    line = line.removeprefix("Thought:").strip().strip("\"'“”").strip()
    return line if line and len(line) <= MAX_THOUGHT and "Action:" not in line else None


class ModelWriter:
    """Thoughts by a model behind an OpenAI-compatible server. To be called from a thread without an event loop."""

    def __init__(self, tree: SearchTree, judge: JudgeSettings, prompts: str, cache: Path | None) -> None:
        """Raises `InputError` where these settings can't work."""
        from engine.models.client import Client
        from engine.models.reply_cache import JudgementCache, shared_cache

        if not judge.model:
            raise InputError("--thought model: no model is named: use --model")
        self._tree = tree
        self._judge = judge
        self._endpoint = Endpoint.of(judge)
        check_endpoint(self._endpoint)
        self._template = prompt("thought.txt", prompts)
        fill(self._template, {"task": "", "log": "", "action": "", "observation": "", "reason": ""}, "thought.txt")
        self._cache = JudgementCache() if cache is None else shared_cache(cache.absolute())
        self._runner = asyncio.Runner()
        self._client: Client | None = None
        self.name = judge.model
        self.totals = JudgeTotals()

    def write(self, bad: int, mark: int | None, judgements: Sequence[Judgement]) -> str | None:
        """A thought for the trajectory up to the mark. Raises `WorkFailed` where the model can't be reached."""
        from engine.models.reply_cache import key_of

        question = self._question(bad, mark, judgements)
        key = key_of(
            "thought",
            self._judge.model,
            self._endpoint.url,
            question,
            self._judge.effective_temperature,
            self._judge.max_tokens,
        )
        text = self._cache.get(key)
        if text is not None:
            self.totals.cached += 1
            return usable(text)
        text = self._runner.run(self._ask(question))
        if text is not None:
            self._cache.put(key, text)
        return usable(text) if text is not None else None

    def _question(self, bad: int, mark: int | None, judgements: Sequence[Judgement]) -> str:
        tree = self._tree
        assert tree.started is not None
        path = tree.ancestors(bad)
        path = path if mark is None else path[: mark + 1]
        header = tree.started.header
        last = tree.nodes[path[-1]]
        said = next((judgement.reason for judgement in judgements if judgement.step == len(path) - 1), "")
        steps = [tree.nodes[at] for at in path[1:-1]]
        values = {
            "task": header[-1].content if header else tree.started.instruction,
            "log": "\n".join(f"Action: {step.action}\nObservation: {step.observation}" for step in steps)
            or "(nothing)",
            "action": last.action,
            "observation": last.observation,
            "reason": said or "(no reason was given)",
        }
        return fill(self._template, values, "thought.txt")

    async def _ask(self, question: str) -> str | None:
        from engine.models.client import CallFailed, ChatRequest, complete, open_client
        from engine.models.faults import FATAL, RETRYABLE
        from engine.tree.events import Message

        if self._client is None:
            self._client = open_client(self._endpoint)
        ask = ChatRequest([Message("user", question)], self._judge.effective_temperature, self._judge.max_tokens)
        try:
            reply = await complete(self._client, self._endpoint, ask)
        except CallFailed as error:
            self.totals.failed += 1
            if error.usage is not None:
                self.totals.spend(error.usage)
            if error.kind in FATAL | RETRYABLE:
                raise WorkFailed(f"the model that writes thoughts failed ({error.kind}): {error}") from None
            return None
        self.totals.calls += 1
        if reply.usage is not None:
            self.totals.spend(reply.usage)
        return reply.text if reply.text.strip() and reply.finish != "length" else None  # else it is not kept

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._runner.run(self._client.close())
            self._client = None
        self._runner.close()
