"""What the trainers' tests share. It runs in the environments of the trainers: the standard library alone is there."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.engine.real_templates import REAL

IGNORED = -100
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""ChatML as a model has it: nothing in it is marked for training."""

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SPECIAL += sorted({token for family in REAL.values() for token in family.special} - {*SPECIAL})
DATA = "AGENTR_TRAINER_DATA"

ENDS = {
    "qwen2.5": ("", "<|im_end|>", "\n"),
    "qwen3": ("", "<|im_end|>", "\n"),
    "llama3.1": ("", "<|eot_id|>", ""),
    "mistral": (" ", "</s>", ""),
    "gemma": ("", "<end_of_turn>", "\n"),
    "deepseek-r1": ("", "<｜end▁of▁sentence｜>", ""),
}
"""Family → what a response begins with, the token that ends it, and what follows that."""

PLAIN = (
    "agent-r",
    "agent-r-rewrite",
    "openai",
    "xtuner",
    "trl-sft",
    "trl-dpo",
    "trl-stepwise",
    "sharegpt",
    "axolotl",
    "verl",
)
OF_FAMILIES = ("trl-sft", "axolotl", "xtuner", "sharegpt", "verl")
"""Formats that are written for each family's own template, of samples with hostile texts."""
TOOLS = "-tools"
"""Ends the name of a case whose agent calls tools; `samples.json` has the text that the template makes of calls."""
CALLING = ("trl-sft", "trl-dpo", "axolotl", "sharegpt", "xtuner")
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in PLAIN},
    "sharegpt-weights": ("sharegpt", {"loss_weight": True}),
    "trl-sft-tokens": ("trl-sft", {"tokenizer": "tokenizer.json"}),
    "trl-sft-llama3": ("trl-sft", {"chat_template": "llama3"}),
    "trl-dpo-step": ("trl-dpo", {"first_step": True}),
    "xtuner-gzip": ("xtuner", {"compress": "gzip"}),
    "axolotl-parquet": ("axolotl", {"compress": "parquet", "split": "train=0.5,dev=0.5", "seed": 5, "shards": 2}),
    **{f"{name}{TOOLS}": (name, {}) for name in CALLING},
    "trl-sft-tokens-tools": ("trl-sft", {"tokenizer": "tokenizer.json"}),
    "sharegpt-split": ("sharegpt", {"split": "train=0.5,dev=0.5", "seed": 5}),
    **{
        f"{name}@{family}": (name, {"for_model": family, **({"compress": "parquet"} if name == "verl" else {})})
        for name in OF_FAMILIES
        for family in ENDS
        if (name, family) != ("xtuner", "mistral")  # refused: XTuner has no place for the space
    },
}
"""Name of a case → format and options of the export; `for_model` is one of `real_templates`."""

Row = tuple[str, str, bool]
Encode = Callable[[str], Sequence[int]]


def absent(name: str) -> str:
    """Why the tests of a trainer are skipped."""
    return f"{name} is read in an environment of its own: make test-trainers"


class StandIn(ModuleType):
    """A package for pictures or sounds that a trainer imports and no text needs; a torch for CPUs may not load it."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def stand_in(*names: str) -> None:
    """Put stand-ins in the place of these packages, or modules of them, before a trainer imports them."""
    for name in names:
        made = StandIn(name)
        made.__spec__ = ModuleSpec(name, None, is_package=True)
        made.__path__ = []
        sys.modules[name] = made


def folder(case: str) -> Path:
    """The folder of a case of `make_data.CASES`."""
    if DATA not in os.environ:
        pytest.skip(absent("the exported data"))
    return Path(os.environ[DATA], case).resolve()


def records(case: str, name: str = "data.jsonl") -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The records of a case, each with the sample that its line of `provenance.jsonl` names."""
    samples = json.loads((folder("samples.json")).read_text(encoding="utf-8"))
    place = folder(case)
    text = (place / name).read_text(encoding="utf-8")
    found = json.loads(text) if name.endswith(".json") else [json.loads(line) for line in text.splitlines()]
    origins = (place / f"{name}.provenance.jsonl").read_text(encoding="utf-8").splitlines()
    assert found
    for record, origin in zip(found, origins, strict=True):
        yield record, samples[json.loads(origin)["sample"]]


def by_runs(case: str) -> Iterator[tuple[dict[str, Any], list[Row]]]:
    """The same of a format that makes a record of each run of trained turns, with the turns of that record: those up to
    the end of its run, of which only the run is trained."""
    number: dict[str, int] = {}  # of the record, by sample
    origins = (folder(case) / "data.jsonl.provenance.jsonl").read_text(encoding="utf-8").splitlines()
    for (record, sample), origin in zip(records(case), origins, strict=True):
        name = json.loads(origin)["sample"]
        number[name] = number.get(name, 0) + 1
        turns: list[Row] = [(role, text, on) for role, text, on in sample["turns"]]
        said = [place for place, (role, _, _) in enumerate(turns) if role == "assistant"]
        marks = "".join("#" if turns[place][2] else "." for place in said)
        run = list(re.finditer("#+", marks))[number[name] - 1]
        first, last = said[run.start()], said[run.end() - 1]
        yield record, [(*turn[:2], turn[2] and place >= first) for place, turn in enumerate(turns[: last + 1])]


def chatml(turns: Iterable[Row]) -> str:
    """A conversation in ChatML."""
    return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text, _ in turns)


def llama3(turns: Iterable[Row]) -> str:
    """A conversation in Llama 3's template."""
    said = (f"<|start_header_id|>{role}<|end_header_id|>\n\n{text.strip()}<|eot_id|>" for role, text, _ in turns)
    return "<|begin_of_text|>" + "".join(said)


def runs(input_ids: Sequence[int], labels: Sequence[int]) -> list[list[int]]:
    """The trained tokens, each stretch of them by itself. A label is the token itself, or `IGNORED`."""
    assert len(input_ids) == len(labels)
    found: list[list[int]] = []
    before = False
    for token, label in zip(input_ids, labels, strict=True):
        if label != IGNORED:
            assert label == token
            if not before:
                found.append([])
            found[-1].append(token)
        before = label != IGNORED
    return found


def trained(turns: Iterable[Row], encode: Encode, end: str = "<|im_end|>\n") -> list[list[int]]:
    """The tokens that the sample's own mask trains, each turn by itself: its text and what ends it."""
    return [list(encode(text + end)) for _, text, on in turns if on]


def trained_of(family: str, turns: Iterable[Row], encode: Encode, line_end: bool = True) -> list[list[int]]:
    """The same under a family's template; `line_end`: with what follows the token that ends a turn."""
    lead, end, after = ENDS[family]
    end += after if line_end else ""
    return [list(encode(f"{lead}{text.strip()}{end}")) for _, text, on in turns if on]
