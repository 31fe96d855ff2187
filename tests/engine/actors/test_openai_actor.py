"""The actor `openai`: whole searches against a real server on loopback."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.actors.base import Answer, DrawFailed, Request, draw_seed
from engine.actors.openai import OpenAIActor, read_reply_text
from engine.actors.openai_request import ANSWER_SCHEMA, read_example, to_json, with_example
from engine.answers.form import AnswerForm
from engine.base.errors import InputError
from engine.base.text import parse_action
from engine.environment.opened import open_environment
from engine.models import client as llm
from engine.models import prompts
from engine.models.context_window import ESTIMATE, HEADER_TURNS, TURN_TOKENS, counter, fit
from engine.models.prompts import check_prompts, fill, prompt
from engine.models.reply import Reply
from engine.search.job import new_job, resume_job
from engine.trace.diff import compare
from engine.trace.trace_file import read_events
from engine.tree.events import Message, SearchSettings
from engine.tree.tree import SearchTree
from envs.textcraft.env import TextCraft
from tests.servers.llm_server import RETRYABLE, Body, Call, LLMServer, plays_textcraft, some_faults

KEY = "sk-not-to-be-seen-0123456789"


@pytest.fixture(autouse=True)
def quick_and_keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits, and a key in the environment."""
    monkeypatch.setattr(llm, "FIRST_WAIT", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def settings_for(server: LLMServer, **changes: Any) -> SearchSettings:
    """Settings of a small search by that server."""
    settings = SearchSettings(actor="openai", model="m", base_url=server.url, iterations=3, max_depth=6, timeout=5.0)
    for name, value in changes.items():
        setattr(settings, name, value)
    return settings


def search(server: LLMServer, out: Path, **changes: Any) -> SearchTree:
    """The tree of a TextCraft search by that server."""
    job = new_job("textcraft", "5", settings_for(server, **changes), out)
    job.run_blocking()
    return job.tree


def conversation(steps: int = 0, words: int = 1) -> list[Message]:
    """The header of a TextCraft task, and so many steps."""
    messages = list(open_environment("textcraft", "5").header)
    for step in range(1, steps + 1):
        messages.append(Message("assistant", f"Thought: step {step}\nAction: " + " ".join(["look"] * words)))
        messages.append(Message("user", f"Could not execute step {step}"))
    return messages


def ask(actor: OpenAIActor, messages: list[Message], seed: int = 1) -> Answer:
    """One draw."""

    async def environment(question: Any) -> Any:
        raise AssertionError("the model's actor has no business in the environment")

    async def run() -> Answer:
        try:
            return await actor.sample(Request(0, 0, 0, seed, lambda: messages, environment, lambda *_: None))
        finally:
            await actor.close()

    return asyncio.run(run())


def says(text: str) -> Any:
    """An answer that is always the same."""
    return lambda body: text


# -- whole searches --------------------------------------------------------------------------------


def test_a_search_is_the_same_at_any_concurrency_whatever_order_the_answers_come_in(tmp_path: Path) -> None:
    with LLMServer(delay=lambda call: random.uniform(0, 0.03)) as server:
        one = search(server, tmp_path / "one.trace.jsonl", concurrency=1)
        many = [search(server, tmp_path / f"many{n}.trace.jsonl", concurrency=16) for n in range(2)]
        assert server.most_at_once > 1
    assert len(one) > 20
    for n in range(2):
        events = read_events(tmp_path / "one.trace.jsonl"), read_events(tmp_path / f"many{n}.trace.jsonl")
        assert compare(*events) == []
    assert [len(tree) for tree in many] == [len(one)] * 2


def test_each_draw_is_a_request_of_its_own_with_its_own_seed(tmp_path: Path) -> None:
    with LLMServer() as server:
        tree = search(server, tmp_path / "t.trace.jsonl", samples=3, seed=11)
        bodies = [call.body for call in server.calls]
    assert len(bodies) == tree.calls
    assert not [body for body in bodies if "n" in body]
    expected = {
        draw_seed(11, node.id, draw) for node in tree.nodes if node.expanded and node.children for draw in range(3)
    }
    assert {body["seed"] for body in bodies} == expected
    assert len(expected) == len(bodies)
    assert {body["temperature"] for body in bodies} == {1.0}
    assert {body["max_tokens"] for body in bodies} == {500}


def test_with_faults_of_every_mendable_kind_the_tree_is_the_same_and_every_fault_and_token_is_in_the_trace(
    tmp_path: Path,
) -> None:
    kinds = [kind for kind in RETRYABLE if kind != "timeout"]
    settings = {"price_in": 3.0, "price_out": 15.0, "retries": 12}
    with LLMServer() as server:
        calm = search(server, tmp_path / "calm.trace.jsonl", **settings)
    with LLMServer(faults=some_faults(0.3, kinds, seed=1)) as server:
        rough = search(server, tmp_path / "rough.trace.jsonl", **settings)
        calls, told, twice = list(server.calls), server.told, server.asked_twice()
    a, b = list(read_events(tmp_path / "calm.trace.jsonl")), list(read_events(tmp_path / "rough.trace.jsonl"))
    a[0].settings.base_url = b[0].settings.base_url  # type: ignore[union-attr]
    assert compare(a, b) == []
    faults = [call for call in calls if call.fault is not None]
    assert len(faults) > 0.15 * len(calls)
    assert {call.fault for call in faults} == set(kinds)
    names = {"reset": "connection", "cut": "connection", "error 200": "server error"}
    assert Counter(names.get(call.fault or "", call.fault) for call in faults) == Counter(
        failure.what for failure in rough.failures
    )
    assert twice == 0
    assert (rough.calls, calm.calls) == (len(calls) - len(faults), len(calls) - len(faults))
    assert (rough.tokens_in, rough.tokens_out) == (told.tokens_in, told.tokens_out)
    assert rough.cost == pytest.approx((told.tokens_in * 3 + told.tokens_out * 15) / 1e6)


def test_without_prices_the_cost_is_unknown(tmp_path: Path) -> None:
    with LLMServer() as server:
        tree = search(server, tmp_path / "t.trace.jsonl", iterations=1)
        assert tree.tokens_in == server.told.tokens_in
    assert tree.cost is None


def test_a_search_whose_every_call_is_refused_ends_and_says_what_to_look_at(tmp_path: Path) -> None:
    out = tmp_path / "t.trace.jsonl"
    with LLMServer(faults=lambda call: "authentication") as server:
        tree = search(server, out, samples=4, max_failures=4)
        assert (tree.state, tree.end_reason) == ("stopped", "failures")
        assert len(server.calls) == 4
    assert {failure.what for failure in tree.failures} == {"authentication"}
    assert all("OPENAI_API_KEY" in failure.error for failure in tree.failures)


def test_the_key_is_not_in_the_trace_whatever_the_server_says(tmp_path: Path) -> None:
    out = tmp_path / "t.trace.jsonl"

    def tells(body: Body) -> str:
        return f"Thought: {KEY}\nAction: say {KEY} {body['seed']}"

    def some(call: Call) -> str | None:
        return ("authentication", "bad json", None, None)[call.number % 4]

    with LLMServer(key=KEY, answer=tells, faults=some) as server:
        server.reasoning = KEY
        tree = search(server, out, iterations=1, retries=1)
        while tree.state != "done":
            job = resume_job(out)
            job.run_blocking()
            tree = job.tree
    assert len(tree) > 4
    assert len(tree.failures) > 2
    assert "[key]" in out.read_text()
    assert KEY not in out.read_text()


def test_settings_that_change_hold_for_the_next_draw() -> None:
    with LLMServer(answer=says("Action: inventory")) as server:
        settings = settings_for(server)
        actor = OpenAIActor(settings)
        ask(actor, conversation())
        settings.temperature, settings.model = 0.25, "other"
        ask(actor, conversation())
        bodies = [call.body for call in server.calls]
    assert [(body["model"], body["temperature"]) for body in bodies] == [("m", 1.0), ("other", 0.25)]


# -- answers that are no good ----------------------------------------------------------------------


def test_an_answer_without_a_label_is_a_child_that_the_environment_answers(tmp_path: Path) -> None:
    with LLMServer(answer=lambda body: f"Well.\ngo to {body['seed']}") as server:
        tree = search(server, tmp_path / "t.trace.jsonl", iterations=1, max_depth=2)
    assert tree.failures == []
    assert len(tree) > 4
    assert all(node.observation.startswith("Could not execute go to") for node in tree.nodes[1:])
    assert tree.answers.without_label == tree.answers.answers == tree.calls


def test_an_answer_without_an_action_is_a_failed_draw_that_keeps_what_was_said(tmp_path: Path) -> None:
    def some_ask_back(body: Body) -> str:
        return "Shall I go on?" if body["seed"] % 3 == 0 else plays_textcraft(body)

    with LLMServer(answer=some_ask_back) as server:
        tree = search(server, tmp_path / "t.trace.jsonl")
    assert {failure.what for failure in tree.failures} == {"not in the form"}
    assert {failure.raw for failure in tree.failures} == {"Shall I go on?"}
    assert tree.answers.not_in_form == tree.answers.useless == len(tree.failures) > 1
    assert tree.answers.answers == tree.calls + len(tree.failures)
    assert len(tree) > 10


@pytest.mark.parametrize("fault", ["empty", "refusal", "too long"])
def test_a_draw_without_an_answer_says_why_and_the_search_goes_on(fault: str, tmp_path: Path) -> None:
    def first_of_each(call: Call) -> str | None:
        return fault if call.seed is not None and call.seed % 3 == 0 else None

    with LLMServer(faults=first_of_each) as server:
        tree = search(server, tmp_path / "t.trace.jsonl")
        assert server.count(fault) > 1
        assert server.count(fault) == len(tree.failures)
        assert tree.tokens_in == server.told.tokens_in
    assert tree.state == "done"
    assert {failure.what for failure in tree.failures} == {fault}
    assert len(tree) > 10


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("Thought: I think and think", False),
        ("Thought: here\nAction: get 4 oa", False),
        ("Thought: here\nAction:", False),
        ("Thought: here\nAction: get 4 oak logs\nGot 4", True),
    ],
)
def test_an_answer_that_was_cut_off_before_its_action_was_whole_is_a_failed_draw(text: str, whole: bool) -> None:
    reply = Reply(text, None, "length", None, attempt=2, raw=text)
    for parse in ("first", "agent-r"):
        settings = SearchSettings(parse=parse)
        if whole:
            answer = read_reply_text(reply, settings, AnswerForm())
            assert answer.raw == text
            assert answer.notes[0] == "cut"
            assert answer.response == (text if parse == "agent-r" else text.removesuffix("\nGot 4"))
        else:
            with pytest.raises(DrawFailed, match="cut off after 500 tokens") as error:
                read_reply_text(reply, settings, AnswerForm())
            assert (error.value.kind, error.value.attempt, error.value.raw) == ("cut off", 2, text)


