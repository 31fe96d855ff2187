"""The user's own settings, read when they are needed: the command line knows how (`agentr_tui.cli.commands.config`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.verifiers.base import JudgeSettings


def _none() -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class OwnSettings:
    """Readers of what environment and settings files say. Each reads files: call it in a worker."""

    search: Callable[[], dict[str, Any]] = _none  # of a search
    judge: Callable[[], JudgeSettings] = JudgeSettings  # of the verifier `openai`
