"""Judging side by side: the same run as one call at a time, no call more, and every reply that is none told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.base.errors import WorkFailed
from engine.models.reply_cache import shared_cache
from engine.pairs.limits import PairLimits
from engine.pairs.pairs import Pair, pairs
from engine.review.verifier_report import measure
from engine.samples.revise import begun_verifier, revise
from engine.samples.sample import Sample
from engine.samples.settings import Revised, ReviseSettings
from engine.search.job import new_job
from engine.tree.events import SearchSettings
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import BudgetSpent, JudgeSettings, JudgeTotals
from engine.verifiers.openai_judge import OpenAIVerifier
from engine.verifiers.parallel_judging import (
    busy,
    complaint,
    fed,
    has_failed,
    looking_ahead,
    open_pool,
    price_of_judging,
)
from tests.engine.verifiers.test_openai_verifier import judged, judges, pair_of, settings_for
from tests.servers.llm_server import Body, Call, LLMServer, faults_in_turn, no_faults


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> list[SearchTree]:
    """Trees of the scripted actor."""
    folder = tmp_path_factory.mktemp("trees")
    made = []
    for task in range(6):
        settings = SearchSettings(iterations=6, error_rate=0.5, seed=task)
        job = new_job("textcraft", str(task), settings, folder / f"{task}.trace.jsonl")
        job.run_blocking()
        made.append(job.tree)
    return made


def a_run(trees: list[SearchTree], settings: ReviseSettings, cache: Path | None = None) -> tuple[list[Sample], Revised]:
    """The samples of a run over trees whose judge's calls share a pool, as the command makes it."""
    pool = open_pool(settings.judge, settings.verifier)
    assert pool is not None
    figures, samples = Revised(), list[Sample]()
    try:
        opened = ((tree, begun_verifier(tree, settings, cache, pool)) for tree in trees)
        for tree, verifier in fed(opened, busy(pool, settings.judge)):
            samples += revise(tree, "t", settings, figures, verifier=verifier)
    finally:
        pool.close()
    return samples, figures


# -- side by side ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits", [{}, {"max_pairs": 5}, {"per_tree": 2}, {"per_fork": 1}, {"diverse": True}, {"before_fork": "refuse"}]
)
def test_a_run_is_the_same_and_makes_the_same_calls_whatever_the_concurrency(
    limits: dict[str, Any], trees: list[SearchTree]
) -> None:
    runs, asked, most = [], [], []
    for concurrency in (1, 16):
        with LLMServer(answer=judges, delay=0.02 if concurrency > 1 else 0) as server:
            judge = settings_for(server, concurrency=concurrency)
            runs.append(a_run(trees[:4], ReviseSettings(verifier="openai", judge=judge, **limits)))
            asked.append(sorted(json.dumps(call.body) for call in server.calls))
            most.append(server.most_at_once)
    (one, counted), (many, also) = runs
    assert one == many
    assert asked[0] == asked[1]
    assert counted.judging == also.judging
    assert counted.dropped == also.dropped
    assert most[0] == 1 < most[1] <= 16


def test_votes_and_pairs_of_one_tree_are_asked_side_by_side(trees: list[SearchTree]) -> None:
    with LLMServer(answer=judges, delay=0.05) as server:
        judge = settings_for(server, concurrency=32, votes=3)
        settings = ReviseSettings(verifier="openai", judge=judge, max_pairs=5)
        list(revise(trees[0], "t", settings, Revised()))
        assert server.most_at_once > 2


def test_the_report_of_a_verifier_is_the_same_and_asks_no_more_whatever_the_concurrency(
    trees: list[SearchTree],
) -> None:
    reports, calls = [], []
    for concurrency in (1, 16):
        with LLMServer(answer=judges, delay=0.01 if concurrency > 1 else 0) as server:
            judge = settings_for(server, concurrency=concurrency)
            pool = open_pool(judge, "openai", "progress")
            asked, known = (ReviseSettings(verifier=name, judge=judge) for name in ("openai", "progress"))
            reports.append(measure(trees, asked, known, pool=pool))
            assert pool is not None
            pool.close()
            calls.append(len(server.calls))
    assert reports[0] == reports[1]
    assert reports[0].pairs > 0
    assert calls[0] == calls[1]


