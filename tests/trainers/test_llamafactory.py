"""LLaMA-Factory reads `sharegpt`: its configuration, converter and processor; and its version 1 the loss weights."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.trainers.reading import ENDS, absent, chatml, folder, records, runs, stand_in, trained, trained_of
from tests.trainers.tiny import tiny_model

pytest.importorskip("llamafactory", reason=absent("LLaMA-Factory"))

stand_in("torchaudio")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model."""
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("family", list(ENDS))
def test_the_mask_and_every_end_of_a_turn_are_trained_under_a_models_own_template(
    family: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    case = f"sharegpt@{family}"
    monkeypatch.chdir(folder(case))
    given = settings(case, tiny_model(tmp_path / "model", family), tmp_path)
    model_args, data_args, training_args, _, _ = get_train_args(given)
    module = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
    rows = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)["train_dataset"]
    wanted = list(records(case))
    assert len(rows) == len(wanted)
    for row, (record, _) in zip(rows, wanted, strict=True):
        last = ("assistant", record["conversations"][-1]["value"], True)
        assert runs(row["input_ids"], row["labels"]) == trained_of(family, [last], module["tokenizer"].encode)


def settings(case: str, model: Path, output: Path) -> dict[str, Any]:
    """The written configuration, for the tiny model on a processor without bfloat16."""
    import yaml

    given = yaml.safe_load((folder(case) / "data.jsonl.llamafactory" / "train.yaml").read_text())
    mine = {"bf16": False, "use_cpu": True, "max_steps": 1, "gradient_accumulation_steps": 1, "report_to": "none"}
    known = {"model_name_or_path": str(model), "output_dir": str(output), "overwrite_cache": True}
    return {**given, **known, **mine}


@pytest.mark.parametrize("case", ["sharegpt", "sharegpt-split"])
def test_each_record_trains_one_turn_and_a_samples_records_its_own_mask(
    case: str, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    monkeypatch.chdir(folder(case))
    model_args, data_args, training_args, _, _ = get_train_args(settings(case, model, tmp_path))
    module = load_tokenizer(model_args)
    tokenizer = module["tokenizer"]
    template = get_template_and_fix_tokenizer(tokenizer, data_args)
    found = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)
    names = {"train_dataset": "data.jsonl"}
    if case == "sharegpt-split":
        names = {"train_dataset": "data.train.jsonl", "eval_dataset": "data.dev.jsonl"}
    for key, name in names.items():
        rows = list(found[key])
        lines = (folder(case) / name).read_text(encoding="utf-8").splitlines()
        assert len(rows) == len(lines)
        for row, line in zip(rows, lines, strict=True):
            said = [(turn["from"], turn["value"]) for turn in json.loads(line)["conversations"]]
            roles = {"human": "user", "gpt": "assistant", "system": "system"}
            assert tokenizer.decode(row["input_ids"]) == chatml((roles[who], text, False) for who, text in said)
            (only,) = runs(row["input_ids"], row["labels"])
            assert only == tokenizer.encode(said[-1][1] + "<|im_end|>\n")
    if case == "sharegpt":
        heard = Counter(tuple(runs(row["input_ids"], row["labels"])[0]) for row in found["train_dataset"])
        samples = {id(sample): sample for _, sample in records(case)}
        wanted = Counter(
            tuple(each) for sample in samples.values() for each in trained(sample["turns"], tokenizer.encode)
        )
        assert heard == wanted


def test_calls_of_tools_are_trained_as_the_samples_own_mask(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    monkeypatch.chdir(folder("sharegpt-tools"))
    model_args, data_args, training_args, _, _ = get_train_args(settings("sharegpt-tools", model, tmp_path))
    module = load_tokenizer(model_args)
    tokenizer = module["tokenizer"]
    template = get_template_and_fix_tokenizer(tokenizer, data_args)
    rows = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)["train_dataset"]
    heard = Counter(tuple(runs(row["input_ids"], row["labels"])[0]) for row in rows)
    samples = {id(sample): sample for _, sample in records("sharegpt-tools")}
    assert heard == Counter(
        tuple(each) for sample in samples.values() for each in trained(sample["turns"], tokenizer.encode)
    )
    whole = {chatml(sample["turns"]) for sample in samples.values()}
    assert {text for row in rows if (text := tokenizer.decode(row["input_ids"])) in whole}  # the tools, too


def test_the_written_configuration_trains(model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from llamafactory.train.tuner import run_exp

    monkeypatch.chdir(folder("sharegpt"))
    run_exp(settings("sharegpt", model, tmp_path))
    assert (tmp_path / "adapter_model.safetensors").is_file()


def test_version_1_weighs_the_samples_own_mask(model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import yaml
    from llamafactory.v1.config.arg_parser import get_args
    from llamafactory.v1.core.data_engine import DataEngine
    from llamafactory.v1.core.utils.rendering import Renderer
    from transformers import AutoTokenizer

    monkeypatch.chdir(folder("sharegpt-weights"))
    given = yaml.safe_load(Path("data.jsonl.llamafactory/train.yaml").read_text())
    model_args, data_args, _, _ = get_args({**given, "model": str(model), "output_dir": str(tmp_path), "bf16": False})
    tokenizer = AutoTokenizer.from_pretrained(model)
    data = DataEngine(data_args.train_dataset)
    wanted = list(records("sharegpt-weights"))
    assert len(data) == len(wanted)
    renderer = Renderer(model_args.template, tokenizer)
    for row, (_, sample) in zip(
        renderer.process_samples([data[place] for place in range(len(data))]), wanted, strict=True
    ):
        assert tokenizer.decode(row["input_ids"]) == chatml(sample["turns"])
        weights = [label != -100 for label in row["labels"]]
        assert weights == [weight == 1.0 for weight in row["loss_weights"]]
        # it trains the mark that opens a turn as well, whatever the data set
        whole = [(role, f"<|im_start|>{role}\n{text}", on) for role, text, on in sample["turns"]]
        assert runs(row["input_ids"], row["labels"]) == trained(whole, tokenizer.encode)
