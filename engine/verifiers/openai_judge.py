"""The verifier `openai`: a model judges the bad trajectory step by step.

For each step it sees the task, the steps before and the step itself (`prompts/judge.txt`), gives reasons, and ends with
its judgement (`engine.verifiers.judge_reply` reads it). Replies are kept by content (`engine.models.reply_cache`), so
steps that several pairs share, and second runs, are asked once. A reply without a judgement is no vote, and is not
kept.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from engine.base.errors import InputError, WorkFailed, refused_value
from engine.models.client import CallFailed, ChatRequest, wait_before
from engine.models.context_window import estimate
from engine.models.endpoint import Endpoint, check_endpoint
from engine.models.prompts import check_prompts, fill, prompt
from engine.models.reply import Reply, why_empty
from engine.models.reply_cache import JudgementCache, key_of, shared_cache
from engine.pairs.pairs import Pair
from engine.tree.events import Message, Usage
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, JudgeSettings, JudgeTotals
from engine.verifiers.judge_pool import JudgePool, Vote
from engine.verifiers.judge_pool import Stopped as Stopped
from engine.verifiers.judge_price import JudgePrice
from engine.verifiers.judge_reply import Word, judgement_is_whole, read_said

NOTHING_YET = "(nothing)"
ABOUT_THE_STEP = frozenset({"too long", "too large", "refusal"})
"""Kinds of failed calls that say something of the one step only: the others end the work."""

JUDGE_SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "judgement": {"type": "string", "enum": ["Good", "Bad", "Uncertain"]},
    },
    "required": ["reason", "judgement"],
    "additionalProperties": False,
}
SEEDS_APART = 1_000_003
"""Between the seed of a vote and those with which it is asked again: the same seed would get the same reply."""


def new_pool(judge: JudgeSettings) -> JudgePool:
    """The calls of a judge, to be shared by several trees. Raises `InputError` where these settings can't work."""
    check_judge(judge)
    return JudgePool(judge, Endpoint.of(judge))


def check_judge(judge: JudgeSettings) -> None:
    """Raises `InputError` where a model can't judge by these settings."""
    try:
        msgspec.convert(msgspec.to_builtins(judge), JudgeSettings)
    except msgspec.ValidationError as error:
        raise InputError("setting {} of the verifier: {}".format(*refused_value(error))) from error
    if judge.budget_cost is not None and (judge.price_in is None or judge.price_out is None):
        raise InputError("a budget of cost needs --price-in and --price-out: without them no cost is known")
    check_endpoint(Endpoint.of(judge))


