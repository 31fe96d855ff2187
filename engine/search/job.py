"""A search with everything it needs: environment, actor, trace file. For the command line and the screens alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.base.close_on_failure import closed_on_failure
from engine.base.errors import InputError, WorkFailed
from engine.base.reviewer_name import reviewer_name
from engine.environment.opened import Opened, at_hand, name_to_go_on, open_environment, recalls
from engine.environment.permission import (
    Permit,
    TrustedSettings,
    by_person,
    check,
    check_search,
    digest_of,
    environment_claims,
    permit,
    remember,
    settings_claims,
)
from engine.search.actor_choice import make_actor, with_actor
from engine.search.control import Control
from engine.search.control_file import control_path, listen
from engine.search.interventions import Intervention, forked_events, refused
from engine.search.search import Search
from engine.search.settings import settings_from, with_parse_of_recording
from engine.search.started_event import started_event, with_notes
from engine.trace.sources import load_any
from engine.trace.trace_file import TraceWriter, load, read_events
from engine.tree.events import AnyEvent, Fork, PrefixStep, SearchSettings, SettingsChanged, Started
from engine.tree.tree import SearchTree

LOOK_SECONDS = 1.0
"""Between two looks at whether the trace of a running search is still there."""


@dataclass
class SearchJob:
    """A search that is ready to run, and its trace file."""

    search: Search
    writer: TraceWriter
    path: Path
    warning: str = ""  # what a person should know of its environment

    @property
    def control(self) -> Control:
        """Steers the search from any thread."""
        return self.search.control

    @property
    def tree(self) -> SearchTree:
        """The engine's own tree; another thread folds its own."""
        return self.search.tree

    async def run(self) -> str:
        """Run to the end; returns the reason. The trace is closed in any case.

        Raises `WorkFailed` where the trace can't be written, or is no longer at its path.
        """
        beside = [asyncio.ensure_future(each) for each in (listen(self.control, self.path), self._watch())]
        try:
            reason = await self.search.run()
            self.writer.check()
            return reason
        finally:
            for each in beside:
                each.cancel()
            self.writer.close()
            close = getattr(self.search.actor, "close", None)
            if close is not None:
                await close()
            with suppress(OSError):  # nobody listens any more
                control_path(self.path).unlink(missing_ok=True)

    async def _watch(self) -> None:
        """Stop the search once its trace is gone: `run` says so."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self.writer.check()
            except WorkFailed:
                self.control.stop("stopped")
                return

    def run_blocking(self) -> str:
        """Run to the end on an event loop of its own."""
        return asyncio.run(self.run())


def new_job(
    environment: str | Permit,
    task: str | None,
    settings: SearchSettings,
    out: Path,
    *,
    listener: Callable[[AnyEvent], None] | None = None,
    delay: float = 0.0,
    overwrite: bool = False,
    control: Control | None = None,
    choose_actor: bool = False,
    notes: str = "",
) -> SearchJob:
    """Returns a new search, its `started` event written. Raises `InputError` before anything is written.

    The environment and the settings count as named by a person: what they name is permitted for this trace from now on
    (`engine.environment.permission`).

    `environment`: its name, or a permit. `task`: its id; None: the environment's first. `settings`: of the search.
    `out`: the trace file. `listener`: called with each event after it is written. `delay`: seconds a draw that the
    scripted actor takes. `overwrite`: whether a file of that name may be replaced. `control`: steers the search from
    another thread. `choose_actor`: where the settings name no actor, take the one that can work in the environment.
    `notes`: text that the actor reads below the rules; the trace's header keeps it.
    """
    settings = with_parse_of_recording(environment if isinstance(environment, str) else environment.name, settings)
    which = by_person(environment) if isinstance(environment, str) else environment
    opened = open_environment(which, task)
    if choose_actor:
        with closed_on_failure(opened.env):
            settings = with_actor(opened, settings)
    started = _begun(opened, settings)
    if notes:
        started = with_notes(started, notes)
    actor = make_actor(settings.actor, settings, delay, opened.environment, opened, started.tools)
    remember(started, which, settings, out, called=opened.environment)
    with closed_on_failure(TraceWriter(out, overwrite=overwrite)) as writer:
        search = Search.begin(started, opened, actor, sink_of(writer, listener), control)
    return SearchJob(search, writer, out, opened.changed)


def resume_job(
    path: Path,
    *,
    listener: Callable[[AnyEvent], None] | None = None,
    delay: float = 0.0,
    control: Control | None = None,
    changes: dict[str, Any] | None = None,
    own: TrustedSettings = (),
) -> SearchJob:
    """Returns a search that goes on after it was stopped or killed. Raises `InputError` if the trace can't be resumed,
    `UntrustedTrace` if that needs permission.

    `path`: the trace. `listener`: called with the events so far, then with each new one. `delay` and `control`: as in
    `new_job`. `changes`: settings that replace the trace's. `own`: settings that the user gave, whose servers are
    trusted (`engine.environment.permission`).
    """
    loaded = load(path)
    tree = loaded.tree
    started = tree.started
    assert started is not None
    if tree.imported_from is not None:
        raise InputError(f"{path}: a tree made elsewhere can't be resumed: there is no record of its search")
    settings = started.settings
    control = control or Control()
    own = [changes or {}, *own]
    changes = {name: value for name, value in (changes or {}).items() if value != getattr(settings, name, None)}
    if changes:
        merged = {**msgspec.to_builtins(started.settings), **changes}
        settings = settings_from(merged)
        control.change(reviewer_name(), changes)
    check_search(settings, started, own, path, name_to_go_on(started))
    which = permit(name_to_go_on(started), started, own, path)
    opened: Opened = open_environment(which, started.task, _recalled(which.name, started))
    _check_task(path, started, opened)
    actor = make_actor(settings.actor, settings, delay, opened.environment, opened, started.tools)
    remember(started, which, settings, path)
    with closed_on_failure(TraceWriter(path, append_to=loaded.end)) as writer:
        if listener is not None:
            for event in read_events(path):
                listener(event)
        search = Search(tree, opened, actor, sink_of(writer, listener), control)
    return SearchJob(search, writer, path, opened.changed)


def _begun(
    opened: Opened, settings: SearchSettings, *, prefix: Sequence[PrefixStep] = (), forked_from: Fork | None = None
) -> Started:
    """The first event of a search in an environment, which is closed where these settings can't work there. Raises
    `InputError`."""
    with closed_on_failure(opened.env):
        return started_event(opened, settings, prefix=prefix, forked_from=forked_from)


def _recalled(environment: str, started: Started) -> str | None:
    """The first observation of a trace, for an environment that sees by it whether its task is the same."""
    return started.header[-1].content if started.header and recalls(environment) else None


def _check_task(path: Path, started: Started, opened: Opened) -> None:
    """Raises `InputError` where an environment does not begin as it did in a trace."""
    if started.header and opened.first_observation != started.header[-1].content:
        raise InputError(
            f"{path}: task {started.task} of {opened.name} begins otherwise than in this trace: another version of the"
            " environment, or another server; it can't be resumed here"
        )


def fork_job(
    path: Path,
    seq: int,
    out: Path,
    *,
    requests: Sequence[Intervention] = (),
    changes: dict[str, Any] | None = None,
    listener: Callable[[AnyEvent], None] | None = None,
    delay: float = 0.0,
    overwrite: bool = False,
    control: Control | None = None,
    own: TrustedSettings = (),
) -> SearchJob:
    """Returns a new search that shares the events of another up to one of them, and then goes on by itself. Raises
    `InputError` before anything is written.

    `path`: the other trace. `seq`: number of the last event that they share. `requests`: interventions to begin with.
    `changes`: settings that replace the trace's. `listener`: called with the shared events, then with each new one.
    `own`: as in `resume_job`. `out`, `delay`, `overwrite`, `control`: as in `new_job`.
    """
    events = forked_events(read_events(path), seq, path)
    first = events[0]
    assert isinstance(first, Started)
    tree = SearchTree([replace(first, settings=replace(first.settings)), *events[1:]])
    started = tree.started
    assert started is not None
    if changes:
        settings_from({**msgspec.to_builtins(started.settings), **changes})
        events.append(SettingsChanged(seq=seq + 1, t=events[-1].t, who=reviewer_name(), changes=changes))
        tree.apply(events[-1])
    own = [changes or {}, *own]
    name, origin = name_to_go_on(started), digest_of(next(iter(read_events(path))))
    check([*environment_claims(name), *settings_claims(started.settings)], origin, own, path)
    which = permit(name, origin, own, path)
    control = control or Control()
    for asked in requests:
        if asked.node < len(tree) and (why := refused(tree, asked)):  # else it is a node that comes of one before
            raise InputError(f"event {seq}: {why}")
        control.intervene(reviewer_name(), asked)
    opened = open_environment(which, started.task, _recalled(which.name, started))
    _check_task(path, started, opened)
    actor = make_actor(started.settings.actor, started.settings, delay, opened.environment, opened, started.tools)
    remember(first, which, started.settings, out, like=origin)
    with closed_on_failure(TraceWriter(out, overwrite=overwrite)) as writer:
        write = sink_of(writer, listener)
        for event in events:
            write(event)
        search = Search(tree, opened, actor, write, control)
    return SearchJob(search, writer, out, opened.changed)


def branch_job(
    path: Path,
    node: int,
    out: Path,
    *,
    changes: dict[str, Any] | None = None,
    listener: Callable[[AnyEvent], None] | None = None,
    delay: float = 0.0,
    overwrite: bool = False,
    control: Control | None = None,
    own: TrustedSettings = (),
    environment: str = "",
    notes: str = "",
) -> SearchJob:
    """Returns a new search that begins at a node of another trace, or of an import: the way there is its prefix. Raises
    `InputError` before anything is written.

    `path`: the other trace, whose notes are not taken over. `node`: where to begin. `changes`: settings that replace
    the trace's. `environment`: its name, for an import that names none. `own`: as in `resume_job`. `out`, `listener`,
    `delay`, `overwrite`, `control`, `notes`: as in `new_job`.
    """
    tree = load_any(path).tree
    started = tree.started
    assert started is not None
    if not 0 <= node < len(tree):
        raise InputError(f"{path}: has no node {node}: 0 to {len(tree) - 1}")
    if tree.nodes[node].terminal not in (None, "dead_end"):
        raise InputError(f"{path}: node {node} is the end of its trajectory: name one above it")
    foreign = tree.imported_from is not None
    first = started.header[-1].content if started.header else ""
    before = {} if foreign else msgspec.to_builtins(started.settings)
    settings = settings_from({**before, **(changes or {})})
    own = [changes or {}, *own]
    name = name_to_go_on(started)
    name = environment if environment and not at_hand(name) else name
    if not at_hand(name):
        raise InputError(f"{path}: no environment is at hand ({name}): --env names the one to go on in")
    check_search(settings, started, own, path, name)
    which = permit(name, started, own, path)
    hint = first if foreign else _recalled(which.name, started)
    opened = open_environment(which, started.task, hint)
    _check_task(path, started, opened)
    words = tree.words_at(node)
    steps = [tree.node(step).as_prefix(words.get(step, 0)) for step in tree.ancestors(node)[1:]]
    new = _begun(
        opened, settings, prefix=[*started.prefix, *steps], forked_from=Fork(started.trace, tree.born_at(node))
    )
    if notes:
        new = with_notes(new, notes)
    actor = make_actor(settings.actor, settings, delay, opened.environment, opened, new.tools)
    remember(new, which, settings, out, called=opened.environment)
    with closed_on_failure(TraceWriter(out, overwrite=overwrite)) as writer:
        search = Search.begin(new, opened, actor, sink_of(writer, listener), control)
    return SearchJob(search, writer, out, opened.changed)


def sink_of(writer: TraceWriter, listener: Callable[[AnyEvent], None] | None) -> Callable[[AnyEvent], None]:
    """Returns the function that writes an event to the trace, then calls the listener, if there is one."""
    if listener is None:
        return writer.write
    heard = listener

    def sink(event: AnyEvent) -> None:
        writer.write(event)
        heard(event)

    return sink
