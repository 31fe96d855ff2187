"""The search tree: a fold over events, and read-only views of its past.

`SearchTree.apply` is the only way a tree changes. Live view, loading, following and resuming are the same code.
Ids are dense in order of creation, so the structure at a moment is `id < n`; N and W at a moment come from each
node's own history of back-ups, built on first use (`SearchTree.at`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from engine import human
from engine.chronicle import Choice, Chronicle
from engine.events import (
    DONE_REASONS,
    AnyEvent,
    BackedUp,
    Child,
    Ended,
    Expanded,
    Failed,
    Imported,
    Intervened,
    Iteration,
    Message,
    Number,
    Paused,
    Resumed,
    Sampled,
    SearchSettings,
    Selected,
    SettingsChanged,
    Started,
    TerminalReason,
    Usage,
)
from engine.text import split_thought

ROOT = 0
"""Id of the root: the state after reset (and after the prefix, if there is one)."""

NO_PARENT = -1
"""The root's parent."""

_UNEXPANDED = -1


class Walk:
    """An iteration under way: a walk from the root."""

    __slots__ = ("path", "rolling")

    def __init__(self, path: list[int], rolling: bool = False) -> None:
        self.path = path  # from the root to where it stands
        self.rolling = rolling  # whether it has made an expansion already

    @property
    def position(self) -> int:
        """The node that it expands, or has just expanded."""
        return self.path[-1]


class Node:
    """One step and the state it leads to. Statistics are as of now; `SearchTree.at` gives those of the past."""

    __slots__ = (
        "action",
        "children",
        "depth",
        "draw",
        "id",
        "observation",
        "open_children",
        "parent",
        "prior",
        "pruned",
        "raw",
        "response",
        "reward",
        "state_key",
        "terminal",
        "value_sum",
        "visits",
    )

    def __init__(
        self,
        id: int,
        parent: int,
        depth: int,
        response: str,
        action: str,
        observation: str,
        reward: Number = 0,
        terminal: TerminalReason | None = None,
    ) -> None:
        self.id = id
        self.parent = parent  # NO_PARENT at the root
        self.depth = depth  # steps from the root
        self.response = response  # the actor's text as stored
        self.action = action  # as executed
        self.observation = observation
        self.reward: Number = reward  # the environment's score after the step; at a leaf, the return
        self.terminal = terminal
        self.prior: Number = 1.0
        self.visits = 0  # N
        self.value_sum: Number = 0.0  # W
        self.children: list[int] = []
        self.open_children = _UNEXPANDED  # children that are not exhausted; _UNEXPANDED before the draws
        self.state_key: str | None = None
        self.draw = 0  # which of the parent's draws it came of; -1: a person wrote it
        self.pruned = False  # a person ruled it, or an ancestor, out: counts as exhausted
        self.raw: dict[str, Any] | None = None  # see ImportedNode.raw

    @property
    def thought(self) -> str:
        """The response less its action, without the `Thought:` label."""
        return split_thought(self.response)

    @property
    def expanded(self) -> bool:
        """Whether its draws were made, or never will be (it was pruned)."""
        return self.open_children != _UNEXPANDED

    @property
    def exhausted(self) -> bool:
        """Own terminal, all children exhausted, or pruned: nothing below can be selected any more."""
        return self.terminal is not None or self.open_children == 0

    @property
    def is_leaf(self) -> bool:
        """A terminal node without children."""
        return self.terminal is not None and not self.children

    @property
    def q(self) -> float | None:
        """Mean return Q = W / N; None where N = 0."""
        return self.value_sum / self.visits if self.visits else None

    def __repr__(self) -> str:
        return f"Node({self.id}, {self.action!r}, N={self.visits}, W={self.value_sum})"


class TreeReader(Protocol):
    """What can be asked of a tree, of now or of the past. Screens and reports read through this."""

    @property
    def seq(self) -> int: ...
    def __len__(self) -> int: ...
    def node(self, id: int) -> Node: ...
    def visits(self, id: int) -> int: ...
    def value_sum(self, id: int) -> Number: ...
    def q(self, id: int) -> float | None: ...
    def children(self, id: int) -> Sequence[int]: ...
    def expanded(self, id: int) -> bool: ...
    def exhausted(self, id: int) -> bool: ...
    def pruned(self, id: int) -> bool: ...


