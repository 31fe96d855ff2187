"""Files that somebody else may have written are opened in one place: what opens a file otherwise is listed here."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]

READS = {"read_text", "read_bytes"}
OPENS = {"open", "fdopen", "urlopen"}

KNOWN = {
    # the place itself
    "engine/base/untrusted_files.py": 2,
    "envs/regular_files.py": 2,
    # files of this package, or of installed ones
    "engine/datasets/trainer_configs/__init__.py": 1,
    "engine/models/prompts/__init__.py": 1,
    "engine/samples/splice.py": 1,
    "envs/agentgym/catalogue.py": 2,
    "envs/textcraft/recipes.py": 2,
    "envs/webshop/catalogue.py": 1,
    # made anew under a name of its own, or opened by the process that made it
    "engine/base/append_log.py": 3,
    "engine/base/files.py": 1,
    "engine/datasets/files.py": 1,
    "engine/trace/trace_file.py": 3,
    "engine/workspace/workspace.py": 1,
    # a cache in the user's own folder
    "envs/webshop/index.py": 2,
    # only asked for its lock, without waiting
    "engine/trace/write_lock.py": 1,
    # found regular, small and inside of the rollouts' folder before
    "engine/imports/files.py": 1,
    "engine/imports/formats/coding/openhands_sdk.py": 1,
    "engine/imports/formats/coding/reports.py": 1,
    "engine/imports/formats/evaluation/atif.py": 1,
    "engine/imports/formats/evaluation/harbor.py": 1,
    # an entry of an archive that is open
    "engine/imports/formats/evaluation/inspect_zip.py": 1,
    # devices and descriptors of this process; a log that the browser's server named
    "agentr_tui/app/print_log.py": 1,
    "agentr_tui/cli/browser_app.py": 1,
    "agentr_tui/terminal/own_output.py": 2,
    "agentr_tui/terminal/streams.py": 1,
}
"""Calls that open a file, by module. A new one belongs into `engine.base.untrusted_files`, or here with its reason."""


NO_FILES = {"Workspace", "Index", "session", "services", "_services", "self", "_bar()", "finder", "opener"}
"""What is opened and is no file: workspaces, dialogs, addresses."""


def opening(call: ast.Call) -> bool:
    """Whether a call opens a file: `open`, `path.open("rb")`, `os.open`, `path.read_text()`."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in READS:
        return isinstance(call.func, ast.Attribute)
    if name not in OPENS:
        return False
    owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    return owner.split(".")[-1] not in NO_FILES


def test_what_opens_a_file_is_known() -> None:
    found: Counter[str] = Counter()
    for folder in ("agentr_tui", "engine", "envs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call) and opening(each)]
            if calls:
                found[path.relative_to(ROOT).as_posix()] = len(calls)
    assert dict(found) == KNOWN
