"""What the trainers' tests share. It runs in the environments of the trainers: the standard library alone is there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

IGNORED = -100
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""ChatML as a model has it: nothing in it is marked for training."""

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SPECIAL += ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
DATA = "AGENTR_TRAINER_DATA"

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
)
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in PLAIN},
    "sharegpt-weights": ("sharegpt", {"loss_weight": True}),
    "trl-sft-tokens": ("trl-sft", {"tokenizer": "tokenizer.json"}),
    "trl-sft-llama3": ("trl-sft", {"chat_template": "llama3"}),
    "trl-dpo-step": ("trl-dpo", {"first_step": True}),
    "xtuner-gzip": ("xtuner", {"compress": "gzip"}),
    "axolotl-parquet": ("axolotl", {"compress": "parquet", "split": "train=0.5,dev=0.5", "seed": 5, "shards": 2}),
    "sharegpt-split": ("sharegpt", {"split": "train=0.5,dev=0.5", "seed": 5}),
}
"""Name of a case → format and options of the export."""

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
