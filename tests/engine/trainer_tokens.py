"""Which tokens each trainer trains, by the rules of its own source, written down again in a few lines.

Each function reads a record with what was written beside it, and gives token ids and labels; no trainer is run here
(`tests/trainers` runs them). `docs/formats.md` names the versions.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

IGNORED = -100
Record = dict[str, Any]
Labelled = tuple[list[int], list[int]]
Rows = Sequence[dict[str, str]]


class Generation(Extension):
    """`{% generation %} … {% endgeneration %}`, told by two signs that no text has."""

    tags = {"generation"}

    def parse(self, parser: Any) -> Any:
        """Wrap what stands between."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Callable[[], str]) -> str:
        return f"\0{caller()}\1"


def refuse(message: str) -> None:
    """`raise_exception` of templates."""
    raise jinja2.exceptions.TemplateError(message)


def rendered(
    source: str, messages: Rows, generate: bool = False, tools: Any = None, **tokens: Any
) -> tuple[str, list[tuple[int, int]]]:
    """A template's text as transformers renders it, and where its marks are."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.globals["raise_exception"] = refuse
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    made = environment.from_string(source).render(
        messages=messages, add_generation_prompt=generate, tools=tools, **tokens
    )
    text, spans, begin = "", [], 0
    for piece in re.split("([\0\1])", made):
        if piece == "\0":
            begin = len(text)
        elif piece == "\1":
            spans.append((begin, len(text)))
        else:
            text += piece
    return text, spans


class Beside:
    """What an export wrote: the records and the files beside them; and the model's tokenizer."""

    def __init__(self, out: Path, tokenizer: Any, bos: str | None, eos: str) -> None:
        self.out, self.tokenizer, self.bos, self.eos = out, tokenizer, bos, eos

    def encode(self, text: str) -> list[int]:
        """Ids of a text."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def text(self, ending: str) -> str:
        """A file beside the dataset."""
        return (self.out.parent / f"{self.out.name}.{ending}").read_text(encoding="utf-8")

    @property
    def template(self) -> str:
        """The written chat template."""
        return self.text("chat_template.jinja")


def trl(record: Record, beside: Beside) -> Labelled:
    """TRL 1.16.0: behind the prompt, and within a mark of the template; the tokenizer must have `eos_token`."""
    config = yaml.safe_load(beside.text("trl.yaml"))
    assert beside.tokenizer.token_to_id(config["eos_token"]) is not None
    assert config["assistant_only_loss"] is True
    text, spans = rendered(beside.template, record["prompt"] + record["completion"])
    prompt = beside.encode(rendered(beside.template, record["prompt"], True)[0])
    encoding = beside.tokenizer.encode(text, add_special_tokens=False)
    assert encoding.ids[: len(prompt)] == prompt
    labels = [IGNORED] * len(encoding.ids)
    for begin, end in spans:
        first, last = encoding.char_to_token(begin), encoding.char_to_token(end - 1)
        for place in range(max(first, len(prompt)), last + 1):
            labels[place] = encoding.ids[place]
    return encoding.ids, labels


def axolotl(record: Record, beside: Beside) -> Labelled:
    """axolotl 0.19.0: a trained turn's text is where another text makes a difference; then the next end of a turn."""
    config = yaml.safe_load(beside.text("axolotl.yaml"))
    (end,) = config["eot_tokens"]
    assert config["chat_template"] == "jinja"
    assert (beside.out.parent / config["chat_template_jinja"]).read_text(encoding="utf-8") == beside.template
    assert len(beside.encode(end)) == 1
    assert end in beside.template
    rows = record["messages"]
    text = rendered(beside.template, rows)[0]
    encoding = beside.tokenizer.encode(text, add_special_tokens=False)
    labels = [IGNORED] * len(encoding.ids)
    for place, row in enumerate(rows):
        if not row["train"]:
            continue
        other = rendered(
            beside.template, [*rows[:place], {"role": row["role"], "content": "\x02"}, *rows[place + 1 :]]
        )[0]
        begin = next(at for at, (one, two) in enumerate(zip(text, other, strict=False)) if one != two)
        behind = next(at for at, (one, two) in enumerate(zip(text[::-1], other[::-1], strict=False)) if one != two)
        first, last = encoding.char_to_token(begin), encoding.char_to_token(len(text) - behind - 1)
        stop = encoding.ids.index(beside.encode(end)[0], last + 1)
        assert stop - last <= 3
        for token in (*range(first, last + 1), stop):
            labels[token] = encoding.ids[token]
    return encoding.ids, labels


