"""Recordings of the original. Those of TextCraft are in the repository; the others lie beside it and may be absent."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from envs import base

RECORDINGS = Path(__file__).parent / "recordings"
SHARED = Path(__file__).parents[2] / "shared" / "fixtures"
ABSENT = "../shared/fixtures is not there"

needs_fixtures = pytest.mark.skipif(not SHARED.is_dir(), reason=ABSENT)


def recording(name: str) -> Path:
    """The folder of a recorded search of the original, such as `textcraft/113`."""
    here = RECORDINGS / "agent-r" / name
    return here if here.is_dir() else SHARED / "agent-r" / name


def recorded(*names: str) -> list[Any]:
    """Recorded searches as parameters of a test; one that is not there is skipped, with the reason."""
    return [
        pytest.param(name, marks=[] if recording(name).is_dir() else pytest.mark.skip(reason=ABSENT)) for name in names
    ]


def read_json(path: Path) -> Any:
    """A JSON file, gzip'd or not."""
    return json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())


@contextmanager
def own_environments() -> Iterator[None]:
    """Environments that are registered within are forgotten after it."""
    known = base._registered()
    before = dict(known)
    try:
        yield
    finally:
        known.clear()
        known.update(before)
