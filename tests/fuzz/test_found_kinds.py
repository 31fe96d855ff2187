"""The kinds of bytes that once ended a reader with a traceback, or held it for ever: each of them × each reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.readers import READERS, read, seeds

KINDS: dict[str, bytes] = {
    "nothing": b"",
    "line ends": b"\n" * 1000,
    "zero bytes": b"\0" * 100_000,
    "all bytes": bytes(range(256)) * 4,
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"a":' * 200_000,
    "a deep value after a good key": b'{"type":"started","version":1,"seq":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    "5,000 digits": b"1" + b"0" * 5000,
    "a key of 5,000 digits": b'{"seq":1' + b"0" * 5000 + b',"step":1' + b"0" * 5000 + b"}\n",
    "a float beyond all floats": b'{"value": 1e999999, "step": -1e999999}',
    "half a surrogate pair": b'{"id": "\\ud800", "task": "\\udfff", "mode": "\\ud83d"}\n',
    "a byte order mark": b"\xef\xbb\xbf{}\n",
    "UTF-16": '{"a": 1}\n'.encode("utf-16"),
    "a name twice": b'{"id": 1, "id": "a", "type": "started", "type": "done"}\n',
    "other kinds": b'[null, true, {}, [], "a", 0]\n{"type": {}, "seq": [], "id": null}\n',
    "a packed file that is cut off": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab",
    "a zstandard frame that is none": b"\x28\xb5\x2f\xfd" + b"\xff" * 200,
    "a zip that is none": b"PK\x03\x04" + b"\0" * 60 + b"PK\x05\x06" + b"\xff" * 18,
}


SHORTER = {"answer": 1_000, "calls": 300, "lines": 20_000, "jinja": 50_000}
"""Bytes that readers get which take seconds for more: what a model says, what a person types, a template."""


COSTLY = {"calls", "resumed", "model-server", "run-command"}
"""Readers that run much for each input: they get every third kind, and a torn good file."""


@pytest.mark.parametrize("reader", READERS)
def test_no_kind_that_was_found_ends_a_reader_otherwise_than_in_a_line(reader: str, tmp_path: Path) -> None:
    good = seeds(reader)[0]
    kinds = [data[: SHORTER.get(reader)] for data in KINDS.values()][:: 3 if reader in COSTLY else 1]
    for number, data in enumerate(kinds):
        read(reader, data, tmp_path / f"{number}")
    for number, data in enumerate(kinds[3:9] if reader not in COSTLY else kinds[:1]):
        read(reader, good.rstrip(b"\n") + b"\n" + data, tmp_path / f"after-{number}")
        read(reader, good[: len(good) // 2] + data, tmp_path / f"within-{number}")
