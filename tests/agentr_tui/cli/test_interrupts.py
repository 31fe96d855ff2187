"""An interrupt ends a command at any moment, also where Python drops it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

DROPPED = """
import os, signal, sys, time, weakref
from agentr_tui.cli import interrupts

class Held:
    pass

def interrupt(*_):
    signal.raise_signal(getattr(signal, sys.argv[1]))

with interrupts.heard():
    try:
        held = Held()
        called_back = weakref.ref(held, interrupt)
        del held  # the interrupt comes in a callback, which nobody called
        print("goes on", flush=True)
        while True:
            time.sleep(0.01)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
"""

STUCK = """
import sys, threading, time
from agentr_tui.cli import interrupts

interrupts.PATIENCE = 0.1
threading.Thread(target=time.sleep, args=(1000,)).start()
interrupts.end_soon(7)
sys.exit(7)
"""

HANGS = """
import ctypes
from agentr_tui.cli import interrupts

interrupts.PATIENCE = interrupts.LAST_PATIENCE = 0.1
interrupts.end_soon(7)
ctypes.PyDLL(None).sleep(1000)  # as a library that hangs while the interpreter is taken down: no thread gets to run
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_an_interrupt_that_python_drops_comes_again(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", DROPPED, name], capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:2] == ["goes on", "interrupted"]
    assert done.stderr == "", "no traceback"
    assert done.returncode < 0, "afterwards a signal ends the process without a word"


def test_a_thread_that_goes_on_holds_up_no_exit() -> None:
    assert subprocess.run([sys.executable, "-c", STUCK], timeout=60).returncode == 7


@pytest.mark.skipif(sys.platform == "win32", reason="no alarm clock there")
def test_where_no_thread_runs_any_more_a_signal_ends_the_process() -> None:
    assert subprocess.run([sys.executable, "-c", HANGS], timeout=60).returncode == -signal.SIGALRM
