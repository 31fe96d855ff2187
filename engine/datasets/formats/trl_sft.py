"""`trl-sft`: prompt and completion for TRL's SFT trainer.

TRL has no mask on messages. It trains the completion of a prompt (`completion_only_loss`, on by itself where a record
has the two), and of that only what the chat template marks as the assistant's (`assistant_only_loss: true`): the
intersection is the mask. So the conversation is cut before its first trained turn; the untrained turns of the
assistant lie in the prompt, the environment's replies in the completion are taken out by the template. A conversation
in which an untrained turn follows a trained one gets a record for each run of trained turns.

With a tokenizer, a record holds `input_ids` and `labels` instead: the mask is then in the labels alone, and TRL takes
them as they are.

Calls of tools are messages as OpenAI has them, beside a column `tools`; the chat template writes them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.datasets.formats.base import Format, Record, register
from engine.datasets.formats.masks import TOOLS, conversation_problems, plain, runs, tools_column, within
from engine.datasets.formats.options import FormatOptions
from engine.datasets.formats.rules import ROLES, SHAPE, UNTRAINED
from engine.datasets.templates.tokens import IGNORED
from engine.samples.splice import Turn


def conversation(turns: Sequence[Turn], options: FormatOptions) -> list[Record]:
    """A record for each run of trained turns; one in all with a tokenizer."""
    kept = within(turns, options)
    if options.vocabulary is not None:
        if not kept:
            return []
        input_ids, labels = options.vocabulary.tokenize(kept)
        return [{"input_ids": input_ids, "labels": labels}]
    messages = plain(kept, options.reasoning)
    tools = tools_column(kept, options)
    return [{"prompt": messages[:first], "completion": messages[first:last], **tools} for first, last in runs(kept)]


def validate(record: Record) -> list[str]:
    """What is wrong with a record."""
    if tuple(record) == ("input_ids", "labels"):
        return token_problems(record["input_ids"], record["labels"])
    if tuple(record) not in (("prompt", "completion"), ("prompt", "completion", TOOLS)):
        return [SHAPE]
    return prompted_problems(record["prompt"], record["completion"])


def prompted_problems(prompt: Any, completion: Any) -> list[str]:
    """What is wrong with the messages of a prompt and what follows it."""
    if not isinstance(prompt, list) or not isinstance(completion, list):
        return [SHAPE]
    if not completion:
        return [UNTRAINED]
    problems = conversation_problems(prompt + completion, lambda role: ("role", "content"))
    if SHAPE not in problems and completion[0]["role"] != "assistant":
        problems.append(ROLES)
    return problems


def token_problems(input_ids: Any, labels: Any) -> list[str]:
    """What is wrong with token ids and labels."""
    if not isinstance(input_ids, list) or not isinstance(labels, list) or len(input_ids) != len(labels):
        return [SHAPE]
    if any(type(id) is not int or type(label) is not int for id, label in zip(input_ids, labels, strict=True)):
        return [SHAPE]
    if any(label not in (IGNORED, id) for id, label in zip(input_ids, labels, strict=True)):
        return ["a label that is not its token"]
    return [] if any(label != IGNORED for label in labels) else [UNTRAINED]


register(
    Format(
        name="trl-sft",
        summary="prompt and completion for TRL's SFT trainer; token ids and labels with --tokenizer",
        array=False,
        extension=".jsonl",
        data_types=("centric", "good"),
        mask="the completion begins with the first trained turn; in it the chat template marks the assistant's turns"
        " (`assistant_only_loss: true`); with --tokenizer, labels are -100 where a token is not trained",
        validate=validate,
        conversation=conversation,
        columns=True,
        thinks=True,
        calls="native",
        trainer="trl-sft",
    )
)
