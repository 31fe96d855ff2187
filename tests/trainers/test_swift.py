"""ms-swift reads `xtuner`: its own command for fine-tuning, data loading and template."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainers.reading import absent, chatml, folder, records, runs, trained
from tests.trainers.tiny import tiny_model

pytest.importorskip("swift.pipelines", reason=absent("ms-swift"))


@pytest.mark.parametrize("case", ["xtuner", "xtuner-tools"])
def test_sft_trains_the_tokens_of_the_samples_own_mask(case: str, tmp_path: Path) -> None:
    from swift.pipelines import SwiftSft

    options = {
        "model": tiny_model(tmp_path / "model"),
        "model_type": "qwen2",
        "template": "chatml",
        "dataset": folder(case) / "data.jsonl",
        "output_dir": tmp_path / "out",
        "torch_dtype": "float32",
        "max_length": 4096,
        "split_dataset_ratio": 0,
        "dataset_shuffle": "false",
        "use_hf": "true",
        "max_steps": 1,
        "gradient_accumulation_steps": 1,
        "report_to": "none",
        "save_strategy": "no",
    }
    sft = SwiftSft([part for key, value in options.items() for part in (f"--{key}", str(value))])
    rows, _ = sft._prepare_dataset()
    wanted = list(records(case))
    assert len(rows) == len(wanted)
    for place, (_, sample) in enumerate(wanted):
        row = sft.template.data_collator([rows[place]])
        input_ids, labels = (row[key][0].tolist() for key in ("input_ids", "labels"))
        assert sft.tokenizer.decode(input_ids) == chatml(sample["turns"])
        assert runs(input_ids, labels) == trained(sample["turns"], sft.tokenizer.encode)
    sft.run()  # a step of training