def test_an_answer_that_is_all_reasoning_says_so() -> None:
    with LLMServer(answer=says("<think>what could it be")) as server:
        server.finish = "length"
        with pytest.raises(DrawFailed, match="all 500 tokens went into its reasoning") as error:
            ask(OpenAIActor(settings_for(server)), conversation())
    assert error.value.usage is not None


def test_reasoning_and_prior_are_kept_beside_the_answer() -> None:
    with LLMServer(answer=says("Thought: so\nAction: inventory"), reasoning="I see.", logprob=-0.5) as server:
        plain = ask(OpenAIActor(settings_for(server)), conversation())
        puct = ask(OpenAIActor(settings_for(server, algorithm="puct")), conversation())
        asked = [call.body.get("logprobs") for call in server.calls]
    assert plain.response == puct.response == "Thought: so\nAction: inventory"
    assert plain.reasoning == "I see."
    assert plain.prior == 1.0
    assert puct.prior == pytest.approx(2.718281828**-0.5)
    assert asked == [None, True]


# -- what is sent ----------------------------------------------------------------------------------


def test_the_conversation_is_sent_as_it_is() -> None:
    messages = conversation(steps=2)
    with LLMServer(answer=says("Action: inventory")) as server:
        answer = ask(OpenAIActor(settings_for(server)), messages, seed=99)
        body = server.calls[0].body
    assert body["messages"] == [{"role": message.role, "content": message.content} for message in messages]
    assert body["seed"] == 99
    assert body["stop"] == ["\nObservation:"]
    assert answer.dropped == 0


