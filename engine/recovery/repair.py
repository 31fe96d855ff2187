"""Repair: search again from just after the wrong step of a sample whose good steps do not hold there.

The new search is the same engine with a budget of its own. It stands on the bad steps up to the mark; the revision turn
takes no step in the environment and is not part of what its actor sees. The best good leaf it finds becomes the tail
of the sample, and the whole is replayed: only what holds is called `repaired`. The trace of the search is kept beside
the others, and the same repair of the same sample is found there again, without a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.base.close_on_failure import closed_on_failure
from engine.base.errors import InputError, TraceError, WorkFailed
from engine.base.step_kind import careless, info_or_none
from engine.base.text import clean, flatten
from engine.base.untrusted_files import real_path, what_is
from engine.environment.opened import name_to_go_on
from engine.environment.permission import TrustedSettings, check_search, permit, remember
from engine.environment.replay import Replayer, opener
from engine.samples.finishing import Repairer
from engine.samples.sample import Sample, replay_sample, splice_of, steps_to_replay, with_tail
from engine.samples.settings import Repairs, RepairSettings, ReviseSettings
from engine.samples.tails.tail import Tail, tail_step
from engine.search.actor_choice import make_actor
from engine.search.control import Control
from engine.search.job import SearchJob, sink_of
from engine.search.outages import owed_words
from engine.search.search import Search
from engine.search.settings import settings_from
from engine.search.started_event import started_event
from engine.trace.trace_file import TraceWriter, load
from engine.tree.events import AnyEvent, Fork, PrefixStep, Sampled, SearchSettings, Started
from engine.tree.messages import observed
from engine.tree.node import Node
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from envs.base import EnvError

FOLDER = "repairs"
"""Folder below a workspace's traces that keeps these searches."""

EMBEDDED = "scripted"

ENDED = "the episode is over after the wrong step"
NOTHING = "no good leaf was found"
LOST = "the tail does not reach the return when it is replayed"
STOPPED = "stopped"
NOT_ASKED = "its actor is a model that costs: --repair searches all the same"
SLOW = "its environment takes long: --repair searches all the same"

FREE = frozenset({"scripted", "random", "replayed"})
"""Actors that cost nothing."""


def repair_cost(tree: SearchTree, settings: RepairSettings) -> str:
    """What repairing one sample may cost, in a line. Raises `InputError`."""
    search = search_settings(tree, settings)
    who = f"{search.actor} ({search.model})" if search.model and search.actor == "openai" else search.actor
    return f"at most {settings.calls} calls of {who}"


def search_settings(tree: SearchTree, settings: RepairSettings) -> SearchSettings:
    """The settings of the new search: the tree's own, but for its budget and what is named.

    The actor of a tree made elsewhere is unknown; the embedded one takes its place. Raises `InputError`.
    """
    assert tree.started is not None
    values: dict[str, Any] = msgspec.to_builtins(tree.started.settings)
    values.update(iterations=settings.iterations, budget_calls=settings.calls, budget_good=settings.good)
    values.update(budget_tokens=None, budget_cost=None, budget_seconds=None)
    if tree.imported_from is not None:
        values["actor"] = EMBEDDED
    for name in ("actor", "model", "base_url", "seed"):
        value = getattr(settings, name)
        if value is not None:
            values[name] = value
    if values["actor"].startswith("recorded:"):
        raise InputError(f"the actor {values['actor']} has no answers for a new search: name one with --repair-actor")
    return settings_from(values)


def prefix_of(tree: SearchTree, sample: Sample, replayer: Replayer) -> list[PrefixStep] | None:
    """Returns the steps up to the mark with what the environment truly answers; None where the episode is over by then.
    Raises `EnvError`, `InputError`.

    `tree`: the search. `sample`: the sample. `replayer`: of that tree.
    """
    assert tree.started is not None
    stand = replayer.stand()
    prefix = list(tree.started.prefix)
    stand.at = -1  # steps below are taken past the stand
    for id in splice_of(tree, sample).bad:
        node = tree.nodes[id]
        observation, score, done = stand.step(node.action)
        prefix.append(observed(node.as_prefix(), clean(flatten(observation))))
        if done or score < 0:
            return None
    return prefix


