"""The replies of a model that judged, kept by content: a second run makes no call for them.

An append-only log (`engine.base.append_log`), a reply a line: deleting it loses nothing but the price of the replies.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.base.append_log import AppendLog, LogKind
from engine.base.errors import InputError, WorkFailed


class Kept(Struct):
    """One line."""

    key: str
    text: str  # the reply, without its reasoning


_KIND = LogKind(msgspec.json.Decoder(Kept).decode, "judgement", "judgements", strict=False)


def key_of(*asked: object) -> str:
    """The digest of everything that shapes a reply: model, texts, temperature, number of the vote, …"""
    return blake2b(msgspec.json.encode(asked), digest_size=16).hexdigest()


class JudgementCache:
    """Replies by key. With no folder they are kept in memory only. May be used from several threads."""

    def __init__(self, folder: Path | None = None) -> None:
        """Reads what is there; lines that can't be read are left out (see `warnings`). Raises `InputError`."""
        self._log = None if folder is None else AppendLog(folder, _KIND)
        self._texts: dict[str, str] = {}
        if self._log is not None:
            found = self._log.refresh()
            if found.error is not None:
                raise found.error
            self._texts = {line.row.key: line.row.text for line in found.lines}

    @property
    def warnings(self) -> list[str]:
        """A line for each file of which something could not be read."""
        return [] if self._log is None else self._log.warnings

    def __len__(self) -> int:
        return len(self._texts)

    def get(self, key: str) -> str | None:
        """The reply that was given, if it is known."""
        return self._texts.get(key)

    def put(self, key: str, text: str) -> None:
        """Keep a reply; in the file when this returns. Raises `WorkFailed` where it can't be written."""
        self._texts[key] = text
        if self._log is not None:
            try:
                self._log.append([Kept(key, text)])
            except InputError as error:
                raise WorkFailed(str(error)) from error


@cache
def shared_cache(folder: Path) -> JudgementCache:
    """The cache of a folder, read once a process."""
    return JudgementCache(folder)