def test_an_example_stands_before_the_task_and_the_roles_go_on_taking_turns() -> None:
    messages = conversation(steps=1)
    with LLMServer(answer=says("Action: inventory")) as server:
        ask(OpenAIActor(settings_for(server, example=True)), messages)
        sent = server.calls[0].body["messages"]
    assert [turn["role"] for turn in sent] == ["system", *["user", "assistant"] * ((len(sent) - 2) // 2), "user"]
    assert len(sent) > len(messages) + 6
    assert [turn["content"] for turn in sent[:3]] == [message.content for message in messages[:3]]
    assert [turn["content"] for turn in sent[-2:]] == [message.content for message in messages[-2:]]
    task = next(turn["content"] for turn in sent if messages[3].content in turn["content"])
    assert task.endswith(messages[3].content)


def test_the_shipped_example_of_textcraft_holds_in_the_environment() -> None:
    turns = read_example(prompt("example_textcraft.txt"), "example_textcraft.txt")
    env = TextCraft()
    env.reset(options={"observation": turns[0].content})
    done = False
    for actor, seen in zip(turns[1::2], turns[2::2], strict=True):
        assert actor.content.startswith("Thought: ")
        observation, _, done, _, _ = env.step(parse_action(actor.content))
        assert seen.content.split("\n\n")[0] == observation
    assert done


def test_a_trace_holds_the_header_without_the_example(tmp_path: Path) -> None:
    with LLMServer() as server:
        tree = search(server, tmp_path / "t.trace.jsonl", iterations=1, example=True)
    assert tree.started is not None
    assert len(tree.started.header) == 4
    assert "fermented" not in (tmp_path / "t.trace.jsonl").read_text()


def test_an_environment_without_an_example_says_how_to_get_one(tmp_path: Path) -> None:
    foreign = [*conversation()[:3], Message("user", "You are in a kitchen.")]
    with pytest.raises(InputError, match=r"example_ENVIRONMENT.txt.*--prompts"):
        with_example(foreign)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[actor]\na",
        "[environment]\na",
        "[environment]\na\n[actor]\nb",
        "hello\n[environment]\na",
        "[environment]\na\n[environment]\nb",
        "[environment]\na\n[actor]\n\n[environment]\nb",
    ],
)
def test_an_example_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"x\.txt"):
        read_example(text, "x.txt")


