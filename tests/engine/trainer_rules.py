"""How each trainer reads a record of its format: the rules of its own source, written down again in a few lines.

Each function gives the conversation that the trainer sees and, for each message, whether it is trained. No trainer is
run here; `docs/formats.md` names the versions.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Heard = list[tuple[str, str, bool]]
"""Role, text and mask of each message."""

Record = dict[str, Any]


def openai(record: Record) -> Heard:
    """OpenAI's fine-tuning: an assistant's message is trained unless its weight is 0."""
    return [
        (message["role"], message["content"], message["role"] == "assistant" and message.get("weight", 1) == 1)
        for message in record["messages"]
    ]


OPENAI_MOST_BYTES = 512_000_000
OPENAI_FEWEST = 10  # examples

OPENAI_LINE = {
    "type": "object",
    "required": ["messages"],
    "additionalProperties": False,
    "properties": {
        "messages": {
            "type": "array",
            "minItems": 1,
            "items": {
                "oneOf": [
                    {
                        "type": "object",
                        "required": ["role", "content"],
                        "additionalProperties": False,
                        "properties": {
                            "role": {"enum": ["system", "user"]},
                            "content": {"type": "string", "minLength": 1},
                        },
                    },
                    {
                        "type": "object",
                        "required": ["role", "content"],
                        "additionalProperties": False,
                        "properties": {
                            "role": {"const": "assistant"},
                            "content": {"type": "string", "minLength": 1},
                            "weight": {"enum": [0, 1]},
                        },
                    },
                ]
            },
        }
    },
}
"""A line of supervised fine-tuning by OpenAI's published schema, as far as texts go."""


def openai_problems(file: bytes) -> list[str]:
    """What OpenAI's published rules for a fine-tuning file find wrong with one."""
    import jsonschema

    problems = ["the file is too large"] if len(file) > OPENAI_MOST_BYTES else []
    lines = file.decode("utf-8").split("\n")[:-1]
    if len(lines) < OPENAI_FEWEST:
        problems.append(f"{len(lines)} examples, at least {OPENAI_FEWEST} are needed")
    for number, line in enumerate(lines, 1):
        record = json.loads(line)
        for error in jsonschema.Draft202012Validator(OPENAI_LINE).iter_errors(record):
            problems.append(f"{number}: {error.message}")
        roles = [message["role"] for message in record["messages"]]
        if roles[-1] != "assistant":
            problems.append(f"{number}: the last message is not the assistant's")
        if "system" in roles[1:]:
            problems.append(f"{number}: the system speaks later than first")
        if not any(heard for _, _, heard in openai(record)):
            problems.append(f"{number}: nothing is trained")
    return problems


def xtuner(record: Record) -> Heard:
    """XTuner 0.2.0, `openai_map_fn`: leading responses are skipped, what precedes a response is joined to its input."""
    heard: Heard = []
    messages = list(record["messages"])
    while messages and messages[0]["role"] == "assistant":
        messages.pop(0)
    waiting: Heard = []
    for message in messages:
        if message["role"] != "assistant":
            waiting.append((message["role"], message["content"], False))
            continue
        trained = str(message.get("loss", "True")).lower() == "true"
        heard += [*waiting, ("assistant", message["content"], trained)]
        waiting = []
    return heard  # what follows the last response is lost


def xtuner_1(record: Record) -> Heard:
    """XTuner's version 1, `ChatMsg`: whoever speaks is trained where `loss` says so; without it the assistant is."""
    return [
        (
            message["role"],
            message["content"],
            message["role"] == "assistant" if message.get("loss") is None else message["loss"],
        )
        for message in record["messages"]
    ]


def ms_swift(record: Record) -> Heard:
    """ms-swift 4.6.0, `LossScale` with its default strategy: pairs of query and response, `loss` of the response."""
    messages = list(record["messages"])
    heard: Heard = []
    if messages[0]["role"] == "system":
        heard.append(("system", messages.pop(0)["content"], False))
    assert len(messages) % 2 == 0  # else the last response would be to be generated
    for query, response in zip(messages[::2], messages[1::2], strict=True):
        assert (query["role"], response["role"]) == ("user", "assistant")
        loss = response.get("loss")
        heard += [("user", query["content"], False), ("assistant", response["content"], bool(loss or loss is None))]
    return heard


def xtuner_rounds(record: Record) -> Heard:
    """XTuner 0.2.0, `encode_fn`: a round is trained unless `output_with_loss` says otherwise."""
    heard: Heard = []
    for row in record["conversation"]:
        if row.get("system"):
            heard.append(("system", row["system"], False))
        heard.append(("user", row["input"], False))
        heard.append(("assistant", row["output"], bool(row.get("output_with_loss", True))))
    return heard


def agent_r(record: Record) -> Heard:
    """The original: a message is trained where `loss` is true."""
    return [(row["role"], row["content"], bool(row.get("loss", False))) for row in record["revise_log"]]


def trl_sft(record: Record) -> Heard:
    """TRL 1.16.0: the completion is trained, less what the template does not mark as the assistant's."""
    assert record["prompt"][-1]["role"] == "user"  # the generation prompt follows it
    prompt = [(message["role"], message["content"], False) for message in record["prompt"]]
    completion = [
        (message["role"], message["content"], message["role"] == "assistant") for message in record["completion"]
    ]
    return prompt + completion


def llamafactory(record: Record) -> Heard:
    """LLaMA-Factory 0.9.5 with `mask_history`: `SharegptDatasetConverter`, and the last turn alone is trained."""
    names = {"human": "user", "gpt": "assistant", "system": "system"}
    rows = list(record["conversations"])
    heard: Heard = []
    if rows[0]["from"] == "system":
        heard.append(("system", rows.pop(0)["value"], False))
    assert len(rows) % 2 == 0  # else the record is skipped
    for place, row in enumerate(rows):
        assert row["from"] == ("human", "gpt")[place % 2]  # else the record is skipped
        heard.append((names[row["from"]], row["value"], place == len(rows) - 1))
    return heard


def llamafactory_1(record: Record) -> Heard:
    """Version 1 of LLaMA-Factory (in 0.9.5): `loss_weight` of each message, 1 for the assistant where it is missing."""
    heard: Heard = []
    for message in record["messages"]:
        text = "".join(part["value"] for part in message["content"] if part["type"] == "text")
        weight = message.get("loss_weight", 1.0 if message["role"] == "assistant" else 0.0)
        heard.append((message["role"], text, weight > 1e-6))
    return heard


def axolotl(record: Record) -> Heard:
    """axolotl with `message_field_training: train` and `roles_to_train: []`."""
    return [
        (message["role"], message["content"], bool(message["train"]) if message.get("train") is not None else False)
        for message in record["messages"]
    ]


READERS: dict[str, list[Callable[[Record], Heard]]] = {
    "agent-r": [agent_r],
    "agent-r-rewrite": [xtuner_rounds],
    "openai": [openai],
    "xtuner": [xtuner, xtuner_1, ms_swift],
    "trl-sft": [trl_sft],
    "sharegpt": [llamafactory],
    "axolotl": [axolotl],
}
"""For each format of conversations, who reads it."""
