"""How a dataset is made, as options of commands."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal, TypedDict

from agentr_tui.cli.options import DATASET, OUTPUT, RECORDS, SAMPLES, option_of
from engine.datasets.files import Packing
from engine.datasets.options import ExportOptions

_option = partial(option_of, ExportOptions)


class ExportFlags(TypedDict, total=False):
    """How a dataset is made: one option for each field of `ExportOptions` that a person gives."""

    split: Annotated[
        str, _option(DATASET, "split", "Parts of the dataset, split by task, for example train=0.9,dev=0.1.")
    ]
    mix: Annotated[
        str,
        _option(
            DATASET,
            "mix",
            "Mix lines of other datasets into the first part, as shares of it, for example FILE:0.2 or A:0.2,B:0.1.",
        ),
    ]
    shuffle: Annotated[
        bool,
        _option(DATASET, "shuffle", "Shuffle the lines in a seeded order. The default is to shuffle only with --mix."),
    ]
    seed: Annotated[int, _option(DATASET, "seed", "Seed of split, mix and order.")]
    shards: Annotated[int, _option(DATASET, "shards", "Number of files of each part.")]
    compress: Annotated[
        Packing, _option(DATASET, "compress", "Compression of the files. The default follows the file's name.")
    ]
    max_length: Annotated[int, _option(RECORDS, "max_length", "Maximum tokens of one record.")]
    tokenizer: Annotated[
        str,
        _option(
            RECORDS,
            "tokenizer",
            "File tokenizer.json to count tokens with. The format trl-sft writes token ids with it.",
        ),
    ]
    chat_template: Annotated[
        str, _option(RECORDS, "chat_template", "Chat template in which tokens are counted: chatml or llama3.")
    ]
    for_model: Annotated[
        str,
        _option(
            RECORDS,
            "for_model",
            "Model whose chat template to follow: a tokenizer's folder, a model in a local cache, or a family.",
        ),
    ]
    no_system: Annotated[
        bool,
        _option(
            RECORDS,
            "no_system",
            "Put the system message at the head of the first user turn.",
            name="--no-system",
            negative=(),
        ),
    ]
    control_tokens: Annotated[
        Literal["report", "escape"],
        _option(
            RECORDS,
            "control_tokens",
            "What to do about control tokens of chat templates in texts: report them, or escape them.",
        ),
    ]
    redact: Annotated[
        bool,
        _option(
            RECORDS,
            "redact",
            "Replace strings that look like access keys. The default is to leave such samples out.",
        ),
    ]
    reasoning: Annotated[bool, _option(RECORDS, "reasoning", "Write the model's reasoning before each trained turn.")]
    loss_weight: Annotated[
        bool, _option(RECORDS, "loss_weight", "Write the loss mask as loss weights (format sharegpt).")
    ]
    first_step: Annotated[
        bool, _option(RECORDS, "first_step", "Write only the first step after the fork (format trl-dpo).")
    ]
    per_lesson: Annotated[
        int, _option(SAMPLES, "per_lesson", "Maximum samples of one lesson over all runs. With 0, all are kept.")
    ]
    strict: Annotated[bool, _option(RECORDS, "strict", "Refuse the whole export if a record breaks a rule.")]
    config: Annotated[bool, _option(OUTPUT, "config", "Write a configuration file for the format's trainer.")]
    licence: Annotated[str, _option(OUTPUT, "licence", "Licence of the dataset, for its card.")]
