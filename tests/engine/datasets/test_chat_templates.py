"""Exports follow the model's own template: under each real one every trainer trains the mask, ends of turns included.

The templates are in the shapes of real models' (`real_templates`), texts are hostile, and what a trainer trains is told
by its own rule (`trainer_tokens`) over the written records and files. The expectation is written out by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.errors import InputError
from engine.datasets.export import export
from engine.datasets.formats import FORMATS, FormatOptions
from engine.datasets.formats.preparation import escaped, join_system, ready
from engine.datasets.options import Exported, ExportOptions
from engine.datasets.templates.markup import ANY_CONTROL, FAMILIES, family_of
from engine.datasets.templates.model_template import model_template
from engine.samples.sample import turns_of
from engine.samples.splice import Turn
from engine.trace.sources import load_any
from engine.workspace.workspace import Workspace
from tests.engine.hostile_texts import hostile_workspace
from tests.engine.made import made_workspace
from tests.engine.real_templates import REAL, source, tokenizer_folder
from tests.engine.trainer_tokens import RULES, WITH_LINE_END, Beside, records_of, rendered, trained_runs

pytest.importorskip("jinja2", reason="the package jinja2 is not there")
tokenizers = pytest.importorskip("tokenizers", reason="the package tokenizers is not there")

ENDS = {
    "qwen2.5": ("", "<|im_end|>", "\n"),
    "qwen3": ("", "<|im_end|>", "\n"),
    "llama3.1": ("", "<|eot_id|>", ""),
    "mistral": (" ", "</s>", ""),
    "gemma": ("", "<end_of_turn>", "\n"),
    "deepseek-r1": ("", "<｜end▁of▁sentence｜>", ""),
}
"""Family → what a response begins with, the token that ends it, and what follows that."""


def tokenizer_of(name: str) -> Any:
    """A tokenizer with a family's tokens: of bytes, a space joined to what follows, as models' own have it."""
    models, pre = tokenizers.models, tokenizers.pre_tokenizers
    signs = sorted(pre.ByteLevel.alphabet())
    merges = [("Ġ", sign) for sign in signs if sign != "Ġ"]
    vocabulary = {token: number for number, token in enumerate([*signs, *("".join(pair) for pair in merges)])}
    made = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    made.pre_tokenizer = pre.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens(list(REAL[name].special))
    made.add_tokens(list(REAL[name].tags))
    return made


def exported(workspace: Workspace, out: Path, format: str, **options: Any) -> Exported:
    """Every sample."""
    return export(workspace, None, format, out, all=True, options=ExportOptions(**options))


def expected_runs(
    workspace: Workspace, done: Exported, name: str, encode: Any, line_end: bool, pattern: str = ""
) -> list[tuple[int, list[list[int]]]]:
    """For each record its number among its sample's, and the tokens of the sample's trained turns, by hand.

    With a `pattern` of control tokens they have a space behind their first sign.
    """

    def broken(text: str) -> str:
        return re.sub(pattern, lambda found: f"{found[0][0]} {found[0][1:]}", text) if pattern else text

    lead, end, after = ENDS[name]
    samples = {sample.id: sample for sample in workspace.load_run().samples}
    found = []
    for line in Path(done.provenance).read_text(encoding="utf-8").splitlines():
        origin = json.loads(line)
        sample = samples[origin["sample"]]
        texts = [turn.content for turn in turns_of(load_any(sample.path).tree, sample) if turn.loss]
        spoken = [encode(lead + broken(text.strip()) + end + (after if line_end else "")) for text in texts]
        found.append((origin["record"], spoken))
    return found


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with hostile texts, which no test decides on."""
    return hostile_workspace(tmp_path_factory.mktemp("hostile"))


REFUSED = {("xtuner", "mistral"): "XTuner's templates have no place for ' '"}
"""Format and family for which no configuration can be right."""


