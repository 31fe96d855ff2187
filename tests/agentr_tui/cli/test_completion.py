"""`agentr completion`: scripts that name every command and option; bash takes and obeys its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from agentr_tui.cli.application import ALL_COMMANDS
from tests.agentr_tui.cli.test_cli import agentr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_the_script_of_each_shell_names_every_command_and_the_words_of_an_option(shell: str) -> None:
    done = agentr("completion", shell)
    assert (done.code, done.err) == (0, "")
    for word in (*ALL_COMMANDS, "data-type", "centric", "straight"):
        assert word in done.out, word


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_options_their_words_and_files(tmp_path: Path) -> None:
    (tmp_path / "agentr.bash").write_text(agentr("completion", "bash").out)
    (tmp_path / "honey.trace.jsonl").touch()
    asked = {
        "agentr rev": {"revise", "review"},
        "agentr search --algo": {"--algorithm"},
        "agentr export --data-type c": {"centric"},
        "agentr stats hon": {"honey.trace.jsonl"},
    }
    for line, wanted in asked.items():
        words = line.split()
        program = (
            f"source ./agentr.bash; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1};"
            f" COMP_LINE='{line}'; COMP_POINT={len(line)}; _agentr; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert set(done.stdout.split()) == wanted, (line, done)


def test_a_shell_that_is_not_known_is_told_with_those_that_are() -> None:
    done = agentr("completion", "tcsh")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "bash" in done.err