class SearchTree:
    """The tree that the events so far make."""

    def __init__(self, events: Iterable[AnyEvent] = ()) -> None:
        self.started: Started | None = None
        self.nodes: list[Node] = []
        self.seq = -1  # of the last applied event
        self.t = 0.0  # seconds, of the last applied event
        self.iteration = 0  # completed iterations
        self.state = "new"  # new, running, paused, done, stopped
        self.end_reason: str | None = None
        self.pending: dict[int, dict[int, Sampled]] = {}  # answers of nodes that are not expanded yet
        self.in_flight: dict[int, Selected] = {}  # selected and not expanded yet, oldest first
        self.first_index: dict[int, int] = {}  # node in flight → draws that were asked for before its own
        self.draws_of: dict[int, int] = {}  # node in flight → draws that are made for it
        self.asked = 0  # draws that were asked for, in the order of selection
        self.walks: list[Walk] = []  # iterations under way, oldest first
        self.partial: dict[int, int] = {}  # nodes some of whose draws were made → how many
        self.usages: dict[int, tuple[Usage | None, float | None, int]] = {}  # node → usage, latency, dropped
        self.failures: list[Failed] = []
        self.interventions: list[Intervened] = []
        self.human: dict[int, str] = {}  # node that a person wrote → who
        self.forced: set[int] = set()  # nodes in flight because a person asked for it
        self.breakpoints: list[str] = []  # queries (`engine.query`) at which the search stands still
        self.prunings: list[tuple[int, int, bool]] = []  # (seq, node, pruned or restored)
        self.repeats: dict[int, int] = {}  # node → further draws that gave the same response
        self.chronicle = Chronicle()
        self.calls = 0
        self.tokens_in: int | None = None
        self.tokens_out: int | None = None
        self.cost: float | None = None
        self.steps = 0  # environment steps
        self.resets = 0
        self.imported_from: str | None = None
        self.ties: list[int] = []  # at every choice so far: how many shared the best score
        self.iteration_seqs: list[int] = []
        self._births: list[tuple[int, int]] = []  # (seq, nodes after it)
        self._backups: list[tuple[int, int, Number]] = []  # (seq, leaf, return)
        self._exhausted_at: dict[int, int] = {}  # inner node → seq
        self._toggled: dict[int, list[int]] = {}  # nodes that were open again: seqs, exhausted first
        self._by_state: dict[str, list[int]] = {}  # state → its nodes, oldest first
        self._by_state_of = 0  # nodes that _by_state covers
        self._histories: dict[int, tuple[list[int], list[Number]]] = {}  # node → seqs, W after each
        self._history_of = 0  # back-ups that _histories covers
        for event in events:
            self.apply(event)

    # -- the fold ----------------------------------------------------------------------------------

    def apply(self, event: AnyEvent) -> None:
        """Apply the next event.

        Raises `ValueError` when it does not fit the tree: wrong order, unknown node, no `started`.
        """
        if event.seq != self.seq + 1:
            raise ValueError(f"event {event.seq} follows event {self.seq}")
        if (self.started is None) != isinstance(event, Started):
            raise ValueError("`started` is missing" if self.started is None else "a second `started`")
        _APPLY[type(event)](self, event)
        self.seq = event.seq
        self.t = max(self.t, event.t)

    def _started(self, event: Started) -> None:
        self.started = event
        self.state = "running"
        root = Node(ROOT, NO_PARENT, 0, "ROOT", "ROOT", "")
        self.nodes.append(root)
        self._births.append((event.seq, 1))

    def _imported(self, event: Imported) -> None:
        if len(self.nodes) != 1 or not event.nodes or event.nodes[0].parent != NO_PARENT:
            raise ValueError("`imported` must hold a root and follow `started`")
        self.imported_from = event.source
        nodes: list[Node] = []
        for id, row in enumerate(event.nodes):
            if not (row.parent < id and (row.parent >= 0 or id == 0)):
                raise ValueError(f"imported node {id} has parent {row.parent}")
            depth = nodes[row.parent].depth + 1 if id else 0
            response = row.response if id else row.response or "ROOT"
            action = row.action if id else row.action or "ROOT"
            node = Node(id, row.parent, depth, response, action, row.observation, row.reward, row.terminal)
            node.visits, node.value_sum, node.raw = row.visits, row.value, row.raw
            nodes.append(node)
            if id:
                nodes[row.parent].children.append(id)
        self.nodes = nodes
        for node in reversed(nodes):
            if node.children:
                node.open_children = sum(not nodes[child].exhausted for child in node.children)
                if node.open_children == 0:
                    self._exhausted_at[node.id] = event.seq
        self._births.append((event.seq, len(nodes)))
        self.state, self.end_reason = "done", "imported"

    def _selected(self, event: Selected) -> None:
        for id in event.path:
            self._known(id)
        self.ties.extend(event.ties)
        if not event.path:
            raise ValueError("an empty path")
        first, chosen = event.path[0], event.path[-1]
        walk = next((walk for walk in self.walks if walk.position == first and first not in self.in_flight), None)
        if walk is None:
            walk = Walk(self.ancestors(first))
            self.walks.append(walk)
        walk.path = walk.path + event.path[1:]
        self._fly(chosen, event)
        self.chronicle.selected(event)

    def _fly(self, id: int, event: Selected) -> None:
        """The draws of a node are asked for."""
        assert self.started is not None
        self.in_flight[id] = event
        self.first_index[id] = self.asked
        self.draws_of[id] = event.draws or self.started.settings.samples - self.partial.get(id, 0)
        self.asked += self.draws_of[id]

    def take_off(self, seq: int, id: int, draws: int) -> None:
        """The draws of a node are asked for, although selection did not go there. Only for the fold."""
        event = Selected(seq=seq, path=[id], in_flight=list(self.in_flight), draws=draws)
        self.chronicle.took_off(seq, id, event.in_flight)
        self._fly(id, event)

    def _sampled(self, event: Sampled) -> None:
        self._known(event.parent)
        self.pending.setdefault(event.parent, {})[event.draw] = event
        self.calls += 1
        self._spend(event.usage)

    def _expanded(self, event: Expanded) -> None:
        parent = self._known(event.parent)
        answers = self.pending.pop(event.parent, {})
        was_open = not parent.exhausted
        opened = max(parent.open_children, 0) - (parent.id in self.partial)
        for child in event.children:
            opened += self.born(parent, child, answers.get(child.draw)).terminal is None
        if event.partial:  # what is still to be drawn keeps the node open
            opened += 1
            selected = self.in_flight.get(parent.id)
            made = selected.draws if selected is not None else len(answers)
            self.partial[parent.id] = self.partial.get(parent.id, 0) + made
        else:
            self.partial.pop(parent.id, None)
        parent.open_children = opened
        if parent.pruned:
            human.born_pruned(self, parent, event)
        if not parent.children and not event.partial:
            parent.terminal = "dead_end"
        if opened == 0 and was_open:
            self.exhaust(parent, event.seq)
        if event.repeats:
            of_draw = {self.nodes[id].draw: id for id in parent.children}
            for repeat in event.repeats:
                if repeat.of in of_draw:
                    repeated = of_draw[repeat.of]
                    self.repeats[repeated] = self.repeats.get(repeated, 0) + 1
        self.in_flight.pop(event.parent, None)
        self.first_index.pop(event.parent, None)
        self.draws_of.pop(event.parent, None)
        self.forced.discard(event.parent)
        self.chronicle.expanded(event.seq, event.parent)
        for walk in self.walks:
            if walk.position == event.parent:
                walk.rolling = True
        self.steps += event.steps
        self.resets += event.resets
        self.births_are(event.seq)

    def births_are(self, seq: int) -> None:
        """Nodes were made by event `seq`. Only for the fold."""
        self._births.append((seq, len(self.nodes)))

    def born(self, parent: Node, child: Child, answer: Sampled | None) -> Node:
        """A new node. Only for the fold; the parent's count of open children is the caller's."""
        response = child.response
        if response is None:
            if answer is None:
                raise ValueError(f"draw {child.draw} of node {parent.id} was never sampled")
            response = answer.response
        node = Node(
            len(self.nodes),
            parent.id,
            parent.depth + 1,
            response,
            child.action,
            child.observation,
            child.reward,
            child.terminal,
        )
        self.nodes.append(node)
        parent.children.append(node.id)
        node.draw, node.state_key, node.prior = child.draw, child.state_key, child.prior
        if answer is not None and (answer.usage is not None or answer.latency is not None or answer.dropped):
            self.usages[node.id] = (answer.usage, answer.latency, answer.dropped)
        return node

    def exhaust(self, node: Node, seq: int) -> None:
        """`node` has just become exhausted: so may its ancestors. Only for the fold."""
        while True:
            self.exhausted_since(node.id, seq)
            if node.parent == NO_PARENT:
                return
            node = self.nodes[node.parent]
            node.open_children -= 1
            if node.open_children > 0 or node.terminal is not None:
                return

    def exhausted_since(self, id: int, seq: int) -> None:
        """The inner node is exhausted from event `seq` on. Only for the fold."""
        if id in self._toggled:
            self._toggled[id].append(seq)
        else:
            self._exhausted_at[id] = seq

    def open_since(self, id: int, seq: int) -> None:
        """The inner node, which was exhausted, is open again. Only for the fold."""
        self._toggled.setdefault(id, [self._exhausted_at[id]]).append(seq)

    def count_open(self, node: Node) -> None:
        """Count anew which children are open. Only for the fold."""
        partial = node.id in self.partial
        opened = sum(not self.nodes[child].exhausted for child in node.children) + partial
        node.open_children = opened if node.children or partial else _UNEXPANDED

    def _backed_up(self, event: BackedUp) -> None:
        value, nodes = event.value, self.nodes
        id = self._known(event.leaf).id
        while id != NO_PARENT:
            node = nodes[id]
            node.visits += 1
            node.value_sum += value
            id = node.parent
        self._backups.append((event.seq, event.leaf, value))

    def _failed(self, event: Failed) -> None:
        self._known(event.parent)
        self.failures.append(event)
        self.chronicle.log.append(event)
        self._spend(event.usage)

    def _intervened(self, event: Intervened) -> None:
        self._known(event.node)
        human.apply(self, event)
        self.interventions.append(event)
        self.chronicle.log.append(event)

    def _settings_changed(self, event: SettingsChanged) -> None:
        assert self.started is not None
        settings, before = self.started.settings, {}
        for name, value in event.changes.items():
            if not hasattr(settings, name):
                raise ValueError(f"unknown setting {name!r}")
            before[name] = getattr(settings, name)
            setattr(settings, name, value)
        self.chronicle.settings_changed(event.seq, before)
        self.chronicle.log.append(event)

    def _iteration(self, event: Iteration) -> None:
        self.iteration = event.number
        ended = next((walk for walk in self.walks if walk.position == event.leaf), None)
        if ended is None:
            raise ValueError(f"no walk stands at node {event.leaf}")
        self.walks.remove(ended)
        self.iteration_seqs.append(event.seq)

    def _paused(self, event: Paused) -> None:
        self.state = "paused"
        self.chronicle.log.append(event)

    def _resumed(self, event: Resumed) -> None:
        self.state, self.end_reason = "running", None
        self.chronicle.log.append(event)

    def _ended(self, event: Ended) -> None:
        self.state = "done" if event.reason in DONE_REASONS else "stopped"
        self.end_reason = event.reason
        self.chronicle.log.append(event)

    def _spend(self, usage: Usage | None) -> None:
        if usage is None:
            return
        if usage.tokens_in is not None:
            self.tokens_in = (self.tokens_in or 0) + usage.tokens_in
        if usage.tokens_out is not None:
            self.tokens_out = (self.tokens_out or 0) + usage.tokens_out
        if usage.cost is not None:
            self.cost = (self.cost or 0.0) + usage.cost

    def _known(self, id: int) -> Node:
        if not 0 <= id < len(self.nodes):
            raise ValueError(f"node {id} does not exist yet")
        return self.nodes[id]

    # -- reading -----------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.nodes)

    def node(self, id: int) -> Node:
        """The node with that id. Its statistics are of now; ask the reader for those of the view."""
        return self.nodes[id]

    def visits(self, id: int) -> int:
        """N."""
        return self.nodes[id].visits

    def value_sum(self, id: int) -> Number:
        """W."""
        return self.nodes[id].value_sum

    def q(self, id: int) -> float | None:
        """Q = W / N, None where N = 0."""
        return self.nodes[id].q

    def children(self, id: int) -> Sequence[int]:
        """Children in order of creation."""
        return self.nodes[id].children

    def expanded(self, id: int) -> bool:
        """Whether the node's draws were made."""
        node = self.nodes[id]
        return node.expanded and not (node.pruned and not node.children)

    def exhausted(self, id: int) -> bool:
        """Whether nothing below the node can be selected any more."""
        return self.nodes[id].exhausted

    def pruned(self, id: int) -> bool:
        """Whether a person ruled the node or an ancestor out."""
        return self.nodes[id].pruned

    @property
    def path(self) -> list[int]:
        """Where the walk that moved last stands: ids from the root; empty where none is under way."""
        newest = next(reversed(self.in_flight), None)
        walk = next((walk for walk in self.walks if walk.position == newest), None)
        return walk.path if walk is not None else self.walks[-1].path if self.walks else []

    def ancestors(self, id: int) -> list[int]:
        """Ids from the root to the node, both included."""
        path = []
        while id != NO_PARENT:
            path.append(id)
            id = self.nodes[id].parent
        path.reverse()
        return path

    def leaves(self) -> Iterator[Node]:
        """Terminal nodes without children, in order of creation. Dead ends have no return and are left out."""
        return (node for node in self.nodes if node.is_leaf and node.visits)

    def conversation(self, id: int) -> list[Message]:
        """The whole conversation at a node: header, prefix, then two messages a step."""
        assert self.started is not None
        messages = list(self.started.header)
        for step in self.started.prefix:
            messages.append(Message("assistant", step.response))
            messages.append(Message("user", step.observation))
        for step_id in self.ancestors(id)[1:]:
            node = self.nodes[step_id]
            messages.append(Message("assistant", node.response))
            messages.append(Message("user", node.observation))
        return messages

    def at(self, seq: int) -> PastTree:
        """The tree as it was right after event `seq`: a read-only view, valid as long as this tree."""
        return PastTree(self, min(seq, self.seq))

    def nodes_at(self, seq: int) -> int:
        """How many nodes there were right after event `seq`."""
        place = bisect_right(self._births, seq, key=lambda birth: birth[0])
        return self._births[place - 1][1] if place else 0

    def born_at(self, id: int) -> int:
        """The event that made the node."""
        return self._births[bisect_right(self._births, id, key=lambda birth: birth[1])][0]

    def same_state(self, id: int) -> Sequence[int]:
        """All nodes in the node's state, oldest first; empty where the environment does not tell states."""
        self.learn_states()
        key = self.nodes[id].state_key
        return self._by_state[key] if key is not None else ()

    @property
    def states_known(self) -> bool:
        """Whether `same_state` answers at once; else it looks at all nodes first."""
        return self._by_state_of == len(self.nodes)

    def learn_states(self, most: int | None = None) -> None:
        """Look at the states of nodes that are new since the last time, of `most` of them."""
        known = self._by_state_of
        stop = len(self.nodes) if most is None else min(len(self.nodes), known + most)
        for place in range(known, stop):
            key = self.nodes[place].state_key
            if key is not None:
                self._by_state.setdefault(key, []).append(place)
        self._by_state_of = stop

    def backups(self) -> Sequence[tuple[int, int, Number]]:
        """Every back-up so far: (seq, leaf, return). Not to be changed."""
        return self._backups

    # -- looking back ------------------------------------------------------------------------------

    def choice(self, parent: int, seq: int) -> Choice | None:
        """The last choice that the search made among the children of `parent`, up to event `seq`."""
        return self.chronicle.choice(parent, seq, lambda child: self.nodes[child].parent)

    def in_flight_at(self, seq: int) -> list[int]:
        """Nodes whose expansion had been asked for and was not applied right after event `seq`, oldest first."""
        return self.chronicle.in_flight(seq)

    def path_at(self, seq: int) -> list[int]:
        """Where the walk that moved last stood right after event `seq`; empty where none was under way."""
        node = self.chronicle.stands_at(seq, self.iteration_seqs)
        return [] if node is None else self.ancestors(node)

    def settings_at(self, seq: int) -> SearchSettings:
        """The settings that held right after event `seq`."""
        assert self.started is not None
        return self.chronicle.settings(self.started.settings, seq)

    def history(self, id: int) -> tuple[list[int], list[Number]]:
        """The node's back-ups: their seqs (rising), and W after each. Built on first use, extended later."""
        histories = self._histories
        for place in range(self._history_of, len(self._backups)):
            seq, leaf, value = self._backups[place]
            at = leaf
            while at != NO_PARENT:
                entry = histories.get(at)
                if entry is None:
                    entry = histories[at] = ([], [])
                entry[0].append(seq)
                entry[1].append(entry[1][-1] + value if entry[1] else 0.0 + value)
                at = self.nodes[at].parent
        self._history_of = len(self._backups)
        return histories.get(id) or ([], [])


