"""Dataset: the counts are the run's, the preview is what an export writes, the report is what it wrote."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input, Static

from agentr_tui.app.app import AgentrApp
from agentr_tui.screens.dataset.export_dialog import ExportDialog, options_of
from agentr_tui.screens.dataset.funnel import funnel_lines
from agentr_tui.screens.dataset.past_exports import decided_since
from agentr_tui.screens.dataset.rows import count_lines, histogram, summarise
from agentr_tui.screens.dataset.screen import DatasetScreen
from agentr_tui.screens.dataset.tabs import coverage_lines, plot
from agentr_tui.screens.revision.screen import RevisionScreen
from agentr_tui.state.session import Session
from agentr_tui.widgets.chips import Chips
from agentr_tui.widgets.text_pane import Line
from engine.base.errors import InputError
from engine.base.text import many
from engine.datasets.export import export
from engine.datasets.formats import FORMATS
from engine.datasets.options import ExportOptions
from engine.datasets.sample_lengths import shapes
from engine.environment.replay import HOLDS
from engine.review.agreement import agreement, defect_rate, keep_planted, plant
from engine.review.curation import tally
from engine.review.decisions import Decisions
from engine.review.sample_query import select
from engine.samples.duplicates import EXACT, NEAR, Duplicates
from engine.samples.sample import Sample, turns_of
from engine.samples.trained import FAULTS
from engine.workspace.sample_tree import load_tree
from engine.workspace.workspace import Workspace
from tests.agentr_tui.apps import NARROW, WIDE, notices, opened, pane, revised, running, searched, table_lines, until


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two searches and a run over them."""
    workspace = opened(tmp_path_factory.mktemp("made"))
    revised(workspace, searched(workspace), searched(workspace, "11", iterations=2, error_rate=0.6), max_pairs=40)
    return workspace.path


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> Workspace:
    """A copy of it, for one test to change."""
    copy = Workspace.open(shutil.copytree(made, tmp_path / "w"))
    for file in copy.runs_folder.iterdir():
        file.write_text(file.read_text(encoding="utf-8").replace(str(made), str(copy.path)), encoding="utf-8")
    return copy


def pairs_of(workspace: Workspace) -> list[Sample]:
    """The revision samples of its run."""
    return [sample for sample in workspace.load_run().samples if sample.bad is not None]


def decide(workspace: Workspace, samples: Sequence[Sample], verdict: str) -> None:
    """Another process decides."""
    Decisions(workspace.decisions, "ann").decide_all([sample.id for sample in samples], verdict)  # type: ignore[arg-type]


def plain(lines: list[Line]) -> str:
    return "\n".join("".join(text for text, _ in line.parts) for line in lines)


def dataset(app: AgentrApp) -> DatasetScreen:
    assert isinstance(app.screen, DatasetScreen)
    return app.screen


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def lose_traces(workspace: Workspace) -> None:
    """As if somebody had cleaned up."""
    shutil.rmtree(workspace.traces)


def reobserve_a_good_trajectory(workspace: Workspace) -> None:
    """As if one good trajectory had met other observations when it was replayed."""
    lines = lines_of(Path(workspace.run_info().file))
    at = next(place for place, line in enumerate(lines) if '"kind":"good"' in line)
    lines[at] = lines[at].replace('"verdict":"verified"', '"verdict":"reobserved"')
    rewrite(workspace, "\n".join(lines) + "\n")
    assert {sample.verdict for sample in workspace.load_run().samples if sample.kind == "good"} > {"reobserved"}


def rewrite(workspace: Workspace, text: str) -> Path:
    """Put something else in the place of the only run."""
    (file,) = workspace.runs_folder.glob("*.jsonl")
    file.write_text(text, encoding="utf-8")
    return file


async def counted(app: AgentrApp, pilot: Pilot[int]) -> DatasetScreen:
    screen = dataset(app)
    await until(pilot, lambda: screen.runs.counted is not None)
    await pilot.pause()
    return screen


# -- counting --------------------------------------------------------------------------------------------


