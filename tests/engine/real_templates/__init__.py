"""Chat templates in the shapes of real models', written anew from their public descriptions; and their tokens.

Nothing here is a model's file. What counts is kept: what stands around messages, who may speak, what is added where.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple


class Family(NamedTuple):
    """A family's tokens as its tokenizer has them."""

    bos: str | None
    eos: str
    special: tuple[str, ...]  # tokens that are special
    tags: tuple[str, ...] = ()  # tokens of their own that are not
    tokenizer_class: str = "PreTrainedTokenizerFast"


QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>")
REAL = {
    "qwen2.5": Family(None, "<|im_end|>", QWEN, TAGS[2:], "Qwen2Tokenizer"),
    "qwen3": Family(None, "<|im_end|>", QWEN, TAGS, "Qwen2Tokenizer"),
    "llama3.1": Family(
        "<|begin_of_text|>",
        "<|eot_id|>",
        ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    "mistral": Family("<s>", "</s>", ("<unk>", "<s>", "</s>", "[INST]", "[/INST]")),
    "gemma": Family("<bos>", "<eos>", ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>")),
    "deepseek-r1": Family(
        "<｜begin▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
        ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"),
        TAGS[:2],
    ),
}


def source(name: str) -> str:
    """A family's template."""
    return (Path(__file__).parent / f"{name}.jinja").read_text(encoding="utf-8")


def config_of(name: str) -> dict[str, object]:
    """A family's `tokenizer_config.json`, with its template."""
    family = REAL[name]
    tokens = [(token, True) for token in family.special] + [(token, False) for token in family.tags]
    return {
        "tokenizer_class": family.tokenizer_class,
        "bos_token": family.bos,
        "eos_token": family.eos,
        "pad_token": family.special[0],
        "added_tokens_decoder": {
            str(place): {"content": token, "special": special} for place, (token, special) in enumerate(tokens)
        },
        "chat_template": source(name),
    }


def tokenizer_folder(place: Path, name: str) -> Path:
    """The folder of a family's tokenizer, as a download has it: its configuration and template."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "tokenizer_config.json").write_text(json.dumps(config_of(name)), encoding="utf-8")
    return place
