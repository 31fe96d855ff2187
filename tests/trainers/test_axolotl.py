"""axolotl reads `axolotl`: the configuration that is written beside it, validated and prepared as `train` does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.trainers.reading import ENDS, IGNORED, absent, chatml, folder, records, runs, trained, trained_of
from tests.trainers.tiny import tiny_model

os.environ.setdefault("AXOLOTL_DO_NOT_TRACK", "1")
pytest.importorskip("axolotl", reason=absent("axolotl"))


def prepared(case: str, config: str, tmp_path: Path, family: str = "") -> tuple[Any, Any, Any]:
    """The tokenizer and the rows to train on and to evaluate on."""
    from axolotl.cli.config import load_cfg
    from axolotl.loaders import load_tokenizer
    from axolotl.utils.data import prepare_datasets

    own = {"base_model": str(tiny_model(tmp_path / "model", family)), "output_dir": str(tmp_path / "out")}
    options = {"dataset_prepared_path": str(tmp_path / "prepared"), "dataset_num_proc": 1, "max_steps": 1}
    cfg = load_cfg(config, **own, **options)
    tokenizer = load_tokenizer(cfg)
    train, held_out, *_ = prepare_datasets(cfg, tokenizer)
    return tokenizer, train, held_out


@pytest.mark.parametrize("case", ["axolotl", "axolotl-parquet", "axolotl-tools"])
def test_the_written_configuration_trains_the_tokens_of_the_samples_own_mask(
    case: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(folder(case))
    name = "data.parquet" if case.endswith("parquet") else "data.jsonl"
    tokenizer, train, held_out = prepared(case, f"{name}.axolotl.yaml", tmp_path)
    samples = {
        chatml(sample["turns"]): sample
        for _, sample in records("axolotl-tools" if case == "axolotl-tools" else "axolotl")
    }
    rows = [*train, *(held_out or [])]
    assert bool(held_out) == (case == "axolotl-parquet")
    assert len(rows) == len(samples)
    for row in rows:  # it shuffles them
        sample = samples.pop(tokenizer.decode(row["input_ids"]))
        # the new line after the token that ends a turn is not trained
        assert runs(row["input_ids"], row["labels"]) == trained(sample["turns"], tokenizer.encode, end="<|im_end|>")


@pytest.mark.parametrize("family", list(ENDS))
def test_the_mask_and_every_end_of_a_turn_are_trained_under_a_models_own_template(
    family: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    case = f"axolotl@{family}"
    monkeypatch.chdir(folder(case))
    tokenizer, train, _ = prepared(case, "data.jsonl.axolotl.yaml", tmp_path, family)
    wanted = [trained_of(family, sample["turns"], tokenizer.encode, line_end=False) for _, sample in records(case)]
    found = [runs(row["input_ids"], row["labels"]) for row in train]
    if family == "mistral":  # the space before a response is its first token's, which here it may not be
        space = tokenizer.encode(" ")
        wanted = [[run[1:] if run[:1] == space else run for run in each] for each in wanted]
    assert sorted(found) == sorted(wanted)  # it shuffles them


def test_the_steps_of_a_process_reward_model_have_their_labels(tmp_path: Path) -> None:
    from axolotl.prompt_strategies.stepwise_supervised import load
    from axolotl.utils.dict import DictDefault
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model(tmp_path))
    strategy = load(tokenizer, DictDefault({"sequence_len": 8192}), DictDefault({}))
    for record, _ in records("trl-stepwise"):
        row = strategy.tokenize_prompt(record)
        assert tokenizer.decode(row["input_ids"]) == record["prompt"] + "\n".join([*record["completions"], ""])
        assert [bool(label) for label in row["labels"] if label != IGNORED] == record["labels"]
