"""Recordings of the original, which lie beside the repository and may be absent."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).parents[2] / "shared" / "fixtures"

needs_fixtures = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/fixtures is not there")


def read_json(path: Path) -> Any:
    """A JSON file, gzip'd or not."""
    return json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
