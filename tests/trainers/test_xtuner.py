"""XTuner reads `xtuner` and `agent-r-rewrite`: the configurations that are written beside them, as it builds them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.trainers.reading import absent, chatml, folder, records, runs, stand_in, trained
from tests.trainers.tiny import tiny_tokenizer

pytest.importorskip("xtuner", reason=absent("XTuner"))
stand_in("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "skimage", "skimage.io")


@pytest.mark.parametrize(("case", "name"), [("xtuner", "data.jsonl"), ("agent-r-rewrite", "data.json")])
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
