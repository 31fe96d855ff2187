"""What a model says is read as a person would read it, whatever it is dressed in."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.actors.scripted import ScriptedActor
from engine.answers.form import ONE_LINE, AnswerForm, cut_at_stop, form_of
from engine.answers.reader import read_answer
from engine.answers.thinking import take_out_thinking
from engine.base.text import split_thought, stored_action
from engine.environment.replay import opener, replay_tree
from engine.explain.answer_warning import answer_warning
from engine.search.job import branch_job, fork_job, new_job, resume_job
from engine.trace.diff import compare
from engine.trace.trace_file import load, read_events
from engine.tree.events import Sampled, SearchSettings, Started
from engine.tree.tree import SearchTree
from tests.engine.answer_table import ROWS, A, T
from tests.servers.llm_server import Body, LLMServer, plays_textcraft

DATA = Path(__file__).parents[2] / "data"
STOPS = ("\nObservation:",)


def read(said: str, form: AnswerForm = ONE_LINE) -> str:
    """The action of an answer, on the way that the actor goes."""
    text, _ = take_out_thinking(said)
    return read_answer(cut_at_stop(text, STOPS), form).action


@pytest.mark.parametrize(("said", "action"), ROWS, ids=range(len(ROWS)))
def test_the_action_is_the_one_that_a_person_would_read(said: str, action: str) -> None:
    assert len(ROWS) >= 250
    assert read(said) == action


@pytest.mark.parametrize("said", [said for said, action in ROWS if action], ids=str)
def test_what_is_stored_is_thought_and_action_in_one_spelling_and_reads_as_itself(said: str) -> None:
    text, _ = take_out_thinking(said)
    reading = read_answer(text)
    stored = reading.response
    lines = stored.split("\n")
    assert lines[-1] == f"Action: {reading.action}"
    assert len(lines) == 1 or lines[0].startswith("Thought: ")
    again = read_answer(stored)
    assert (again.thought, again.action, again.notes) == (reading.thought, reading.action, ())
    assert (split_thought(stored), stored_action(stored)) == (reading.thought, reading.action)
    if T in said:
        assert T in reading.thought
        assert not any(mark in reading.thought for mark in ("**", "Action: get", "<|", "</", "```"))


def test_each_kind_of_oddity_is_noted() -> None:
    for said, notes in (
        (f"Thought: {T}\nAction: {A}", ()),
        (f"**Thought:** {T}\n**Action:** `{A}`\n", ()),
        (f"Thought: {T}\nAction: {A}\n\nThat is it.", ("trimmed",)),
        (f"Thought: {T}\nAction: {A}<|im_end|>\n<|im_start|>user", ("trimmed",)),
        (f"Thought: {T}\nAction: {A}\nAction: inventory", ("trimmed", "several actions")),
        (f"Thought: {T}\nAction: {A}\nObservation: ok\nAction: inventory", ("trimmed",)),
        (A, ("without label",)),
        (f'{{"thought": "{T}", "action": "{A}"}}', ("without label",)),
    ):
        assert read_answer(said).notes == notes, said


@pytest.mark.parametrize(
    ("said", "action"),
    [
        ("Thought: t\nAction: for n in range(2):\n    print(n)\n", "for n in range(2):\n    print(n)"),
        ("Thought: t\nAction:\n```python\nx = {'a': 1}\nprint(x)\n```\nThat prints it.", "x = {'a': 1}\nprint(x)"),
        ("Thought: t\nAction:\nDear all,\n\nhello.\n\nObservation: sent", "Dear all,\n\nhello."),
        ('{"thought": "t", "action": "a = 1\\nprint(a)"}', "a = 1\nprint(a)"),
        ("Thought: t\nAction: `ls`", "ls"),
    ],
)
def test_an_environment_that_takes_several_lines_gets_them(said: str, action: str) -> None:
    assert read(said, AnswerForm(several_lines=True)) == action
    assert "\n" not in read(said)


def test_a_name_and_its_input_are_joined_as_the_environment_writes_them() -> None:
    said = "Thought: t\nAction: search\nAction Input: red shoes"
    assert read(said, form_of("webshop")) == "search[red shoes]"
    assert read(said, form_of("textcraft")) == "search red shoes"


def test_an_environment_says_whether_its_actions_have_several_lines() -> None:
    assert form_of("gym:tests.envs.gym_samples:Lock-v0?lines=many").several_lines
    assert not form_of("gym:tests.envs.gym_samples:Lock-v0").several_lines
    assert not form_of("nobody-knows-it").several_lines


PIECES = ["Thought:", "Action:", "**", "`", "```", "{", "}", '"', "action", ":", "<think>", "</think>", "[", "]"]
PIECES += [
    "<|im_end|>",
    "Observation:",
    "get 4 quartz",
    "1.",
    "-",
    "|",
    "<action>",
    "</action>",
    "\\n",
    "Action Input:",
]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300) | st.lists(st.sampled_from([*PIECES, "\n", " "]), max_size=30).map("".join))
def test_whatever_is_said_is_read_to_something_that_reads_as_itself(said: str) -> None:
    text, _ = take_out_thinking(said)
    reading = read_answer(text)
    assert "\n" not in reading.action
    if reading.action:
        assert stored_action(reading.response) == reading.action


@pytest.mark.parametrize("environment", ["textcraft", "webshop"])
def test_the_scripted_actor_says_what_the_parser_leaves_as_it_is(environment: str, tmp_path: Path) -> None:
    chosen = SearchSettings(iterations=4, error_rate=0.5)
    assert ScriptedActor(0.5).waits is False
    tree = new_job(environment, None, chosen, tmp_path / "t.trace.jsonl")
    tree.run_blocking()
    said = [event.response for event in read_events(tree.path) if isinstance(event, Sampled)]
    assert len(said) > 30
    for response in said:
        reading = read_answer(response, form_of(environment))
        assert (reading.response, reading.notes) == (response, ())


# -- the same agent in every dress ---------------------------------------------------------------------


def _parts(said: str) -> tuple[str, str]:
    thought, action = said.rsplit("\nAction: ", 1)
    return thought.removeprefix("Thought: "), action


Dress = Callable[[str, str], str]

DRESSES: dict[str, Dress] = {
    "chatty": lambda t, a: f"Sure!\n\nThought: {t}\nAction: {a}\n\nThis brings me closer to the goal.",
    "bold": lambda t, a: f"**Thought:** {t}\n**Action:** {a}",
    "bold, colon outside": lambda t, a: f"**Thought**: {t}\n\n**Action**: `{a}`",
    "capitals": lambda t, a: f"THOUGHT: {t}\nACTION: {a}",
    "small": lambda t, a: f"thought: {t}\naction: {a}",
    "spaced": lambda t, a: f"Thought : {t}\nAction : {a}",
    "full width": lambda t, a: f"Thought：{t}\nAction：{a}",
    "headings": lambda t, a: f"### Thought\n{t}\n\n### Action\n{a}",
    "bullets": lambda t, a: f"- Thought: {t}\n- Action: {a}",
    "fence": lambda t, a: f"Thought: {t}\nAction:\n```\n{a}\n```",
    "all in a fence": lambda t, a: f"```\nThought: {t}\nAction: {a}\n```",
    "quotes": lambda t, a: f'Thought: {t}\nAction: "{a}"',
    "brackets": lambda t, a: f"Thought: {t}\nAction: [{a}]",
    "full stop": lambda t, a: f"Thought: {t}\nAction: {a}.",
    "zero-width": lambda t, a: f"\ufeffThought: {t}\nAction:\u200b {a}\u200b",
    "windows": lambda t, a: f"Thought: {t}\r\nAction: {a}\r\n",
    "end token": lambda t, a: f"Thought: {t}\nAction: {a}<|im_end|>\n<|im_start|>user\nGot it.",
    "other end token": lambda t, a: f"Thought: {t}\nAction: {a}</s>",
    "invented": lambda t, a: f"Thought: {t}\nAction: {a}\nObservation: Got 99\nThought: so\nAction: inventory",
    "invented user": lambda t, a: f"Thought: {t}\nAction: {a}\n\nUser: Got 99\n\nAssistant: Action: get 77 bedrock",
    "final answer": lambda t, a: f"Thought: {t}\nAction: {a}\nFinal Answer: done",
    "several": lambda t, a: f"Thought: {t}\nAction: {a}\nAction: get 77 bedrock\nAction: inventory",
    "numbered": lambda t, a: f"Thought 1: {t}\nAction 1: {a}\nThought 2: so\nAction 2: get 77 bedrock",
    "react": lambda t, a: f"Thought: {t}\nAction: {a.split(' ', 1)[0]}\nAction Input: {''.join(a.split(' ', 1)[1:])}",
    "json": lambda t, a: json.dumps({"thought": t, "action": a}),
    "json in a fence": lambda t, a: f"```json\n{json.dumps({'Thought': t, 'Action': a}, indent=2)}\n```\nDone {{so}}.",
    "json twice": lambda t, a: json.dumps({"thought": t, "action": a}) + "\n" + json.dumps({"action": "inventory"}),
    "json object": lambda t, a: json.dumps({"thought": t, "action": {"name": "act", "arguments": {"action": a}}}),
    "tool call": lambda t, a: (
        f"{t}\n<tool_call>\n{json.dumps({'name': 'act', 'arguments': {'action': a}})}\n</tool_call>"
    ),
    "tags": lambda t, a: f"<thought>{t}</thought>\n<action>{a}</action>",
    "thinking": lambda t, a: f"<think>Hm.\nAction: get 5 bedrock</think>\nThought: {t}\nAction: {a}",
    "late thinking": lambda t, a: f"Thought: {t}\nAction: {a}\n<think>Was that right?\nAction: get 5 bedrock",
    "bracket thinking": lambda t, a: f"[THINK]Hm.\nAction: get 5 bedrock[/THINK]Thought: {t}\nAction: {a}",
    "half thinking": lambda t, a: f"Hm.\nAction: get 5 bedrock</think>\nThought: {t}\nAction: {a}",
    "harmony": lambda t, a: (
        f"<|channel|>analysis<|message|>Action: get 5 bedrock<|end|><|start|>assistant<|channel|>final<|message|>"
        f"Thought: {t}\nAction: {a}"
    ),
    "in a line": lambda t, a: f"Thought: {t} Action: {a}",
    "german": lambda t, a: f"Gedanke: {t}\nAktion: {a}",
    "chinese": lambda t, a: f"思考：{t}\n动作：{a}",
}


def _dressed(dress: Dress) -> Callable[[Body], str]:
    return lambda body: dress(*_parts(plays_textcraft(body)))


def _search(path: Path, answer: Callable[[Body], str], **changes: Any) -> SearchTree:
    with LLMServer(answer=answer) as server:
        chosen = SearchSettings(
            actor="openai", model="m", base_url=server.url, iterations=2, max_depth=5, samples=3, concurrency=3
        )
        for name, value in changes.items():
            setattr(chosen, name, value)
        job = new_job("textcraft", "5", chosen, path)
        job.run_blocking()
    return job.tree


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trace of the agent that keeps to the form."""
    path = tmp_path_factory.mktemp("plain") / "plain.trace.jsonl"
    tree = _search(path, plays_textcraft)
    assert len(tree) > 15
    return path


