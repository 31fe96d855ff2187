"""The fold: what each event makes of a tree (`SearchTree.apply`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from engine.tree.events import (
    DONE_REASONS,
    AnyEvent,
    BackedUp,
    Ended,
    Expanded,
    Failed,
    Imported,
    Intervened,
    Iteration,
    Paused,
    Resumed,
    Sampled,
    SearchSettings,
    Selected,
    SettingsChanged,
    Started,
    Usage,
)
from engine.tree.failure_kinds import is_outage
from engine.tree.folding import expansions, interventions
from engine.tree.folding.attempts import attempts_of
from engine.tree.node import NO_PARENT, ROOT, Node, Walk

if TYPE_CHECKING:
    from engine.tree.state import TreeState


def fold(tree: TreeState, event: AnyEvent) -> None:
    """Fold an event that is in its turn. Raises `ValueError` where it does not fit the tree."""
    _FOLDS[type(event)](tree, event)


def _started(tree: TreeState, event: Started) -> None:
    tree.started = event
    tree.state = "running"
    tree.nodes.append(Node(ROOT, NO_PARENT, 0, "ROOT", "ROOT", ""))
    expansions.record_births(tree, event.seq)


def _imported(tree: TreeState, event: Imported) -> None:
    first = tree.imported_from is None
    if first and (len(tree.nodes) != 1 or not event.nodes or event.nodes[0].parent != NO_PARENT):
        raise ValueError("`imported` must hold a root and follow `started`")
    if not first and not (tree.attempts and (event.attempts or event.withdrawn)):
        raise ValueError("a second `imported`")
    tree.imported_from = event.source
    if event.attempts or event.withdrawn:
        attempts_of(tree, event)
        return
    nodes: list[Node] = []
    for id, row in enumerate(event.nodes):
        if not (row.parent < id and (row.parent >= 0 or id == 0)):
            raise ValueError(f"imported node {id} has parent {row.parent}")
        depth = nodes[row.parent].depth + 1 if id else 0
        response = row.response if id else row.response or "ROOT"
        action = row.action if id else row.action or "ROOT"
        node = Node(id, row.parent, depth, response, action, row.observation, row.reward, row.terminal)
        node.visits, node.value_sum, node.raw = row.visits, row.value, row.raw
        node.calls, node.answers = row.tool_calls, row.answers
        if row.reasoning or row.silent or row.unanswered or row.transcripts:
            node.imported = row
        nodes.append(node)
        if id:
            nodes[row.parent].children.append(id)
            expansions.count_action(tree, node)
    tree.nodes[:] = nodes
    for node in reversed(nodes):
        if node.children:
            node.open_children = sum(not nodes[child].exhausted for child in node.children)
            if node.open_children == 0:
                tree.history.exhausted_since(node.id, event.seq)
    expansions.record_births(tree, event.seq)
    tree.state, tree.end_reason = "done", "imported"


def _selected(tree: TreeState, event: Selected) -> None:
    for id in event.path:
        expansions.known(tree, id)
    tree.ties.extend(event.ties)
    if not event.path:
        raise ValueError("an empty path")
    first, chosen = event.path[0], event.path[-1]
    walk = next((walk for walk in tree.walks if walk.position == first and first not in tree.in_flight), None)
    if walk is None:
        walk = Walk(tree.ancestors(first))
        tree.walks.append(walk)
    walk.path = walk.path + event.path[1:]
    expansions.start_expansion(tree, chosen, event)
    tree.chronicle.selected(event)


def _sampled(tree: TreeState, event: Sampled) -> None:
    expansions.known(tree, event.parent)
    tree.pending.setdefault(event.parent, {})[event.draw] = event
    if tree.owed or tree.unusable:
        expansions.settle(tree, event.parent, event.draw)
    tree.calls += 1
    tree.answers.answered(event)
    _spend(tree, event.usage)


def _expanded(tree: TreeState, event: Expanded) -> None:
    parent = expansions.known(tree, event.parent)
    if not (event.children or event.repeats or event.partial or parent.children) and event.parent in tree.owed:
        return  # in version 1 an outage was taken for a dead end: it stays in flight, and its draws are owed
    answers = tree.pending.pop(event.parent, {})
    tree.owed.pop(event.parent, None)
    tree.unusable.pop(event.parent, None)
    was_open = not parent.exhausted
    opened = max(parent.open_children, 0) - (parent.id in tree.partial)
    for child in event.children:
        opened += expansions.add_child(tree, parent, child, answers.get(child.draw)).terminal is None
    if event.partial:  # what is still to be drawn keeps the node open
        opened += 1
        selected = tree.in_flight.get(parent.id)
        made = selected.draws if selected is not None else len(answers)
        tree.partial[parent.id] = tree.partial.get(parent.id, 0) + made
    else:
        tree.partial.pop(parent.id, None)
    parent.open_children = opened
    if parent.pruned:
        interventions.born_pruned(tree, parent, event)
    if not parent.children and not event.partial:
        parent.terminal = "dead_end"
    if opened == 0 and was_open:
        expansions.exhaust(tree, parent, event.seq)
    if event.repeats:
        of_draw = {tree.nodes[id].draw: id for id in parent.children}
        for repeat in event.repeats:
            if repeat.of in of_draw:
                repeated = of_draw[repeat.of]
                tree.repeats[repeated] = tree.repeats.get(repeated, 0) + 1
    tree.in_flight.pop(event.parent, None)
    tree.first_index.pop(event.parent, None)
    tree.draws_of.pop(event.parent, None)
    tree.forced.discard(event.parent)
    tree.chronicle.expanded(event.seq, event.parent)
    for walk in tree.walks:
        if walk.position == event.parent:
            walk.rolling = True
    tree.steps += event.steps
    tree.resets += event.resets
    expansions.record_births(tree, event.seq)


def _backed_up(tree: TreeState, event: BackedUp) -> None:
    expansions.known(tree, event.leaf)
    tree.history.backed_up(event.seq, event.leaf, event.value)


def _failed(tree: TreeState, event: Failed) -> None:
    expansions.known(tree, event.parent)
    tree.failures.append(event)
    tree.answers.failed(event)
    tree.chronicle.log.append(event)
    if event.parent in tree.in_flight:
        if is_outage(event.what):
            tree.owed.setdefault(event.parent, {})[event.draw] = event
        else:
            expansions.settle(tree, event.parent, event.draw)
            tree.unusable.setdefault(event.parent, set()).add(event.draw)
    _spend(tree, event.usage)


def _intervened(tree: TreeState, event: Intervened) -> None:
    expansions.known(tree, event.node)
    interventions.apply(tree, event)
    tree.interventions.append(event)
    tree.chronicle.log.append(event)


def _settings_changed(tree: TreeState, event: SettingsChanged) -> None:
    assert tree.started is not None
    settings, before = tree.started.settings, {}
    for name in event.changes:
        if name not in SearchSettings.__struct_fields__:
            raise ValueError(f"unknown setting {name!r}")
        before[name] = getattr(settings, name)
    try:
        msgspec.convert(event.changes, SearchSettings)
    except msgspec.ValidationError as error:
        raise ValueError(f"settings that can't be: {error}") from error
    tree.chronicle.settings_changed(event.seq, before)  # first: another thread may ask for the settings of the past
    for name, value in event.changes.items():
        setattr(settings, name, value)
    tree.chronicle.log.append(event)


def _iteration(tree: TreeState, event: Iteration) -> None:
    ended = next((walk for walk in tree.walks if walk.position == event.leaf), None)
    if ended is None:
        raise ValueError(f"no walk stands at node {event.leaf}")
    if event.leaf in tree.owed:
        return  # in version 1 an outage spent the iteration: it goes on when the search does
    tree.iteration += 1
    tree.walks.remove(ended)
    tree.iteration_seqs.append(event.seq)


def _paused(tree: TreeState, event: Paused) -> None:
    tree.state = "paused"
    tree.chronicle.log.append(event)


def _resumed(tree: TreeState, event: Resumed) -> None:
    tree.state, tree.end_reason = "running", None
    tree.chronicle.log.append(event)


def _ended(tree: TreeState, event: Ended) -> None:
    tree.state = "done" if event.reason in DONE_REASONS and not tree.owed else "stopped"
    tree.end_reason = event.reason
    tree.chronicle.log.append(event)


def _spend(tree: TreeState, usage: Usage | None) -> None:
    if usage is None:
        return
    if usage.tokens_in is not None:
        tree.tokens_in = (tree.tokens_in or 0) + usage.tokens_in
    if usage.tokens_out is not None:
        tree.tokens_out = (tree.tokens_out or 0) + usage.tokens_out
    if usage.cached is not None:
        tree.tokens_cached = (tree.tokens_cached or 0) + usage.cached
    if usage.cost is not None:
        tree.cost = (tree.cost or 0.0) + usage.cost


_FOLDS: dict[type, Callable[[TreeState, Any], None]] = {
    Started: _started,
    Imported: _imported,
    Selected: _selected,
    Sampled: _sampled,
    Expanded: _expanded,
    BackedUp: _backed_up,
    Failed: _failed,
    Intervened: _intervened,
    SettingsChanged: _settings_changed,
    Iteration: _iteration,
    Paused: _paused,
    Resumed: _resumed,
    Ended: _ended,
}
