"""The command `round`: collect, revise, export, learn, evaluate, as often as a file says (docs/rounds.md)."""

from __future__ import annotations

import io
import json as json_texts
import os
import shlex
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from filelock import Timeout

from agentr_tui.cli.main import run
from agentr_tui.cli.options import INPUT, INTERRUPTED, TASK, JsonOption, WorkspaceOption
from agentr_tui.cli.round_file import OF_RECORDS, RoundFile, read_round_file, unasked
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE
from agentr_tui.terminal.output import emit_json, say, table, warn
from agentr_tui.terminal.own_output import output_to
from engine.base.errors import InputError, WorkFailed
from engine.base.files import stamp, write_beside
from engine.base.untrusted_files import check_no_link, read_text, what_is
from engine.datasets.files import PACKINGS, packing_of, place_of
from engine.datasets.formats import format_named
from engine.rounds.processes import Server, filled, run_command
from engine.rounds.record import (
    COLUMNS,
    Round,
    Row,
    Stage,
    cells_of,
    files_made,
    folder_of,
    path_of,
    read_round,
    rounds_in,
    table_of,
    write_round,
)
from engine.trace.write_lock import held, let_go
from engine.workspace.workspace import Workspace


def round_(
    file: Annotated[Path, Parameter(help="File of the rounds, in TOML (docs/rounds.md).")],
    /,
    *,
    learned: Annotated[
        str | None,
        Parameter(group=INPUT, help="Name of the model that was trained for the waiting round, which then goes on."),
    ] = None,
    yes: Annotated[
        bool, Parameter(group=TASK, negative="", help="Run the commands of the file without asking first.")
    ] = False,
    json: JsonOption = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Collect, revise, export, learn and evaluate, round after round. The same command again continues."""
    found = read_round_file(file)
    if not yes and (asked := unasked(found)) is not None:
        raise asked
    if learned is not None and found.learning != "wait":
        raise InputError("--learned is for rounds that wait: [learn] of the file has no wait = true")
    place = Workspace.open(workspace, create=True)
    folder = folder_of(place.path, file.stem)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = held(str(folder / ".lock"), 0)
        try:
            waits = Rounds(found, place, folder).run(learned)
        finally:
            let_go(lock)
    except Timeout as error:
        raise InputError(f"{folder}: another process is at these rounds") from error
    except _Interrupted:
        warn("interrupted; the same command again continues")
        return INTERRUPTED
    rows = table_of(rounds_in(folder))
    if json:
        emit_json({"name": file.stem, "folder": str(folder), "waits": waits, "rounds": rows})
    else:
        _tell(rows)
        if waits:
            say(waits)
    return 0


IN_WORKSPACE = "{workspace}"
"""What stands for the workspace's path in recorded commands: it may lie elsewhere when the rounds go on."""

SERVED = "openai"
"""The actor that asks a server."""

BAD_USAGE = 2
"""Exit code of a command whose options are unusable."""


class _Interrupted(Exception):
    """A stage was interrupted."""


Files = Callable[[dict[str, Any]], Sequence[Path]]
"""The files that a stage made, by what its command printed."""


def _no_files(printed: dict[str, Any]) -> Sequence[Path]:
    return []


class Rounds:
    """The rounds of one file in one workspace."""

    def __init__(self, found: RoundFile, workspace: Workspace, folder: Path) -> None:
        self._file, self._given = found, workspace.path
        self._workspace, self._folder = Workspace(workspace.path.absolute()), folder.absolute()
        self._name = found.path.stem
        self._waited = False  # whether `learned` was used
        log = folder / "server.log"
        self._server = Server(found.serve, found.base_url, log, found.serve_seconds)

    def run(self, learned: str | None) -> str:
        """Run all rounds; returns what they wait for, empty where they do not wait. Raises `InputError`, `WorkFailed`,
        `_Interrupted`."""
        with self._server:
            now = Round(round=0, learned=self._file.model)
            for number in range(self._file.rounds + 1):
                before, now = now, read_round(self._folder, number)
                now.model, now.notes = before.learned, before.learned_notes
                if number and (waits := self._learn(now, learned)):
                    return waits
                if not number:
                    now.learned, now.learned_notes = now.model, now.notes  # whatever its record says
                if self._file.evaluates and (number or self._file.baseline):
                    self._evaluate(now)
                learned = None if self._waited else learned
        return ""

    # -- stages --------------------------------------------------------------------------------------------

    def _learn(self, now: Round, learned: str | None) -> str:
        """Collect, revise, export and learn; what the round waits for."""
        file, number = self._file, now.round - 1
        traces = self._traces(now.round)
        actor = self._actor(now.model, now.notes)
        options = [*file.arguments("collect", number), *actor, f"--out={traces}"]
        self._agentr(now, "collect", options, lambda _: [traces / ".collect" / "manifest.json"])
        options = [str(traces), *file.arguments("revise", number)]
        made = self._agentr(now, "revise", options, lambda done: [self._workspace.runs_folder / f"{done['run']}.jsonl"])
        run = self._said(made, now, "run")
        dataset = self._export(now, run) if file.exports else ""
        if file.learning == "wait":
            return self._wait(now, dataset, learned)
        if file.learning == "notes":
            self._learn_notes(now)
        else:
            self._train(now, dataset)
        return ""

    def _export(self, now: Round, run: str) -> str:
        """The dataset: revision trajectories, good ones and lines of others; returns its path."""
        file, number = self._file, now.round - 1
        folder = self._workspace.exports / self._name / f"round-{now.round}"
        ending = format_named(file.option("export", "format", number, "agent-r")).extension
        mixed = [mix] if (mix := file.option("export", "mix", number)) else []
        for name in ("good", "dataset"):
            check_no_link(folder / f"{name}{ending}")
        if file.good:
            out = folder / f"good{ending}"
            options = [*file.arguments("export", number, OF_RECORDS), "--data-type=good", "--no-config"]
            good = self._agentr(now, "export", [*options, f"--run={run}", f"--out={out}"], stage="good")
            mixed += [f"{out}:{file.good:g}"] if good.figures.get("lines") else []
        options = [part for part in file.arguments("export", number) if not part.startswith("--mix=")]
        options += [f"--mix={','.join(mixed)}"] if mixed else []
        out = folder / f"dataset{ending}"
        self._agentr(now, "export", [*options, f"--run={run}", f"--out={out}"], lambda _: [folder])
        asked = file.option("export", "compress", number)
        packing = packing_of(out, next((each for each in PACKINGS if each == asked), None))
        return str(place_of(out, packing, ending)[0])  # not as the record has it, which anybody may have written

    def _learn_notes(self, now: Round) -> None:
        page = self._folder / f"round-{now.round}" / "notes.md"
        check_no_link(page)
        if now.stage("learn") is None:
            page.parent.mkdir(parents=True, exist_ok=True)
            if now.notes and what_is(page) is None:
                text = read_text(now.notes)
                write_beside(page, lambda stream: stream.write(text.encode()))  # what a person edited there is kept
        options = [f"--{name}={value}" for name, value in self._file.notes_options.items()]
        now.learned, now.learned_notes = now.model, str(page)
        self._agentr(now, "notes", [f"--out={page}", *options], lambda _: [page], "learn")

    def _train(self, now: Round, dataset: str) -> None:
        out = (self._folder / f"round-{now.round}" / "model").absolute()
        log = out.with_name("train.log")
        values = {
            "dataset": str(Path(dataset).absolute()), "model": now.model, "out": str(out), "round": str(now.round),
            "workspace": str(self._workspace.path.absolute()),
        }  # fmt: skip
        command = filled(self._file.command, values)
        learned = self._file.learned.replace("{round}", str(now.round)) or str(out)
        now.learned, now.learned_notes = learned, now.notes

        def train() -> dict[str, Any]:
            self._server.stop()
            out.mkdir(parents=True, exist_ok=True)
            try:
                run_command(command, log)
            except KeyboardInterrupt:
                raise _Interrupted from None
            if not self._file.learned and not any(out.iterdir()):
                raise WorkFailed(
                    f"the command wrote nothing to {out}: write the model to {{out}}, or name it with learned = '…' in"
                    " [learn]"
                )
            return {"learned": learned}

        self._stage(now, "learn", [command], train, lambda _: [out, log])

    def _wait(self, now: Round, dataset: str, learned: str | None) -> str:
        known = now.stage("learn")
        if known is not None:
            now.learned, now.learned_notes = self._said(known, now, "learned"), now.notes
            return ""
        if learned is None:
            again = f"agentr round {shlex.quote(str(self._file.path))} --learned MODEL"
            return f"round {now.round} waits: train on {self._as_given(dataset)}, then: {again}"
        self._waited = True
        now.learned, now.learned_notes = learned, now.notes
        self._stage(now, "learn", ["--learned", learned], lambda: {"learned": learned})
        return ""

    def _evaluate(self, now: Round) -> None:
        out = self._traces(now.round, "-eval")
        before = self._traces(now.round - 1, "-eval") if now.round else None
        against = [f"--against={before}"] if before is not None and before.is_dir() else []
        actor = self._actor(now.learned, now.learned_notes)
        options = [*self._file.arguments("eval", now.round), *actor, f"--out={out}", *against]
        self._agentr(now, "eval", options, lambda _: sorted(out.glob("seed-*/.collect/manifest.json")))

    # -- how a stage runs ----------------------------------------------------------------------------------

    def _said(self, stage: Stage, now: Round, name: str) -> str:
        """What a stage gave. Raises `InputError` where a record that somebody changed does not hold it."""
        value = stage.figures.get(name)
        if not isinstance(value, str):
            raise InputError(f"{path_of(self._folder, now.round)}: {stage.name} has no {name}: move it away")
        return value

    def _traces(self, number: int, what: str = "") -> Path:
        return self._workspace.traces / f"{self._name}-round-{number}{what}"

    def _as_given(self, told: str) -> str:
        """The same with paths of the workspace as the person named it."""
        return told.replace(
            f"{self._workspace.path}{os.sep}", "" if self._given == Path() else f"{self._given}{os.sep}"
        )

    def _actor(self, model: str, notes: str) -> list[str]:
        return [*([f"--model={model}"] if model else []), *([f"--notes={notes}"] if notes else [])]

    def _agentr(
        self,
        now: Round,
        command: str,
        options: Sequence[str],
        files: Files = _no_files,
        stage: str = "",
    ) -> Stage:
        """A stage that is a command of `agentr`."""

        def act() -> dict[str, Any]:
            if self._file.option(command, "actor", now.round) == SERVED:
                self._server.serve(now.learned if command == "eval" else now.model)
            return self._command(command, options, may_be_empty=stage == "good")

        return self._stage(now, stage or command, [command, *options], act, files)

    def _stage(
        self,
        now: Round,
        name: str,
        command: list[str],
        act: Callable[[], dict[str, Any]],
        files: Files = _no_files,
    ) -> Stage:
        """A stage, done now or before."""
        kept = [part.replace(str(self._workspace.path), IN_WORKSPACE) for part in command]
        known = now.stage(name)
        if known is not None:
            _check_same(now, known, kept, self._folder)
            return known
        warn(f"round {now.round}, {name}: {self._as_given(shlex.join(command) if len(command) > 1 else command[0])}")
        began, clock = stamp(datetime.now(UTC)), time.monotonic()
        try:
            figures = act()
        except WorkFailed as error:
            raise WorkFailed(
                f"round {now.round}, {name}: {error}; fix the cause, then the same command again continues"
            ) from error
        seconds = round(time.monotonic() - clock, 3)
        told = {key: value for key, value in figures.items() if not isinstance(value, list)}
        made = files_made(files(figures), self._workspace.path)
        done = Stage(name=name, command=kept, began=began, seconds=seconds, figures=told, files=made)
        now.stages.append(done)
        write_round(self._folder, now)
        return done

    def _command(self, name: str, options: Sequence[str], may_be_empty: bool) -> dict[str, Any]:
        """What a command of `agentr` prints. Raises `InputError`, `WorkFailed`, `_Interrupted` as it ended."""
        printed = io.StringIO()
        with output_to(printed):
            code = run([name, *options, f"--workspace={self._workspace.path}", "--json"])
        if code == INTERRUPTED:
            raise _Interrupted
        found: dict[str, Any] = json_texts.loads(printed.getvalue() or "{}")
        fine = not code or (may_be_empty and found.get("lines") == 0) or (bool(found) and self._enough(found))
        if not fine:
            kind = InputError if code == BAD_USAGE else WorkFailed
            raise kind(f"agentr {name} ended with exit code {code}")
        return found

    def _enough(self, found: dict[str, Any]) -> bool:
        """Whether no more tasks failed than may."""
        runs = found.get("runs") or [found]
        if not all("tasks" in each and "failed" in each for each in runs):
            return False
        failed = sum(len(each["failed"]) for each in runs)
        return bool(failed <= self._file.may_fail * sum(each["tasks"] for each in runs))


def _check_same(now: Round, known: Stage, command: list[str], folder: Path) -> None:
    """Raises `InputError` where a stage that was done would be another one by now."""
    if known.command == command:
        return
    new, old = (
        [part for part in one if part not in other]
        for one, other in ((command, known.command), (known.command, command))
    )
    raise InputError(
        f"round {now.round}, {known.name}: was done with {' '.join(old) or 'fewer options'}, now the file says"
        f" {' '.join(new) or 'fewer options'}: give what it was, copy the file under another name, or move"
        f" {folder / f'round-{now.round}.json'} away to do this round again"
    )


def _tell(rows: Sequence[Row]) -> None:
    table(COLUMNS, [cells_of(row) for row in rows], right=(0, 2, 3, 4, 5, 9))
