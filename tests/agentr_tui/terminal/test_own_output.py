"""Standard output holds what the tool says, whatever environments print."""

import json
import subprocess
import sys
from pathlib import Path

NOISY = """
import os, subprocess, sys
import gymnasium
from gymnasium.spaces import Text

def noise(where):
    print("NOISE printed", where)
    sys.stdout.write("NOISE written, no line end")
    os.write(1, b"NOISE of a library in C\\n")

noise("import")

class Noisy(gymnasium.Env):
    action_space = observation_space = Text(500)

    def __init__(self):
        noise("init")
        subprocess.run(["echo", "NOISE of a child"])

    def reset(self, *, seed=None, options=None):
        noise("reset")
        return "A hall. Goal: get out.", {"valid_actions": ["look", "open"]}

    def step(self, action):
        noise("step")
        return "So it is.", float(action == "open"), action == "open", False, {"valid_actions": ["look", "open"]}

    def close(self):
        noise("close")

gymnasium.register("Noisy-v0", entry_point=Noisy)
"""

COMMANDS = """
from agentr_tui.cli.main import run
from agentr_tui.terminal.own_output import claim_stdout, own_output
claim_stdout()
E, W = "gym:noisy:Noisy-v0", "--workspace=w"
for words in (
    ["search", "--env", E, "--iterations=2", "--max-depth=3", "--out=a.trace.jsonl", W],
    ["replay", "a.trace.jsonl", "--json"],
    ["revise", "a.trace.jsonl", "--json", W],
    ["export", "--out=x.jsonl", "--json", W],
    ["stats", "a.trace.jsonl", "--json"],
    ["envs", "--json"],
    ["--version"],
):
    assert run(words) == 0, words
own_output().flush()
"""

APP = """
import os, subprocess, sys
from textual.app import App
from agentr_tui.app.print_log import kept_off_screen
app = App()
with kept_off_screen(app) as told:
    os.write(1, b"NOISE\\n")
    os.write(2, b"NOISE\\n")
    subprocess.run(["echo", "NOISE of a child"])
    app._print("NOISE printed")
    print("drawn", file=sys.__stderr__)
    print("said at the end of the app", file=sys.stderr)
print(*told)
with kept_off_screen(App()) as told:
    pass
print(len(told))
"""


def program(text: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    with (folder / "out.txt").open(
        "w+"
    ) as out:  # a pipe and a file: what holds of the one must not be held of the other
        command = [sys.executable, "-c", text]
        done = subprocess.run(command, cwd=folder, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
        out.seek(0)
        done.stdout = out.read()
    return done


def test_what_an_environment_prints_in_any_way_never_stands_in_the_output_of_a_command(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(NOISY)
    done = program(COMMANDS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "NOISE" not in done.stdout
    for sound in ("printed import", "printed reset", "written", "of a library in C", "of a child", "printed close"):
        assert f"NOISE {sound}" in done.stderr
    searched, *objects, version = done.stdout.splitlines()
    assert searched.startswith("a.trace.jsonl: ")
    assert [bool(json.loads(line)) for line in objects] == [True] * 5
    assert version[0].isdigit()


def test_what_is_printed_while_the_app_runs_is_kept_off_the_screen_and_its_log_is_told_once(tmp_path: Path) -> None:
    done = program(APP, tmp_path)
    assert done.stderr.split("\n") == ["drawn", "said at the end of the app", ""]
    told, empty = done.stdout.splitlines()
    log = Path(told.rpartition(": ")[2])
    assert log.read_text().count("NOISE") == 4
    assert empty == "0"
    log.unlink()
