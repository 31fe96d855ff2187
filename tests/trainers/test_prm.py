"""TRL reads `trl-stepwise`: the script that is written beside it, with the last release that has the trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.trainers.reading import IGNORED, absent, folder, records
from tests.trainers.tiny import tiny_tokenizer

prm = pytest.importorskip("trl.experimental.prm", reason=absent("TRL with its PRM trainer (up to 1.13)"))


def test_each_step_has_its_label_on_its_last_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from transformers import Qwen2Config, Qwen2ForTokenClassification

    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(tmp_path / "model")
    Qwen2ForTokenClassification(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=8192,
            pad_token_id=tokenizer.pad_token_id,
        )
    ).save_pretrained(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    text = (folder("trl-stepwise") / "data.jsonl.trl.py").read_text(encoding="utf-8")
    text = text.replace('"Qwen/Qwen2.5-0.5B"', repr(str(tmp_path / "model")))
    text = text.replace('["data.jsonl"]', repr([str(folder("trl-stepwise") / "data.jsonl")]))
    text = text.replace("PRMConfig(", "PRMConfig(use_cpu=True, bf16=False, max_steps=1, report_to='none',")
    text = text.replace("gradient_accumulation_steps=16", "gradient_accumulation_steps=1")
    made: dict[str, Any] = {}
    exec(compile(text, "data.jsonl.trl.py", "exec"), made)
    trainer = made["trainer"]
    tokenizer = trainer.processing_class
    wanted = [record for record, _ in records("trl-stepwise")]
    assert len(trainer.train_dataset) == len(wanted)
    for row, record in zip(trainer.train_dataset, wanted, strict=True):
        said = record["prompt"] + "".join(step + "\n" for step in record["completions"])
        assert tokenizer.decode(row["input_ids"]) == said
        heard, begin = [], len(tokenizer(record["prompt"])["input_ids"])
        for place, label in enumerate(row["labels"]):
            if label != IGNORED:
                heard.append((tokenizer.decode(row["input_ids"][begin : place + 1]), bool(label)))
                begin = place + 1
        assert heard == [
            (step + "\n", label) for step, label in zip(record["completions"], record["labels"], strict=True)
        ]
    batch = trainer.data_collator([trainer.train_dataset[0]])
    assert batch["labels"][0].tolist() == trainer.train_dataset[0]["labels"]
