"""An index that somebody else put there: nothing but an index is read, and nothing is written through a link."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from engine.workspace.index import MOST, SCHEMA, Index

ENDLESS = (
    "CREATE VIEW entries AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    " SELECT 'x' AS kind, 'x' AS path, i AS size, i AS changed, x'00' AS body FROM n"
)
TRIGGER = (
    "CREATE TABLE entries (kind, path, size, changed, body, PRIMARY KEY (path, kind));"
    "CREATE TABLE mine (x); INSERT INTO mine VALUES (1);"
    "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM mine; END"
)
OTHERS = {
    "a view that never ends": (SCHEMA, ENDLESS),
    "a trigger": (SCHEMA, TRIGGER),
    "a database of another program": (0, "CREATE TABLE entries (id); INSERT INTO entries VALUES (1)"),
    "with a table more": (7, "CREATE TABLE entries (id); CREATE TABLE feeds (id)"),
}  # fmt: skip


def _database(path: Path, version: int, script: str) -> bytes:
    db = sqlite3.connect(path)
    db.executescript(script)
    db.execute(f"PRAGMA user_version = {version}")
    db.commit()
    db.close()
    return path.read_bytes()


def _works(index: Index, path: Path) -> None:
    """What is put in is there, and a load ends."""
    stat = os.stat(path)
    index.load("x")
    index.put("x", "p", stat, b"body")
    index.commit()
    assert index.get("x", "p", stat) == b"body"


@pytest.mark.parametrize("what", OTHERS)
def test_a_database_that_is_no_index_is_left_as_it_is(what: str, tmp_path: Path) -> None:
    before = _database(path := tmp_path / "index.sqlite", *OTHERS[what])
    with Index(path) as index:
        assert index.in_memory
        _works(index, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("end", ["", "-journal", "-wal", "-shm"])
@pytest.mark.parametrize("there", ["a database", "nothing", "a pipe"])
def test_an_index_is_not_written_through_a_link(end: str, there: str, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    path, mine = tmp_path / "w" / "index.sqlite", tmp_path / "mine"
    before = _database(mine, SCHEMA, "CREATE TABLE x (y)") if there == "a database" else None
    if there == "a pipe":
        os.mkfifo(f"{path}{end}")
    else:
        Path(f"{path}{end}").symlink_to(mine)
    with Index(path) as index:
        assert index.in_memory
        _works(index, tmp_path)
    assert (mine.read_bytes() if mine.exists() else None) == before


def test_an_index_of_another_version_and_a_damaged_one_are_made_anew(tmp_path: Path) -> None:
    about = tmp_path / "t.trace.jsonl"
    about.write_bytes(b"x")
    for data in (b"garbage" * 1000, None):
        path = tmp_path / "index.sqlite"
        if data is None:
            path.unlink()
            _database(path, SCHEMA - 1, "CREATE TABLE entries (kind, body)")
        else:
            path.write_bytes(data)
        with Index(path) as index:
            assert not index.in_memory
            _works(index, about)
        with Index(path) as index:
            assert index.get("x", "p", os.stat(about)) == b"body"


def test_an_index_of_a_hundred_gigabytes_is_not_read(tmp_path: Path) -> None:
    with Index(path := tmp_path / "index.sqlite") as index:
        _works(index, tmp_path)
    os.truncate(path, 100 << 30)  # takes no room on the disk
    with Index(path) as index:
        assert index.in_memory
    os.truncate(path, MOST)
    assert path.stat().st_size == 512 << 20