def test_answers_in_json_are_asked_for_and_taken_into_the_form_of_all_others() -> None:
    said = json.dumps({"thought": "I need\nlogs", "action": "get 2 oak logs"})
    with LLMServer(answer=says(said)) as server:
        answer = ask(OpenAIActor(settings_for(server, structured="json")), conversation(steps=1))
        body = server.calls[0].body
    form = {"name": "answer", "strict": True, "schema": ANSWER_SCHEMA}
    assert body["response_format"] == {"type": "json_schema", "json_schema": form}
    assert "JSON" in body["messages"][1]["content"]
    assert json.loads(body["messages"][4]["content"]) == {"thought": "step 1", "action": "look"}
    assert answer.response == "Thought: I need logs\nAction: get 2 oak logs"
    for odd in ('{"thought": 1}', "[1]", '{"action"', "{" * 10_000, '{"thought": "so", "action": ""}'):
        with LLMServer(answer=says(odd)) as server, pytest.raises(DrawFailed) as error:
            ask(OpenAIActor(settings_for(server, structured="json")), conversation())
        assert (error.value.kind, error.value.raw) == ("not in the form", odd)
    assert to_json(Message("assistant", "Ok.")) == Message("assistant", "Ok.")


def test_a_grammar_is_sent_where_it_is_asked_for() -> None:
    with LLMServer(answer=says("Thought: a\nAction: b")) as server:
        ask(OpenAIActor(settings_for(server, structured="grammar")), conversation())
        assert server.calls[0].body["grammar"].startswith('root ::= "Thought: "')


