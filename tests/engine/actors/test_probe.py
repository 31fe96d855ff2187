"""Trying a model out: what it says of a server is what that server does. Real HTTP on loopback."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from engine.actors.probe import Probe, Trial, remedies
from engine.base.errors import InputError, WorkFailed
from engine.tree.events import SearchSettings
from tests.servers.calling import plays_with_tools
from tests.servers.llm_server import Body, LLMServer, plays_textcraft


def tried(server: LLMServer, **changes: Any) -> Probe:
    found = Trial(SearchSettings(actor="openai", model="m", base_url=server.url, **changes)).run()
    assert found is not None
    return found


def by_seed(body: Body) -> str:
    return f"number {random.Random(body.get('seed')).random()}"


def always_new() -> Callable[[Body], str]:
    numbers = itertools.count()
    return lambda body: f"number {next(numbers)}"


@pytest.mark.parametrize(
    ("answer", "unsupported", "seed"),
    [
        (by_seed, "", "honoured"),
        (always_new(), "", "ignored"),
        (lambda body: "the same", "", "without effect"),
        (by_seed, "seed", "refused"),
    ],
)
def test_it_tells_what_becomes_of_a_seed(answer: Callable[[Body], str], unsupported: str, seed: str) -> None:
    with LLMServer(answer=answer, unsupported=unsupported) as server:
        assert tried(server).seed == seed


def test_it_tells_whether_log_probabilities_and_usage_come() -> None:
    with LLMServer(answer=by_seed, logprob=-0.5) as server:
        all_of_it = tried(server, price_in=1.0, price_out=1.0)
        assert len(server.calls) == 5
    with LLMServer(answer=by_seed, usage=False, unsupported="logprobs", delay=0.2) as server:
        nothing = tried(server)
    assert (all_of_it.logprobs, nothing.logprobs) == (True, False)
    assert all_of_it.usage is not None
    assert all_of_it.usage.tokens_in is not None
    assert f"tells usage ({all_of_it.usage.tokens_in} → 2 tokens, $0.000" in str(all_of_it)
    assert nothing.seconds >= 0.2, "what the server waited"
    told = str(replace(nothing, seconds=0.2))
    assert told.startswith("answers in 0.2 s, honours seed, no logprobs, tells no usage; but")


def test_it_asks_the_first_turn_of_an_environment_and_reads_the_action_in_its_answer() -> None:
    with LLMServer() as server:
        found = tried(server)
        asked = server.calls[0].body
    assert asked["messages"][-1]["content"].startswith("Crafting commands:")
    assert [turn["role"] for turn in asked["messages"]] == ["system", "user", "assistant", "user"]
    assert asked["stop"] == ["\nObservation:"]
    assert (found.works, found.label, found.problem) == (True, True, "")
    assert found.answer.endswith(f"Action: {found.action}")
    assert found.observation
    assert found.where == "textcraft 0"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("", "the answer is empty"),
        ("I would rather talk about it.", "the answer names no action"),
        ("get 1 sand", "no line `Action:`"),
        ("<think>What could it be", "the answer is empty"),
    ],
)
def test_a_server_with_which_no_search_works_is_none_that_works(answer: str, said: str) -> None:
    with LLMServer(answer=lambda body: answer) as server:
        found = tried(server)
    assert not found.works
    assert said in found.problem
    assert said in str(found)


def test_it_tells_whether_a_stop_word_is_kept_to() -> None:
    def stops(body: Body) -> str:
        text = plays_textcraft(body)
        return min((text.partition(word)[0] for word in body.get("stop", ())), key=len, default=text)

    with LLMServer(answer=stops) as keeps, LLMServer() as ignores, LLMServer(unsupported="stop") as refuses:
        assert [tried(server).stop for server in (keeps, ignores, refuses)] == ["honoured", "ignored", "refused"]


@pytest.mark.parametrize(
    ("fault", "word"), [("wrong model", "--model"), ("rate limit", "429"), ("reset", "connection")]
)
def test_a_model_that_does_not_answer_is_a_line_and_is_not_asked_again(fault: str, word: str) -> None:
    with LLMServer(faults=lambda call: fault) as server, pytest.raises(WorkFailed, match=word) as error:
        tried(server)
    assert "\n" not in str(error.value)
    assert len(server.calls) == 1


def test_a_trial_that_nobody_waits_for_ends() -> None:
    with LLMServer(faults=lambda call: "timeout", hang=60) as server:
        trial = Trial(SearchSettings(actor="openai", model="m", base_url=server.url))
        found: list[Probe | None] = []
        thread = threading.Thread(target=lambda: found.append(trial.run()))
        thread.start()
        while not server.calls:
            thread.join(0.01)
        trial.cancel()
        thread.join(20)
        assert found == [None]


def test_where_the_environment_has_tools_they_are_offered_and_called() -> None:
    with LLMServer(answer=plays_with_tools) as server:
        found = Trial(SearchSettings(actor="openai", model="m", base_url=server.url), "textcraft:tools", "3").run()
        first = server.calls[0].body
    assert found is not None
    assert [tool["function"]["name"] for tool in first["tools"]] == ["get", "craft", "inventory"]
    assert (found.works, found.tools) == (True, "called")
    assert found.action.startswith(("get(", "craft(", "inventory("))
    assert found.answer.endswith(found.action)
    with LLMServer(answer=lambda body: "I would get stems.") as server:
        found = Trial(SearchSettings(actor="openai", model="m", base_url=server.url), "textcraft:tools", "3").run()
    assert found is not None
    assert found.problem == "it called no tool: try --tools required, or another model"
    with (
        LLMServer(refusal="gemma:2b does not support tools") as server,
        pytest.raises(WorkFailed, match=r"no tools: 400: gemma:2b does not support tools; start the server with tool"),
    ):
        Trial(SearchSettings(actor="openai", model="m", base_url=server.url), "textcraft:tools", "3").run()


@pytest.mark.parametrize(
    ("settings", "calls", "said"),
    [
        ({}, False, "--structured json, --example, or another model"),
        ({"structured": "json"}, False, "--example, or another model"),
        ({"structured": "json", "example": True}, False, "another model"),
        ({}, True, "--tools required, or another model"),
        ({"tools": "required"}, True, "another model"),
    ],
)
def test_what_is_set_already_is_no_remedy(settings: dict[str, Any], calls: bool, said: str) -> None:
    assert remedies(SearchSettings(**settings), calls) == said


def test_settings_with_which_no_search_starts_are_refused_before_a_call() -> None:
    with LLMServer(answer=plays_with_tools) as server:
        settings = SearchSettings(actor="openai", model="m", base_url=server.url, structured="json")
        with pytest.raises(InputError, match="--structured asks for answers by text, and here the model calls tools"):
            Trial(settings, "textcraft:tools", "3").run()
        assert server.calls == []