def test_counts_are_those_of_the_run_and_of_the_decisions(workspace: Workspace) -> None:
    run = workspace.load_run()
    samples = pairs_of(workspace)
    decide(workspace, samples[:5], "accepted")
    decide(workspace, samples[5:8], "rejected")
    current = Decisions(workspace.decisions).current()
    summary = summarise(run.samples, current)
    assert run.info.figures is not None
    assert (summary.samples, summary.good) == (len(samples), len(run.samples) - len(samples))
    by_pair = summarise(samples, current)
    assert dict(by_pair.verdicts) == run.info.figures.by_verdict
    assert by_pair.no_wrong_step == run.info.figures.no_wrong_step
    assert by_pair.before_fork == run.info.figures.before_fork
    assert summary.decided == tally(samples, current)
    assert sum(trace.samples for trace in summary.traces) == len(samples)
    assert sum(trace.accepted for trace in summary.traces) == 5
    text = plain(count_lines(summary, 48))
    assert f"{summary.verdicts['verified']}" in text
    assert "accepted" in text


@pytest.mark.parametrize("accepted", [0, 1, 1_000])
def test_the_preview_says_what_a_default_export_writes(workspace: Workspace, tmp_path: Path, accepted: int) -> None:
    decide(workspace, pairs_of(workspace)[:accepted], "accepted")
    current = Decisions(workspace.decisions).current()
    summary = summarise(workspace.load_run().samples, current)
    done = export(workspace, None, "agent-r", tmp_path / "out.jsonl")
    promised = summary.funnel.lines
    rules = [*FAULTS, "duplicate"]  # what only the traces tell
    assert promised == done.lines + sum(done.dropped.get(rule, 0) for rule in rules)
    counts = [stage.count for stage in summary.funnel.stages]
    assert counts == sorted(counts, reverse=True), "no step adds a sample"
    assert counts[0] - counts[-1] == sum(count for _, count in summary.funnel.left_out)
    for width in (60, 200):
        assert f"{promised:,} line" in plain(funnel_lines(summary.funnel, 60))
        assert f"{counts[0]}" in plain(funnel_lines(summary.funnel, width))


def test_accepted_samples_that_do_not_hold_or_were_moved_are_named(workspace: Workspace) -> None:
    samples = pairs_of(workspace)
    broken = [sample for sample in samples if sample.verdict == "diverged"]
    assert broken
    decide(workspace, broken[:1], "accepted")
    moved = next(sample for sample in samples if sample.verdict == "verified" and sample.mark != sample.bad_depth)
    decisions = Decisions(workspace.decisions, "bob")
    decisions.decide(moved.id, "accepted", mark=moved.bad_depth)
    lines = plain(funnel_lines(summarise(samples, decisions.current()).funnel, 60)).splitlines()
    assert any(line.startswith(f"left out: {len(broken)} diverged") for line in lines)
    assert any(line.startswith("1 was changed by hand") for line in lines)


@pytest.mark.parametrize("query", ["verdict:diverged", "gap>=0.5 mark<4", "!verdict:verified textcraft", "fork<"])
def test_a_filter_takes_terms_of_a_query_and_plain_words(workspace: Workspace, query: str) -> None:
    samples = workspace.load_run().samples
    terms = " ".join(word for word in query.split() if word not in ("textcraft", "fork<"))
    wanted = [] if query == "fork<" else select(samples, {}, terms)
    assert [sample.id for sample in summarise(samples, {}, query).left] == [sample.id for sample in wanted]


def test_a_filter_groups_terms_and_words_as_a_query_does(workspace: Workspace) -> None:
    samples = workspace.load_run().samples
    either = summarise(samples, {}, "(diverged or kind:good) !'no such goal'").left
    assert either == [each for each in samples if each.verdict == "diverged" or each.kind == "good"]
    assert summarise(samples, {}, "(diverged or kind:").left == []  # still being typed


def test_a_filter_narrows_the_counts_and_not_the_preview(workspace: Workspace) -> None:
    samples = workspace.load_run().samples
    summary = summarise(samples, {}, "DIVERGED revision")
    assert summary.samples == sum(sample.verdict == "diverged" and sample.kind == "revision" for sample in samples)
    assert set(summary.verdicts) == {"diverged"}
    assert summary.funnel == summarise(samples, {}).funnel


