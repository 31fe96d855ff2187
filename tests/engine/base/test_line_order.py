"""Decisions and marks by order, not by clock: what is said later takes effect, whatever the clocks of machines say."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine.workspace.workspace
from agentr_tui.cli.main import run
from agentr_tui.state.bookmarks import Bookmarks
from engine.base import line_order
from engine.base.errors import InputError
from engine.review.decisions import Decision, Decisions
from tests.engine.made import made_workspace, revised

IN_2031 = "2031-01-01T00:00:00.000000Z"


@pytest.fixture(autouse=True)
def nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who decides is who runs the tests."""
    monkeypatch.delenv("AGENTR_REVIEWER", raising=False)


def old_line(folder: Path, sample: str, verdict: str, time: str, name: str = "old") -> Path:
    """A line as the first version wrote it: with a time and nothing that tells its order."""
    folder.mkdir(exist_ok=True)
    line = Decision(id=f"{name}-{time}", sample=sample, reviewer="old", time=time, verdict=verdict)  # type: ignore[arg-type]
    path = folder / f"{name}.jsonl"
    with path.open("ab") as stream:
        stream.write(msgspec.json.encode(line) + b"\n")
    return path


def test_after_a_decision_from_2031_later_ones_take_effect_those_of_others_too(tmp_path: Path) -> None:
    old_line(tmp_path, "s", "accepted", IN_2031)
    ada, ben = Decisions(tmp_path, "ada"), Decisions(tmp_path, "ben")
    for mine, verdict in ((ada, "rejected"), (ben, "skipped"), (ada, "accepted"), (ben, "rejected")):
        mine.decide("s", verdict)  # type: ignore[arg-type]
        for reader in (mine, Decisions(tmp_path, "zoe")):
            assert reader.current()["s"].verdict == verdict
    assert ben.undo()
    assert Decisions(tmp_path).current()["s"].verdict == "accepted"
    ben.redo()
    assert Decisions(tmp_path).current()["s"].verdict == "rejected"


def test_lines_from_the_future_are_told_and_the_rest_is_quiet(tmp_path: Path) -> None:
    path = old_line(tmp_path, "s", "accepted", IN_2031)
    old_line(tmp_path, "s", "accepted", "2020-01-01T00:00:00.000000Z", "past")
    mine = Decisions(tmp_path, "ada")
    mine.decide("s", "rejected")
    for reader in (mine, Decisions(tmp_path)):
        (told,) = reader.warnings
        assert told.startswith(f"{path}: 1 decision is from the future (up to {IN_2031})")


def test_the_command_that_confirms_a_rejection_has_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = made_workspace(tmp_path)
    sample = workspace.load_run().samples[0].id
    old_line(workspace.decisions, sample, "accepted", IN_2031)
    where = ["--workspace", str(tmp_path)]
    assert run(["review", "reject", sample, "--reason", "no", *where]) == 0
    told = capsys.readouterr()
    assert "1 sample rejected" in told.out
    assert "from the future" in told.err
    assert Decisions(workspace.decisions).current()[sample].verdict == "rejected"
    assert run(["review", "undo", *where]) == 0
    assert Decisions(workspace.decisions).current()[sample].verdict == "accepted"


def test_a_mark_under_a_clock_ahead_can_be_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = Bookmarks(tmp_path, "ann")
    with monkeypatch.context() as patched:
        patched.setattr(line_order, "datetime", clock_at(datetime(2031, 1, 1, tzinfo=UTC)))
        ahead.set("t", 1, "good")
    mine = Bookmarks(tmp_path, "bea")
    mine.set("t", 1, "bad")
    assert [(mark.kind, mark.reviewer) for mark in Bookmarks(tmp_path).of_trace("t")] == [("bad", "bea")]
    ahead.remove("t", 1)
    assert Bookmarks(tmp_path).of_trace("t") == []


def test_a_run_under_a_clock_ahead_does_not_hide_those_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(engine.workspace.workspace, "datetime", clock_at(datetime(2031, 1, 1, tzinfo=UTC)))
        workspace = made_workspace(tmp_path)
    first = workspace.run_info()
    assert first.time == IN_2031
    for _ in range(3):
        made = revised(workspace, workspace.traces / "honey.trace.jsonl")
        assert workspace.run_info().id == made != first.id
    assert len({info.id for info in workspace.runs()}) == 4
    assert workspace.run_info().time < IN_2031, "when it was made is told as it was"


def clock_at(moment: datetime) -> type:
    """A class in the place of `datetime` whose now is that."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return moment

    return Clock


def test_an_order_that_nothing_can_follow_is_named_and_nothing_is_confirmed(tmp_path: Path) -> None:
    line = Decision(id="x", sample="s", reviewer="old", time=IN_2031, verdict="accepted", count=line_order.MAX_COUNT)
    (tmp_path / "x.jsonl").write_bytes(msgspec.json.encode(line) + b"\n")
    with pytest.raises(InputError, match=f"`count` {line_order.MAX_COUNT}.*remove"):
        Decisions(tmp_path, "ada").decide("s", "rejected")
    (tmp_path / "x.jsonl").write_bytes(msgspec.json.encode(line).replace(b"9007199254740992", b"9" * 30) + b"\n")
    with pytest.raises(InputError, match=r"x\.jsonl:1: not a decision"):
        Decisions(tmp_path, "ada")


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["ada", "ben", "zoe"]),
        st.integers(-(10**9), 10**9),  # seconds by which this person's clock is wrong at that moment
        st.sampled_from(["accepted", "rejected", "skipped", "undo", "redo"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(acts=ACTS, old=st.lists(st.sampled_from([IN_2031, "2020-01-01T00:00:00.000000Z", "never", "~"]), max_size=2))
def test_what_holds_is_what_was_said_last_under_any_clocks(acts: list[tuple[str, int, str]], old: list[str]) -> None:
    with tempfile.TemporaryDirectory() as wrong, tempfile.TemporaryDirectory() as right:
        for folder in (wrong, right):
            for place, time in enumerate(old):
                old_line(Path(folder), "s", "skipped", time, f"old{place}")
        people = {
            (folder, who): Decisions(Path(folder), who) for folder in (wrong, right) for who in ("ada", "ben", "zoe")
        }
        for who, off, what in acts:
            for folder in (wrong, right):
                now = datetime.now(UTC) + timedelta(seconds=off if folder == wrong else 0)
                with pytest.MonkeyPatch.context() as patched:
                    patched.setattr(line_order, "datetime", clock_at(now))
                    mine = people[folder, who]
                    if what in ("undo", "redo"):
                        getattr(mine, what)()
                    else:
                        mine.decide("s", what)  # type: ignore[arg-type]
            held, expected = (Decisions(Path(folder)).current().get("s") for folder in (wrong, right))
            assert (held and (held.verdict, held.by_reviewer)) == (
                expected and (expected.verdict, expected.by_reviewer)
            )
            if what not in ("undo", "redo"):
                assert held is not None
                assert held.verdict == what