# -- the context -----------------------------------------------------------------------------------


def word_tokenizer(folder: Path) -> str:
    """A tokenizer file: a token a word."""
    tokenizers = pytest.importorskip("tokenizers", reason="the extra `tokenizer` is not installed")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    return str(folder / "tokenizer.json")


@pytest.mark.parametrize("exact", [True, False])
def test_whole_steps_are_dropped_oldest_first_and_the_drop_is_recorded(exact: bool, tmp_path: Path) -> None:
    file = word_tokenizer(tmp_path) if exact else ""
    count = counter(file)
    messages = conversation(steps=9, words=30)
    room = count.of(messages[:HEADER_TURNS]) + count.of(messages[-6:])
    with LLMServer(answer=says("Action: inventory")) as server:
        settings = settings_for(server, context=room + 500, tokenizer=file)
        answer = ask(OpenAIActor(settings), messages)
        settings.context = room + 499
        less = ask(OpenAIActor(settings), messages)
        sent = [call.body["messages"] for call in server.calls]
    assert (answer.dropped, less.dropped) == (6, 7)
    as_sent = [{"role": message.role, "content": message.content} for message in messages]
    assert sent[0] == as_sent[:HEADER_TURNS] + as_sent[-6:]
    assert sent[1] == as_sent[:HEADER_TURNS] + as_sent[-4:]


def test_a_search_records_what_the_actor_did_not_see(tmp_path: Path) -> None:
    header = ESTIMATE.of(conversation())
    with LLMServer() as server:
        tree = search(server, tmp_path / "t.trace.jsonl", context=header + 60 + 500)
        longest = max(
            sum(ESTIMATE.count(turn["content"]) + TURN_TOKENS for turn in call.body["messages"])
            for call in server.calls
        )
    dropped = [dropped for _, _, dropped in tree.usages.values()]
    assert max(dropped) >= 1
    assert longest <= header + 60


def test_the_header_is_never_cut() -> None:
    messages = conversation(steps=3)
    header = ESTIMATE.of(messages[:HEADER_TURNS])
    assert fit(messages, header, ESTIMATE) == (messages[:HEADER_TURNS], 3)
    with pytest.raises(ValueError, match=f"about {header} tokens \\(estimate"):
        fit(messages, header - 1, ESTIMATE)
    with LLMServer() as server:
        with pytest.raises(DrawFailed, match="raise --context") as error:
            ask(OpenAIActor(settings_for(server, context=600, max_tokens=500)), messages)
        assert server.calls == []
    assert error.value.kind == "too long"


def test_the_example_and_the_task_are_part_of_the_header(tmp_path: Path) -> None:
    messages = conversation(steps=3)
    header = ESTIMATE.of(with_example(messages[:HEADER_TURNS]))
    with LLMServer(answer=says("Action: inventory")) as server:
        settings = settings_for(server, example=True, context=header + 500)
        assert ask(OpenAIActor(settings), messages).dropped == 3
        sent = [turn["content"] for turn in server.calls[0].body["messages"]]
    assert sent == [message.content for message in with_example(messages[:HEADER_TURNS])]


