"""A tiny model with random weights and the made tokenizer, saved as a trainer loads it. Needs transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.engine.real_templates import REAL, Family, source
from tests.trainers import reading


def tiny_model(place: Path, family: str = "") -> Path:
    """A Qwen 2 of one layer with its tokenizer, in that folder; `family`: with that family's template and tokens."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = tiny_tokenizer(family)
    tokenizer.save_pretrained(place)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    Qwen2ForCausalLM(config).save_pretrained(place)
    return place


def tiny_tokenizer(family: str = "") -> Any:
    """The made tokenizer as transformers has it, with ChatML or a family's template as its own."""
    from transformers import PreTrainedTokenizerFast

    own = REAL[family] if family else Family(None, "<|im_end|>", ())
    tokens = {"eos_token": own.eos, "pad_token": "<|endoftext|>", **({"bos_token": own.bos} if own.bos else {})}
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(reading.folder("tokenizer.json")), **tokens)
    tokenizer.chat_template = source(family) if family else reading.TEMPLATE
    return tokenizer
