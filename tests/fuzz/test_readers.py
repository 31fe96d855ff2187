"""Whatever stands in a file of somebody else's: its reader gives a result or a typed error of one line.

The suite tries some inputs of each reader; `make fuzz` as many as an hour takes (`AGENTR_FUZZ` inputs a reader).
"""

from __future__ import annotations

import os
import resource
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.mutations import mutated
from tests.fuzz.readers import READERS, read, seeds

INPUTS = int(os.environ.get("AGENTR_FUZZ", "0"))
SLOW = {
    "settings": 4, "index": 15, "round-file": 2, "gym-answers": 15, "model-server": 15, "command": 20, "resumed": 6,
    "run-command": 12,
}  # fmt: skip
"""Readers of which the suite tries fewer inputs."""

MOST_SECONDS, MOST_BYTES = 5.0, 1 << 30


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.timeout(0)
def test_any_bytes_give_a_result_or_a_typed_error(reader: str, tmp_path: Path) -> None:
    tried = slowest = 0.0

    @settings(
        max_examples=INPUTS or SLOW.get(reader, 60),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated(seeds(reader)))
    def attack(data: bytes) -> None:
        nonlocal tried, slowest
        began = time.process_time()
        try:
            read(reader, data, tmp_path / "w")
        finally:
            shutil.rmtree(tmp_path / "w", ignore_errors=True)
        tried, slowest = tried + 1, max(slowest, time.process_time() - began)

    attack()
    assert slowest < MOST_SECONDS, "seconds of this process for one input"
    if INPUTS:
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10 < MOST_BYTES
        print(f"{reader}: {tried:.0f} inputs, the slowest took {slowest:.2f} s")


@pytest.mark.parametrize("reader", READERS)
def test_the_good_files_of_the_corpus_are_read(reader: str, tmp_path: Path) -> None:
    for number, data in enumerate(seeds(reader)):
        if reader == "refusal":
            continue  # a server's refusals
        if number and (reader.endswith("-server") or reader == "command"):
            continue  # refusals of servers; a trace of a task that is none
        if reader == "answer" and not data.startswith((b'{"choices"', b"data:")):
            continue  # texts that a model says, and a server's refusal
        assert read(reader, data, tmp_path / str(number)), number