def test_the_histogram_holds_every_value_and_fits() -> None:
    counts = Counter({1: 70, 2: 1, 40: 3})
    lines = plain(histogram("marks", counts, 30)).splitlines()
    assert all(len(row) <= 30 for row in lines[2:])
    assert lines[-1].strip().startswith("1")
    bottom = lines[-2]
    assert sum(sign != " " for sign in bottom) == 3  # what lies beyond the width is in the last column
    assert histogram("marks", {}, 30) == []


# -- the screen ------------------------------------------------------------------------------------------


async def test_without_a_run_it_says_who_makes_one(tmp_path: Path) -> None:
    async with running(Session(opened(tmp_path)), "dataset", NARROW) as (app, pilot):
        await until(pilot, lambda: "Revision makes a run" in pane(app, "counts"))
        assert "agentr revise" in pane(app, "counts")
        await pilot.press("e", "left_square_bracket", "tab", "j")
        await until(pilot, lambda: "There is no run to export" in notices(app))


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_it_shows_the_newest_run_and_what_was_decided_elsewhere(
    workspace: Workspace, size: tuple[int, int]
) -> None:
    samples = pairs_of(workspace)
    async with running(Session(workspace), "dataset", size) as (app, pilot):
        screen = await counted(app, pilot)
        assert f"verified {screen.runs.counted.summary.verdicts['verified']}" in pane(app, "counts")  # type: ignore[union-attr]
        assert "not decided" not in pane(app, "funnel")
        while screen.focused is None or screen.focused.id != "of-traces":
            await pilot.press("tab")
        await pilot.pause()
        text = "\n".join(table_lines(screen.query_one("#of-traces")))  # type: ignore[arg-type]
        assert "textcraft 2" in text
        assert "textcraft 11" in text
        decide(workspace, samples[:3], "accepted")
        await until(pilot, lambda: "not decided" in pane(app, "funnel"))


async def test_export_writes_the_file_and_reports_it(workspace: Workspace) -> None:
    decide(workspace, pairs_of(workspace)[:10], "accepted")
    async with running(Session(workspace), "dataset") as (app, pilot):
        screen = await counted(app, pilot)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        out = Path(app.screen.query_one("#out", Input).value)
        assert out == workspace.exports / "textcraft-agent-r.jsonl"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is screen and not screen.exporter.exporting and screen.exporter.report)
        await pilot.pause()
        lines = lines_of(out)
        report = pane(app, "export")
        assert f"✓ {many(len(lines), 'line')} " in report
        assert "not decided" in report
        assert "".join(out.name.split()) in "".join(report.split())
        assert all(json.loads(line)["revise"] for line in lines)


async def test_a_accepts_what_passes_and_waits_after_a_question_and_slash_narrows_it(workspace: Workspace) -> None:
    mine = pairs_of(workspace)
    decide(workspace, mine[:3], "rejected")
    passing = [each for each in mine[3:] if each.verdict in HOLDS and not each.no_wrong_step]
    some = [each for each in passing if each.verdict == "reobserved"]
    assert 0 < len(some) < len(passing)
    async with running(Session(workspace), "dataset") as (app, pilot):
        screen = await counted(app, pilot)

        async def accepts(count: int, key: str) -> set[str]:
            await pilot.press("a")
            await until(pilot, lambda: app.screen is not screen)
            assert f"Accept {many(count, 'sample')} that pass" in app.screen.question  # type: ignore[attr-defined]
            await pilot.press(key)
            await until(pilot, lambda: app.screen is screen)
            await app.workers.wait_for_complete()
            current = Decisions(workspace.decisions).current()
            return {id for id, decided in current.items() if decided.verdict == "accepted"}

        assert await accepts(len(passing), "escape") == set()
        await pilot.press("slash", *"reobserved", "enter")
        await until(pilot, lambda: len(screen.runs.counted.summary.left) < len(mine))  # type: ignore[union-attr]
        assert await accepts(len(some), "y") == {each.id for each in some}
        await pilot.press("escape")
        await until(pilot, lambda: len(screen.runs.counted.summary.left) > len(mine))  # type: ignore[union-attr]
        assert await accepts(len(passing) - len(some), "y") == {each.id for each in passing}
        await pilot.press("a")
        await until(pilot, lambda: "Nothing waits" in notices(app))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", ExportOptions()),
        ("--split train=0.9,dev=0.1 --max-length 512", ExportOptions(split="train=0.9,dev=0.1", max_length=512)),
        ("--strict --no-config --seed=3", ExportOptions(strict=True, config=False, seed=3)),
        ("--licence 'as you like'", ExportOptions(licence="as you like")),
    ],
)
def test_more_options_are_those_of_the_command_line(text: str, wanted: ExportOptions) -> None:
    assert options_of(text) == wanted


