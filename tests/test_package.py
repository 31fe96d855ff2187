"""What a stranger gets from the package index: both archives are built, and the demo runs from the wheel alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, inside: Path) -> str:
    """What a command prints; it sees neither this clone nor the environment of the tests."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    kept |= {"HOME": str(inside), "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=inside, env=kept)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(600)
def test_a_wheel_made_of_the_sdist_runs_the_demo_in_an_empty_environment(tmp_path: Path) -> None:
    dist, empty, work = tmp_path / "dist", tmp_path / "empty", tmp_path / "work"
    work.mkdir()
    run(sys.executable, "-m", "build", "--outdir", dist, ROOT, inside=work)  # the wheel is made of the sdist
    (wheel,) = dist.glob("*.whl")
    assert len(list(dist.glob("*.tar.gz"))) == 1
    run(sys.executable, "-m", "venv", "--without-pip", empty, inside=work)  # pip and compiled files take half the time
    install = ("-m", "pip", "--python", empty / "bin" / "python", "install", "--no-compile", "--quiet")
    run(sys.executable, *install, wheel, inside=work)
    program = "import engine, envs; print(engine.__path__, envs.__path__)"
    where = run(empty / "bin" / "python", "-c", program, inside=work)
    assert str(empty) in where
    assert str(ROOT) not in where
    said = run(empty / "bin" / "agentr", "demo", "--headless", inside=work)
    exported = [path for path in work.rglob("*.jsonl") if path.name in said]
    assert exported, said
    assert all(path.stat().st_size for path in exported)
    said = run(empty / "bin" / "agentr", "envs", inside=work)
    assert "textcraft" in said
