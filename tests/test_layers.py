"""The engine and the environments know no terminal."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import importlib, pkgutil, sys
for name in {names!r}:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        importlib.import_module(module.name)
print(sorted({{module.partition(".")[0] for module in sys.modules}} & {{"textual", "rich", "agentr_tui", "engine"}}))
"""


@pytest.mark.parametrize(("names", "allowed"), [(["engine", "envs"], "['engine']"), (["envs"], "[]")])
def test_a_fresh_interpreter_that_imports_all_of_it_loads_no_terminal(names: list[str], allowed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(names=names)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == allowed