def xtuner(record: Record, beside: Beside) -> Labelled:
    """XTuner 0.2.0, `template_map_fn` and `encode_fn`: pieces one by one; a suffix is trained as its response is."""
    tree = ast.parse(beside.text("xtuner.py"))
    template = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "prompt_template"
    )
    assert template["SUFFIX_AS_EOS"] is True  # so nothing is put between rounds
    ids = beside.encode(beside.bos) if beside.bos else []
    labels = [IGNORED] * len(ids)
    before = ""
    for row in record["messages"]:
        if row["role"] == "system":
            before = template["SYSTEM"].format(system=row["content"])
        elif row["role"] == "user":
            before += template["INSTRUCTION"].format(input=row["content"])
        else:
            for text, trained in (
                (before, False),
                (row["content"] + template["SUFFIX"], row["loss"]),
                (template["SEP"], False),
            ):
                found = beside.encode(text)
                ids += found
                labels += found if trained else [IGNORED] * len(found)
            before = ""
    return ids, labels


_CHATML = (["<|im_start|>system\n", "<|im_end|>\n"], ["<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"])
LLAMAFACTORY: dict[str, tuple[list[str], list[str], list[str], bool]] = {
    "qwen": (*_CHATML, ["", "<|im_end|>\n"], False),
    "qwen3_nothink": (*_CHATML, ["", "<|im_end|>\n"], False),
    "llama3": (
        ["<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"],
        [
            "<|start_header_id|>user<|end_header_id|>\n\n",
            "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        ],
        ["", "<|eot_id|>"],
        True,
    ),
    "mistral": (["", "\n\n"], ["[INST] ", "[/INST]"], [" ", "{eos}"], True),
    "gemma": (
        ["", "\n\n"],
        ["<start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n"],
        ["", "<end_of_turn>\n"],
        True,
    ),
    "deepseek3": (["", ""], ["<｜User｜>", "<｜Assistant｜>"], ["", "{eos}"], True),
}
"""LLaMA-Factory 0.9.5: around the system's text, the user's, a response; and whether the first token comes first."""


def llamafactory(record: Record, beside: Beside) -> Labelled:
    """LLaMA-Factory 0.9.5 with `mask_history`: the last response and what its template puts behind it."""
    config = yaml.safe_load(beside.text("llamafactory/train.yaml"))
    assert config["mask_history"] is True
    system, user, answer, first = LLAMAFACTORY[config["template"]]
    ids = beside.encode(beside.bos) if first and beside.bos else []
    labels = [IGNORED] * len(ids)
    rows = record["conversations"]
    for place, row in enumerate(rows):
        around = {"system": system, "human": user, "gpt": answer}[row["from"]]
        found = beside.encode(around[0] + row["value"] + around[1].replace("{eos}", beside.eos))
        ids += found
        labels += found if place == len(rows) - 1 else [IGNORED] * len(found)
    return ids, labels


def verl(record: Record, beside: Beside) -> Labelled:
    """verl 0.9.1 with the written class: message by message, less what every conversation begins with."""
    said = beside.text("verl.py")
    assert "chat_template.jinja" in said
    ast.parse(said)

    def encode(rows: Rows, generate: bool = False) -> list[int]:
        return beside.encode(rendered(beside.template, rows, generate)[0])

    one, two = encode([{"role": "user", "content": ""}]), encode([{"role": "user", "content": ""}] * 2)
    begin = len(one) - (len(two) - len(one))
    given = len(encode([{"role": "user", "content": ""}], True)) - len(one)
    ids: list[int] = []
    labels: list[int] = []
    for place, message in enumerate(record["messages"]):
        row = {key: value for key, value in message.items() if key != "loss_mask"}
        found = encode([row])[begin if place and row["role"] != "system" else 0 :]
        trained = row["role"] == "assistant" and message["loss_mask"]
        ids += found
        labels += [IGNORED] * given + found[given:] if trained else [IGNORED] * len(found)
    assert ids == encode(
        [{key: value for key, value in row.items() if key != "loss_mask"} for row in record["messages"]]
    )
    return ids, labels


RULES: dict[str, Callable[[Record, Beside], Labelled]] = {
    "trl-sft": trl,
    "axolotl": axolotl,
    "xtuner": xtuner,
    "sharegpt": llamafactory,
    "verl": verl,
}
"""Who reads a format."""

WITH_LINE_END = ("trl-sft", "sharegpt", "verl")
"""Formats whose trainers also train what follows the token that ends a turn, such as a line's end."""


def trained_runs(ids: Sequence[int], labels: Sequence[int]) -> list[list[int]]:
    """The trained tokens, each stretch by itself."""
    assert len(ids) == len(labels)
    found: list[list[int]] = []
    before = False
    for token, label in zip(ids, labels, strict=True):
        if label != IGNORED:
            assert label == token
            if not before:
                found.append([])
            found[-1].append(token)
        before = label != IGNORED
    return found


def records_of(out: Path) -> list[Record]:
    """The records of a dataset, lines or Parquet."""
    if out.suffix == ".parquet":
        import pyarrow.parquet

        return list(pyarrow.parquet.read_table(out).to_pylist())
    return [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n")[:-1]]
