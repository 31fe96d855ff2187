"""A tree as the events so far left it, and views of its past.

The fold (`engine.tree.folding.fold`) changes it; whoever reads it gets it as a `SearchTree`.
Ids are dense in order of creation, so the structure at a moment is `id < n`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from engine.tree.answer_counts import AnswerCounts
from engine.tree.backup_history import BackupHistory
from engine.tree.choice_log import Choice, ChoiceLog
from engine.tree.events import (
    Failed,
    ImportedAttempt,
    Intervened,
    Message,
    Number,
    Sampled,
    SearchSettings,
    Selected,
    Started,
    Usage,
)
from engine.tree.messages import NO_WORDS, Words, prefix_messages
from engine.tree.node import NO_PARENT, ROOT, Node, Walk


class TreeState:
    """What the events so far make, and what can be asked of it. `engine.tree.tree.SearchTree` folds them."""

    def __init__(self) -> None:
        self.started: Started | None = None
        self.source = ""  # the file that it was read from, for people
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
        self.owed: dict[int, dict[int, Failed]] = {}  # node in flight → draws that met an outage, and the last one
        self.unusable: dict[int, set[int]] = {}  # node in flight → draws that were made and came to nothing
        self.answers = AnswerCounts()
        self.first_refused: int | None = None  # node of the first action that the environment refused
        self.interventions: list[Intervened] = []
        self.written_by: dict[int, str] = {}  # node that a person wrote → who
        self.reasoning: dict[int, str] = {}  # node → what the model thought, where it is sent again
        self.forced: set[int] = set()  # nodes in flight because a person asked for it
        self.breakpoints: list[str] = []  # queries (`engine.query.nodes`) at which the search pauses
        self.repeats: dict[int, int] = {}  # node → further draws that gave the same response
        self.history = BackupHistory(self.nodes)
        self.chronicle = ChoiceLog(self.nodes)
        self.calls = 0
        self.tokens_in: int | None = None
        self.tokens_out: int | None = None
        self.tokens_cached: int | None = None  # of tokens_in: those that servers had cached; None: no server told
        self.cost: float | None = None
        self.steps = 0  # environment steps
        self.resets = 0
        self.imported_from: str | None = None
        self.attempts: list[ImportedAttempt] = []  # that were merged into it
        self.import_notes: list[str] = []
        self.merged_by = ""  # which messages were equal, see `Imported.merge`
        self.first_through: list[int] = []  # node → the place of the first attempt that passes it; -1: none any more
        self.outcome_counts: dict[
            int, dict[int, int]
        ] = {}  # node → how many outcomes each action below it had; a cache
        self.wording_counts: dict[int, int] = {}  # node → in how many wordings the agent said it; a cache
        self.ties: list[int] = []  # at every choice so far: how many shared the best score
        self.iteration_seqs: list[int] = []
        self.first_in_state: dict[str, int] = {}  # state → its oldest node
        self.by_state: dict[str, list[int]] = {}  # state that several nodes are in → these, oldest first

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

    def fully_drawn(self, id: int) -> bool:
        """Whether all draws of the node were made, or never will be (it was pruned)."""
        return self.nodes[id].expanded and (id not in self.partial or self.nodes[id].pruned)

    def exhausted(self, id: int) -> bool:
        """Whether nothing below the node can be selected."""
        return self.nodes[id].exhausted

    def pruned(self, id: int) -> bool:
        """Whether a person ruled the node or an ancestor out."""
        return self.nodes[id].pruned

    @property
    def draws_owed(self) -> int:
        """How many draws, or their steps, met an outage and were not made since."""
        return sum(len(draws) for draws in self.owed.values())

    @property
    def path(self) -> list[int]:
        """The place of the walk that moved last: ids from the root; empty where there is no walk."""
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

    def actions_to(self, id: int) -> list[str]:
        """The actions that were executed from the reset to a node."""
        before = self.started.prefix if self.started is not None else ()
        return [step.action for step in before] + [self.nodes[step].action for step in self.ancestors(id)[1:]]

    def leaves(self) -> Iterator[Node]:
        """Terminal nodes without children, in order of creation. Dead ends have no return and are left out."""
        return (node for node in self.nodes if node.is_leaf and node.q is not None)

    def conversation(self, id: int) -> list[Message]:
        """The whole conversation at a node: header, prefix, then the messages of each step.

        Where attempts were merged, it is in the words of the first one that passed the node.
        """
        assert self.started is not None
        words = self.words_at(id)
        messages = self.header_as(words) + prefix_messages(self.started.prefix)
        for step in self.ancestors(id)[1:]:
            own = self.nodes[step].messages_as(words.get(step, 0))
            if step in self.reasoning:
                own[0] = replace(own[0], reasoning=self.reasoning[step])
            messages += own
        return messages

    # -- attempts that were merged -----------------------------------------------------------------

    def words_of(self, attempt: ImportedAttempt) -> Words:
        """The words of an attempt."""
        path = self.ancestors(attempt.leaf)
        return {id: number for id, number in zip(path, attempt.words, strict=False) if number}

    def words_at(self, id: int) -> Words:
        """The words of the first attempt that passes a node; the node's own where none does."""
        first = self.first_through[id] if self.attempts else -1
        return NO_WORDS if first < 0 else self.words_of(self.attempts[first])

    def header_as(self, words: Words) -> list[Message]:
        """Returns the header in the words of one attempt."""
        assert self.started is not None
        row = self.nodes[ROOT].imported
        own = row.wordings[number - 1].messages if row is not None and (number := words.get(ROOT, 0)) else None
        return list(self.started.header if own is None else own)

    def attempt_messages(self, attempt: ImportedAttempt) -> list[Message]:
        """Returns an attempt, message by message, in its file's own words. Only the ids of calls are the tree's."""
        words = self.words_of(attempt)
        messages = self.header_as(words)
        for id in self.ancestors(attempt.leaf)[1:]:
            messages += self.nodes[id].messages_as(words.get(id, 0))
        return messages

    @property
    def left_nodes(self) -> int:
        """How many nodes no attempt passes any more: the last step of one that went on may be none of it."""
        return self.first_through.count(-1)

    def attempts_at(self, leaf: int) -> list[ImportedAttempt]:
        """The attempts that end at a leaf, in their order: several are equal."""
        return [attempt for attempt in self.attempts if attempt.leaf == leaf]

    # -- the past ----------------------------------------------------------------------------------

    def nodes_at(self, seq: int) -> int:
        """How many nodes there were right after event `seq`."""
        return self.history.nodes_at(seq)

    def born_at(self, id: int) -> int:
        """The event that made the node."""
        return self.history.born_at(id)

    def same_state(self, id: int) -> Sequence[int]:
        """Returns all nodes in the node's state, oldest first; empty where states have no keys."""
        key = self.nodes[id].state_key
        return self.by_state.get(key, (id,)) if key is not None else ()

    # -- looking back ------------------------------------------------------------------------------

    def choice(self, parent: int, seq: int) -> Choice | None:
        """The last choice that the search made among the children of `parent`, up to event `seq`."""
        return self.chronicle.choice(parent, seq)

    def in_flight_at(self, seq: int) -> list[int]:
        """Nodes whose expansion had been asked for and was not applied right after event `seq`, oldest first."""
        return self.chronicle.in_flight(seq)

    def path_at(self, seq: int) -> list[int]:
        """Returns the place of the walk that moved last, right after event `seq`; empty where there was no walk."""
        node = self.chronicle.stands_at(seq, self.iteration_seqs)
        return [] if node is None else self.ancestors(node)

    def settings_at(self, seq: int) -> SearchSettings:
        """The settings that held right after event `seq`."""
        assert self.started is not None
        return self.chronicle.settings(self.started.settings, seq)