def test_judgements_may_be_asked_for_from_several_threads(tree: SearchTree) -> None:
    found: dict[int, list[tuple[int, str]]] = {}
    with LLMServer(answer=judges, delay=0.02) as server:
        verifier = OpenAIVerifier(tree, settings_for(server, concurrency=8))
        wanted = list(pairs(tree, Thresholds()))

        def work(number: int) -> None:
            pair = wanted[number % len(wanted)]
            found[number] = [(each.step, each.word) for each in verifier.judge(pair)]

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3 * len(wanted))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        asked = [call.body["messages"][-1]["content"] for call in server.calls]
        verifier.close()
    assert len(found) == len(threads)
    assert all(found[number] == found[number % len(wanted)] for number in found)
    assert len(asked) == len(set(asked)), "each step is asked once"


class Looked:
    """A verifier that only remembers with which pairs it began."""

    def __init__(self) -> None:
        self.begun: list[Pair] = []

    def begin(self, pairs: list[Pair]) -> None:
        self.begun += pairs

    def judge(self, pair: Pair, start: int = 1) -> Iterator[Any]:
        return iter(())


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=25),
    st.none() | st.integers(1, 20),
    st.none() | st.integers(1, 6),
    st.none() | st.integers(1, 3),
)
def test_nothing_is_begun_that_is_not_asked_for_and_the_order_is_kept(
    rows: list[tuple[int, bool]], max_pairs: int | None, per_tree: int | None, per_fork: int | None
) -> None:
    all = [Pair(number, number, fork, 1.0) for number, (fork, _) in enumerate(rows)]
    became = {number: taken for number, (_, taken) in enumerate(rows)}

    def looked_at(ahead: Callable[[Iterator[Pair], PairLimits], Iterator[Pair]]) -> list[Pair]:
        limits = {"max_pairs": max_pairs, "per_tree": per_tree, "per_fork": per_fork}
        taking = PairLimits(None, len(all), lambda reason, count: None, **limits)  # type: ignore[arg-type]
        seen = []
        for pair in taking.filter(ahead(iter(all), taking)):
            seen.append(pair)
            if became[pair.bad]:
                taking.accept(pair.fork, pair.bad, None)
        return seen

    plain = looked_at(lambda pairs, taking: pairs)
    verifier = Looked()
    assert looked_at(lambda pairs, taking: looking_ahead(pairs, verifier, taking, 7)) == plain
    assert verifier.begun == plain, "all that is asked for, nothing else, in its order"


def test_what_is_read_ahead_comes_in_its_order_and_a_fault_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield from range(50)
        raise WorkFailed("here")

    came: list[int] = []
    with pytest.raises(WorkFailed, match="here"):
        came.extend(fed(items(), lambda: False, 5))
    assert came == list(range(50))
    first = fed(iter(range(1_000_000)), lambda: False, 3)
    assert next(first) == 0
    first.close()  # type: ignore[attr-defined]


# -- what is no vote ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dress",
    ["Judgment: {}", "### Judgement\n{}", "**Judgement:** {}", "判断：{}", "The step is {}.", '{{"judgement": "{}"}}',
     "[{}]", "`{}`"],
)  # fmt: skip
def test_a_judge_of_every_dress_gives_equal_marks(dress: str, trees: list[SearchTree]) -> None:
    marks = []
    for form in ("Judgement: {}", dress):
        with LLMServer(answer=lambda body, form=form: form.format(judges(body).rsplit(" ", 1)[-1])) as server:  # type: ignore[misc]
            judge = settings_for(server, concurrency=16)
            samples, figures = a_run(trees[:4], ReviseSettings(verifier="openai", judge=judge))
        marks.append([(sample.id, sample.found, sample.mark) for sample in samples])
        assert figures.judging is not None
        assert (figures.judging.unread, figures.judging.failed) == (0, 0)
    assert marks[0] == marks[1]