@pytest.mark.parametrize("text", ["--color red", "strict", "--max-length many", "--licence 'open", "--shards 0"])
def test_options_that_cannot_be_read_are_one_line(text: str) -> None:
    with pytest.raises(InputError) as error:
        options_of(text)
    assert "\n" not in str(error.value)


async def test_the_form_is_filled_by_keys_alone_and_two_formats_lie_beside_each_other(workspace: Workspace) -> None:
    apart = {sample.mark: sample for sample in pairs_of(workspace) if sample.verdict == "verified" and sample.mark}
    decide(workspace, list(apart.values())[:2], "accepted")
    async with running(Session(workspace), "dataset", NARROW) as (app, pilot):
        screen = await counted(app, pilot)
        for keys in (["enter"], ["s", "down"]):  # the first format; the next that begins with an s
            await pilot.press("e")
            await until(pilot, lambda: isinstance(app.screen, ExportDialog))
            await pilot.pause()
            assert str(app.screen.query_one("#go", Button).label) == "Write at most 2 lines"
            await pilot.press(*keys, "enter", "enter", "enter", "enter")
            await until(pilot, lambda: app.screen is screen and not screen.exporter.exporting)
        names = ["textcraft-agent-r.jsonl", "textcraft-sharegpt.jsonl"]
        written = {name: len(lines_of(workspace.exports / name)) for name in names}
        assert all(written.values())
        await until(pilot, lambda: len(screen.runs.exports) == 2)
        told = [(Path(each.path).name, each.told.lines) for each in screen.runs.exports]
        assert told == [(name, written[name]) for name in reversed(names)]
        assert [decided_since(each, Decisions(workspace.decisions).current()) for each in screen.runs.exports] == [0, 0]
        others = [sample for sample in pairs_of(workspace) if sample.verdict == "diverged"]
        decide(workspace, others[:2], "rejected")
        assert decided_since(screen.runs.exports[0], Decisions(workspace.decisions).current()) == 2
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        await pilot.pause()
        assert "is there already" in str(app.screen.query_one("#out-error", Static).content)


async def test_a_split_is_exported_from_the_dialog(workspace: Workspace) -> None:
    async with running(Session(workspace), "dataset", (120, 60)) as (app, pilot):
        screen = await counted(app, pilot)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        app.screen.query_one("#more", Input).value = "--split train=0.5,dev=0.5 --shards none"
        await pilot.pause()
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "shards" in str(app.screen.query_one("#out-error", Static).content))
        app.screen.query_one("#more", Input).value = "--split train=0.5,dev=0.5"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is screen and "parts: train" in pane(app, "export"))


async def test_every_format_and_type_can_be_chosen_and_names_the_file(workspace: Workspace, tmp_path: Path) -> None:
    reobserve_a_good_trajectory(workspace)
    async with running(Session(workspace), "dataset") as (app, pilot):
        screen = await counted(app, pilot)
        for format in FORMATS.values():
            if "good" not in format.data_types:
                continue
            await pilot.press("e")
            await until(pilot, lambda: isinstance(app.screen, ExportDialog))
            app.screen.query_one("#format", Chips).value = format.name
            app.screen.query_one("#data-type", Chips).value = "good"
            app.screen.query_one("#which", Chips).value = "all"  # every rule would leave these out
            box = app.screen.query_one("#out", Input)
            await until(pilot, lambda box=box, end=f"-all-good{format.extension}": box.value.endswith(end))  # type: ignore[misc]
            out = tmp_path / f"{format.name}{format.extension}"
            box.value = str(out)
            await pilot.pause()
            assert box.value == str(out)
            await pilot.press("ctrl+s")
            await until(pilot, lambda out=out: out.exists() and not screen.exporter.exporting)  # type: ignore[misc]
            origins = [json.loads(line) for line in lines_of(Path(f"{out}.provenance.jsonl"))]
            assert {origin["kind"] for origin in origins} == {"good"}
            assert {origin["replay"] for origin in origins} == {"verified", "reobserved"}


