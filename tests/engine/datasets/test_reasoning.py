"""`--reasoning`: what the model thought before a trained turn is written where a format has a place for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.base.errors import InputError
from engine.datasets.export import export
from engine.datasets.formats import FORMATS, FormatOptions
from engine.datasets.options import ExportOptions
from engine.datasets.reasoning import thoughts_of
from engine.datasets.templates.markup import DEEPSEEK_R1, QWEN3
from engine.datasets.trainer_configs.marked_template import marked_template
from engine.samples.revise import revise
from engine.samples.sample import turns_of
from engine.samples.settings import ReviseSettings
from engine.samples.splice import Turn
from engine.search.job import new_job
from engine.trace.sources import load_any
from engine.tree.events import SearchSettings
from engine.workspace.workspace import Workspace
from tests.engine.trainer_tokens import rendered
from tests.servers.llm_server import LLMServer

TREE = Path(__file__).parents[3] / "sample_trees" / "textcraft-many-pairs.trace.jsonl"
THOUGHT = "I see it."
TURNS = [
    Turn("user", "q1", None, "good"),
    Turn("assistant", "a1", False, "bad", reasoning="Wrong."),
    Turn("user", "q2", None, "good"),
    Turn("assistant", "a2", True, "thought"),
    Turn("user", "q3", None, "good"),
    Turn("assistant", "a3", True, "good", reasoning=THOUGHT),
]
OPTIONS = FormatOptions(reasoning=True)


def made(name: str, options: FormatOptions = OPTIONS) -> list[dict[str, Any]]:
    """The records of the turns."""
    records = FORMATS[name].of_turns(TURNS, options)
    assert [problem for record in records for problem in FORMATS[name].validate(record)] == []
    return records


def test_only_a_trained_turn_has_its_reasoning_and_all_messages_have_the_same_keys() -> None:
    for name in ("axolotl", "verl"):
        (record,) = made(name)
        assert [row["reasoning_content"] for row in record["messages"]] == ["", "", "", "", "", THOUGHT]
    (record,) = made("trl-sft")
    rows = record["prompt"] + record["completion"]
    assert [row["reasoning_content"] for row in rows] == ["", "", "", "", "", THOUGHT]
    assert made("sharegpt")[-1]["conversations"][-1]["value"] == f"<think>\n{THOUGHT}\n</think>\n\na3"
    assert "Wrong." not in json.dumps([made(name) for name in ("axolotl", "verl", "trl-sft", "sharegpt")])
    (record,) = made("sharegpt", FormatOptions(reasoning=True, loss_weight=True))
    assert record["messages"][-1]["content"] == [{"type": "text", "value": f"<think>\n{THOUGHT}\n</think>\n\na3"}]


@pytest.mark.parametrize("markup", [QWEN3, DEEPSEEK_R1], ids=lambda each: each.name)
def test_the_written_template_trains_the_reasoning_and_adds_no_thinking_elsewhere(markup: Any) -> None:
    (record,) = made("trl-sft")
    text, spans = rendered(marked_template(markup), record["prompt"] + record["completion"])
    assert [text[begin:end] for begin, end in spans] == [
        f"a1{markup.after}",
        f"a2{markup.after}",
        f"<think>\n{THOUGHT}\n</think>\n\na3{markup.after}",
    ]
    assert text.count("<think>") == 1


@pytest.mark.parametrize("name", [name for name, each in FORMATS.items() if not each.thinks])
def test_a_format_without_a_place_for_it_refuses_the_option(name: str, tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "w", create=True)
    with pytest.raises(InputError, match=f"--reasoning belongs to the format .*axolotl.*not to {name}"):
        export(workspace, None, name, tmp_path / "x", options=ExportOptions(reasoning=True))


def test_the_reasoning_of_each_draw_reaches_the_turn_that_came_of_it(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "w", create=True)
    path = workspace.traces / "t.trace.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for line in TREE.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if event["type"] == "sampled":
                event["reasoning"] = f" of {event['parent']}/{event['draw']}\n"
            file.write(json.dumps(event) + "\n")
    tree = load_any(path).tree
    settings = ReviseSettings(max_pairs=24)
    with workspace.new_run(settings, [str(path)]) as run:
        for sample in revise(tree, str(path), settings, run.figures):
            run.add(sample)
    samples = {sample.id: sample for sample in workspace.load_run().samples}
    told = 0
    for data_type in ("centric", "good"):
        out = tmp_path / f"{data_type}.jsonl"
        options = ExportOptions(reasoning=True)
        done = export(workspace, None, "axolotl", out, data_type=data_type, all=True, options=options)
        origins = Path(done.provenance).read_text(encoding="utf-8").splitlines()
        assert done.lines >= {"centric": 20, "good": 1}[data_type]  # the good ones are the same, once they are straight
        for line, origin in zip(out.read_text(encoding="utf-8").splitlines(), origins, strict=True):
            turns = turns_of(tree, samples[json.loads(origin)["sample"]])
            for row, turn in zip(json.loads(line)["messages"], turns, strict=False):
                node = tree.nodes[turn.node] if turn.node is not None and turn.loss else None
                assert row["reasoning_content"] == (f"of {node.parent}/{node.draw}" if node else "")
                told += node is not None
    assert told > 50
    export(workspace, None, "axolotl", tmp_path / "y.jsonl", all=True)
    assert "reasoning_content" not in (tmp_path / "y.jsonl").read_text(encoding="utf-8")


def test_the_reasoning_that_a_server_sends_is_found_in_the_trace(tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    with LLMServer(reasoning=THOUGHT) as server:
        settings = SearchSettings(actor="openai", model="m", base_url=server.url, iterations=1, max_depth=3)
        new_job("textcraft", "2", settings, path).run_blocking()
    assert set(thoughts_of(path).values()) == {THOUGHT}
