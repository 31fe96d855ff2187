"""The parts of the Dataset screen: run watch, shape reader, exporter; over services without an app."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentr_tui.screens.dataset.export_dialog import ExportDialog, ExportRequest, file_stem
from agentr_tui.screens.dataset.exporter import Exporter
from agentr_tui.screens.dataset.funnel import Which
from agentr_tui.screens.dataset.lessons import wrong_actions
from agentr_tui.screens.dataset.past_exports import past_exports
from agentr_tui.screens.dataset.run_watch import RunWatch
from agentr_tui.screens.dataset.shape_reader import ShapeReader
from engine.datasets.export import export
from engine.datasets.formats import DataType
from engine.datasets.options import ExportOptions
from engine.datasets.sample_lengths import shapes
from engine.environment.permission import NeedsConsent
from tests.agentr_tui.apps import revised, searched
from tests.agentr_tui.services import FakeServices


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    return FakeServices(tmp_path)


class Runs:
    """A run watch, and how often it said that another run is shown."""

    def __init__(self, services: FakeServices) -> None:
        self.services, self.moves = services, 0
        self.watch = RunWatch(services, self._moved)

    def _moved(self) -> None:
        self.moves += 1

    def work(self) -> list[bool]:
        """Let the threads look; whether each look found something else to show."""
        self.services.work()
        return [self.watch.looked(event) for event in self.services.told(RunWatch.Looked)]

    def look(self) -> list[bool]:
        """Look once."""
        self.watch.look()
        return self.work()


@pytest.fixture
def runs(services: FakeServices) -> Runs:
    """A watch over two runs of one trace, the newest shown."""
    path = searched(services.session.workspace)
    for _ in range(2):
        revised(services.session.workspace, path)
    runs = Runs(services)
    runs.look()
    return runs


# -- the run -------------------------------------------------------------------------------------------


def test_where_there_is_no_run_there_is_nothing_and_a_run_that_comes_is_taken_up(services: FakeServices) -> None:
    runs = Runs(services)
    assert runs.look() == [True]
    assert (runs.watch.loaded, runs.watch.counted, runs.watch.error) == (None, None, "")
    revised(services.session.workspace, searched(services.session.workspace))
    assert runs.look() == [True]
    assert runs.watch.counted is not None
    assert runs.look() == [False], "nothing changed"
    services.session.decisions.decide(runs.watch.counted.summary.left[0].id, "accepted")
    assert runs.look() == [True]


def test_a_look_that_is_asked_for_during_another_comes_after_it(runs: Runs) -> None:
    runs.watch.look()
    runs.watch.filter("diverged")
    assert len(runs.services.threads) == 1
    runs.work()
    assert len(runs.services.threads) == 1, "the words came after the look began"
    runs.work()
    assert runs.watch.counted is not None
    assert runs.watch.loaded is not None
    expected = sum(sample.verdict == "diverged" for sample in runs.watch.loaded.samples)
    assert runs.watch.counted.summary.samples == expected > 0


def test_nobody_sees_nobody_looks(runs: Runs) -> None:
    runs.services.front = False
    runs.watch.look()
    assert runs.services.threads == []


def test_why_a_run_can_not_be_read_stands_there_until_it_can(runs: Runs) -> None:
    file = Path(runs.services.session.workspace.runs()[0].file)
    whole = file.read_bytes()
    file.unlink()
    file.mkdir()  # an error of the system is one line, too
    assert runs.look() == [True]
    assert file.name in runs.watch.error
    assert runs.watch.counted is None
    file.rmdir()
    file.write_bytes(whole)
    assert runs.look() == [True]
    assert (runs.watch.error, runs.watch.counted is None) == ("", False)


def test_runs_are_gone_through_to_both_ends(runs: Runs) -> None:
    assert runs.watch.loaded is not None
    first, of = runs.watch.loaded.place, runs.watch.loaded.of
    seen = [first]
    for _ in range(of - 1):
        runs.watch.go(1)
        runs.work()
        seen.append(runs.watch.loaded.place)
    assert seen == list(range(of))
    assert runs.moves == of - 1
    runs.watch.go(1)
    assert runs.services.said == ["There is no earlier run."]
    assert runs.services.threads == []


# -- texts ---------------------------------------------------------------------------------------------


def test_the_traces_of_a_run_are_read_once(runs: Runs) -> None:
    services, loaded = runs.services, runs.watch.loaded
    assert loaded is not None
    reader = ShapeReader(services)
    reader.read(loaded)
    reader.read(loaded)
    assert len(services.threads) == 1
    assert reader.shapes == {}
    services.work()
    told = services.told(ShapeReader.Read)
    assert reader.was_read(told[-1])
    assert set(reader.shapes) == {
        sample.id for sample, _ in shapes(services.session.workspace, loaded.samples, loaded.chosen.environment_of)
    }
    assert not reader.was_read(ShapeReader.Read("another run", {}))
    assert reader.shapes != {}


def test_wrong_actions_that_differ_in_amounts_alone_are_one_and_name_their_samples(runs: Runs) -> None:
    services, loaded = runs.services, runs.watch.loaded
    assert loaded is not None
    found = list(shapes(services.session.workspace, loaded.samples, loaded.chosen.environment_of))
    mine = [sample for sample, _ in found]
    by_id = {sample.id: shape for sample, shape in found}
    wrong = wrong_actions(mine, {}, by_id)
    assert [len(each.ids) for each in wrong] == sorted((len(each.ids) for each in wrong), reverse=True)
    assert sorted(id for each in wrong for id in each.ids) == sorted(s.id for s in mine if s.mark is not None)
    for each in wrong:
        assert len({re.sub("[0-9]+", "#", action) for action in each.actions}) == 1
    fewer = {**by_id, mine[0].id: None}  # its trace is gone
    assert sum(len(each.ids) for each in wrong_actions(mine, {}, fewer)) == sum(len(each.ids) for each in wrong) - 1


@pytest.mark.parametrize(
    ("environments", "format", "data_type", "which", "name"),
    [
        (["textcraft"], "trl-sft", "centric", "default", "textcraft-trl-sft"),
        (["textcraft"], "trl-sft", "good", "only verified", "textcraft-trl-sft-only-verified-good"),
        (["my_env.py:World", "textcraft"], "verl", "centric", "all", "my_env-py-World-textcraft-verl-all"),
        (["a", "b", "c"], "verl", "centric", "default", "mixed-verl"),
    ],
)
def test_a_dataset_is_named_by_what_is_in_it(
    environments: list[str], format: str, data_type: DataType, which: Which, name: str
) -> None:
    assert file_stem(environments, format, data_type, which) == name


def test_what_is_no_report_is_no_export_and_a_refused_one_wrote_nothing(runs: Runs, tmp_path: Path) -> None:
    workspace = runs.services.session.workspace
    export(workspace, None, "sharegpt", workspace.exports / "one.json", all=True)
    (workspace.exports / "two.report.json").write_text("{}")
    refused = (workspace.exports / "one.json.report.json").read_text().replace('"refused": false', '"refused": true')
    (workspace.exports / "three.report.json").write_text(refused)
    assert [Path(each.path).name for each in past_exports(workspace.exports)] == ["one.json"]
    assert past_exports(tmp_path / "nowhere") == []


# -- export --------------------------------------------------------------------------------------------


class Ask(NeedsConsent):
    """A question about a server."""

    told, whence = "it would ask a server", "A file says so."

    def allow(self) -> None:
        """A yes."""


def request(out: Path) -> ExportRequest:
    return ExportRequest("sharegpt", "centric", "all", out, ExportOptions())


def test_an_export_is_asked_for_written_and_reported(runs: Runs, tmp_path: Path) -> None:
    services, exporter = runs.services, Exporter(runs.services, runs.watch)
    exporter.ask()
    assert services.opened is not None
    dialog, done = services.opened
    assert isinstance(dialog, ExportDialog)
    assert done is not None
    done(None)
    assert not exporter.exporting
    out = tmp_path / "data.jsonl"
    done(request(out))
    exporter.ask()
    assert services.said == ["An export is being written."]
    services.work()
    for event in services.told(Exporter.Ended):
        exporter.ended(event)
    assert not exporter.exporting
    assert f"{len(out.read_text(encoding='utf-8').splitlines())} lines: {out}" == services.said[-1]
    assert exporter.report
    exporter.forget()
    assert not exporter.report


def test_what_can_not_be_written_is_told_twice_and_a_question_is_asked(runs: Runs, tmp_path: Path) -> None:
    services, exporter = runs.services, Exporter(runs.services, runs.watch)
    exporter.ended(Exporter.Ended(None, request(tmp_path), "no room"))
    assert services.complained == ["no room"]
    assert "no room" in exporter.report[0].parts[0][0]
    exporter.ended(Exporter.Ended(None, request(tmp_path / "x.jsonl"), Ask("a yes is needed")))
    assert not exporter.exporting
    services.press("escape")
    assert not exporter.exporting
    services.press("y")
    assert exporter.exporting


def test_without_a_run_there_is_nothing_to_export(services: FakeServices) -> None:
    exporter = Exporter(services, Runs(services).watch)
    exporter.ask()
    assert services.opened is None
    assert "no run to export" in services.said[0]
