"""verl reads `verl`: its own data set, by the class that is written beside the Parquet file."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainers.reading import ENDS, IGNORED, absent, folder, runs, stand_in, trained_of
from tests.trainers.tiny import tiny_tokenizer

if importlib.util.find_spec("verl") is None:
    pytest.skip(absent("verl"), allow_module_level=True)
stand_in("ray", "tensordict", "tensordict.tensorclass", "verl.models.transformers.qwen2_vl")


def written_class(place: Path) -> Any:
    """The class in `data.parquet.verl.py`, as `data.custom_cls` loads it."""
    spec = importlib.util.spec_from_file_location("written", place / "data.parquet.verl.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MaskedMessages


@pytest.mark.parametrize("family", list(ENDS))
def test_the_mask_and_every_end_of_a_turn_are_trained_under_a_models_own_template(family: str) -> None:
    from omegaconf import OmegaConf

    place = folder(f"verl@{family}")
    tokenizer = tiny_tokenizer(family)
    config = OmegaConf.create({"max_length": 20_000, "pad_mode": "no_padding", "truncation": "error"})
    rows = written_class(place)([str(place / "data.parquet")], tokenizer, config)
    samples = json.loads(folder("samples.json").read_text(encoding="utf-8"))
    origins = (place / "data.parquet.provenance.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == len(origins) > 0
    for number, origin in enumerate(origins):
        ids, mask = rows[number]["input_ids"].tolist(), rows[number]["loss_mask"].tolist()
        labels = [id if on else IGNORED for id, on in zip(ids, mask, strict=True)]
        turns = samples[json.loads(origin)["sample"]]["turns"]
        assert runs(ids, labels) == trained_of(family, turns, tokenizer.encode)


def test_a_tokenizer_without_the_token_that_ends_a_turn_is_refused() -> None:
    place = folder("verl@gemma")
    tokenizer = tiny_tokenizer("gemma")
    tokenizer.convert_tokens_to_ids = lambda _: None
    with pytest.raises(ValueError, match="no token <end_of_turn>"):
        written_class(place)([], tokenizer, {})
