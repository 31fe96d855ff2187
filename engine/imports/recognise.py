"""Whether a file is one of rollouts, a trace, or a tree of the original, by its content."""

from __future__ import annotations

from pathlib import Path

from engine.base.errors import AgentrError
from engine.imports.bounded_json import Malformed
from engine.imports.files import look
from engine.imports.formats.unreadable import kind_by_bytes
from engine.imports.reader import reader_of
from engine.imports.sources import ENDINGS

_OF_TREE = ({"recent_actions", "puct_value"}, {"llm_response", "visits"})
_OF_TRACE = {"type", "seq"}


def is_rollouts(path: Path) -> bool:
    """Whether a file whose name is not a trace's is to be read as rollouts. A file that no reader recognises is, too,
    so that the error names its kind; a file that can't be opened, or is a trace or a tree by its fields, is not."""
    if not path.name.endswith(ENDINGS) and not path.is_file():
        return False
    try:
        file = look(path)
        if reader_of(file) is not None:
            return True
    except (AgentrError, Malformed):
        return False
    except Exception:  # another package's reader
        return True
    if file.keys >= _OF_TRACE or any(file.keys & keys == keys for keys in _OF_TREE):
        return False
    return bool(file.keys or kind_by_bytes(file)) or file.shape in ("zip", "list")