class OpenAIVerifier:
    """Judges by asking a model. `judge`, `begin` and `stop` may be called from any thread without an event loop."""

    def __init__(
        self,
        tree: SearchTree,
        judge: JudgeSettings,
        prompts: str = "",
        cache: Path | None = None,
        pool: JudgePool | None = None,
    ) -> None:
        """`cache`: the folder that keeps the replies; None keeps them for this verifier only. `pool`: the calls that
        it shares with others; None: it has its own.

        Raises `InputError` where these settings can't work.
        """
        check_judge(judge)
        self._tree = tree
        self._judge = judge
        self._url = Endpoint.of(judge).url
        check_prompts(prompts)
        self._system = prompt("judge_system.txt", prompts)
        self._template = prompt("judge.txt", prompts)
        self._form = f"\n\n{prompt('judge_json.txt', prompts)}" if judge.structured == "json" else ""
        fill(self._template, {"task": "", "log": "", "action": "", "observation": ""}, "judge.txt")
        self._cache = JudgementCache() if cache is None else shared_cache(cache.absolute())
        self._owns_pool = pool is None
        self._pool = pool or new_pool(judge)
        self._steps: dict[int, asyncio.Task[list[Vote]]] = {}  # by node: the votes on the step into it
        self._told: set[int] = set()  # nodes of which the judgement was asked for
        self._begun: set[int] = set()  # bad leaves
        self.totals = JudgeTotals()

    def judge(self, pair: Pair, start: int = 1) -> Iterator[Judgement]:
        """Yields the judgements of steps 1, 2, … up to the first Bad, each when the caller asks for it.

        A step without a usable reply (a refusal, a conversation that is too long) is Uncertain, and counted. Raises
        `WorkFailed` where the server can't be used; the judgements until then are kept.
        """
        for step, id in enumerate(self._tree.ancestors(pair.bad)[start:], start):
            judgement = self._judgement(step, self._pool.run(self._tell(id)))
            yield judgement
            if judgement.word == "Bad":
                return

    def begin(self, pairs: Iterable[Pair]) -> None:
        """Begin to judge pairs that will be needed, all side by side, each step by step up to its first Bad: this makes
        no more calls than `judge` would."""
        for pair in pairs:
            if pair.bad not in self._begun:
                self._begun.add(pair.bad)
                self._pool.start(self._walk(self._tree.ancestors(pair.bad)[1:]))

    def price(self, bads: Iterable[int]) -> JudgePrice:
        """Returns what judging the way to these leaves costs at most, without replies that are known."""
        price = JudgePrice(model=self._judge.model, url=self._url)
        counted: set[int] = set()
        for bad in bads:
            for id in self._tree.ancestors(bad)[1:]:
                question = self._question(id)
                known = [self._cache.get(self._key(question, number)) for number in range(self._judge.votes)]
                if id not in counted:
                    counted.add(id)
                    price.add(known.count(None), estimate(self._system + question), self._judge)
                words = [read_said(text).word for text in known if text is not None]
                if majority(words, self._judge.votes) == "Bad":
                    break
        return price

    def _judgement(self, step: int, votes: list[Vote]) -> Judgement:
        word = majority([vote.word for vote in votes], self._judge.votes)
        told = next((vote for vote in votes if vote.word == word), votes[0])
        reason = read_said(told.text).reason if told.word is not None else told.text.strip()
        if self._judge.votes > 1:
            agree = sum(vote.word == word for vote in votes)
            reason = f"{agree} of {len(votes)} votes. {reason}"
        return Judgement(step, word, reason, told.text)

    def by_text(self, log: Sequence[tuple[str, str]], action: str, observation: str, step: int) -> Judgement:
        """Returns the judgement of a step. Raises as `judge` does.

        `log`: the earlier steps, as action and observation. `action` and `observation`: of the step. `step`: its
        number, from 1.
        """
        return self._judgement(step, self._pool.run(self._decide(self._text(log, action, observation))))

    def _question(self, id: int) -> str:
        """What the model is asked about the step into a node."""
        nodes = self._tree.nodes
        log = [(nodes[at].action, nodes[at].observation) for at in self._tree.ancestors(id)[1:-1]]
        return self._text(log, nodes[id].action, nodes[id].observation)

    def _text(self, log: Sequence[tuple[str, str]], action: str, observation: str) -> str:
        """What the model is asked about a step after others."""
        tree = self._tree
        assert tree.started is not None
        header = tree.started.header
        before = [(step.action or step.response, step.observation) for step in tree.started.prefix] + list(log)
        values = {
            "task": header[-1].content if header else tree.started.instruction,
            "log": "\n".join(f"Action: {action}\nObservation: {seen}" for action, seen in before) or NOTHING_YET,
            "action": action,
            "observation": observation,
        }
        return fill(self._template, values, "judge.txt") + self._form

    def _key(self, question: str, number: int) -> str:
        """What shapes a reply: the server, too, since many models are called `default`."""
        judge = self._judge
        asked = (judge.model, self._url, self._system, question, judge.effective_temperature, judge.max_tokens, number)
        return key_of(*asked, judge.top_p, judge.reasoning_effort, judge.extra_body, judge.structured)

    # -- on the pool's loop ------------------------------------------------------------------------

    async def _walk(self, steps: list[int]) -> None:
        """Judge steps in order, up to the first Bad; whoever asks for a judgement hears what went wrong."""
        for id in steps:
            try:
                votes = await self._votes_on(id)
            except WorkFailed:
                return
            if majority([vote.word for vote in votes], self._judge.votes) == "Bad":
                return

    async def _tell(self, id: int) -> list[Vote]:
        votes = await self._votes_on(id)
        if id in self._told:
            self.totals.cached += len(votes)
        self._told.add(id)
        return votes

    async def _votes_on(self, id: int) -> list[Vote]:
        """The votes on the step into a node, asked once."""
        if id not in self._steps:
            self._steps[id] = self._pool.task(self._decide(self._question(id)))
        return await asyncio.shield(self._steps[id])

    async def _decide(self, question: str) -> list[Vote]:
        """As many votes as decide: first a bare majority, the others where it does not agree."""
        enough = self._judge.votes // 2 + 1
        votes = await self._all(question, range(enough))
        if len({vote.word for vote in votes}) > 1 or votes[0].word is None:
            votes += await self._all(question, range(enough, self._judge.votes))
        return votes

    async def _all(self, question: str, numbers: range) -> list[Vote]:
        found = await asyncio.gather(*(self._vote(question, number) for number in numbers), return_exceptions=True)
        for each in found:  # the others arrived and are kept
            if isinstance(each, BaseException):
                raise each
        return [vote for vote in found if isinstance(vote, Vote)]

    async def _vote(self, question: str, number: int) -> Vote:
        key, votes = self._key(question, number), self._pool.votes
        text = self._cache.get(key)
        if text is not None or key in votes:
            self.totals.cached += 1
            if key not in self._pool.seen:
                self._pool.seen.add(key)
                self.totals.votes += 1
            return Vote(read_said(text).word, text) if text is not None else await asyncio.shield(votes[key])
        self._pool.seen.add(key)
        self.totals.votes += 1
        asking = votes[key] = self._pool.task(self._asked(question, number, key))
        vote = await asyncio.shield(asking)
        if vote.word is not None:
            del votes[key]  # the cache has it
        return vote

    async def _asked(self, question: str, number: int, key: str) -> Vote:
        judge, totals = self._judge, self.totals
        messages = [Message("system", self._system), Message("user", question)]
        schema = JUDGE_SCHEMA if judge.structured == "json" else None
        for tried in range(judge.retries + 1):
            ask = ChatRequest(
                messages,
                judge.effective_temperature,
                judge.max_tokens,
                seed=number + tried * SEEDS_APART,
                schema=schema,
            )
            try:
                reply = await self._pool.call(ask, self._fault)
            except CallFailed as error:
                return self._failed(error.kind, error.said if error.kind == "too long" else str(error), error.usage)
            totals.calls += 1
            self._pool.spend(reply.usage, replied=True)
            self._spend(reply.usage)
            why = self._unusable(reply)
            if not why:
                break
            if tried < judge.retries:
                totals.retried += 1
                if reply.finish != "length":
                    await asyncio.sleep(wait_before(tried + 1, None))
        else:
            self._pool.unanswered(why)
            return self._failed("cut off" if reply.text.strip() else "empty", why, None)
        vote = Vote(read_said(reply.text).word, reply.text)
        if vote.word is None:
            totals.unread += 1
            totals.quote = f"read no judgement in: {reply.text}"
        else:
            self._pool.answered()
            self._cache.put(key, reply.text)
        return vote

    def _unusable(self, reply: Reply) -> str:
        """Why a reply can't be looked at; "" where it can."""
        limit = self._judge.max_tokens
        if not reply.text.strip() or (reply.tools and read_said(reply.text).word is None):
            form = "" if self._judge.structured else "--structured json, or "
            why = why_empty(reply, limit, in_text=f"use {form}another model")
            return f"the reply is empty: {why}" if why else "the reply is empty"
        if reply.finish == "length" and not judgement_is_whole(reply.text):
            return f"the reply was cut off after {limit} tokens, before its judgement: raise --max-tokens"
        return ""

    def _failed(self, kind: str, said: str, usage: Usage | None) -> Vote:
        """A vote that came to nothing. Raises `WorkFailed` where the next ones would, too."""
        self.totals.failed += 1
        self._pool.spend(usage)
        self._spend(usage)
        if kind not in ABOUT_THE_STEP | {"empty", "cut off"}:
            failure = WorkFailed(
                f"the verifier's model failed ({kind}): {said}; what was judged is kept, so run it again"
            )
            self._pool.failure = self._pool.failure or failure
            raise failure
        if self._pool.failure is not None:
            raise self._pool.failure
        self.totals.quote = f"{kind}: {said}"
        return Vote(None, f"no judgement ({kind}): {said}")

    def _fault(self, kind: str, error: str, attempt: int, usage: Usage | None = None, /) -> None:
        self.totals.retried += 1
        self._pool.spend(usage)
        self._spend(usage)
        self.totals.left_out = self._pool.left_out()

    def _spend(self, usage: Usage | None) -> None:
        if usage is not None:
            self.totals.spend(usage)

    # -- ending ------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop judging, from any thread: the calls in flight are dropped, and `judge` raises `Stopped`."""
        self._pool.stop()

    def close(self) -> None:
        """Close the connections, where they are its own."""
        if self._owns_pool:
            self._pool.close()


def majority(words: Iterable[Word | None], votes: int) -> Word:
    """Returns the word of more than half of all votes, made or not; Uncertain where there is none."""
    said = Counter(word for word in words if word is not None).most_common(1)
    return said[0][0] if said and said[0][1] > votes / 2 else "Uncertain"