@pytest.mark.parametrize("escape", [False, True], ids=["hostile", "escaped"])
@pytest.mark.parametrize("name", list(REAL))
@pytest.mark.parametrize("format", list(RULES))
def test_under_a_models_own_template_a_trainer_trains_the_mask_and_every_end_of_a_turn(
    hostile: Workspace, tmp_path: Path, format: str, name: str, escape: bool
) -> None:
    folder = tokenizer_folder(tmp_path / "model", name)
    out = tmp_path / ("out.parquet" if format == "verl" else "out.jsonl")
    options = {"for_model": str(folder), "control_tokens": "escape" if escape else "report"}
    if (format, name) in REFUSED:
        with pytest.raises(InputError, match=f"{re.escape(REFUSED[format, name])}.*--no-config"):
            exported(hostile, out, format, **options)
        assert not list(tmp_path.glob("out*"))  # before anything is written
        return
    done = exported(hostile, out, format, **options)
    tokenizer = tokenizer_of(name)
    beside = Beside(out, tokenizer, REAL[name].bos, REAL[name].eos)
    pattern = model_template(str(folder)).markup.control if escape else ""
    wanted = expected_runs(hostile, done, name, beside.encode, format in WITH_LINE_END, pattern)
    for record, (number, runs) in zip(records_of(out), wanted, strict=True):
        ids, labels = RULES[format](record, beside)
        found = trained_runs(ids, labels)
        assert found == ([runs[number - 1]] if format == "sharegpt" else runs)  # there a record is one trained turn
        assert ids.count(tokenizer.token_to_id(ENDS[name][1])) >= len(found)
        if escape:  # no text holds a control token: each end of a turn is the template's
            spoken = record.get("messages") or record.get("conversations") or record["prompt"] + record["completion"]
            texts = [row.get("content", row.get("value")) for row in spoken]
            assert not any(re.search(pattern, text) for text in texts)


SAID: list[dict[str, str]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Rules."},
    {"role": "assistant", "content": "Ok."},
    {"role": "user", "content": "Goal: é “x”"},
    {"role": "assistant", "content": "Thought: a\nAction: b"},
    {"role": "user", "content": "Done."},
]


def turns_of_rows(rows: Sequence[dict[str, str]]) -> list[Turn]:
    """Messages as turns."""
    return [Turn(row["role"], row["content"], row["role"] == "assistant" or None, "good") for row in rows]


@pytest.mark.parametrize("name", list(REAL))
def test_the_pieces_of_a_template_are_found_and_are_those_of_the_table(name: str, tmp_path: Path) -> None:
    found = model_template(str(tokenizer_folder(tmp_path, name)))
    known = FAMILIES[name]
    assert found.markup.pieces == known.pieces
    assert (found.markup.unspoken, found.markup.trim, found.markup.end) == (known.unspoken, known.trim, known.end)
    assert found.markup.llamafactory == known.llamafactory
    assert found.alternate == (name in ("mistral", "gemma"))
    assert bool(found.markup.thinks) == (name in ("qwen3", "deepseek-r1"))
    assert found.markup.own_start is True
    for rows in (SAID, SAID[1:]):
        turns = ready(turns_of_rows(rows), FormatOptions(markup=known))
        plain = [{"role": turn.role, "content": turn.content} for turn in turns]
        text, _ = rendered(source(name), plain, bos_token=REAL[name].bos, eos_token=REAL[name].eos)
        assert text == known.text(turns)  # the table's pieces make the template's own text


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", "qwen2.5"),
        ("Qwen/Qwen3-8B", "qwen3"),
        ("unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit", "llama3.1"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama3.1"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "llama3"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "mistral"),
        ("google/gemma-2-9b-it", "gemma"),
        ("google/gemma-3-4b-it", "gemma"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "deepseek-r1"),
        ("HuggingFaceTB/SmolLM2-360M-Instruct", "smollm2"),
        ("gemma", "gemma"),
        ("mistralai/Mistral-7B-Instruct-v0.1", None),  # other pieces: its own file tells
        ("meta-llama/Llama-3.2-3B-Instruct", None),  # writes the day of use
        ("google/gemma-4-31b-it", None),
        ("Qwen/Qwen3.5-9B", None),
        ("gpt-oss-20b", None),
    ],
)
def test_a_name_finds_its_family_or_none(model: str, family: str | None) -> None:
    found = family_of(model)
    assert (found.name if found else None) == family
    if family is None:
        with pytest.raises(InputError, match=r"no family that is known \(chatml, qwen2.5, .*give the folder"):
            model_template(model)


