"""HuggingFace's `datasets` loads every format, packed or not, and gives back what was written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainers.reading import CASES, absent, folder

datasets = pytest.importorskip("datasets", reason=absent("datasets"))


def without_gaps(value: Any) -> Any:
    """The value without the keys that Arrow fills in where a message has them not."""
    if isinstance(value, dict):
        return {key: without_gaps(each) for key, each in value.items() if each is not None}
    return [without_gaps(each) for each in value] if isinstance(value, list) else value


def loaded(files: list[Path], cache: Path) -> list[Any]:
    """The rows of some files, as `load_dataset` gives them."""
    kind = "parquet" if files[0].suffix == ".parquet" else "json"
    rows = datasets.load_dataset(kind, data_files=[str(file) for file in files], split="train", cache_dir=str(cache))
    return [without_gaps(row) for row in rows]


@pytest.mark.parametrize("case", [name for name, (_, options) in CASES.items() if options.get("compress") != "parquet"])
def test_every_record_is_loaded_as_it_was_written(case: str, tmp_path: Path) -> None:
    files = [file for ending in ("json", "jsonl", "jsonl.gz") for file in sorted(folder(case).glob(f"data*.{ending}"))]
    written: list[Any] = []
    files = [file for file in files if ".provenance." not in file.name and ".report." not in file.name]
    for file in files:
        text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        written += json.loads(text) if file.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
    assert written
    assert loaded(files, tmp_path) == written


def test_shards_of_parquet_hold_the_records_of_the_lines(tmp_path: Path) -> None:
    files = sorted(folder("axolotl-parquet").glob("data.*-of-00002.parquet"))
    assert len(files) == 4
    lines = (folder("axolotl") / "data.jsonl").read_text(encoding="utf-8").splitlines()
    assert sorted(map(json.dumps, loaded(files, tmp_path))) == sorted(json.dumps(json.loads(line)) for line in lines)
