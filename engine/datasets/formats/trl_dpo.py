"""`trl-dpo`: preferences for TRL's DPO trainer.

Where the wrong step changed nothing, the prompt is what stands before it, `chosen` the sample's tail and `rejected` the
wrong step with what followed. Else the prompt is what the good and the bad trajectory share, and both are what follows
in each. A step that was judged Bad, refused or idle is never chosen. The revision thought has no place here.

DPO has no mask: TRL counts every token after the prompt, the environment's replies among them. With `first_step` only
the first step after the fork is kept, in which nothing but the actor speaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.base.step_kind import careless, counts_time, only_looks, refused
from engine.datasets.formats.agent_r import low_end
from engine.datasets.formats.base import Format, Item, Record, register
from engine.datasets.formats.masks import TOOLS, calls_tools, plain, tools_column
from engine.datasets.formats.options import FormatOptions
from engine.datasets.formats.preparation import ready
from engine.datasets.formats.rules import SHAPE
from engine.datasets.formats.trl_sft import prompted_problems
from engine.datasets.templates.tokens import fitting
from engine.samples.sample import Sample, whole_splice
from engine.samples.splice import Turn, answer_of, results_of, step_turns, trajectory_turns
from engine.tree.tree import SearchTree
from engine.verifiers.base import Judgement

SAME = "chosen and rejected are the same"
NO_TAIL = "no step after the fork"
MASKED = "a masked step in the tail, which this format can't mask"
NO_CLEAN_STEP = "no clean step leads on from the state before the wrong one"


def build(item: Item, options: FormatOptions) -> list[Record]:
    """One record; none where a side has no step, or its first does not fit."""
    found = sides_of(item)
    if isinstance(found, str):
        return []
    prompt, good, bad = found
    # the header and the steps before the root come first in both
    shared = len(ready(prompt, options))
    good, bad = ready([*prompt, *good], options), ready([*prompt, *bad], options)
    chosen, rejected = tail(good, shared, options), tail(bad, shared, options)
    if not chosen or not rejected:
        return []
    tools = calls_tools([*good, *bad])
    sides = {"prompt": good[:shared], "chosen": chosen, "rejected": rejected}
    messages = {name: plain(turns, tools=tools) for name, turns in sides.items()}
    return [{**messages, **tools_column([*good, *bad], options)}]


def why_none(item: Item) -> str:
    """Why a sample gives no record, where its length is not the reason."""
    sides = sides_of(item)
    return sides if isinstance(sides, str) else NO_TAIL


Sides = tuple[list[Turn], list[Turn], list[Turn]]
"""What both sides share, what is chosen, what is rejected."""


def sides_of(item: Item) -> Sides | str:
    """The prompt and both answers, or why there are none.

    Where the wrong step changed nothing, the sample's own tail leads on from the state before it: it is chosen at that
    place. Else the good trajectory is, from the fork on, up to its first step that was refused, only looked, changed
    nothing or was judged Bad.
    """
    tree, sample, turns = item.tree, item.sample, list(item.turns)
    if sample.kind == "good":
        return NO_TAIL
    if sample.compat or sample.mark is None:
        return _from_the_fork(tree, sample)
    if any(turn.loss is False for turn in turns if turn.part == "good"):
        return MASKED
    wrong = max(at for at, turn in enumerate(turns) if turn.part == "bad" and turn.role == "assistant")
    step = [turn for turn in turns[wrong:] if turn.part == "bad"]
    if changes_nothing(tree, step) and sample.verdict != "unreplayed":
        chosen = [_without_thought(turn) for turn in turns if turn.part == "good"]
        end = low_end(tree, sample)
        rest = [id for id in tree.ancestors(end) if tree.nodes[id].depth > sample.mark]
        return turns[:wrong], chosen, [*step, *step_turns(tree, rest)]
    node = turns[wrong].node
    if sample.kind == "recovery":
        return NO_CLEAN_STEP if node is None else _beside(tree, sample, turns[:wrong], step, node)
    prompt, _, bad = _from_the_fork(tree, sample)
    path = tree.ancestors(sample.good)[1 + sample.fork_depth :]
    clean = clean_steps(tree, sample, path)
    return (prompt, step_turns(tree, clean), bad) if clean else NO_CLEAN_STEP


def _without_thought(turn: Turn) -> Turn:
    """The turn that says the revision thought (`merged`) with its action alone."""
    if not turn.revises:
        return turn
    return turn._replace(content="" if turn.calls else f"Action: {turn.action}", revises=False)


def _from_the_fork(tree: SearchTree, sample: Sample) -> Sides:
    """Both trajectories as they are, from where they part."""
    good, bad = trajectory_turns(tree, sample.good), trajectory_turns(tree, low_end(tree, sample))
    # the header and the steps before the root come first in both
    shared = len(trajectory_turns(tree, sample.fork))
    return good[:shared], good[shared:], bad[shared:]


def _beside(tree: SearchTree, sample: Sample, before: list[Turn], step: list[Turn], node: int) -> Sides | str:
    """Of a recovery: another way of the tree to a good leaf, from the state before the wrong step."""
    for child in tree.nodes[tree.nodes[node].parent].children:
        if child == node or not _reaches(tree, child, float(sample.return_good)):
            continue
        clean = clean_steps(tree, sample, [child], whole=False)
        if clean:
            return before, step_turns(tree, clean), step
    return NO_CLEAN_STEP


def _reaches(tree: SearchTree, id: int, least: float) -> bool:
    """Whether a leaf at or below a node has at least so high a return."""
    pending = [id]
    while pending:
        node = tree.nodes[pending.pop()]
        if node.is_leaf and node.terminal is not None and float(node.reward) >= least:
            return True
        pending.extend(node.children)
    return False


def clean_steps(tree: SearchTree, sample: Sample, path: Sequence[int], *, whole: bool = True) -> list[int]:
    """Returns the first nodes of a path, up to the first step that must not be chosen.

    `tree`: the search. `sample`: its judgements count. `path`: nodes, in order. `whole`: whether the path leads to the
    return.
    """
    assert tree.started is not None
    words = {id: each.word for id, each in _judged(tree, sample)}
    clean: list[int] = []
    behind = (
        [(tree.nodes[id].action, tree.nodes[id].observation) for id in tree.ancestors(path[0])[1:-1]] if path else []
    )
    for place, id in enumerate(path, 1):
        node = tree.nodes[id]
        ahead = [tree.nodes[later].action for later in path[place:]] if whole else None
        idle = only_looks(tree.started.environment, node.action) or _same_state(tree, id)
        named, step = tree.started.environment, (node.action, node.observation, node.results)
        wrong = refused(named, *step) or careless(named, *step, ahead=ahead, behind=behind)
        if idle or wrong or words.get(id) == "Bad":
            break
        clean.append(id)
        behind.append((node.action, node.observation))
    return clean


def _judged(tree: SearchTree, sample: Sample) -> Iterator[tuple[int, Judgement]]:
    """Judgements with the nodes that they are about."""
    low = tree.ancestors(low_end(tree, sample))
    yield from ((low[each.step], each) for each in sample.judgements if each.step < len(low))
    good = whole_splice(tree, sample).good
    yield from ((good[each.step - 1], each) for each in sample.tail_judgements if 0 < each.step <= len(good))


def changes_nothing(tree: SearchTree, step: Sequence[Turn]) -> bool:
    """Whether a step left the state as it was; it is given as its turns."""
    assert tree.started is not None
    environment, action, node = tree.started.environment, step[0].action, step[0].node
    if refused(environment, action, answer_of(step), results_of(step)):
        return True
    if counts_time(environment):
        return False
    return only_looks(environment, action) or (node is not None and _same_state(tree, node))


def _same_state(tree: SearchTree, id: int) -> bool:
    assert tree.started is not None
    key, before = tree.nodes[id].state_key, tree.nodes[tree.nodes[id].parent].state_key
    return bool(key) and key == before and not counts_time(tree.started.environment)


def tail(turns: Sequence[Turn], shared: int, options: FormatOptions) -> list[Turn]:
    """Returns the turns after the shared ones, as far as the maximum length allows.

    `turns`: the conversation. `shared`: number of turns at its start that are shared. `options`: the length, and
    whether only the first step is wanted.
    """
    wanted = turns[: shared + 1] if options.first_step else turns
    return fitting(wanted, options.max_length, options.measure, options.markup)[shared:]


def validate(record: Record) -> list[str]:
    """What is wrong with a record."""
    if tuple(record) not in (("prompt", "chosen", "rejected"), ("prompt", "chosen", "rejected", TOOLS)):
        return [SHAPE]
    problems = [
        problem for side in ("chosen", "rejected") for problem in prompted_problems(record["prompt"], record[side])
    ]
    if record["chosen"] == record["rejected"]:
        problems.append(SAME)
    return list(dict.fromkeys(problems))


register(
    Format(
        name="trl-dpo",
        summary="prompt, chosen and rejected from the fork on, for TRL's DPO trainer",
        array=False,
        extension=".jsonl",
        data_types=("centric",),
        mask="none: DPO compares all tokens after the prompt, the environment's replies too; with --first-step only the"
        " first step after the fork is there",
        validate=validate,
        build=build,
        empty=NO_TAIL,
        why_none=why_none,
        columns=True,
        calls="native",
        spliced=False,
        trainer="trl-dpo",
    )
)
