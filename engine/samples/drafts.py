"""Samples before anything is cut, joined or replayed: their leaves, fork, mark, judgements and thought."""

from __future__ import annotations

from engine.pairs.pairs import Pair
from engine.samples.lessons import Draft
from engine.samples.sample import Kind, Sample, recovery_id, sample_id
from engine.samples.settings import ReviseSettings
from engine.samples.thoughts.writers import ThoughtWriter, thought_for
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement, Verifier, first_wrong_step


def draft_id(tree: SearchTree, draft: Draft) -> str:
    """The id of the sample that `draft_sample` makes."""
    assert tree.started is not None
    trace = tree.started.trace
    if draft.bad is None:
        return recovery_id(trace, draft.good, draft.wrong)
    return sample_id("revision", trace, draft.good, draft.bad)


def draft_sample(
    tree: SearchTree,
    path: str,
    settings: ReviseSettings,
    draft: Draft,
    judgements: list[Judgement],
    writer: ThoughtWriter | None = None,
) -> Sample:
    """Returns the sample that teaches a lesson from a draft's trajectories; without a mark where the wrong step is the
    root.

    `tree`: the search. `path`: where the tree was read from. `settings`: of the run. `draft`: the trajectories and the
    wrong step. `judgements`: of the steps up to the wrong one. `writer`: writes the thought where a model does; None:
    no model does.
    """
    mark = tree.nodes[draft.wrong].depth or None
    sample = _of_leaves(tree, path, draft.kind, draft_id(tree, draft), draft.good, draft.bad, draft.fork)
    sample.mark = sample.found = mark
    sample.verifier, sample.judgements = settings.verifier, judgements
    sample.thought = thought_for(sample.id, settings.thought, settings.seed, settings.prompts)
    sample.whole = mark is None and settings.no_wrong_step == "whole"
    sample.unfinished = draft.unfinished
    return _with_thought(sample, writer, draft.wrong, [each for each in judgements if each.step == mark])


def pair_sample(
    tree: SearchTree,
    path: str,
    settings: ReviseSettings,
    kind: Kind,
    pair: Pair,
    verifier: Verifier | None,
    writer: ThoughtWriter | None = None,
) -> Sample:
    """Returns the sample of one pair: judged, marked by the rule for marks before the fork, with its thought; not
    replayed.

    `tree`: the search. `path`: where the tree was read from. `settings`: the rule for marks before the fork, and the
    thought. `kind`: `revision` or `direct`. `pair`: the two leaves. `verifier`: judges; None leaves the sample without
    a mark. `writer`: writes the thought where a model does; None: no model does.
    """
    assert tree.started is not None
    judgements = list(verifier.judge(pair)) if verifier is not None else []
    found = first_wrong_step(judgements)
    id = sample_id(kind, tree.started.trace, pair.good, pair.bad)
    sample = _of_leaves(tree, path, kind, id, pair.good, pair.bad, pair.fork)
    sample.mark = sample.found = found
    if sample.before_fork and settings.before_fork == "move" and not settings.compat:
        sample.mark = sample.fork_depth + 1
    sample.verifier, sample.judgements = settings.verifier if verifier is not None else "", judgements
    sample.thought = thought_for(id, settings.thought, settings.seed, settings.prompts)
    sample.compat = settings.compat
    sample.whole = found is None and kind == "revision" and settings.no_wrong_step == "whole"
    return _with_thought(sample, writer, pair.bad, judgements)


def good_sample(tree: SearchTree, path: str, leaf: int) -> Sample:
    """Returns the sample of a good trajectory, unchanged.

    `tree`: the search. `path`: where the tree was read from. `leaf`: the trajectory's last node.
    """
    assert tree.started is not None
    return _of_leaves(tree, path, "good", sample_id("good", tree.started.trace, leaf, None), leaf)


def _of_leaves(
    tree: SearchTree, path: str, kind: Kind, id: str, good: int, bad: int | None = None, fork: int = ROOT
) -> Sample:
    """A sample with nothing but its trajectories."""
    started, nodes = tree.started, tree.nodes
    assert started is not None
    return Sample(
        id=id,
        kind=kind,
        trace=started.trace,
        path=path,
        environment=started.environment,
        task=started.task,
        instruction=started.instruction,
        good=good,
        bad=bad,
        return_good=nodes[good].reward,
        return_bad=nodes[bad].reward if bad is not None else 0,
        fork=fork,
        fork_depth=nodes[fork].depth,
        bad_depth=nodes[bad].depth if bad is not None else 0,
        good_depth=nodes[good].depth,
    )


def _with_thought(sample: Sample, writer: ThoughtWriter | None, wrong: int, judgements: list[Judgement]) -> Sample:
    """The sample with the thought of a model, where one answers; `wrong`: where the steps of a recovery end."""
    if writer is None:
        return sample
    written = writer.write(wrong if sample.bad is None else sample.bad, sample.mark, judgements)
    if written:
        sample.thought, sample.thought_by = written, writer.name
    return sample
