"""Copying a text: a clipboard tool of the system, else the terminal (OSC 52), and always a file. Knows no Textual.

Over SSH and in tmux any of the ways may fail without a word, so nothing is ever only on the clipboard.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engine.base.errors import AgentrError
from engine.base.files import write_beside
from envs.user_folders import cache_folder

OSC52_MOST = 74_000
"""Bytes; terminals drop a longer sequence, or break it."""

PATIENCE = 2.0  # seconds


def tools(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> list[list[str]]:
    """Commands that put their standard input on the clipboard, those first that suit where we are."""
    found = []
    if platform == "darwin":
        found.append(["pbcopy"])
    if platform == "win32" or "WSL_DISTRO_NAME" in environment:
        found.append(["clip.exe"])
    if environment.get("WAYLAND_DISPLAY"):
        found.append(["wl-copy"])
    if environment.get("DISPLAY"):
        found += [["xclip", "-selection", "clipboard"], ["xsel", "--clipboard", "--input"]]
    if environment.get("TMUX"):
        found.append(["tmux", "load-buffer", "-w", "-"])  # its own buffer, and on to the terminal outside
    return [command for command in found if shutil.which(command[0])]


def copied_file(suffix: str) -> Path:
    """Returns the file with the text that was copied last."""
    return cache_folder() / f"copied.{suffix}"


def copy(text: str, suffix: str, osc52: Callable[[str], object], commands: Sequence[list[str]] | None = None) -> str:
    """Copy a text every way there is; returns a line that says where it went. May block for `PATIENCE` seconds a tool.
    Never raises: the line also says what fails.

    `text`: what to copy. `suffix`: of the file that it is always written to. `osc52`: hands the text to the terminal.
    `commands`: clipboard tools to try; None: those of this system.
    """
    data = text.encode("utf-8", "replace")
    ways = []
    for command in tools() if commands is None else commands:
        try:
            # A tool that stays to serve the clipboard keeps what it inherits: give it nothing to hold.
            done = subprocess.run(
                command, input=data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PATIENCE, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            ways.append(command[0])
            break
    if not ways and len(data) <= OSC52_MOST:
        osc52(data.decode())  # half a letter, as in the name of a file, can't be sent
        ways.append("the terminal, if it takes it")
    file = copied_file(suffix)
    try:
        write_beside(file, lambda stream: stream.write(data))
        ways.append(str(file))
    except (OSError, AgentrError) as error:
        ways.append(f"no file ({error})")
    return f"{len(text)} characters → {' · '.join(ways)}"
