"""What goes wrong while something is written: place, fact and remedy in a line, and whose fault it is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from engine.base.errors import InputError, WorkFailed, unusable, unwritten
from engine.base.files import write_beside
from engine.datasets.files import Outputs
from engine.workspace.workspace import Workspace

REMEDIES = {
    "ENOSPC": "make room",
    "EDQUOT": "make room",
    "EFBIG": "ulimit -f",
    "EIO": "check the disk",
    "ESTALE": "check the disk",
    "EROFS": "make it writable",
    "EACCES": "fix its permissions",
}


@pytest.mark.parametrize("name", REMEDIES)
def test_a_place_that_cannot_be_written_is_told_with_its_remedy(name: str) -> None:
    number = getattr(errno, name)
    error = OSError(number, os.strerror(number), "elsewhere")
    told = unusable("here", error, "runs can't be written")
    assert str(told).startswith("here: runs can't be written (")
    assert REMEDIES[name] in str(told)
    assert isinstance(told, InputError if name in ("EROFS", "EACCES") else WorkFailed), "else the disk's fault"
    broken = unwritten("here", error, "2 samples kept")
    assert str(broken).startswith(f"here: {os.strerror(number)}: 2 samples kept")
    assert name == "EACCES" or REMEDIES[name] in str(broken)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ESTALE])
def test_a_disk_that_takes_no_new_file_is_no_bad_input(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it has room, and no name left (inodes): exit code 1, in place of 2."""
    place = Workspace.open(tmp_path / "w", create=True)

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(WorkFailed, match=r"f: .*: (make room|check the disk)"):
        write_beside(tmp_path / "f", lambda stream: None)
    with pytest.raises(WorkFailed, match="f: "), Outputs() as outputs, outputs.opened(tmp_path / "f"):
        pass
    with pytest.raises(WorkFailed, match="can't be made"):
        Workspace.open(place.path, create=True)
    assert list(tmp_path.glob("*f*")) == []