@pytest.mark.parametrize("dress", DRESSES)
def test_the_same_agent_gives_the_same_tree_in_every_dress(dress: str, plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    tree = _search(path, _dressed(DRESSES[dress]))
    ours, theirs = list(read_events(plain)), list(read_events(path))
    assert compare(ours, theirs) == []
    said = [event for event in theirs if isinstance(event, Sampled)]
    assert all(event.raw is not None for event in said), "what the server said is kept"
    assert all("get 77 bedrock" not in message.content for message in tree.conversation(len(tree) - 1))
    if "thinking" in dress or dress == "harmony":
        assert all(
            event.reasoning and "get 5 bedrock" in event.reasoning for event in said if "Hm" in (event.raw or "")
        )


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from(sorted(DRESSES)), min_size=2, max_size=6))
def test_an_agent_that_changes_its_dress_from_answer_to_answer_gives_the_same_tree(
    plain: Path, tmp_path_factory: pytest.TempPathFactory, dresses: list[str]
) -> None:
    def answer(body: Body) -> str:
        dress = random.Random(body["seed"]).choice(dresses)
        return _dressed(DRESSES[dress])(body)

    path = tmp_path_factory.mktemp("mixed") / "t.trace.jsonl"
    _search(path, answer)
    assert compare(read_events(plain), read_events(path)) == []


