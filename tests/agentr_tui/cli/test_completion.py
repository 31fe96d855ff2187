"""`agentr completion`: scripts that name every command and option; bash takes and obeys its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from agentr_tui.cli.application import ALL_COMMANDS, build
from engine.datasets.formats import FORMATS
from engine.search.algorithms import ALGORITHMS
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
    for name in ("honey.trace.jsonl", "a b.trace.jsonl"):
        (tmp_path / name).touch()
    asked = {
        "agentr rev": {"revise", "review"},
        "agentr search --algo": {"--algorithm"},
        "agentr export --data-type c": {"centric"},
        "agentr search --algorithm le": {"lessons"},
        "agentr collect --env textc": {"textcraft"},
        "agentr revise --verifier prog": {"progress"},
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


@pytest.mark.parametrize(("command", "option", "known"), [
    ("search", "--algorithm", ALGORITHMS), ("collect", "--algorithm", ALGORITHMS), ("export", "--format", FORMATS),
])  # fmt: skip
def test_the_words_that_a_shell_completes_are_those_that_are_registered(
    command: str, option: str, known: dict[str, object]
) -> None:
    arguments = build([])[command].assemble_argument_collection()
    assert arguments[option].get_choices(force=True) == tuple(known)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_is_left_to_complete_files_so_that_names_with_blanks_are_one_word(tmp_path: Path) -> None:
    (tmp_path / "a b.trace.jsonl").touch()
    (tmp_path / "agentr.bash").write_text(agentr("completion", "bash").out)
    program = (
        'source ./agentr.bash; compopt() { echo "compopt $*"; }; COMP_WORDS=(agentr stats a); COMP_CWORD=2; _agentr;'
        " echo ${#COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout == "compopt -o default\n0\n"


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
@pytest.mark.parametrize("way", ["fpath=(. $fpath); autoload -Uz _agentr", "source ./_agentr"])
def test_zsh_completes_again_and_again_whichever_way_it_took_the_script(way: str, tmp_path: Path) -> None:
    (tmp_path / "_agentr").write_text(agentr("completion", "zsh").out)
    program = (
        "compdef() { functions[_agentr]=$functions[$1]; }; _arguments() { print asked; };"
        f" words=(agentr x); CURRENT=2; {way}; _agentr; _agentr; _agentr"
    )
    done = subprocess.run(["zsh", "-fc", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout.split() == ["asked"] * 3, done


def test_a_shell_that_is_not_known_is_told_with_those_that_are() -> None:
    done = agentr("completion", "tcsh")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "bash" in done.err
