"""What holds for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No settings, state or cache of whoever runs the tests, and nothing left in theirs."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CONFIG", "STATE", "CACHE"):
            patch.setenv(f"XDG_{name}_HOME", str(home / name))
        patch.delenv("AGENTR_THEME", raising=False)
        hints = home / "STATE" / "agentr" / "hints.json"
        hints.parent.mkdir(parents=True)
        hints.write_text('{"over": true}')  # nobody is here for the first time
        yield