@pytest.mark.parametrize("fault", ["empty", "error 200", "server error", "empty choices"])
def test_a_reply_that_is_none_is_asked_again_and_not_kept(fault: str, tree: SearchTree, tmp_path: Path) -> None:
    with LLMServer(answer=judges, faults=faults_in_turn(fault, fault)) as server:
        found, totals = judged(server, tree, cache=tmp_path)
        assert [each.word for each in found] == ["Good", "Bad"]
        assert (totals.retried, totals.failed, totals.unread) == (2, 0, 0)
        assert len(server.calls) == 4
    kept = [line for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    assert len(kept) == 2


def test_a_reply_that_was_cut_off_is_no_vote_and_says_what_to_do(tree: SearchTree, tmp_path: Path) -> None:
    with LLMServer(answer=lambda body: "Reason: it may be that", finish="length") as server:
        found, totals = judged(server, tree, cache=tmp_path, retries=1)
        assert {each.word for each in found} == {"Uncertain"}
        assert "cut off after 500 tokens" in found[0].reason
        assert "--max-tokens" in totals.quote
        assert totals.failed == len(found)
        assert len(server.calls) == 2 * len(found)
        server.finish, server.answer = "stop", judges
        again, _ = judged(server, tree, cache=tmp_path)
    assert [each.word for each in again] == ["Good", "Bad"]


def test_a_reply_without_a_judgement_is_unread_is_asked_once_a_run_and_not_kept(
    tree: SearchTree, tmp_path: Path
) -> None:
    with LLMServer(answer=lambda body: "Judgement: Good|Bad|Uncertain") as server:
        verifier = OpenAIVerifier(tree, settings_for(server), cache=tmp_path)
        words = [each.word for pair in pairs(tree, Thresholds()) for each in verifier.judge(pair)]
        verifier.close()
        calls = len(server.calls)
        assert verifier.totals.unread == verifier.totals.calls == verifier.totals.votes == calls < len(words)
        assert set(words) == {"Uncertain"}
        server.answer = judges
        shared_cache.cache_clear()
        found, _ = judged(server, tree, cache=tmp_path)
    assert [each.word for each in found] == ["Good", "Bad"]
    assert has_failed(verifier.totals)
    said = complaint(verifier.totals)
    assert f"{calls} of {calls} votes" in said
    assert "Judgement: Good|Bad|Uncertain" in said
    assert "--structured json" in said


@pytest.mark.parametrize(("unread", "failed", "warns", "fails"), [
    (0, 0, False, False), (1, 0, False, False), (2, 0, True, False), (0, 2, True, False), (4, 3, True, False),
    (4, 4, True, True), (8, 0, True, True),
])  # fmt: skip
def test_a_fifth_of_lost_votes_is_warned_of_and_four_fifths_have_failed(
    unread: int, failed: int, warns: bool, fails: bool
) -> None:
    totals = JudgeTotals(votes=10, unread=unread, failed=failed, quote="hm")
    assert (bool(complaint(totals)), has_failed(totals)) == (warns, fails)


def test_a_model_that_can_not_judge_is_given_up_soon(trees: list[SearchTree]) -> None:
    with LLMServer(answer=lambda body: "") as server:
        judge = settings_for(server, retries=0, concurrency=1)
        with pytest.raises(WorkFailed, match="no usable reply to 8 questions"):
            a_run(trees, ReviseSettings(verifier="openai", judge=judge))
        assert len(server.calls) == 8


def test_another_server_is_asked_for_itself_whatever_its_model_is_called(tree: SearchTree, tmp_path: Path) -> None:
    with LLMServer(answer=judges) as one, LLMServer(answer=lambda body: "Judgement: Bad") as other:
        judged(one, tree, cache=tmp_path)
        found, totals = judged(other, tree, cache=tmp_path)
    assert [each.word for each in found] == ["Bad"]
    assert totals.cached == 0


def test_a_judge_may_be_held_to_a_form_and_the_prompt_keeps_its_words(tree: SearchTree) -> None:
    def answers(body: Body) -> str:
        reason, _, word = judges(body).partition("\nJudgement: ")
        return json.dumps({"reason": reason, "judgement": word})

    with LLMServer(answer=answers) as server:
        found, _ = judged(server, tree, structured="json")
        body = server.calls[0].body
    assert [(each.word, each.reason) for each in found][1] == ("Bad", "It did get 1 honey block.")
    assert body["response_format"]["json_schema"]["schema"]["properties"]["judgement"]["enum"][1] == "Bad"
    text = body["messages"][-1]["content"]
    assert all(word in text for word in ("The step in question:", "Observation:", "Judgement", "JSON"))


# -- budgets and the price ---------------------------------------------------------------------------


def test_a_budget_of_calls_is_kept_to_and_a_greater_one_goes_on(trees: list[SearchTree], tmp_path: Path) -> None:
    with LLMServer(answer=judges) as server:
        judge = settings_for(server, budget_calls=3, concurrency=8)
        with pytest.raises(BudgetSpent, match="budget of calls"):
            a_run(trees, ReviseSettings(verifier="openai", judge=judge), tmp_path)
        assert len(server.calls) == 3
        a_run(trees, ReviseSettings(verifier="openai", judge=settings_for(server)), tmp_path)
        assert len(server.calls) > 3
        bodies = [json.dumps(call.body) for call in server.calls]
        assert len(bodies) == len(set(bodies))


@pytest.mark.parametrize(
    ("budget", "usage", "said"),
    [
        ({"budget_tokens": 400}, True, "tokens is used up"),
        ({"budget_cost": 0.0005}, True, "cost is used up"),
        ({"budget_tokens": 400}, False, "the server tells none"),
        ({"budget_seconds": 0.001}, True, "seconds"),
    ],
)
def test_other_budgets_end_the_judging_too(
    budget: dict[str, Any], usage: bool, said: str, trees: list[SearchTree]
) -> None:
    with LLMServer(answer=judges, usage=usage) as server:
        judge = settings_for(server, price_in=1.0, price_out=1.0, concurrency=1, **budget)
        with pytest.raises(BudgetSpent, match=said):
            a_run(trees, ReviseSettings(verifier="openai", judge=judge))


def test_the_price_is_what_is_asked_at_most_and_less_what_is_known(tree: SearchTree, tmp_path: Path) -> None:
    with LLMServer(answer=lambda body: "Judgement: Good") as server:
        judge = settings_for(server, votes=3, price_in=1.0, price_out=2.0)
        first = price_of_judging(tree, Thresholds(), judge, "openai", cache=tmp_path)
        verifier = OpenAIVerifier(tree, replace(judge, votes=1, temperature=0.7), cache=tmp_path)
        for pair in pairs(tree, Thresholds()):
            list(verifier.judge(pair))
        verifier.close()
        steps = len(server.calls)
        later = price_of_judging(tree, Thresholds(), judge, "openai", cache=tmp_path)
    assert (first.calls, first.known) == (3 * steps, 0)
    assert (later.calls, later.known) == (2 * steps, steps)
    assert first.cost == pytest.approx((first.tokens_in * 1.0 + first.tokens_out * 2.0) / 1e6)
    assert first.tokens_out == 3 * steps * 500
    assert first.is_asked(judge)
    assert not first.is_asked(JudgeSettings(model="judge", base_url=server.url))
    assert replace(first, url="https://api.example/v1").is_asked(JudgeSettings())


def test_a_server_that_dies_amid_many_calls_ends_the_work_and_keeps_what_came(
    trees: list[SearchTree], tmp_path: Path
) -> None:
    def fault(call: Call) -> str | None:
        return "authentication" if call.number >= 6 else None

    with LLMServer(answer=judges, faults=fault, delay=0.02) as server:
        settings = ReviseSettings(verifier="openai", judge=settings_for(server, concurrency=8))
        with pytest.raises(WorkFailed, match="run it again"):
            a_run(trees, settings, tmp_path)
        assert len(server.calls) < 6 + 2 * 8, "the others are not asked any more"
        answered = [json.dumps(call.body) for call in server.calls if call.fault is None]
        server.faults = no_faults
        shared_cache.cache_clear()
        calls = len(server.calls)
        a_run(trees, settings, tmp_path)
        again = [json.dumps(call.body) for call in server.calls[calls:]]
    assert not set(answered) & set(again)


def test_one_step_that_is_too_long_is_uncertain_and_asked_once(tree: SearchTree) -> None:
    def fault(call: Call) -> str | None:
        return "too long" if "honey bottle\n\nThe step" in call.body["messages"][-1]["content"] else None

    with LLMServer(answer=lambda body: "Judgement: Good", faults=fault) as server:
        verifier = OpenAIVerifier(tree, settings_for(server))
        for _ in range(2):
            found = list(verifier.judge(pair_of(tree, 4)))
        verifier.close()
        asked = [call.body["messages"][-1]["content"] for call in server.calls]
    assert len(asked) == len(set(asked))
    assert verifier.totals.failed == sum(each.word == "Uncertain" for each in found) > 0
    assert "--context" not in verifier.totals.quote
