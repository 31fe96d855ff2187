"""What a person said yes to, kept on this machine: in the user's own state folder, a small file each.

A yes is about one thing of somebody else's (`about`: a digest of a trace's first line, say) and one value that it
names. Deleting a file takes the yes back. Where the folder can't be written, a yes holds until the process ends.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.base.errors import AgentrError
from engine.base.files import stamp, write_beside
from engine.base.untrusted_files import read_struct
from envs.user_folders import state_folder


class Consent(Struct, omit_defaults=True, frozen=True, kw_only=True):
    """One yes."""

    about: str  # a digest of whose words they are
    name: str  # what is named: `env`, `prompts`, …
    value: str
    source: str = ""  # the file, for people
    folder: str = ""  # of `env`: where its module was looked for when a person named it
    time: str = ""  # ISO 8601, UTC


_given: dict[tuple[str, str, str], Consent] = {}  # in this process


def consent_folder() -> Path:
    """Where every yes is kept."""
    return state_folder() / "consent"


def _place(about: str, name: str, value: str) -> Path:
    digest = blake2b(msgspec.json.encode([about, name, value]), digest_size=16).hexdigest()
    return consent_folder() / f"{digest}.json"


def given(about: str, name: str, value: str) -> Consent | None:
    """Returns the yes to a value; None where nobody gave one.

    `about`: digest of the file that the yes is about. `name` and `value`: what it names, such as an environment.
    """
    if not about:
        return None
    known = _given.get((about, name, value))
    if known is not None:
        return known
    found = read_struct(_place(about, name, value), Consent)
    return found if found is not None and (found.about, found.name, found.value) == (about, name, value) else None


def give(about: str, name: str, value: str, *, source: object = "", folder: str = "") -> None:
    """Keep a yes. Never raises; what is known already is not written again.

    `about`: digest of the file that the yes is about. `name` and `value`: what it names, such as an environment.
    `source`: the file as the person saw it; `folder`: from which modules may be loaded.
    """
    known = given(about, name, value)
    if not about or (known is not None and (known.folder or not folder)):
        return
    consent = Consent(
        about=about, name=name, value=value, source=str(source), folder=folder, time=stamp(datetime.now(UTC))
    )
    _given[about, name, value] = consent
    with suppress(OSError, AgentrError):
        write_beside(_place(about, name, value), lambda stream: stream.write(msgspec.json.encode(consent)))
