"""The index of a workspace: what was computed of a file, kept until the file changes.

A cache in `index.sqlite` and nothing else: an entry holds while the file's size, its time of change and this
module's `SCHEMA` are as they were. It is made again where it is missing or damaged; where the workspace can't be
written (or the file system has no locks) it lives in memory, and so it does where anything but an index stands in its
place: a link, a pipe, a database of another program. Deleting it loses nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from types import TracebackType

from engine.base.close_on_failure import closed_on_failure

SCHEMA = 4
"""Raise it whenever what is kept of a file changes its meaning: older indexes are thrown away."""

MOST = 1 << 29
"""Bytes of an index that is read: some hundred thousand traces."""

_TABLE = """
CREATE TABLE IF NOT EXISTS entries (
    kind TEXT NOT NULL,
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (kind, path)
) WITHOUT ROWID"""
_OURS = ("table", "entries", _TABLE.replace("IF NOT EXISTS ", "").strip())
"""All that the schema of an index holds."""

_BATCH = 50  # entries a transaction: a killed rebuild loses few


class Index:
    """Bodies by kind and path. Not shared between threads; any number of processes may have it open."""

    def __init__(self, path: Path | None = None) -> None:
        """Open the index at `path`; None keeps it in memory."""
        self.path = path
        self._waiting = 0  # entries since the last commit
        self._loaded: dict[str, dict[str, tuple[int, int, bytes]]] = {}  # kind → path → size, change, body
        self._read_only = False
        self._db = self._open(path)

    @property
    def in_memory(self) -> bool:
        """Whether it is lost when closed."""
        return self.path is None

    def _open(self, path: Path | None) -> sqlite3.Connection:
        if path is not None and all(_may_be_ours(f"{path}{end}") for end in ("", "-journal", "-wal", "-shm")):
            for _ in range(2):
                try:
                    return _connect(str(path))
                except sqlite3.OperationalError:
                    break  # locked, read-only, no such folder, of another program: the file itself may be fine
                except (sqlite3.DatabaseError, UnicodeError):
                    with suppress(OSError):
                        path.unlink()  # damaged: make it again
        self.path = None
        return _connect(":memory:")

    def load(self, kind: str) -> None:
        """Read all entries of a kind at once: for thousands of them, much faster than one by one."""
        query = "SELECT path, size, changed, body FROM entries WHERE kind = ?"
        try:
            self._loaded[kind] = {row[0]: row[1:] for row in self._db.execute(query, (kind,))}
        except (sqlite3.Error, UnicodeError):
            self._go_to_memory()

    def get(self, kind: str, path: str, stat: os.stat_result) -> bytes | None:
        """Returns what was kept of a file; None where there is nothing, or the file changed.

        `kind`: what it is. `path`: the absolute path of the file. `stat`: of the file now.
        """
        known = self._loaded.get(kind, {}).get(path)
        if known is not None and known[:2] == (stat.st_size, stat.st_mtime_ns):
            return known[2] if isinstance(known[2], bytes) else None
        query = "SELECT body FROM entries WHERE kind = ? AND path = ? AND size = ? AND changed = ?"
        try:
            found = self._db.execute(query, (kind, path, stat.st_size, stat.st_mtime_ns)).fetchone()
        except (sqlite3.Error, UnicodeError):
            self._go_to_memory()
            return None
        return found[0] if found is not None and isinstance(found[0], bytes) else None

    def put(self, kind: str, path: str, stat: os.stat_result, body: bytes) -> None:
        """Keep something of a file.

        `kind`: what it is. `path`: the absolute path of the file. `stat`: of the file when it was read. `body`: what to
        keep.
        """
        row = (kind, path, stat.st_size, stat.st_mtime_ns, body)
        self._write(lambda: self._db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", row))
        self._waiting += 1
        if self._waiting >= _BATCH:
            self.commit()

    def commit(self) -> None:
        """Write what waits."""
        self._waiting = 0
        self._write(self._db.commit)

    def _write(self, work: Callable[[], object]) -> None:
        if self._read_only:
            return
        try:
            work()
        except sqlite3.OperationalError:  # read-only, locked, a full disk: what it holds can still be read
            self._read_only = True
            with suppress(sqlite3.Error):
                self._db.rollback()
        except sqlite3.Error:
            self._go_to_memory()

    def _go_to_memory(self) -> None:
        with suppress(sqlite3.Error):
            self._db.close()
        self.path, self._db = None, _connect(":memory:")

    def close(self) -> None:
        """Write what waits and close."""
        self.commit()
        with suppress(sqlite3.Error):
            self._db.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _may_be_ours(path: str) -> bool:
    """Whether nothing is there, or a file of a size that an index has. Nothing is written through a link."""
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    return S_ISREG(there.st_mode) and there.st_size <= MOST


def _connect(path: str) -> sqlite3.Connection:
    """Raises `sqlite3.OperationalError` for a database that is not an index: a view in it may never end."""
    with closed_on_failure(sqlite3.connect(path, timeout=5)) as db:
        # No write-ahead log: it needs memory shared between processes, which a network file system has not.
        (version,) = db.execute("PRAGMA user_version").fetchone()
        held = db.execute("SELECT type, name, trim(sql, char(10)) FROM sqlite_master LIMIT 2").fetchall()
        of_another_version = version and [each[:2] for each in held] == [_OURS[:2]]
        if held not in ([], [_OURS]) and not of_another_version:
            raise sqlite3.OperationalError("a database of another program")
        if version != SCHEMA or held != [_OURS]:
            db.execute("DROP TABLE IF EXISTS entries")
            db.execute(_TABLE)
            db.execute(f"PRAGMA user_version = {SCHEMA}")
            db.commit()
        db.execute("SELECT kind, path, size, changed, body FROM entries LIMIT 1").fetchone()
        return db
