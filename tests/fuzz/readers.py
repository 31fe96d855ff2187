"""What reads bytes of somebody else's, each with good bytes to begin with: it gives a result or a typed error."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec
from cyclopts import CycloptsError

from agentr_tui.app.preferences_file import read_preferences
from agentr_tui.cli.application import build
from agentr_tui.cli.commands.config import settings_of
from agentr_tui.cli.main import _usage_line
from agentr_tui.screens.dataset.past_exports import export_cells, past_exports
from agentr_tui.state.bookmarks import Bookmarks
from agentr_tui.state.last_place import LastPlace
from agentr_tui.state.tour import Facts, Tour
from engine.actors.base import actor_of_recording, actor_of_trace
from engine.answers.form import ONE_LINE
from engine.answers.reader import read_answer
from engine.base.errors import AgentrError, InputError
from engine.base.untrusted_files import read_struct
from engine.collect.manifest import Ended, log_of, manifest_of, read_manifest
from engine.collect.messages import Finished, Spent
from engine.collect.task_ledger import Budget, Ledger
from engine.datasets.formats import FORMATS, FormatOptions
from engine.datasets.mixing import choose_lines, mixed_line, numbered_values
from engine.datasets.options import Exported, ExportOptions, Report
from engine.environment.consent_store import Consent
from engine.explain.repeated_states import repeated_states
from engine.explain.series import Spending, returns, snapshot
from engine.explain.series import figures as plotted
from engine.explain.timeline import Timeline
from engine.explain.why import facts, why
from engine.imports.sources import FAILED
from engine.imports.trees import ImportOptions, import_rollouts
from engine.models.faults import Refusal
from engine.models.reply import read_reply
from engine.models.reply_cache import JudgementCache
from engine.notes.page import read_notes
from engine.pairs.ranking import ranked
from engine.query.find import find
from engine.query.nodes import parse
from engine.recovery.continuation_store import read_file
from engine.review.agreement import read_planted
from engine.review.curation import review_settings
from engine.review.decisions import Decisions
from engine.search.control import Control
from engine.search.control_file import Inbox, obey
from engine.search.interventions import refused
from engine.search.settings import recorded_settings, settings_from
from engine.trace.follower import Follower
from engine.trace.sources import Source, load_any
from engine.trace.trace_file import read_events
from engine.trace.treefile.write import write_tree
from engine.tree.events import SearchSettings, event_encoder
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from engine.verifiers.judge_reply import read_said
from engine.verifiers.recorded import _read_lines
from engine.workspace.figures import cached_figures, figures
from engine.workspace.workspace import Workspace, read_info, read_samples
from envs.base import EnvError
from envs.recorded import make, read_recording
from tests.engine.imports import samples
from tests.fuzz.more_readers import MORE, more_seeds
from tests.fuzz.outside import OUTSIDE, _refusal, outside_seeds

CORPUS = Path(__file__).parent / "corpus"
TYPED = (AgentrError, EnvError, Refusal)
"""What a reader may raise: one line for a person."""


class Reader(NamedTuple):
    """A reader, by what it is given."""

    name: str  # of the file
    read: Callable[[Path], object]


def look_at(tree: SearchTree) -> None:
    """Ask of a tree what commands and screens ask."""
    started = tree.started
    if started is None:
        return
    thresholds = Thresholds.for_range(started.score_range, None, None)
    msgspec.json.encode(figures(Source(tree, "t.trace.jsonl", "trace")))
    list(islice(ranked(tree, thresholds), 20))
    timeline = Timeline(tree, thresholds.alpha)
    returns(timeline, tree.seq)
    plotted(snapshot(tree, tree, started.score_range))
    repeated_states(tree)
    for id in range(min(len(tree), 20)):
        tree.conversation(id)
        why(tree, id)
        facts(tree, id)
    for query in ("good", "return>=0.5 depth<3", "text~a", "visits>1 or disaster"):
        find(parse(query), tree)
    for _ in tree.leaves():
        pass


def _trace(path: Path) -> None:
    look_at(load_any(path).tree)
    Spending().extend(read_events(path))


def _followed(path: Path) -> None:
    data, whole = path.read_bytes(), path.with_name("f.trace.jsonl")
    tree, follower = SearchTree(), Follower(whole)
    for end in (len(data) // 3, len(data) // 2, len(data)):
        whole.write_bytes(data[:end])
        for event in follower.poll():
            try:
                tree.apply(event)
            except ValueError as error:  # the fold's own word, which its callers put a place before
                raise InputError(str(error)) from error
            event_encoder.encode(event)


def _tree_file(path: Path) -> None:
    tree = load_any(path).tree
    look_at(tree)
    write_tree(tree, io.StringIO())


def _recording(path: Path) -> None:
    read_recording.cache_clear()
    recorded_settings(f"recorded:{path}")
    env = make(str(path))
    env.reset()
    for actions in list(env.recording.replies)[:5]:
        env.restore(())
        for action in actions:
            env.step(action)
    actor_of_recording(str(path))


def _settings(path: Path) -> None:
    arguments = ["--workspace", str(path.parent)]
    app = build(arguments, refuse=False)
    try:
        settings_of(app, "search")
    except CycloptsError as error:
        raise InputError(_usage_line(error, ["search"])) from error
    read_preferences([path])
    review_settings(path)


def _decisions(path: Path) -> None:
    decisions = Decisions(path.parent, "me", strict=False)
    msgspec.json.encode(dict(decisions.current()))
    decisions.warnings  # noqa: B018
    decisions.recall()
    decisions.said_by("me")
    decisions.refresh()


def _bookmarks(path: Path) -> None:
    marks = Bookmarks(path.parent, "me")
    marks.all()
    marks.of_trace("5ee5")
    marks.warnings  # noqa: B018


def _control(path: Path) -> None:
    inbox = Inbox(path.with_suffix(""))
    inbox._at = 0
    control = Control()
    commands = inbox.take()
    with path.open("ab") as file:
        file.write(b'\n{"do":"stop","who":"me","time":1}\n')
    for command in [*commands, *inbox.take()]:
        obey(control, command)
    assert control.stop_reason is not None, "a bad line made the search deaf"
    tree = load_any(CORPUS / "trace" / "search.trace.jsonl").tree
    assert tree.started is not None
    for _, changes in control.changes:
        with suppress(InputError):
            settings_from({**msgspec.to_builtins(tree.started.settings), **changes})
    for _, asked in control.requests:
        refused(tree, asked)


def _index(path: Path) -> None:
    workspace = Workspace(path.parent)
    trace = CORPUS / "trace" / "search.trace.jsonl"
    (row,) = cached_figures(workspace, [trace])
    assert row.nodes == 3


def _state(path: Path) -> None:
    memory = LastPlace(path.parent, path.parent)
    memory._place = memory._theme = path
    memory.place()
    memory.theme("x")


def _mix(path: Path) -> None:
    for name in ("trl-sft", "sharegpt", "trl-dpo", "agent-r", "openai"):
        format = FORMATS[name]
        choose_lines(path, 2, 0, lambda value, format=format: mixed_line(value, format, FormatOptions())[1])  # type: ignore[misc]
    list(numbered_values(path))


def _run(path: Path) -> None:
    info = read_info(path)
    if info is not None:
        list(read_samples(info, []))


def _reply(path: Path) -> None:
    data = path.read_bytes()
    text = data.decode("utf-8", "replace")
    read_answer(text, ONE_LINE)
    read_said(text)
    msgspec.json.encode(read_reply(data, 1.0, 2.0))


def _query(path: Path) -> None:
    tree = load_any(CORPUS / "trace" / "search.trace.jsonl").tree
    for line in path.read_bytes().decode("utf-8", "replace").splitlines():
        try:
            found = parse(line)
        except InputError:
            continue
        find(found, tree)


def _replayed(path: Path) -> None:
    actor_of_trace(read_events(path), str(path))


def _rollouts(path: Path) -> None:
    for as_a in ("r.jsonl", "r.json", "r.traj"):
        path.rename(path := path.with_name(as_a))
        try:
            found = import_rollouts([path], ImportOptions())
        except InputError as error:
            refused = error
            continue
        for tree in found.trees:
            look_at(tree.source().tree)
        assert not any(FAILED in problem.reason for problem in found.problems), found.problems
        return
    assert FAILED not in str(refused), refused
    raise refused


def _collection(path: Path) -> None:
    (path.parent / ".collect").mkdir(exist_ok=True)
    path.rename(path.parent / ".collect" / "manifest.json")
    read_manifest(path.parent)


def _collection_log(path: Path) -> None:
    (path.parent / ".collect").mkdir(exist_ok=True)
    path.rename(path.parent / ".collect" / path.name)
    log = log_of(path.parent)
    ledger = Ledger(["0", "1"], dict.fromkeys("01", path), log, 3, Budget(calls=10))
    ledger.next_task()
    ledger.over_budget()
    msgspec.json.encode([ledger.total, log.warnings, ledger.count(["done"])])


def _small_states(path: Path) -> None:
    read_struct(path, Consent)
    (path.parent / "hints.json").write_bytes(path.read_bytes())
    tour = Tour(path.parent)
    tour.go_on(Facts("pairs"))
    assert isinstance(tour.hint, str)
    path.rename(path.with_name("o.jsonl.report.json"))
    for export in past_exports(path.parent):
        export_cells(export, {}, 1e9)


READERS: dict[str, Reader] = {
    "trace": Reader("t.trace.jsonl", _trace),
    "followed": Reader("t.trace.jsonl", _followed),
    "replayed": Reader("t.trace.jsonl", _replayed),
    "tree": Reader("search_results_1.json", _tree_file),
    "recording": Reader("r.json", _recording),
    "recorded-verifier": Reader("v.jsonl", lambda path: _read_lines(str(path))),
    "settings": Reader("agentr.toml", _settings),
    "decisions": Reader("me-here-1-abcdef.jsonl", _decisions),
    "bookmarks": Reader("me-here-1-abcdef.jsonl", _bookmarks),
    "planted": Reader("p.jsonl", lambda path: read_planted(path.parent)),
    "replies": Reader("r.jsonl", lambda path: JudgementCache(path.parent)),
    "control": Reader("t.trace.jsonl.control", _control),
    "index": Reader("index.sqlite", _index),
    "state": Reader("place.json", _state),
    "mix": Reader("m.jsonl", _mix),
    "run": Reader("r.jsonl", _run),
    "recoveries": Reader("r.jsonl", read_file),
    "answer": Reader("answer.json", _reply),
    "query": Reader("query.txt", _query),
    "rollouts": Reader("r.json", _rollouts),
    "collection": Reader("m.json", _collection),
    "collection-log": Reader("log-here-1-abcdef.jsonl", _collection_log),
    "small-states": Reader("s.json", _small_states),
    "notes": Reader("n.md", read_notes),
    **{name: Reader(*each) for name, each in {**MORE, **OUTSIDE}.items()},
}
REPORT = Report(
    exported=Exported(
        out="o.jsonl",
        lines=3,
        dropped={"not decided": 1},
        which="all",
        run="r",
        format="agent-r",
        data_type="centric",
        card="o.md",
        provenance="o.jsonl.provenance.jsonl",
        commands=["train o.jsonl"],
    ),
    options=ExportOptions(),
    refused=False,
    rules=["a rule"],
    issues=[],
)
MADE: dict[str, Callable[[], list[bytes]]] = {
    "collection": lambda: [msgspec.json.encode(manifest_of("textcraft", SearchSettings(), True, False))],
    "collection-log": lambda: [
        msgspec.json.encode(Ended(time="2026-01-01", attempt=1, ended=Finished("0", "failed", Spent(nodes=2)))) + b"\n",
        msgspec.json.encode(Ended(time="2026-01-02", attempt=2, ended=Finished("1", "done", Spent(3, 4, 5, 0.1, 6))))
        + b"\n",
    ],
    "small-states": lambda: [
        msgspec.json.encode(Consent(about="a", name="env", value="v")),
        b'{"step": 3, "over": false}',
        msgspec.json.encode(REPORT),
    ],
    "notes": lambda: [b"# Notes\n\n- craft first <!-- kind 1 -->\n- ~~no~~ [task 2](<t.trace.jsonl#3>)\n"],
}
"""Good bytes that are made here."""

QUOTES = (_reply, _refusal)
"""Readers whose errors hold the words of a server as they came: who shows them makes one line of them."""

SAME = {"followed": "trace", "replayed": "trace"}
"""Readers that are given what another one is given."""


def seeds(reader: str) -> list[bytes]:
    """The good files of a reader."""
    if reader == "index":  # it holds whole paths
        with tempfile.TemporaryDirectory() as folder:
            cached_figures(Workspace(Path(folder)), [CORPUS / "trace" / "search.trace.jsonl"])
            return [(Path(folder) / "index.sqlite").read_bytes()]
    if reader == "rollouts":
        with tempfile.TemporaryDirectory() as folder:
            return [samples.write(Path(folder), format).read_bytes() for format in samples.FILES]
    if reader in MORE:
        return more_seeds(reader)
    if reader in OUTSIDE:
        return outside_seeds(reader)
    if reader in MADE:
        return MADE[reader]()
    return [path.read_bytes() for path in sorted((CORPUS / SAME.get(reader, reader)).iterdir())]


def read(reader: str, data: bytes, folder: Path) -> bool:
    """Give bytes to a reader; whether it took them. Raises what is no typed error of one line."""
    name, work = READERS[reader]
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    try:
        work(path)
    except TYPED as error:
        told = str(error)
    else:
        return True
    if "\n" in told and work not in QUOTES:
        raise ValueError(f"an error of several lines: {told}")
    told.encode("utf-8", "strict" if work not in QUOTES else "backslashreplace")
    return False
