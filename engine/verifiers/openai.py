"""The verifier `openai`: a model judges the bad trajectory step by step.

For each step it sees the task, what was done before and the step itself (`prompts/judge.txt`), gives reasons, and ends
with `Judgement: Good|Bad|Uncertain`; the first word after the last `Judgement:` counts, none is Uncertain. Replies are
kept by content (`engine.models.reply_cache`), so steps that several pairs share, and second runs, are asked once.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.base.errors import InputError, WorkFailed
from engine.models.client import Ask, CallFailed, Client, Endpoint, check_endpoint, complete, open_client
from engine.models.faults import HOPELESS, MENDABLE
from engine.models.prompts import check_prompts, fill, prompt
from engine.models.reply_cache import JudgementCache, key_of, shared_cache
from engine.pairs.pairs import Pair
from engine.tree.events import Message, Usage
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, JudgeSettings, JudgeTotals, Word, read_judgement, said_judgement

NOTHING_YET = "(nothing)"


class Stopped(WorkFailed):
    """A person stopped the judging."""


class Vote(Struct):
    """One reply about one step."""

    word: Word
    text: str


def endpoint_of(judge: JudgeSettings) -> Endpoint:
    """The server and model that the settings name."""
    return Endpoint(
        judge.model,
        judge.base_url,
        judge.key_env,
        judge.timeout,
        judge.retries,
        judge.price_in,
        judge.price_out,
    )


class OpenAIVerifier:
    """Judges by asking a model. `judge` is to be called from a thread without an event loop; `stop` from any."""

    def __init__(self, tree: SearchTree, judge: JudgeSettings, prompts: str = "", cache: Path | None = None) -> None:
        """`cache`: the folder that keeps the replies; None keeps them for this verifier only.

        Raises `InputError` where these settings can't work.
        """
        try:
            msgspec.convert(msgspec.to_builtins(judge), JudgeSettings)
        except msgspec.ValidationError as error:
            reason, _, place = str(error).partition(" - at `$.")
            raise InputError(f"setting {place.rstrip('`')} of the verifier: {reason.lower()}") from error
        self._tree = tree
        self._judge = judge
        self._endpoint = endpoint_of(judge)
        check_endpoint(self._endpoint)
        check_prompts(prompts)
        self._system = prompt("judge_system.txt", prompts)
        self._template = prompt("judge.txt", prompts)
        fill(self._template, {"task": "", "log": "", "action": "", "observation": ""}, "judge.txt")
        self._cache = JudgementCache() if cache is None else shared_cache(cache.absolute())
        self.totals = JudgeTotals()
        self._runner = asyncio.Runner()
        self._client: Client | None = None
        self._lock = threading.Lock()
        self._task: asyncio.Task[list[Vote]] | None = None
        self._stopped = False

    def judge(self, pair: Pair) -> Iterator[Judgement]:
        """Judge steps 1, 2, …, each as it is asked for, up to the first Bad.

        A step about which nothing usable came (a refusal, a conversation that is too long) is Uncertain, and counted.
        Raises `WorkFailed` where the server can't be used; what was judged until then is kept.
        """
        for step, id in enumerate(self._tree.ancestors(pair.bad)[1:], 1):
            judgement = self._step(step, self._question(id))
            yield judgement
            if judgement.word == "Bad":
                return

    def _step(self, step: int, question: str) -> Judgement:
        if self._stopped:
            raise Stopped("the judging was stopped")
        try:
            votes = self._runner.run(self._ask(question))
        except asyncio.CancelledError:
            if not self._stopped:
                raise
            raise Stopped("the judging was stopped") from None
        word = majority([vote.word for vote in votes], self._judge.votes)
        told = next((vote for vote in votes if vote.word == word), votes[0])
        reason = told.text.rsplit("Judgement:", 1)[0].strip()
        if self._judge.votes > 1:
            agree = sum(vote.word == word for vote in votes)
            reason = f"{agree} of {len(votes)} votes. {reason}"
        return Judgement(step, word, reason, told.text)

    def _question(self, id: int) -> str:
        """What the model is asked about the step into a node."""
        tree = self._tree
        assert tree.started is not None
        header = tree.started.header
        before = [(step.action or step.response, step.observation) for step in tree.started.prefix]
        before += [(tree.nodes[at].action, tree.nodes[at].observation) for at in tree.ancestors(id)[1:-1]]
        node = tree.nodes[id]
        values = {
            "task": header[-1].content if header else tree.started.instruction,
            "log": "\n".join(f"Action: {action}\nObservation: {seen}" for action, seen in before) or NOTHING_YET,
            "action": node.action,
            "observation": node.observation,
        }
        return fill(self._template, values, "judge.txt")

    async def _ask(self, question: str) -> list[Vote]:
        """As many votes as decide: first a bare majority, the others where it does not agree."""
        with self._lock:
            self._task = asyncio.current_task()
            if self._stopped:
                raise asyncio.CancelledError
        try:
            enough = self._judge.votes // 2 + 1
            votes = await self._votes(question, range(enough))
            if len({vote.word for vote in votes}) > 1:
                votes += await self._votes(question, range(enough, self._judge.votes))
            return votes
        finally:
            with self._lock:
                self._task = None

    async def _votes(self, question: str, numbers: range) -> list[Vote]:
        found = await asyncio.gather(*(self._vote(question, number) for number in numbers), return_exceptions=True)
        for each in found:  # the others arrived and are kept
            if isinstance(each, BaseException):
                raise each
        return [vote for vote in found if isinstance(vote, Vote)]

    async def _vote(self, question: str, number: int) -> Vote:
        judge = self._judge
        key = key_of(judge.model, self._system, question, judge.heat, judge.max_tokens, number)
        text = self._cache.get(key)
        if text is not None:
            self.totals.cached += 1
        else:
            ask = Ask(
                [Message("system", self._system), Message("user", question)], judge.heat, judge.max_tokens, seed=number
            )
            if self._client is None:
                self._client = open_client(self._endpoint)
            try:
                reply = await complete(self._client, self._endpoint, ask, self._fault)
            except CallFailed as error:
                return self._failed(error)
            self.totals.calls += 1
            self._spend(reply.usage)
            text = reply.text
            self._cache.put(key, text)
        if not said_judgement(text):
            self.totals.unsaid += 1
        return Vote(read_judgement(text), text)

    def _failed(self, error: CallFailed) -> Vote:
        """A vote that came to nothing. Raises `WorkFailed` where the next ones would, too."""
        self.totals.failed += 1
        self._spend(error.usage)
        if error.kind in HOPELESS | MENDABLE:
            raise WorkFailed(
                f"the verifier's model failed ({error.kind}): {error}; what was judged is kept, so run it again"
            ) from None
        return Vote("Uncertain", f"no judgement ({error.kind}): {error}")

    def _fault(self, kind: str, error: str, attempt: int, usage: Usage | None = None, /) -> None:
        self.totals.retried += 1
        self._spend(usage)

    def _spend(self, usage: Usage | None) -> None:
        if usage is not None:
            self.totals.spend(usage)

    def stop(self) -> None:
        """Stop judging, from any thread: the call in flight is dropped, and `judge` raises `Stopped`."""
        with self._lock:
            self._stopped = True
            task = self._task
            if task is not None:
                task.get_loop().call_soon_threadsafe(task.cancel)

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._runner.run(self._client.close())
            self._client = None
        self._runner.close()


def majority(words: list[Word], votes: int) -> Word:
    """The word that more than half of all votes say, asked or not; Uncertain where there is none."""
    word, count = Counter(words).most_common(1)[0]
    return word if count > votes / 2 else "Uncertain"
