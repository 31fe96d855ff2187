"""What somebody else put into a shared folder harms no file of the user's and holds nothing up."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agentr_tui.app.detached import run_detached
from agentr_tui.screens.dataset.past_exports import past_exports
from agentr_tui.state.error_log import FILE, error_line
from engine.base.errors import InputError
from engine.collect.manifest import FOLDER, read_manifest


@pytest.mark.parametrize("stands", ["pipe", "device", "folder"])
def test_what_stands_in_the_place_of_a_file_of_a_folder_is_refused_before_it_is_opened(
    stands: str, tmp_path: Path
) -> None:
    def put(place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        if stands == "pipe":
            os.mkfifo(place)
        elif stands == "device":
            place.symlink_to("/dev/zero")
        else:
            place.mkdir()

    put(tmp_path / FOLDER / "manifest.json")
    with pytest.raises(InputError, match=r"manifest\.json"):
        read_manifest(tmp_path)
    put(tmp_path / "exports" / "x.jsonl.report.json")
    assert past_exports(tmp_path / "exports") == []
    put(tmp_path / FILE)
    assert error_line(tmp_path, ValueError("oops")) == "unexpected ValueError: oops"


def test_a_link_in_the_place_of_a_log_leaves_the_file_that_it_names_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    mine.write_text("kept")
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / FILE).symlink_to(mine)
    assert error_line(shared, ValueError("oops")) == "unexpected ValueError: oops"
    (shared / "t.trace.jsonl.log").symlink_to(mine)
    begun: list[Any] = []

    def started(*given: Any, stdout: Any, **more: Any) -> Any:
        begun.append(stdout.name)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", started)
    with pytest.raises(KeyboardInterrupt):
        run_detached(shared / "t.trace.jsonl", [])
    assert begun == [str(shared / "t.trace.jsonl.log")]
    assert not (shared / "t.trace.jsonl.log").is_symlink()
    assert mine.read_text() == "kept"