def repair_sample(
    tree: SearchTree,
    sample: Sample,
    replayer: Replayer,
    folder: Path,
    settings: RepairSettings,
    figures: Repairs,
    *,
    thresholds: Thresholds | None = None,
    environment: str | None = None,
    control: Control | None = None,
    listener: Callable[[AnyEvent], None] | None = None,
    own: TrustedSettings = (),
) -> Sample:
    """Returns the sample with a tail that a new search found and a replay confirms; unchanged where there is none.

    `tree`: the sample's. `sample`: the sample. `replayer`: of that tree, to confirm the tail. `folder`: keeps the
    traces of repairs. `settings`: how the search is made. `figures`: counts searches, calls and why one failed.
    `thresholds`: which leaves are good; None: the defaults. `environment`: its name; None: the tree's own. `control`:
    stops the search from another thread. `listener`: called with each event of the search. `own`: settings that the
    user gave, whose servers are trusted (`engine.environment.permission`).

    Raises `InputError` where no search is possible (an actor that is missing), `WorkFailed` where it can't be written.
    """
    if sample.kind not in ("revision", "recovery") or sample.compat:
        raise InputError("only revisions and recoveries that are not made with --compat can be repaired")
    started = tree.started
    assert started is not None
    own = list(own)
    wanted = search_settings(tree, settings)
    check_search(wanted, started, own, tree.source or sample.path, environment)
    thresholds = thresholds or Thresholds.for_range(started.score_range, None, None)
    figures.tried += 1
    try:
        prefix = prefix_of(tree, sample, replayer)
    except EnvError as error:
        return _failed(sample, figures, str(error))
    if prefix is None:
        return _failed(sample, figures, ENDED)
    path = folder / f"repair-{sample.id}-{_digest(sample, prefix, wanted)}.trace.jsonl"
    found, calls = _known(path), 0
    if found is None:
        job = _job(tree, sample, prefix, wanted, path, environment, control, listener, own)
        job.run_blocking()
        found, calls = job.tree, job.tree.calls
        figures.calls += calls
        if owed := owed_words(found):  # where nothing is owed, the model answered, to no use for this sample
            raise WorkFailed(f"repairing sample {sample.id}: {job.search.outage or owed}")
    leaf = best_leaf(found, thresholds, sample.return_bad)
    if leaf is None:
        stopped = control is not None and control.stop_reason is not None
        return _failed(sample, figures, STOPPED if stopped else NOTHING)
    assert found.started is not None
    steps = [found.nodes[id] for id in found.ancestors(leaf.id)[1:]]
    tail = Tail(
        mark=sample.mark,
        steps=[tail_step(step, own=False) for step in steps],
        score=leaf.reward,
        trace=found.started.trace,
        path=str(real_path(path)),
        leaf=leaf.id,
    )
    mended = with_tail(tree, sample, tail, replayer)
    if mended.verdict != "repaired":
        return _failed(sample, figures, LOST)
    figures.repaired += 1
    return mended


def best_leaf(tree: SearchTree, thresholds: Thresholds, bad: float) -> Node | None:
    """Returns the leaf to repair with; None where no good leaf beats the bad return by more than beta. The highest
    return comes first, then the fewest careless steps, then the fewest steps.

    `tree`: the repair's search. `thresholds`: alpha and beta. `bad`: the return of the bad trajectory.
    """
    good = [leaf for leaf in tree.leaves() if leaf.reward > thresholds.alpha and leaf.reward - bad > thresholds.beta]
    return min(good, key=lambda leaf: (-leaf.reward, _careless_steps(tree, leaf), leaf.depth, leaf.id), default=None)


def _careless_steps(tree: SearchTree, leaf: Node) -> int:
    environment = tree.started.environment if tree.started is not None else ""
    steps = [tree.nodes[id] for id in tree.ancestors(leaf.id)[1:]]
    return sum(
        careless(
            environment,
            step.action,
            step.observation,
            step.results,
            ahead=[later.action for later in steps[place + 1 :]],
            behind=[(before.action, before.observation) for before in steps[:place]],
        )
        for place, step in enumerate(steps)
    )


def repairer(folder: Path, revise: ReviseSettings, own: TrustedSettings = ()) -> Repairer | None:
    """Returns the function with which `engine.samples.revise.revise` repairs a sample; None where the settings do not
    ask for it. Raises `InputError` where they exclude it.

    `folder`: keeps the traces of repairs. `revise`: the settings of the run. `own`: settings that the user gave, whose
    servers are trusted.
    """
    settings = revise.repair
    if settings is None:
        return None
    if revise.compat:
        if settings.paid:
            raise InputError("--repair and --compat exclude each other: the original repairs nothing")
        return None

    def repair(tree: SearchTree, sample: Sample, replayer: Replayer, figures: Repairs) -> Sample:
        assert tree.started is not None
        thresholds = Thresholds.for_range(tree.started.score_range, revise.alpha, revise.beta)
        if not settings.paid and not is_free(tree, settings):
            return _failed(sample, figures, NOT_ASKED)
        if not settings.paid and takes_long(tree, revise.environment):
            return _failed(sample, figures, SLOW)
        return repair_sample(
            tree,
            sample,
            replayer,
            folder,
            settings,
            figures,
            thresholds=thresholds,
            environment=revise.environment,
            own=[{"env": revise.environment}, *own],
        )

    return repair


