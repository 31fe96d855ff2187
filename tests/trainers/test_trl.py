"""TRL reads `trl-sft` and `trl-dpo`: its own command line, data preparation and collators, over a tiny model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.engine.real_templates import source
from tests.trainers import reading
from tests.trainers.reading import absent, by_runs, chatml, folder, llama3, records, runs, trained
from tests.trainers.tiny import tiny_model

trl = pytest.importorskip("trl", minversion="1.16", reason=absent("TRL"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model."""
    return tiny_model(tmp_path_factory.mktemp("model"))


def prepared(monkeypatch: pytest.MonkeyPatch, case: str, command: str, model: Path, output: Path, steps: int) -> Any:
    """The trainer as `trl COMMAND --config data.jsonl.trl.yaml` makes it, after so many steps of training."""
    from trl.scripts import dpo, sft

    script = {"sft": sft, "dpo": dpo}[command]
    kind = {"sft": trl.SFTTrainer, "dpo": trl.DPOTrainer}[command]
    made = []
    start = kind.__init__

    def remember(self: Any, *args: Any, **options: Any) -> None:
        start(self, *args, **options)
        made.append(self)

    monkeypatch.setattr(kind, "__init__", remember)
    monkeypatch.chdir(folder(case))
    given = ["--config", "data.jsonl.trl.yaml", "--model_name_or_path", str(model), "--output_dir", str(output)]
    given += ["--max_steps", str(steps), "--gradient_accumulation_steps", "1", "--use_cpu", "--bf16", "false"]
    given += ["--report_to", "none", "--save_strategy", "no"]
    script.main(*script.make_parser().parse_args_and_config(given))
    return made[0]


def batches(trainer: Any) -> list[dict[str, Any]]:
    """Each prepared row as the collator gives it to the model, in the order of the file."""
    columns = trainer.train_dataset.column_names
    return [trainer.data_collator([row]) for row in trainer.train_dataset.select_columns(columns)]


@pytest.mark.parametrize(
    "case", ["trl-sft", "trl-sft-tokens", "trl-sft-llama3", "trl-sft-tools", "trl-sft-tokens-tools"]
)
def test_sft_trains_the_tokens_of_the_samples_own_mask(
    case: str, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trainer = prepared(monkeypatch, case, "sft", model, tmp_path, steps=1)
    tokenizer = trainer.processing_class
    said, end = (llama3, "<|eot_id|>") if case.endswith("llama3") else (chatml, "<|im_end|>\n")
    rows = batches(trainer)
    whole = [sample["turns"] for _, sample in records(case)]
    wanted = whole if "tokens" in case else [turns for _, turns in by_runs(case)]
    assert len(rows) == len(wanted)
    for row, turns in zip(rows, wanted, strict=True):
        input_ids, labels = row["input_ids"][0].tolist(), row["labels"][0].tolist()
        assert tokenizer.decode(input_ids) == said(turns)
        assert runs(input_ids, labels) == trained(turns, tokenizer.encode, end)


@pytest.mark.parametrize("family", list(reading.ENDS))
def test_sft_trains_the_mask_and_every_end_of_a_turn_under_a_models_own_template(
    family: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    case = f"trl-sft@{family}"
    trainer = prepared(monkeypatch, case, "sft", tiny_model(tmp_path / "model", family), tmp_path, steps=1)
    tokenizer = trainer.processing_class
    assert tokenizer.eos_token == reading.ENDS[family][1]
    rows = batches(trainer)
    wanted = list(records(case))
    assert len(rows) == len(wanted)
    for row, (record, sample) in zip(rows, wanted, strict=True):
        input_ids, labels = row["input_ids"][0].tolist(), row["labels"][0].tolist()
        assert runs(input_ids, labels) == reading.trained_of(family, sample["turns"], tokenizer.encode)
        if family not in ("qwen3", "deepseek-r1"):  # those add thinking, or drop text before </think>
            said = record["prompt"] + record["completion"]
            text = tokenizer.apply_chat_template(said, chat_template=source(family), tokenize=False)
            assert tokenizer.decode(input_ids) == text


def test_a_tokenizer_without_the_token_that_ends_a_turn_is_refused_by_trl(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(model, other)
    text = (other / "tokenizer.json").read_text(encoding="utf-8")
    (other / "tokenizer.json").write_text(text.replace("<|im_end|>", "<|other|>"), encoding="utf-8")
    config = other / "tokenizer_config.json"
    config.write_text(config.read_text(encoding="utf-8").replace("<|im_end|>", "<|other|>"), encoding="utf-8")
    with pytest.raises(ValueError, match="eos_token"):
        prepared(monkeypatch, "trl-sft", "sft", other, tmp_path, steps=1)


def test_the_written_template_marks_what_the_actor_says_and_the_token_that_ends_it(model: Path) -> None:
    """Read by transformers' `return_assistant_tokens_mask`."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = (folder("trl-sft") / "data.jsonl.chat_template.jinja").read_text()
    for record, turns in by_runs("trl-sft"):
        made = tokenizer.apply_chat_template(
            record["prompt"] + record["completion"],
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        said = [(role, text, role == "assistant") for role, text, _ in turns]
        labels = [
            id if on else reading.IGNORED for id, on in zip(made["input_ids"], made["assistant_masks"], strict=True)
        ]
        assert runs(made["input_ids"], labels) == trained(said, tokenizer.encode)


@pytest.mark.parametrize("case", ["trl-dpo", "trl-dpo-step", "trl-dpo-tools"])
def test_dpo_compares_what_follows_the_prompt(
    case: str, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if case.endswith(reading.TOOLS):  # the trainer reads the model's own template: as the export says
        own = shutil.copytree(model, tmp_path / "model")
        shutil.copy(folder(case) / "data.jsonl.chat_template.jinja", own / "chat_template.jinja")
        model = own
    trainer = prepared(monkeypatch, case, "dpo", model, tmp_path, steps=1)
    encode = trainer.processing_class.encode
    most, calls = 1 if case.endswith("step") else None, 0
    wanted = list(records(case))
    assert len(trainer.train_dataset) == len(wanted)
    for row, (_, sample) in zip(batches(trainer), wanted, strict=True):
        prompt = encode(chatml(sample["prompt"]) + "<|im_start|>assistant\n")
        for side, name in enumerate(("chosen", "rejected")):  # the collator stacks both
            whole = encode(chatml(sample["prompt"] + sample[name][:most]))
            kept = row["attention_mask"][side].bool()
            assert row["input_ids"][side][kept].tolist() == whole
            calls += "<tool_call>" in trainer.processing_class.decode(whole[len(prompt) :])
            compared = row["completion_mask"][side].bool()
            assert row["input_ids"][side][compared].tolist() == whole[len(prompt) :]
    assert (calls > len(wanted)) is case.endswith(reading.TOOLS)  # not all: a last word is no call