def test_the_rule_of_the_original_is_kept_where_it_is_asked_for(tmp_path: Path) -> None:
    tree = _search(tmp_path / "t.trace.jsonl", lambda body: f"Thought: a\nAction: {A}\n\nSo be it.", parse="agent-r")
    assert tree.nodes[1].action == f"{A}\n\nSo be it."
    assert tree.nodes[1].response == f"Thought: a\nAction: {A}\n\nSo be it."


@pytest.mark.parametrize("parse", ["first", "agent-r"])
def test_an_answer_ends_at_a_stop_word_although_the_server_does_not_know_them(
    parse: Literal["first", "agent-r"], tmp_path: Path
) -> None:
    def goes_on(body: Body) -> str:
        return plays_textcraft(body) + "\nObservation: all well\nThought: so\nAction: inventory"

    path = tmp_path / "t.trace.jsonl"
    with LLMServer(answer=goes_on, unsupported="stop") as server:
        chosen = SearchSettings(actor="openai", model="m", base_url=server.url, iterations=2, max_depth=5, parse=parse)
        job = new_job("textcraft", "5", chosen, path)
        job.run_blocking()
    assert len(job.tree) > 10
    for event in read_events(path):
        if isinstance(event, Sampled):
            assert "Observation" not in event.response
            assert event.raw is not None
            assert event.raw.endswith("Observation: all well\nThought: so\nAction: inventory")