class PastTree:
    """A tree as it was right after one event. Costs what is looked at."""

    def __init__(self, tree: SearchTree, seq: int) -> None:
        self.tree = tree
        self.seq = seq
        self._count = tree.nodes_at(seq)

    def __len__(self) -> int:
        return self._count

    def node(self, id: int) -> Node:
        """The node: its texts and reward are of all times, its statistics are of now (ask `visits` and `q`)."""
        if not 0 <= id < self._count:
            raise IndexError(f"node {id} did not exist at event {self.seq}")
        return self.tree.nodes[id]

    def visits(self, id: int) -> int:
        """N at that moment."""
        node = self.node(id)
        if self.tree.imported_from is not None:
            return node.visits
        return bisect_right(self.tree.history(id)[0], self.seq)

    def value_sum(self, id: int) -> Number:
        """W at that moment."""
        node = self.node(id)
        if self.tree.imported_from is not None:
            return node.value_sum
        seqs, sums = self.tree.history(id)
        place = bisect_right(seqs, self.seq)
        return sums[place - 1] if place else 0.0

    def q(self, id: int) -> float | None:
        """Q at that moment, None where N = 0."""
        visits = self.visits(id)
        return self.value_sum(id) / visits if visits else None

    def children(self, id: int) -> Sequence[int]:
        """Children that existed at that moment."""
        children = self.node(id).children
        return (
            children if not children or children[-1] < self._count else children[: bisect_left(children, self._count)]
        )

    def expanded(self, id: int) -> bool:
        """Whether the node's draws had been made."""
        node = self.node(id)
        return bool(self.children(id)) or (node.expanded and not node.children and not node.pruned)

    def exhausted(self, id: int) -> bool:
        """Whether nothing below the node could be selected any more."""
        node = self.node(id)
        if node.terminal is not None and node.terminal != "dead_end":
            return True
        toggled = self.tree._toggled.get(id)
        if toggled is not None:
            return bisect_right(toggled, self.seq) % 2 == 1
        return self.tree._exhausted_at.get(id, self.seq + 1) <= self.seq

    def pruned(self, id: int) -> bool:
        """Whether a person had ruled the node or an ancestor out."""
        prunings = self.tree.prunings
        if not prunings:
            return False
        then = {node: pruned for seq, node, pruned in prunings if seq <= self.seq}
        while id != NO_PARENT:
            if then.get(id):
                return True
            id = self.tree.nodes[id].parent
        return False


_APPLY: dict[type, Any] = {
    Started: SearchTree._started,
    Imported: SearchTree._imported,
    Selected: SearchTree._selected,
    Sampled: SearchTree._sampled,
    Expanded: SearchTree._expanded,
    BackedUp: SearchTree._backed_up,
    Failed: SearchTree._failed,
    Intervened: SearchTree._intervened,
    SettingsChanged: SearchTree._settings_changed,
    Iteration: SearchTree._iteration,
    Paused: SearchTree._paused,
    Resumed: SearchTree._resumed,
    Ended: SearchTree._ended,
}