async def test_an_export_that_cannot_be_written_is_one_line(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    async with running(Session(workspace), "dataset") as (app, pilot):
        screen = await counted(app, pilot)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        box = app.screen.query_one("#out", Input)
        for wrong in ("", str(tmp_path)):  # refused in the dialog
            box.value = wrong
            await pilot.press("ctrl+s")
            await pilot.pause()
            assert isinstance(app.screen, ExportDialog)
        box.value = str(tmp_path / "a-file" / "out.jsonl")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "✗" in pane(app, "export") if app.screen is screen else False)
        assert "a-file" in "".join(pane(app, "export").split())
        lose_traces(workspace)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.screen is screen and not screen.exporter.exporting)
        assert "is missing" in pane(app, "export")


async def test_braces_go_from_all_newest_runs_through_each_run_and_back(workspace: Workspace) -> None:
    first = workspace.run_info().id
    second = revised(workspace, next(workspace.traces.glob("textcraft-2-*")), max_pairs=3)
    async with running(Session(workspace), "dataset") as (app, pilot):
        screen = await counted(app, pilot)

        def shown() -> tuple[list[str], str | None]:
            assert screen.runs.loaded is not None
            return screen.runs.loaded.chosen.ids, screen.runs.loaded.run

        assert shown() == ([second, first], None)  # another trace has its newest run in the first
        await pilot.press("left_curly_bracket")
        await until(pilot, lambda: shown() == ([second], second))
        await pilot.press("left_curly_bracket")
        await until(pilot, lambda: shown() == ([first], first))
        await pilot.press("left_curly_bracket")
        await pilot.pause(0.1)
        assert "There is no earlier run" in notices(app)
        await pilot.press("right_curly_bracket")
        await until(pilot, lambda: shown() == ([second], second))
        await pilot.press("right_curly_bracket")
        await until(pilot, lambda: shown() == ([second, first], None))
        third = revised(workspace, next(workspace.traces.glob("textcraft-2-*")), max_pairs=2)
        await until(pilot, lambda: shown() == ([third, first], None))


async def test_a_run_that_was_killed_can_be_read_and_says_so(workspace: Workspace) -> None:
    whole = lines_of(Path(workspace.run_info().file))
    rewrite(workspace, "\n".join(whole[:20]) + "\n" + whole[20][:30])
    async with running(Session(workspace), "dataset") as (app, pilot):
        screen = await counted(app, pilot)
        assert screen.runs.counted is not None
        assert screen.runs.counted.summary.samples + screen.runs.counted.summary.good == 19
        assert "not finished" in pane(app, "export")
    file = rewrite(workspace, "\n".join([whole[0], "nonsense", *whole[1:]]) + "\n")
    async with running(Session(workspace), "dataset") as (app, pilot):
        await until(pilot, lambda: f"{file.name}:2" in "".join(pane(app, "counts").split()))


async def test_the_filter_stays_until_escape(workspace: Workspace) -> None:
    async with running(Session(workspace), "dataset") as (app, pilot):
        screen = await counted(app, pilot)
        assert screen.runs.loaded is not None
        diverged = sum(sample.verdict == "diverged" for sample in screen.runs.loaded.samples)
        await pilot.press("f", *"diverged", "enter")
        title = f"samples {diverged} of {len(pairs_of(workspace))} "
        await until(pilot, lambda: title in str(screen.query_one("#counts").border_title))
        await pilot.press("escape")
        title = f"samples {len(pairs_of(workspace))} "
        await until(pilot, lambda: title in str(screen.query_one("#counts").border_title))


