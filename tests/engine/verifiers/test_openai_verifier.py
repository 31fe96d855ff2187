"""The verifier `openai` against a real server on loopback: step by step, votes, cache, faults, cost."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.base.errors import InputError, WorkFailed
from engine.environment.replay import opener
from engine.models.reply import Reply
from engine.models.reply_cache import JudgementCache, key_of, shared_cache
from engine.pairs.pairs import Pair, pairs
from engine.samples.revise import revise
from engine.samples.settings import Revised, ReviseSettings
from engine.samples.shared_by_trees import SharedByTrees
from engine.samples.splice import revision_thoughts
from engine.trace.sources import load_any
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, JudgeSettings, JudgeTotals
from engine.verifiers.openai_judge import NOTHING_YET, OpenAIVerifier, Stopped, majority
from engine.verifiers.registry import make_verifier
from tests.engine.made import honey_trace, made_workspace
from tests.engine.samples.test_lessons import CUTTER, INGOT, LOOK, NO_CUTTER, NO_INGOT, NUGGETS, PLANTED, STONE, grown
from tests.engine.verifiers.conftest import KEY
from tests.servers.llm_server import Body, Call, LLMServer, faults_in_turn, no_faults, some_faults


def step_in_question(body: Body) -> tuple[str, str]:
    """Action and observation that the model is asked about."""
    text = body["messages"][-1]["content"].split("The step in question:", 1)[1]
    action, observation = text.strip().splitlines()[:2]
    return action.removeprefix("Action: "), observation.removeprefix("Observation: ")


def judges(body: Body) -> str:
    """A judge that finds refusals and idling."""
    action, observation = step_in_question(body)
    word = "Bad" if observation.startswith("Could not") else "Uncertain" if action == "inventory" else "Good"
    return f"It did {action}.\nJudgement: {word}"


def settings_for(server: LLMServer, **changes: Any) -> JudgeSettings:
    """Settings of a judge behind that server."""
    return replace(JudgeSettings(model="judge", base_url=server.url, timeout=5.0), **changes)


def pair_of(tree: SearchTree, bad: int, good: int = 2) -> Pair:
    """The pair of two leaves."""
    return next(pair for pair in pairs(tree, Thresholds()) if (pair.good, pair.bad) == (good, bad))


def judge_all(verifier: OpenAIVerifier, tree: SearchTree) -> list[list[tuple[int, str]]]:
    """Judgements of all pairs."""
    return [[(each.step, each.word) for each in verifier.judge(pair)] for pair in pairs(tree, Thresholds())]


def judged(
    server: LLMServer, tree: SearchTree, bad: int = 8, cache: Path | None = None, **changes: Any
) -> tuple[list[Judgement], JudgeTotals]:
    """The judgements of one pair."""
    verifier = OpenAIVerifier(tree, settings_for(server, **changes), cache=cache)
    try:
        return list(verifier.judge(pair_of(tree, bad))), verifier.totals
    finally:
        verifier.close()


# -- judging ---------------------------------------------------------------------------------------


def test_steps_are_judged_one_by_one_up_to_the_first_bad(tree: SearchTree) -> None:
    with LLMServer(answer=judges) as server:
        verifier = OpenAIVerifier(tree, settings_for(server))
        steps = verifier.judge(pair_of(tree, 8))
        assert server.calls == []
        first = next(steps)
        assert (first.step, first.word, len(server.calls)) == (1, "Good", 1)
        second = next(steps)
        assert (second.step, second.word, len(server.calls)) == (2, "Bad", 2)
        assert (second.reason, second.raw) == ("It did get 1 honey block.", "It did get 1 honey block.\nJudgement: Bad")
        assert list(steps) == []
        verifier.close()
        assert len(server.calls) == 2


def test_nothing_is_judged_after_the_first_bad(tree: SearchTree) -> None:
    with LLMServer(answer=lambda body: "Judgement: <BAD>.") as server:
        found, _ = judged(server, tree)
        assert len(server.calls) == 1
    assert [(each.step, each.word) for each in found] == [(1, "Bad")]


def test_the_judge_sees_the_task_what_was_done_and_the_step_but_not_what_came_after(tree: SearchTree) -> None:
    with LLMServer(answer=judges) as server:
        judged(server, tree, bad=4)
        texts = [call.body["messages"][-1]["content"] for call in server.calls]
        bodies = [call.body for call in server.calls]
    assert len(texts) == 3
    assert all("Goal: craft honey block." in text for text in texts)
    assert f"step in question:\n{NOTHING_YET}\n" in texts[0]
    assert "sugar using 1 honey bottle\nObservation" not in texts[0]
    assert "Action: get 4 honey bottle\nObservation: Got 4 honey bottle\n\nThe step" in texts[1]
    assert step_in_question(bodies[1]) == ("craft 3 sugar using 1 honey bottle", "Crafted 3 minecraft:sugar")
    assert all((body["temperature"], body["seed"], body["max_tokens"]) == (0.0, 0, 500) for body in bodies)
    assert not [body for body in bodies if "n" in body]


def test_texts_of_the_environment_are_not_taken_for_places_of_the_prompt(tmp_path: Path) -> None:
    rows = [(0, "t", "say {log}", "heard {task} {action}", 0, "depth"), (0, "t", "win", "won", 1, "done")]
    hostile = load_any(honey_trace(tmp_path / "h.trace.jsonl", rows)).tree  # type: ignore[arg-type]
    with LLMServer(answer=lambda body: "Judgement: Good") as server:
        judged(server, hostile, bad=1)
        assert step_in_question(server.calls[0].body) == ("say {log}", "heard {task} {action}")


@pytest.mark.parametrize(
    ("reply", "word", "unread"),
    [
        ("Judgement: Good", "Good", 0),
        ("Judgement: Bad\nno, wait.\nJudgement: [uncertain]", "Uncertain", 0),
        ("Judgement: Not good", "Uncertain", 1),
        ("It was good.", "Uncertain", 1),
        ("Judgement:", "Uncertain", 1),
    ],
)
def test_the_first_word_after_the_last_judgement_decides_and_none_is_counted(
    reply: str, word: str, unread: int, tmp_path: Path
) -> None:
    rows = [(0, "t", "lose", "lost", 0, "depth"), (0, "t", "win", "won", 1, "done")]
    small = load_any(honey_trace(tmp_path / "s.trace.jsonl", rows)).tree  # type: ignore[arg-type]
    with LLMServer(answer=lambda body: reply) as server:
        found, totals = judged(server, small, bad=1)
    assert [each.word for each in found] == [word]
    assert totals.unread == unread


# -- votes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("votes", "words", "decided", "asked"),
    [
        (1, "B", "Bad", 1),
        (3, "GG", "Good", 2),
        (3, "GBG", "Good", 3),
        (3, "GBB", "Bad", 3),
        (3, "GBU", "Uncertain", 3),
        (2, "GB", "Uncertain", 2),
        (4, "GGBB", "Uncertain", 4),
        (5, "GBBUB", "Bad", 5),
        (5, "GGBBU", "Uncertain", 5),
    ],
)
def test_more_than_half_of_the_votes_decide_and_no_more_are_asked_than_it_takes(
    votes: int, words: str, decided: str, asked: int, tmp_path: Path
) -> None:
    rows = [(0, "t", "lose", "lost", 0, "depth"), (0, "t", "win", "won", 1, "done")]
    small = load_any(honey_trace(tmp_path / "s.trace.jsonl", rows)).tree  # type: ignore[arg-type]
    full = {"G": "Good", "B": "Bad", "U": "Uncertain"}
    with LLMServer(answer=lambda body: f"Judgement: {full[words[body['seed']]]}") as server:
        found, _ = judged(server, small, bad=1, votes=votes)
        assert len(server.calls) == asked
        assert {call.seed for call in server.calls} == set(range(asked))
        assert {call.body["temperature"] for call in server.calls} == {0.7 if votes > 1 else 0.0}
    assert [each.word for each in found] == [decided]


def test_a_word_that_is_only_the_most_frequent_is_no_majority() -> None:
    assert majority(["Good", "Good", "Good", "Bad", "Bad", "Uncertain", "Uncertain"], 7) == "Uncertain"


# -- the cache -------------------------------------------------------------------------------------


def test_a_second_run_asks_nothing(tree: SearchTree, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "judgements"
    with LLMServer(answer=judges) as server:
        first = OpenAIVerifier(tree, settings_for(server), cache=folder)
        said = judge_all(first, tree)
        first.close()
        calls = len(server.calls)
        assert calls == first.totals.calls > 0
        shared_cache.cache_clear()  # as another process would read it
        second = OpenAIVerifier(tree, settings_for(server), cache=folder)
        assert judge_all(second, tree) == said
        second.close()
        assert len(server.calls) == calls
        assert (second.totals.calls, second.totals.tokens_in) == (0, None)


def test_a_step_that_several_pairs_share_is_asked_once(tree: SearchTree) -> None:
    with LLMServer(answer=judges) as server:
        verifier = OpenAIVerifier(tree, settings_for(server))
        said = judge_all(verifier, tree)
        verifier.close()
        asked = Counter(call.body["messages"][-1]["content"] for call in server.calls)
    assert max(asked.values()) == 1
    assert verifier.totals.cached + verifier.totals.calls == sum(map(len, said)) > len(asked)


def test_another_model_prompt_or_temperature_is_another_question(tree: SearchTree, tmp_path: Path) -> None:
    own = tmp_path / "prompts"
    own.mkdir()
    (own / "judge_system.txt").write_text("You judge.")
    with LLMServer(answer=judges) as server:
        counts = []
        for changes, prompts in (
            ({}, ""),
            ({}, ""),
            ({"model": "other"}, ""),
            ({"temperature": 0.5}, ""),
            ({"max_tokens": 90}, ""),
            ({}, str(own)),
            ({"votes": 3, "temperature": 0.0}, ""),
        ):
            verifier = OpenAIVerifier(tree, settings_for(server, **changes), prompts, tmp_path / "cache")
            before = len(server.calls)
            list(verifier.judge(pair_of(tree, 8)))
            verifier.close()
            counts.append(len(server.calls) - before)
    assert counts == [2, 0, 2, 2, 2, 2, 2]  # of the three votes the first is known, the second agrees with it


def test_lines_torn_by_a_kill_are_skipped_and_the_rest_holds(tmp_path: Path) -> None:
    cache = JudgementCache(tmp_path)
    for number in range(5):
        cache.put(key_of("m", number), f"reply {number} \N{SNOWMAN}")
    (file,) = tmp_path.glob("*.jsonl")
    file.write_bytes(file.read_bytes()[:-9])
    (tmp_path / "other.jsonl").write_bytes(b'\xff\n{"key": 3}\n[]\n')
    again = JudgementCache(tmp_path)
    assert [again.get(key_of("m", number)) for number in range(3, 5)] == ["reply 3 \N{SNOWMAN}", None]
    again.put("new", "text")
    assert len(list(tmp_path.glob("*.jsonl"))) == 3  # nobody writes to the file of another
    assert JudgementCache(tmp_path).get("new") == "text"


def test_two_processes_keep_replies_in_one_folder_at_a_time(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from engine.models.reply_cache import JudgementCache\n"
        "cache = JudgementCache(Path(sys.argv[1]))\n"
        "for number in range(300): cache.put(f'{sys.argv[2]}-{number}', 'x' * 2000)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(JudgementCache(tmp_path)) == 600


def test_a_cache_that_can_not_be_written_says_so_before_a_model_is_asked(tree: SearchTree, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with LLMServer(answer=judges) as server:
        with pytest.raises(InputError, match="judgements: Not a directory"):
            judged(server, tree, cache=tmp_path / "file" / "judgements")
        assert not server.calls


# -- faults and cost -------------------------------------------------------------------------------


def test_tokens_and_cost_are_what_the_server_counted(tree: SearchTree) -> None:
    faults = some_faults(0.3, ["rate limit", "server error", "empty choices", "bad json"], seed=3)
    with LLMServer(answer=judges, faults=faults) as server:
        verifier = OpenAIVerifier(tree, settings_for(server, price_in=2.0, price_out=6.0, retries=20))
        judge_all(verifier, tree)
        verifier.close()
        told, retried = server.told, sum(call.fault is not None for call in server.calls)
    totals = verifier.totals
    assert (totals.tokens_in, totals.tokens_out) == (told.tokens_in, told.tokens_out)
    assert totals.cost == pytest.approx((told.tokens_in * 2 + told.tokens_out * 6) / 1e6)
    assert totals.retried == retried > 0


@pytest.mark.parametrize("fault", ["refusal", "too long", "too large"])
def test_a_step_that_can_not_be_judged_is_uncertain_and_counted(fault: str, tree: SearchTree, tmp_path: Path) -> None:
    with LLMServer(answer=judges, faults=faults_in_turn(fault)) as server:
        found, totals = judged(server, tree, cache=tmp_path)
        assert [each.word for each in found] == ["Uncertain", "Bad"]
        assert totals.failed == 1
        assert fault in found[0].raw
        shared_cache.cache_clear()
        again, _ = judged(server, tree, cache=tmp_path)
    assert [each.word for each in again] == ["Good", "Bad"]  # what failed was not kept


@pytest.mark.parametrize("fault", ["authentication", "wrong model", "server error", "quota"])
def test_a_server_that_can_not_be_used_ends_the_work_and_what_was_judged_is_kept(
    fault: str, tree: SearchTree, tmp_path: Path
) -> None:
    with LLMServer(answer=judges, faults=lambda call: fault if call.number else None) as server:
        with pytest.raises(WorkFailed, match=f"\\({fault}\\).*run it again"):
            judged(server, tree, cache=tmp_path, retries=1)
        server.faults = no_faults
        shared_cache.cache_clear()
        found, totals = judged(server, tree, cache=tmp_path)
    assert [each.word for each in found] == ["Good", "Bad"]
    assert (totals.cached, totals.calls) == (1, 1)


def test_judging_stops_from_another_thread_while_a_call_is_in_flight(tree: SearchTree) -> None:
    with LLMServer(answer=judges, delay=20) as server:
        verifier = OpenAIVerifier(tree, settings_for(server, timeout=60.0))
        ended: list[BaseException] = []

        def work() -> None:
            try:
                list(verifier.judge(pair_of(tree, 8)))
            except WorkFailed as error:
                ended.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        _until(lambda: bool(server.calls))
        verifier.stop()
        thread.join(15)
        assert not thread.is_alive(), "it waited for the call"
        assert isinstance(ended[0], Stopped)
        with pytest.raises(Stopped):
            list(verifier.judge(pair_of(tree, 8)))
        verifier.close()


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# -- as part of `revise` ---------------------------------------------------------------------------


def test_samples_are_made_by_a_model_that_judges_and_the_key_is_in_no_file(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path / "ws")
    trace = next(workspace.traces.iterdir())
    cache = workspace.path / "cache" / "judgements"

    def tells(body: Body) -> str:
        return f"{KEY} {judges(body)}"

    def now_and_then(call: Call) -> str | None:
        return "server error" if call.number % 3 == 0 else None

    with LLMServer(answer=tells, key=KEY, faults=now_and_then) as server:
        judge = settings_for(server, price_in=1.0, price_out=1.0)
        settings = ReviseSettings(verifier="openai", judge=judge)
        with workspace.new_run(settings, [str(trace)]) as run:
            for sample in revise(load_any(trace).tree, str(trace), settings, run.figures, SharedByTrees(cache=cache)):
                run.add(sample)
        calls = len(server.calls)
        repeated = Revised()
        again = list(revise(load_any(trace).tree, str(trace), settings, repeated, SharedByTrees(cache=cache)))
        assert len(server.calls) == calls
    loaded = workspace.load_run(run.id)
    revisions = [sample for sample in loaded.samples if sample.bad is not None]
    assert [sample.judgements for sample in again] == [sample.judgements for sample in loaded.samples]
    assert {sample.verifier for sample in revisions} == {"openai"}
    assert any(sample.found is not None for sample in revisions)
    assert loaded.info.figures is not None
    totals = loaded.info.figures.judging
    assert totals is not None
    assert (totals.calls, totals.retried) == (calls - calls // 3 - (calls % 3 > 0), calls // 3 + (calls % 3 > 0))
    assert totals.cost is not None
    files = [path for path in workspace.path.rglob("*") if path.is_file()]
    assert any(path.parent == cache for path in files)
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert loaded.info.settings.judge.key_env == "OPENAI_API_KEY"


def test_a_model_may_be_named_with_the_verifier(tree: SearchTree) -> None:
    with LLMServer(answer=judges) as server:
        verifier = make_verifier(
            "openai:small", tree, Thresholds(), opener(tree), judge=settings_for(server, model="large")
        )
        assert isinstance(verifier, OpenAIVerifier)
        list(verifier.judge(pair_of(tree, 8)))
        verifier.close()
        assert {call.body["model"] for call in server.calls} == {"small"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": ""}, "--model"),
        ({"votes": 0}, "votes"),
        ({"temperature": -1.0}, "temperature"),
        ({"base_url": "nowhere"}, "base URL"),
    ],
)
def test_settings_that_can_not_work_are_refused_before_the_first_call(
    changes: dict[str, Any], said: str, tree: SearchTree
) -> None:
    with LLMServer() as server:
        with pytest.raises(InputError, match=said):
            OpenAIVerifier(tree, settings_for(server, **changes))
        assert server.calls == []


def test_prompts_of_ones_own_are_sent_and_thoughts_of_ones_own_are_drawn(tree: SearchTree, tmp_path: Path) -> None:
    (tmp_path / "judge.txt").write_text("{task}|{log}|{action}|{observation}")
    (tmp_path / "revision_thoughts.txt").write_text("Oh no.\n\nI was wrong.\n")
    with LLMServer(answer=lambda body: "Judgement: Bad") as server:
        settings = ReviseSettings(verifier="openai", judge=settings_for(server), prompts=str(tmp_path))
        samples = list(revise(tree, "t", settings, Revised()))
        assert server.calls[0].body["messages"][-1]["content"].count("|") == 3
    thoughts = {sample.thought for sample in samples if sample.bad is not None}
    assert thoughts <= {"Oh no.", "I was wrong."}
    assert not thoughts & set(revision_thoughts())
    (tmp_path / "judge.txt").write_text("{task}|{log}|{action}")
    with pytest.raises(InputError, match=r"judge\.txt: holds no \{observation\}"):
        list(revise(tree, "t", settings, Revised()))


def test_a_reply_has_no_reasoning_in_what_is_kept(tree: SearchTree, tmp_path: Path) -> None:
    assert Reply("a", "b", "stop", None).reasoning == "b"
    with LLMServer(answer=judges, reasoning="a long thought") as server:
        judged(server, tree, cache=tmp_path)
    assert not [file for file in tmp_path.iterdir() if b"a long thought" in file.read_bytes()]


def test_the_tails_of_kept_samples_are_judged_by_the_texts_of_the_splice(tmp_path: Path) -> None:
    """Behind one wrong step the model calls a needed step Bad: that lesson has no clean tail. The others are told."""
    tree = grown(PLANTED)

    def answer(body: Body) -> str:
        action, _ = step_in_question(body)
        log = body["messages"][-1]["content"].split("The step in question:", 1)[0]
        if action == STONE and f"Action: {NO_CUTTER}" in log:
            return "There is enough.\nJudgement: Bad"
        return judges(body)

    with LLMServer(answer=answer) as server:
        figures = Revised()
        settings = ReviseSettings(verifier="openai", judge=settings_for(server), context="as-found")
        samples = [each for each in revise(tree, "t", settings, figures) if each.kind != "good"]
        asked = [call.body["messages"][-1]["content"] for call in server.calls]
    assert {each.wrong for each in samples} == {2, 10}
    assert figures.dropped["no clean way on from the wrong step"] == 1
    assert figures.tails == {"straight": 2, "left_out": 1}
    recovery = next(each for each in samples if each.wrong == 2)
    assert [(each.step, each.word) for each in recovery.tail_judgements] == [(1, "Good"), (4, "Good"), (5, "Good")]
    ends = [text for text in asked if step_of(text) == CUTTER and f"Action: {NO_CUTTER}" not in text]
    (about_the_end,) = [text for text in ends if text.count(f"Action: {NO_INGOT}") == 1]
    log = [f"Action: {action}" in about_the_end for action in (NUGGETS, INGOT, STONE, LOOK)]
    assert log == [True, True, True, False]  # the splice itself, cut steps left out


def step_of(question: str) -> str:
    """The action that a question is about."""
    return question.split("The step in question:", 1)[1].strip().splitlines()[0].removeprefix("Action: ")