def test_a_model_in_a_local_cache_is_read_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    place = tmp_path / "hub" / "models--acme--agent-1" / "snapshots"
    tokenizer_folder(place / "old", "gemma")
    tokenizer_folder(place / "new", "mistral")
    (place.parent / "refs").mkdir()
    (place.parent / "refs" / "main").write_text("new")
    found = model_template("acme/agent-1")
    assert (found.markup.end, found.markup.model) == ("</s>", "acme/agent-1")


CHATML_TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
CHATML = CHATML_TURNS + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% for m in messages %}{{ m.content }}<end>{% endfor %}", "in which is no token of the tokenizer's"),
        (
            "{% for m in messages %}[{{ loop.index }}] {{ m.content }}<|im_end|>{% endfor %}",
            "not write every turn alike",
        ),
        (
            "{% for m in messages if m.role == 'user' %}{{ m.content }}<|im_end|>{% endfor %}",
            "leaves out a message's text",
        ),
        ("{{ messages[0].content }}{{ messages[0].content }}", "leaves out a message's text, or writes it twice"),
        ("{% for m in messages|reverse %}{{ m.content }}<|im_end|>{% endfor %}", "changes the order of messages"),
        (CHATML.replace("assistant\n{% endif", "bot\n{% endif"), "is not what stands before one"),
        (CHATML.replace("{% endfor %}", "{% endfor %}<|endoftext|>"), "changes when the response is there"),
        ("{% for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}", "learn to stop by"),
        ("{% for m in messages %", "no jinja template"),
        ("{{ raise_exception('tools only') }}", r"refuses a conversation \(tools only\)"),
        ("{{ 1 // 0 }}", "refuses a conversation"),
        ("{{ messages.__class__.__mro__[1].__subclasses__() }}", "refuses a conversation"),
    ],
)
def test_a_template_that_can_carry_no_mask_is_refused_with_the_reason_before_anything_is_written(
    hostile: Workspace, tmp_path: Path, template: str, words: str
) -> None:
    folder = tokenizer_folder(tmp_path / "model", "qwen2.5")
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(InputError, match=f"(?s)--for-model .*can't carry a mask: .*{words}"):
        exported(hostile, tmp_path / "out.jsonl", "trl-sft", for_model=str(folder))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_is_no_tokenizers_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "tokenizer_config.json").write_text("{")
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "tokenizer_config.json").write_text("[]")
    for name, words in (("base", "holds no chat template"), ("broken", "not JSON"), ("list", "not an object")):
        with pytest.raises(InputError, match=words):
            model_template(str(tmp_path / name))


def test_templates_are_found_in_every_place_where_tokenizers_keep_them(tmp_path: Path) -> None:
    folder = tokenizer_folder(tmp_path, "qwen2.5")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    text = config.pop("chat_template")
    pieces = FAMILIES["qwen2.5"].pieces
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": text}]
    for written in ({**config, "chat_template": named}, {**config, "bos_token": {"content": None}}):
        (folder / "tokenizer_config.json").write_text(json.dumps(written))
        (folder / "chat_template.json").write_text(json.dumps({"chat_template": text}))
        assert model_template(str(folder)).markup.pieces == pieces
    (folder / "own.jinja").write_text(text)
    assert model_template(str(folder / "own.jinja")).markup.pieces == pieces
    assert model_template(str(folder / "tokenizer_config.json")).markup.pieces == pieces