# -- plots, coverage, review -----------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[0, 0, 3, 7, 7, 7], [0.1, 0.25, 0.9], list(range(500)), [2.0]])
@pytest.mark.parametrize("width", [12, 40])
def test_a_plot_shows_the_range_and_fits(values: list[float], width: int) -> None:
    lines = plain(plot("turns", values, width)).splitlines()
    assert all(len(row.rstrip()) <= width for row in lines[1:])
    for end in (min(values), max(values)):
        assert (f"{end:.0f}" if float(end).is_integer() else f"{end:.2f}") in f"{lines[0]} {lines[-1]}"


def test_coverage_names_trees_that_gave_nothing_and_counts_what_repeats(workspace: Workspace) -> None:
    run = workspace.load_run()
    found = {sample.id: shape for sample, shape in shapes(workspace, run.samples)}
    mine = pairs_of(workspace)
    assert set(found) == {sample.id for sample in mine}
    known, reasons = Duplicates(0.9), Counter[str | None]()
    for sample in mine:
        tree = load_tree(workspace, sample)
        turns = turns_of(tree, sample)
        reasons[known.reason(sample.environment, sample.task, turns)] += 1
        shape = found[sample.id]
        assert shape is not None
        assert shape.turns == len(turns)
        assert 0 < shape.trained < shape.tokens
    text = plain(coverage_lines(run.samples, [*run.info.paths, "/elsewhere/bare.trace.jsonl"], found, 60, mine))
    assert "2 of 3 trees give samples" in text
    assert "1 trees without a sample\n  bare.trace.jsonl" in text
    assert f"{reasons[EXACT]} repeat another" in text
    assert f"{reasons[NEAR]} are alike" in text
    lose_traces(workspace)
    assert {shape for _, shape in shapes(workspace, run.samples)} == {None}


async def test_tabs_show_plots_coverage_and_how_far_the_review_can_be_trusted(workspace: Workspace) -> None:
    samples = pairs_of(workspace)
    decide(workspace, samples[:6], "accepted")
    Decisions(workspace.decisions, "bob").decide_all([sample.id for sample in samples[4:8]], "rejected", reason="poor")
    keep_planted(workspace.path / "planted", plant(load_tree(workspace, samples[0]), samples[:20], "r", 1.0))
    async with running(Session(workspace), "dataset", (120, 60)) as (app, pilot):
        await counted(app, pilot)
        await pilot.press("right_square_bracket")
        for name in ("fork depth", "revision length", "gap", "return", "turns", "tokens", "trained tokens"):
            await until(pilot, lambda name=name: name in pane(app, "counts"))  # type: ignore[misc]
        await until(pilot, lambda: "reading traces" not in pane(app, "counts"))
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "2 of 2 trees give samples" in pane(app, "counts"))
        await pilot.press("right_square_bracket")
        current = Decisions(workspace.decisions).current()
        rate = defect_rate(samples, current)
        assert rate.rate == 0.5
        assert rate.low is not None
        told = f"50.0% {100 * rate.low:.1f}–{rate.high:.1%} 4/8"
        await until(pilot, lambda: told in pane(app, "counts"))
        assert f"{agreement(samples, current).alpha:.3f}" in pane(app, "counts")
        assert "bob 4 rejected" in pane(app, "counts")
        assert "4 poor" in pane(app, "counts")
        assert "2 samples on which reviewers differ" in pane(app, "counts")
        assert "✗ bob: poor" in pane(app, "counts")
        await pilot.press("d")
        await until(pilot, lambda: app.current_mode == "revision")
        disputed = sorted(sample.id for sample in samples[4:6])
        assert sorted(str(app.session.review_query).removeprefix("id:").split(",")) == disputed


async def test_enter_on_a_trace_reviews_its_samples(workspace: Workspace) -> None:
    async with running(Session(workspace), "dataset") as (app, pilot):
        screen = await counted(app, pilot)
        app.screen.query_one("#of-traces").focus()
        await pilot.press("j", "enter")
        path = screen.runs.counted.summary.traces[1].path  # type: ignore[union-attr]
        await until(pilot, lambda: isinstance(app.screen, RevisionScreen) and app.screen.front.shown is not None)
        assert isinstance(app.screen, RevisionScreen)
        assert app.screen.front.shown is not None
        assert app.screen.front.shown.sample.path == path
        assert app.screen.front.review is not None
        assert app.screen.front.review.run == workspace.run_info().id
