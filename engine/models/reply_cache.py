"""What a model said when it was asked to judge, kept by content: a second run asks nothing.

A folder of append-only files, a reply a line, one file a process: safe on a network file system, and nothing is lost
when it is deleted but the money that the replies cost.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from engine.base.errors import InputError, WorkFailed


class Kept(Struct):
    """One line."""

    key: str
    text: str  # the reply, without its reasoning


_decoder = msgspec.json.Decoder(Kept)


def key_of(*asked: object) -> str:
    """The digest of everything that shapes a reply: model, texts, temperature, number of the vote, …"""
    return blake2b(msgspec.json.encode(asked), digest_size=16).hexdigest()


class JudgementCache:
    """Replies by key. With no folder they are kept in memory only. May be used from several threads."""

    def __init__(self, folder: Path | None = None) -> None:
        """Reads what is there; lines that were torn by a kill are skipped. Raises `InputError`."""
        self._folder = folder
        self._texts: dict[str, str] = {}
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._process = os.getpid()
        if folder is not None:
            self._read(folder)

    def _read(self, folder: Path) -> None:
        try:
            for file in sorted(folder.glob("*.jsonl")):
                for line in file.read_bytes().splitlines():
                    try:
                        kept = _decoder.decode(line)
                    except (msgspec.MsgspecError, UnicodeDecodeError):
                        continue
                    self._texts[kept.key] = kept.text
        except OSError as error:
            raise InputError(f"{folder}: judgements can't be read ({error.strerror or error})") from error

    def __len__(self) -> int:
        return len(self._texts)

    def get(self, key: str) -> str | None:
        """The reply that was given, if it is known."""
        return self._texts.get(key)

    def put(self, key: str, text: str) -> None:
        """Keep a reply; in the file when this returns. Raises `WorkFailed` where it can't be written."""
        with self._lock:
            self._texts[key] = text
            if self._folder is None:
                return
            try:
                file = self._own_file(self._folder)
                file.write(msgspec.json.encode(Kept(key, text)) + b"\n")
                file.flush()
            except OSError as error:
                raise WorkFailed(f"{self._folder}: judgements can't be kept ({error.strerror or error})") from error

    def _own_file(self, folder: Path) -> BinaryIO:
        """The file of this process; another one after a fork."""
        if self._file is None or self._process != os.getpid():
            folder.mkdir(parents=True, exist_ok=True)
            host = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in socket.gethostname())
            self._process = os.getpid()
            self._file = (folder / f"{host}-{self._process}-{secrets.token_hex(3)}.jsonl").open("xb")
        return self._file


@cache
def shared_cache(folder: Path) -> JudgementCache:
    """The cache of a folder, read once a process."""
    return JudgementCache(folder)
