"""The command that trains on a dataset, for each format: as its configuration says, else written here."""

from __future__ import annotations

import re
import shlex

_COMMAND = re.compile(r"^#   (\S.*)$", re.MULTILINE)

_OTHER = {
    "agent-r": (
        "no trainer reads agent-r lines as they are; trainers read the formats trl-sft (TRL), sharegpt (LLaMA-Factory),"
        " axolotl, xtuner (XTuner, ms-swift)",
    ),
    "openai": (
        "openai api files.create -p fine-tune -f {file}",
        "openai api fine_tuning.jobs.create -m gpt-4o-mini-2024-07-18 -F FILE_ID",
    ),
    "xtuner": ("swift sft --model Qwen/Qwen2.5-7B-Instruct --dataset {file}",),
}
"""For formats, or exports, without a configuration."""


def command_in(config: str) -> list[str]:
    """Returns the command that starts a configuration: the first indented comment in it."""
    found = _COMMAND.search(config)
    return [found[1]] if found else []


def other_commands(format: str, file: str) -> list[str]:
    """What trains on a file of a format for which no configuration was written; "FILE_ID" is what the first prints."""
    return [command.replace("{file}", shlex.quote(file)) for command in _OTHER.get(format, ())]