def is_free(tree: SearchTree, settings: RepairSettings) -> bool:
    """Whether the search can be made and costs nothing."""
    try:
        actor = search_settings(tree, settings).actor
    except InputError:
        return False
    return actor.partition(":")[0] in FREE


def takes_long(tree: SearchTree, environment: str | None = None) -> bool:
    """Whether a step of the environment may wait for a process or the network."""
    assert tree.started is not None
    info = info_or_none(environment or tree.started.environment)
    return info is not None and info.blocking


def repair_price(trees: Iterable[SearchTree], settings: RepairSettings) -> str | None:
    """Returns the price of repairing samples of these trees, in a line; None where nothing is paid. Raises
    `InputError`."""
    paid = [tree for tree in trees if not is_free(tree, settings)]
    return f"{repair_cost(paid[0], settings)} for each sample without a clean tail" if paid else None


def reobserve(tree: SearchTree, sample: Sample, environment: str | None = None) -> Sample:
    """Returns the sample, replayed again in an environment that is opened anew.

    `tree`: the sample's. `sample`: the sample. `environment`: its name; None: the tree's own.
    """
    replayer = Replayer(tree, opener(tree, environment))
    try:
        return replace(sample, replay=replay_sample(tree, sample, replayer))
    finally:
        replayer.close()


def reobserve_cost(tree: SearchTree, sample: Sample) -> str:
    """What replaying a sample takes, in a line."""
    return f"{len(steps_to_replay(tree, sample))} steps in the environment, no calls"


def _failed(sample: Sample, figures: Repairs, reason: str) -> Sample:
    figures.failed[reason] = figures.failed.get(reason, 0) + 1
    return sample


def _digest(sample: Sample, prefix: list[PrefixStep], settings: SearchSettings) -> str:
    """Of everything that shapes the search."""
    shaping = replace(settings, concurrency=1)
    data = msgspec.json.encode([sample.trace, sample.id, sample.mark, prefix, shaping])
    return blake2b(data, digest_size=4).hexdigest()


def _known(path: Path) -> SearchTree | None:
    """The tree of that search where it was made before, to its end. Raises `InputError` where the system can't read it
    now: it may be whole, and paid for."""
    if what_is(path) is None:
        return None
    try:
        tree = load(path).tree
    except TraceError as error:
        if error.of_system:
            raise
        return None
    return tree if tree.end_reason not in (None, STOPPED) and not tree.owed else None


def _job(
    tree: SearchTree,
    sample: Sample,
    prefix: list[PrefixStep],
    settings: SearchSettings,
    path: Path,
    environment: str | None,
    control: Control | None,
    listener: Callable[[AnyEvent], None] | None,
    own: TrustedSettings,
) -> SearchJob:
    """The search from just after the wrong step. Raises `InputError`, `WorkFailed`."""
    started = tree.started
    assert started is not None
    named = environment or started.environment
    actor = make_actor(settings.actor, settings, environment=named, tools=started.tools)
    name = environment or name_to_go_on(started)
    opened = opener(tree, name, own)()
    path.parent.mkdir(parents=True, exist_ok=True)
    marked = splice_of(tree, sample).bad[-1]
    origin = Fork(started.trace, tree.born_at(marked) if tree.imported_from is None else 0)
    trace = blake2b(path.name.encode(), digest_size=8).hexdigest()
    begun: Started = replace(
        started_event(opened, settings, prefix=prefix, forked_from=origin, trace=trace),
        header=started.header,
        tools=started.tools,
    )
    remember(begun, permit(name, started, own, tree.source), settings, path, called=opened.environment)
    with closed_on_failure(TraceWriter(path, overwrite=True)) as writer:  # of a search that did not come to its end
        search = Search.begin(begun, opened, actor, sink_of(writer, listener), control)
    return SearchJob(search, writer, path)


def is_call(event: AnyEvent) -> bool:
    """Whether an event is an answer of the actor, to count along."""
    return isinstance(event, Sampled)
