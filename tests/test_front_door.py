"""The public API: what its page shows works, what it names is there, and asking for one name loads little."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import engine
import envs

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def test_the_script_of_the_page_runs_and_writes_a_dataset(tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "notebook-workspace/exports/first.jsonl").read_text(encoding="utf-8").splitlines()
    assert f"{len(lines)} lines in" in done.stdout
    assert len(lines) > 0


@pytest.mark.parametrize("package", [engine, envs], ids=["engine", "envs"])
def test_every_public_name_is_there(package: object) -> None:
    names = package.__all__  # type: ignore[attr-defined]
    assert names == sorted(names)
    assert all(getattr(package, name) is not None for name in names)


def test_the_page_tells_of_every_name() -> None:
    assert [name for name in engine.__all__ if name != "__version__" and not re.search(rf"\b{name}\b", PAGE)] == []


def test_a_name_that_is_not_public_is_an_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        engine.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("program", "most", "never"),
    [
        ("import engine", 1, ("gymnasium", "msgspec", "openai")),
        ("import engine.trace.trace_file", 21, ("openai", "networkx")),
        ("import engine.review.decisions", 20, ("gymnasium", "openai")),
        ("import agentr_tui.app.app", 1000, ("networkx", "openai", "tantivy")),
    ],
)
def test_what_is_not_needed_is_not_loaded(program: str, most: int, never: tuple[str, ...]) -> None:
    empty = "'.' in name and hasattr(module, '__path__')"  # a package of ours
    code = f"{program}\nimport sys\nprint(*(name for name, module in sys.modules.items() if not ({empty})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    ours = [name for name in loaded if name.startswith("engine.") and name.count(".") > 1]
    assert len(ours) <= most, ours
    assert [name for name in never if name in loaded] == []
