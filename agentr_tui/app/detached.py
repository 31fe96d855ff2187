"""A search that continues in a process of its own."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from agentr_tui.terminal.output import say, warn
from engine.base.errors import InputError
from engine.base.files import last_lines
from engine.base.untrusted_files import open_to_append
from engine.trace.trace_file import is_being_written


def flags_of(given: dict[str, Any]) -> list[str]:
    """Options as they are written on a command line."""
    flags = []
    for name, value in given.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            flags.append(flag if value else flag.replace("--", "--no-", 1))
        elif isinstance(value, list):
            for each in value:
                flags += [flag, str(each)]
        elif isinstance(value, dict):
            flags += [flag, json.dumps(value)]
        else:
            flags += [flag, str(value)]
    return flags


def run_detached(out: Path, arguments: list[str]) -> int:
    """Start the search in a process of its own that outlives this one; returns when its trace is there."""
    if is_being_written(out):
        raise InputError(f"{out}: another process is writing it: agentr attach {out} shows and steers it")
    log = Path(f"{out}.log")
    before = out.stat().st_size if out.exists() else 0
    log.parent.mkdir(parents=True, exist_ok=True)
    with open_to_append(log, anew=True) as file:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "agentr_tui", "search", *arguments],  # -P: no module of the working folder
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while process.poll() is None and (not out.exists() or out.stat().st_size <= before):
        time.sleep(0.02)
    code = process.poll()
    if code not in (None, 0):
        said = "".join(last_lines(log, 1)) or f"the search ended with code {code}"
        warn(said.removeprefix("agentr: "))
        return code or 1
    say(f"{out}: process {process.pid}; its output is in {log.name}. To watch and steer it:")
    say(f"  agentr attach {shlex.quote(str(out))}")
    return 0