def test_the_context_must_leave_room_for_the_answer() -> None:
    with LLMServer() as server, pytest.raises(InputError, match=r"--context 500 .*--max-tokens 500"):
        OpenAIActor(settings_for(server, context=500))


PANICS = json.dumps(
    {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"], "dropout": None,
                  "unk_token": None, "continuing_subword_prefix": "##", "end_of_word_suffix": None, "fuse_unk": False},
    }
)  # fmt: skip
"""A tokenizer whose library panics: a merged piece is shorter than its prefix."""


@pytest.mark.parametrize("content", [None, "", "not json", "[]", "{}", '{"model": 5}', "\0" * 50, PANICS])
def test_a_tokenizer_file_that_is_none_is_named(content: str | None, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the extra `tokenizer` is not installed")
    file = tmp_path / "tokenizer.json"
    if content is not None:
        file.write_text(content)
    said = "no such file" if content is None else "not a tokenizer.json"
    with pytest.raises(InputError, match=rf"tokenizer\.json: {said}"):
        counter(str(file))


def test_a_missing_tokenizer_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InputError, match=r"pip install 'agentr-tui\[tokenizer\]'"):
        counter(str(tmp_path / "tokenizer.json"))


# -- prompts of one's own --------------------------------------------------------------------------


def test_a_folder_of_prompts_takes_the_place_of_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "stop.txt").write_text("\nSeen:\nTold:\n")
    (tmp_path / "example_textcraft.txt").write_text("[environment]\nA\n[actor]\nAction: b\n[environment]\nC\n")
    with LLMServer(answer=says("Action: inventory")) as server:
        ask(OpenAIActor(settings_for(server, prompts=str(tmp_path), example=True)), conversation())
        body = server.calls[0].body
    assert body["stop"] == ["\nSeen:", "\nTold:"]
    assert body["messages"][3:5] == [{"role": "user", "content": "A"}, {"role": "assistant", "content": "Action: b"}]
    assert prompt("judge.txt", str(tmp_path)) == prompt("judge.txt")


def test_a_folder_of_prompts_that_would_do_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        check_prompts(str(tmp_path / "none"))
    with pytest.raises(InputError, match="contains no prompts"):
        check_prompts(str(tmp_path))
    (tmp_path / "jugde.txt").write_text("x")
    with pytest.raises(InputError, match=r"jugde.txt is not the name of a prompt.*judge.txt"):
        check_prompts(str(tmp_path))
    (tmp_path / "jugde.txt").rename(tmp_path / "judge.txt")
    check_prompts(str(tmp_path))
    (tmp_path / "judge.txt").write_text(" \n")
    with pytest.raises(InputError, match=r"judge.txt: is empty"):
        check_prompts(str(tmp_path))
    (tmp_path / "judge.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        check_prompts(str(tmp_path))


def test_every_shipped_prompt_may_be_replaced() -> None:
    shipped = {path.name for path in Path(prompts.__file__).parent.iterdir() if path.suffix in (".txt", ".gbnf")}
    assert {name for name in shipped if not name.startswith("example_")} == set(prompts.NAMES)


def test_what_is_put_into_a_prompt_is_not_looked_at_again() -> None:
    assert fill("{a} and {b}, {c}", {"a": "{b}", "b": "{a}"}, "x.txt") == "{b} and {a}, {c}"
    with pytest.raises(InputError, match=r"x.txt: holds no \{b\}"):
        fill("{a}", {"a": "1", "b": "2"}, "x.txt")


def test_the_scripted_server_depends_on_the_request_alone() -> None:
    body = {"messages": [{"role": m.role, "content": m.content} for m in conversation(steps=1)], "seed": 5}
    assert plays_textcraft(body) == plays_textcraft(body)
    assert len({plays_textcraft(body | {"seed": seed}) for seed in range(20)}) > 3
