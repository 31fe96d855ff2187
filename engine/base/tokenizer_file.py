"""A model's own tokenizer (`tokenizer.json`), a file that anybody may have written.

The library that reads it is written in Rust: where it did not foresee what a file holds it panics, which in Python is
no `Exception`, and prints so itself.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.base.errors import InputError, NoFile
from engine.base.untrusted_files import MAX_LINE, read_text

if TYPE_CHECKING:  # it takes a tenth of a second to import
    from tokenizers import Encoding

EXTRA = "tokenizer"
"""The extra of this package that installs `tokenizers`."""

TRIAL = "Thought: 1 naïve 日本\nAction: get(a)"
"""A text that is encoded once, to find out whether the file can be used."""

PANIC = b"\nthread '"
"""How the library begins what it prints of a panic."""

_STDERR = threading.Lock()
"""Held while file descriptor 2 is another."""


class TokenizerFile:
    """The tokenizer of one file."""

    def __init__(self, path: str | Path) -> None:
        """Raises `InputError` where the file or the package is missing, or the file holds no usable tokenizer."""
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise InputError(f"--tokenizer needs the package tokenizers: pip install 'agentr-tui[{EXTRA}]'") from error
        try:
            text = read_text(path, MAX_LINE)
        except NoFile as error:
            raise InputError(f"{path}: no such file: give the tokenizer.json of the model") from error
        self._path = path
        with self._told(), _without_panics():
            self._tokenizer = Tokenizer.from_str(text)
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
            self._tokenizer.encode(TRIAL, add_special_tokens=False)

    def encode(self, text: str) -> Encoding:
        """The tokens of a text, without any that a model puts around it. Raises `InputError` where the file fails."""
        with self._told():
            return self._tokenizer.encode(text, add_special_tokens=False)

    def count(self, text: str) -> int:
        """How many tokens a text has. Raises `InputError` as `encode` does."""
        return len(self.encode(text).ids)

    def knows(self, token: str) -> bool:
        """Whether a text is one token of the vocabulary."""
        return self._tokenizer.token_to_id(token) is not None

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:  # the library raises a bare Exception, or panics
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise InputError(f"{self._path}: not a tokenizer.json: {error}") from error


@contextmanager
def _without_panics() -> Iterator[None]:
    """Within it, what is printed on standard error waits; a panic's own text is left out of it.

    For the moment in which a file is read: a process that starts meanwhile would keep the other standard error.
    """
    with _STDERR, tempfile.TemporaryFile() as waiting:
        try:
            real = os.dup(2)
        except OSError:  # it is closed
            yield
            return
        os.dup2(waiting.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(real, 2)
            os.close(real)
            waiting.seek(0)
            with suppress(OSError):
                os.write(2, (b"\n" + waiting.read()).partition(PANIC)[0][1:])
