"""What a collection is, and what became of its tasks: files beside its traces.

    OUT/.collect/manifest.json       environment, settings, versions; written once
    OUT/.collect/log-HOST-….jsonl    a line a search that ended; each process has a file of its own
    OUT/NAME.trace.jsonl             one trace a task, whose name follows from the task

Several processes may collect into one folder, also over a network: a shard each. The same command again goes on.
"""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.base.append_log import AppendLog, LogKind
from engine.base.errors import InputError, unusable
from engine.base.files import stamp
from engine.base.untrusted_files import UNREADABLE, read_given
from engine.collect.messages import Finished
from engine.search.started_event import code_versions
from engine.tree.events import SearchSettings

FOLDER = ".collect"
VERSION = 1

MAY_CHANGE = (
    "concurrency",
    "max_failures",
    "base_url",
    "key_env",
    "timeout",
    "retries",
    "price_in",
    "price_out",
    "price_cached",
)
"""Settings that say how a collection is run, not what it is: they may be others when it goes on."""


class Manifest(Struct, kw_only=True):
    """What all searches of a collection have in common."""

    version: int = VERSION
    environment: str
    settings: SearchSettings
    choose_actor: bool  # the actor is the one that the environment can have
    pack: bool  # traces are packed
    notes: str = ""  # that the actor is told
    created: str  # ISO 8601, UTC
    code: dict[str, str]


class Ended(Struct, kw_only=True):
    """A line of the log: how a search ended, and when."""

    time: str
    attempt: int
    ended: Finished


LOG: LogKind[Ended] = LogKind(
    msgspec.json.Decoder(Ended).decode, "line of a collection", "lines of a collection", strict=False
)


def manifest_of(
    environment: str, settings: SearchSettings, choose_actor: bool, pack: bool, notes: str = ""
) -> Manifest:
    """Returns the manifest of a new collection.

    `environment`: its name. `settings`: of each search. `choose_actor`: whether each search takes the actor that can
    work in the environment. `pack`: whether traces are packed. `notes`: text that the actor reads below the rules.
    """
    return Manifest(
        environment=environment,
        settings=settings,
        choose_actor=choose_actor,
        pack=pack,
        notes=notes,
        created=stamp(datetime.now(UTC)),
        code=code_versions(),
    )


def open_manifest(out: Path, wanted: Manifest) -> Manifest:
    """The manifest of a folder, written where there is none yet.

    Raises `InputError` where the folder holds another collection: names what differs and what to do.
    """
    path = out / FOLDER / "manifest.json"
    part = path.with_name(f"manifest-{os.getpid()}-{secrets.token_hex(3)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            part.write_bytes(msgspec.json.format(msgspec.json.encode(wanted), indent=1) + b"\n")
            os.link(part, path)  # whole or not at all, and never over that of another process
            return wanted
    except FileExistsError:
        pass
    except OSError as error:
        raise unusable(path, error) from error
    finally:
        part.unlink(missing_ok=True)
    known = read_manifest(out)
    for name, old, new in _differences(known, wanted):
        flag = "--env" if name == "environment" else f"--{name.replace('_', '-')}"
        raise InputError(
            f"{out}: was collected with {name} {old!r}, now {flag} is {new!r}: give what it was, or another folder with"
            " --out"
        )
    return known


def read_manifest(out: Path) -> Manifest:
    """The manifest of a folder. Raises `InputError`."""
    path = out / FOLDER / "manifest.json"
    try:
        return msgspec.json.decode(read_given(path), type=Manifest)
    except UNREADABLE as error:
        raise InputError(
            f"{path}: not a manifest of a collection ({error}): remove it, or give another --out"
        ) from error


def _differences(known: Manifest, wanted: Manifest) -> Iterable[tuple[str, object, object]]:
    for name in ("environment", "pack"):
        if getattr(known, name) != getattr(wanted, name):
            yield name, getattr(known, name), getattr(wanted, name)
    if known.notes != wanted.notes:
        yield "notes", f"{known.notes[:20]}…", f"{wanted.notes[:20]}…"
    for name in SearchSettings.__struct_fields__:
        old, new = getattr(known.settings, name), getattr(wanted.settings, name)
        if old != new and name not in MAY_CHANGE:
            yield name, old, new


def log_of(out: Path) -> AppendLog[Ended]:
    """The log of a collection."""
    return AppendLog(out / FOLDER, LOG, prefix="log-")


def trace_paths(out: Path, manifest: Manifest, short: str, tasks: Sequence[str]) -> dict[str, Path]:
    """Returns where the trace of each task is. The names also differ on a file system that takes `a` and `A` for the
    same.

    `out`: folder of the collection. `manifest`: of the collection. `short`: the environment's name in file names.
    `tasks`: their ids.
    """
    paths = {task: trace_path(out, manifest, short, task) for task in tasks}
    same = Counter(path.name.casefold() for path in paths.values())
    return {
        task: path if same[path.name.casefold()] == 1 else trace_path(out, manifest, short, task, with_digest=True)
        for task, path in paths.items()
    }


def trace_path(out: Path, manifest: Manifest, short: str, task: str, with_digest: bool = False) -> Path:
    """Returns where the trace of a task is.

    `out`: folder of the collection. `manifest`: of the collection. `short`: the environment's name in file names.
    `task`: its id. `with_digest`: whether a digest of the id is in the name, though the id needs none.
    """
    told = re.sub(r"[^A-Za-z0-9_-]+", "-", task)[:80]
    if told != task or with_digest:
        told += f"-{blake2b(task.encode(), digest_size=4).hexdigest()}"
    return out / f"{short}-{told}-s{manifest.settings.seed}.trace.jsonl{'.zst' if manifest.pack else ''}"