def test_many_refused_actions_are_said_aloud_with_a_node_to_look_at(tmp_path: Path) -> None:
    tree = _search(tmp_path / "t.trace.jsonl", lambda body: f"Thought: {body['seed']}\nAction: fly {body['seed']}")
    refused = len(tree) - 1
    assert tree.answers.refused == tree.answers.actions == refused
    assert answer_warning(tree) == (
        f"{refused} of {refused} actions were refused: look at an answer: node 1; try --structured json"
    )


# -- version 1 -----------------------------------------------------------------------------------------


def version_1(name: str, tmp_path: Path) -> Path:
    """A trace that version 1 wrote."""
    path = tmp_path / f"{name}.trace.jsonl"
    path.write_bytes(gzip.decompress((DATA / f"{name}-version-1.trace.jsonl.gz").read_bytes()))
    assert b'"version":1' in path.read_bytes()[:100]
    return path


@pytest.mark.parametrize(("name", "nodes"), [("textcraft-many-pairs", 255), ("textcraft-local-model", 58)])
def test_a_trace_of_version_1_is_read_by_the_rule_of_its_time(name: str, nodes: int, tmp_path: Path) -> None:
    path = version_1(name, tmp_path)
    tree = load(path).tree
    assert tree.started is not None
    assert tree.started.settings.parse == "agent-r"
    assert len(tree) == nodes
    assert list(replay_tree(tree, opener(tree)())) == []
    recorded = SearchSettings(actor=f"recorded:{path}", iterations=tree.started.settings.iterations)
    for field in ("max_depth", "samples", "seed"):
        setattr(recorded, field, getattr(tree.started.settings, field))
    job = new_job("textcraft", tree.started.task, recorded, tmp_path / "again.trace.jsonl")
    job.run_blocking()
    assert [node.action for node in job.tree.nodes] == [node.action for node in tree.nodes]
    assert job.tree.started is not None
    assert (job.tree.started.version, job.tree.started.settings.parse) == (2, "agent-r")


def test_a_search_of_version_1_goes_on_and_branches_by_the_rule_of_its_time(tmp_path: Path) -> None:
    path = version_1("textcraft-local-model", tmp_path)
    several = next(node for node in load(path).tree.nodes if "\n" in node.action)
    said = f"Thought: a\nAction: {A}\n\nSo be it."
    with LLMServer(answer=lambda body: said) as server:
        changes = {"base_url": server.url, "model": "m", "iterations": 9, "tokenizer": "", "context": None}
        for job in (
            fork_job(path, 20, tmp_path / "fork.trace.jsonl", changes=changes),
            branch_job(path, several.parent, tmp_path / "branch.trace.jsonl", changes={**changes, "iterations": 1}),
            resume_job(path, changes=changes),
        ):
            before = len(job.tree)
            job.run_blocking()
            made = job.tree.nodes[before:]
            assert made
            assert f"{A}\n\nSo be it." in {node.action for node in made}
            first = next(iter(read_events(job.path)))
            assert isinstance(first, Started)
            assert first.settings.parse == "agent-r"


@pytest.mark.parametrize("half", ["\\ud83d", "\\udc00", "\\ud83d\\ud83d"])
@pytest.mark.parametrize(
    "answer",
    [
        '{{"thought": "so {0}", "action": "get {0} wool"}}',
        '```json\n{{"action": "get {0} wool"}}\n```',
        '<tool_call>\n{{"name": "get", "arguments": {{"item": "{0}"}}}}\n</tool_call>',
        '"Thought: so {0}\\nAction: get {0} wool"',
    ],
)
def test_half_a_surrogate_pair_that_an_answer_escapes_can_be_stored(answer: str, half: str) -> None:
    for held in (False, True):
        response = read_answer(answer.format(half), held_to_form=held).response
        assert response.encode().decode() == response, "a trace holds UTF-8"
