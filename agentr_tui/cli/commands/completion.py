"""The command `completion`: the script with which a shell completes commands, options and their words."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from agentr_tui.cli.application import build
from agentr_tui.cli.options import OUTPUT
from agentr_tui.terminal.own_output import own_output

PROGRAM = "agentr"


def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"], Parameter(group=OUTPUT, help="Shell that is to complete.")
    ],
    /,
) -> int:
    """Print the script with which a shell completes commands and options."""
    own_output().write(build([], refuse=False).generate_completion(prog_name=PROGRAM, shell=shell))
    return 0