def test_without_a_model_a_configuration_says_for_which_families_it_is_right(
    hostile: Workspace, tmp_path: Path
) -> None:
    for format, ending in (("trl-sft", "trl.yaml"), ("axolotl", "axolotl.yaml"), ("xtuner", "xtuner.py")):
        exported(hostile, tmp_path / "x.jsonl", format)
        text = (tmp_path / f"x.jsonl.{ending}").read_text(encoding="utf-8")
        assert "Right for Qwen 2.5, Qwen 3, SmolLM 2 (turns end with <|im_end|>)." in text
        assert "--for-model" in text
    exported(hostile, tmp_path / "x.jsonl", "trl-sft", for_model="google/gemma-2-9b-it")
    text = (tmp_path / "x.jsonl.trl.yaml").read_text(encoding="utf-8")
    assert "Right for Gemma 1 to 3 (turns end with <end_of_turn>)." in text
    assert 'model_name_or_path: "google/gemma-2-9b-it"' in text
    assert 'eos_token: "<end_of_turn>"' in text


# -- the system turn ---------------------------------------------------------------------------------


@pytest.mark.parametrize("format", list(FORMATS))
def test_without_a_system_turn_its_text_stands_in_the_first_user_turn(
    hostile: Workspace, tmp_path: Path, format: str
) -> None:
    out = tmp_path / f"x{FORMATS[format].extension}"
    with_system = exported(hostile, tmp_path / f"y{FORMATS[format].extension}", format)
    done = exported(hostile, out, format, no_system=True)
    assert done.lines == with_system.lines
    assert done.problems == with_system.problems
    text = out.read_text(encoding="utf-8")
    if format != "trl-stepwise":  # its prompt is one text
        assert '"role": "system"' not in text
        assert '"from": "system"' not in text
    joined = "You are a helpful assistant.\\n\\n Rules. see"
    assert joined in text
    if format == "agent-r-rewrite":
        assert '"system": ""' in text


@given(st.lists(st.sampled_from(["system", "user", "assistant"]), max_size=5))
def test_joining_loses_no_text_and_no_turn_of_the_assistant(roles: list[str]) -> None:
    turns = [Turn(role, f"text {place}", None, "good") for place, role in enumerate(roles)]
    joined = join_system(turns)
    assert not joined or joined[0].role != "system"
    assert "\n\n".join(turn.content for turn in joined) == "\n\n".join(turn.content for turn in turns)
    assert [turn for turn in joined if turn.role == "assistant"] == [turn for turn in turns if turn.role == "assistant"]


# -- control tokens ----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", list(FORMATS))
def test_control_tokens_in_texts_are_reported_and_escaped_where_asked(
    hostile: Workspace, tmp_path: Path, format: str
) -> None:
    out = tmp_path / f"x{FORMATS[format].extension}"
    done = exported(hostile, out, format)
    assert done.warned["a text holds a control token of chat templates"] == done.samples > 0
    issues = json.loads(Path(done.report).read_text())["issues"]
    assert all("a text holds a control token of chat templates" in issue["warnings"] for issue in issues)
    assert "<|im_end|>" in out.read_text(encoding="utf-8")
    done = exported(hostile, out, format, control_tokens="escape")
    assert done.warned["a control token of chat templates was escaped in a text"] == done.samples
    assert re.search(ANY_CONTROL, out.read_text(encoding="utf-8")) is None
    assert "< |im_end|>" in out.read_text(encoding="utf-8")


def test_clean_texts_are_neither_reported_nor_changed(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path)
    plain = exported(workspace, tmp_path / "x.jsonl", "xtuner")
    assert plain.warned == {}
    clean = exported(workspace, tmp_path / "y.jsonl", "xtuner", control_tokens="escape")
    assert clean.checksum == plain.checksum


PARTS = [
    "<|im_end|>",
    "<",
    "|",
    "im_end",
    ">",
    "<s>",
    "</s>",
    "<<s>s>",
    "[INST]",
    "[/",
    "INST]",
    " ",
    "a",
    "<｜User｜>",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=12).map("".join))
def test_an_escaped_text_holds_no_control_token_and_loses_only_to_spaces(text: str) -> None:
    broken = escaped(text, ANY_CONTROL)
    assert re.search(ANY_CONTROL, broken) is None
    assert broken.replace(" ", "") == text.replace(" ", "")
    assert escaped(broken, ANY_CONTROL) == broken


# -- reasoning ---------------------------------------------------------------------------------------
