"""axolotl reads `axolotl`: the configuration that is written beside it, validated and prepared as `train` does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.trainers.reading import IGNORED, absent, chatml, folder, records, runs, trained
from tests.trainers.tiny import tiny_model

os.environ.setdefault("AXOLOTL_DO_NOT_TRACK", "1")
pytest.importorskip("axolotl", reason=absent("axolotl"))


def prepared(case: str, config: str, tmp_path: Path) -> tuple[Any, Any, Any]:
    """The tokenizer and the rows to train on and to evaluate on."""
    from axolotl.cli.config import load_cfg
    from axolotl.loaders import load_tokenizer
    from axolotl.utils.data import prepare_datasets

    own = {"base_model": str(tiny_model(tmp_path / "model")), "output_dir": str(tmp_path / "out")}
    options = {"dataset_prepared_path": str(tmp_path / "prepared"), "dataset_num_proc": 1, "max_steps": 1}
    cfg = load_cfg(config, **own, **options)
    tokenizer = load_tokenizer(cfg)
    train, held_out, *_ = prepare_datasets(cfg, tokenizer)
    return tokenizer, train, held_out


@pytest.mark.parametrize("case", ["axolotl", "axolotl-parquet"])
def test_the_written_configuration_trains_the_tokens_of_the_samples_own_mask(
    case: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(folder(case))
    name = "data.parquet" if case.endswith("parquet") else "data.jsonl"
    tokenizer, train, held_out = prepared(case, f"{name}.axolotl.yaml", tmp_path)
    samples = {chatml(sample["turns"]): sample for _, sample in records("axolotl")}
    rows = [*train, *(held_out or [])]
    assert bool(held_out) == (case == "axolotl-parquet")
    assert len(rows) == len(samples)
    for row in rows:  # it shuffles them
        sample = samples.pop(tokenizer.decode(row["input_ids"]))
        # the new line after the token that ends a turn is not trained
        assert runs(row["input_ids"], row["labels"]) == trained(sample["turns"], tokenizer.encode, end="<|im_end|>")


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
