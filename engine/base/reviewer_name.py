"""Who decides: the name in decisions, marks and interventions."""

from __future__ import annotations

import getpass
import os

REVIEWER_VARIABLE = "AGENTR_REVIEWER"
MAX_NAME = 80  # characters


def reviewer_name() -> str:
    """The variable AGENTR_REVIEWER, else the user's name, else `user-UID`. One line, at most 80 characters."""
    name = _one_line(os.environ.get(REVIEWER_VARIABLE, ""))
    if not name:
        try:
            name = _one_line(getpass.getuser())
        except (KeyError, OSError, ImportError):  # a user id without a name, as in some containers
            name = f"user-{os.getuid()}" if hasattr(os, "getuid") else ""
    return name or "unknown"


def _one_line(name: str) -> str:
    printable = "".join(sign if sign.isprintable() else " " for sign in name)
    return " ".join(printable.split())[:MAX_NAME]
