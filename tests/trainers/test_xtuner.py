"""XTuner reads `xtuner` and `agent-r-rewrite`: the configurations that are written beside them, as it builds them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engine.real_templates import REAL
from tests.trainers.reading import ENDS, absent, chatml, folder, records, runs, stand_in, trained, trained_of
from tests.trainers.tiny import tiny_tokenizer

pytest.importorskip("xtuner", reason=absent("XTuner"))
stand_in("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "skimage", "skimage.io")


FAMILIES = [family for family in ENDS if family != "mistral"]  # refused: there is no place for the space


@pytest.mark.parametrize("family", FAMILIES)
def test_the_mask_and_every_end_of_a_turn_are_trained_under_a_models_own_template(
    family: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mmengine.config import Config
    from xtuner.registry import BUILDER

    case = f"xtuner@{family}"
    tokenizer = tiny_tokenizer(family)
    tokenizer.save_pretrained(tmp_path / "model")
    if REAL[family].bos is None:
        told = tmp_path / "model" / "tokenizer_config.json"
        told.write_text(json.dumps({**json.loads(told.read_text()), "tokenizer_class": "Qwen2TokenizerFast"}))
    monkeypatch.chdir(folder(case))
    config = Config.fromfile("data.jsonl.xtuner.py", lazy_import=False)
    config.train_dataset.tokenizer.pretrained_model_name_or_path = str(tmp_path / "model")
    config.train_dataset.map_num_proc = 1  # else 32
    rows = BUILDER.build(config.train_dataset)
    wanted = list(records(case))
    assert len(rows) == len(wanted)
    for row, (_, sample) in zip(rows, wanted, strict=True):
        told_runs = trained_of(family, sample["turns"], tokenizer.encode, line_end=False)
        assert runs(row["input_ids"], row["labels"]) == told_runs


@pytest.mark.parametrize(
    ("case", "name"), [("xtuner", "data.jsonl"), ("xtuner-tools", "data.jsonl"), ("agent-r-rewrite", "data.json")]
)
def test_the_written_configuration_trains_the_tokens_of_the_samples_own_mask(
    case: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mmengine.config import Config
    from xtuner.registry import BUILDER

    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(tmp_path / "model")
    told = tmp_path / "model" / "tokenizer_config.json"  # XTuner knows by the class that Qwen has no first token
    told.write_text(json.dumps({**json.loads(told.read_text()), "tokenizer_class": "Qwen2TokenizerFast"}))
    monkeypatch.chdir(folder(case))
    config = Config.fromfile(f"{name}.xtuner.py", lazy_import=False)
    config.train_dataset.tokenizer.pretrained_model_name_or_path = str(tmp_path / "model")
    config.train_dataset.map_num_proc = 1  # else 32
    rows = BUILDER.build(config.train_dataset)
    wanted = list(records(case, name))
    assert len(rows) == len(wanted)
    for row, (_, sample) in zip(rows, wanted, strict=True):
        assert tokenizer.decode(row["input_ids"]) == chatml(sample["turns"])
        assert runs(row["input_ids"], row["labels"]) == trained(sample["turns"], tokenizer.encode, end="<|im_end|>")
