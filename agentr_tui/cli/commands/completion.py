"""The command `completion`: the script with which a shell completes commands, options and their words."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from agentr_tui.cli.application import build
from agentr_tui.cli.options import OUTPUT
from agentr_tui.terminal.own_output import own_output

PROGRAM = "agentr"
BASH_FILES = 'COMPREPLY=( $(compgen -f -- "${cur}") )'
"""What Cyclopts writes where a file completes: it splits names at blanks and does not quote them."""
BASH_END = f"""
_agentr_files() {{
  COMPREPLY=()
  compopt -o default 2> /dev/null || {BASH_FILES}
}}
"""
"""Lets bash itself complete a file, which quotes names; versions before 4 cannot be asked to."""
ZSH_END = """
if [[ $funcstack[1] == _agentr ]]; then
  _cyclopts_agentr "$@"
else
  compdef _cyclopts_agentr agentr
fi
"""
"""Uses the function that the script defines, whether zsh loads the file by its name (`_agentr` in `$fpath`) or `.zshrc`
reads it: without this, only the first completion of a shell works."""


def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"], Parameter(group=OUTPUT, help="Shell that is to complete.")
    ],
    /,
) -> int:
    """Print the script with which a shell completes commands, options, their words and files."""
    script = build([], refuse=False).generate_completion(prog_name=PROGRAM, shell=shell)
    if shell == "bash":
        script = script.replace(BASH_FILES, "_agentr_files") + BASH_END
    elif shell == "zsh":
        script += ZSH_END
    own_output().write(script)
    return 0
