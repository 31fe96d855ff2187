"""Trees for tests and measurements, made the way a search makes them: by events."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from engine.tree.events import (
    AnyEvent,
    BackedUp,
    Child,
    Expanded,
    Imported,
    ImportedNode,
    Message,
    Sampled,
    SearchSettings,
    Selected,
    Started,
    TerminalReason,
)
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.tree import SearchTree

HEADER = [
    Message("system", "You are a helpful assistant."),
    Message("user", "Rules of the environment."),
    Message("assistant", "Ok."),
    Message("user", "Goal: craft yellow bed."),
]


class Grower:
    """A tree and the events that made it."""

    def __init__(self, score_range: tuple[float, float] = (0.0, 1.0)) -> None:
        self.tree = SearchTree()
        self.events: list[AnyEvent] = []
        self.apply(
            Started(
                seq=0,
                version=1,
                trace="test",
                environment="textcraft",
                task="12",
                header=HEADER,
                settings=SearchSettings(),
                instruction="craft yellow bed",
                score_range=score_range,
            )
        )

    def apply(self, event: AnyEvent) -> None:
        """Apply an event, with the next seq."""
        event.seq = len(self.events)
        self.events.append(event)
        self.tree.apply(event)

    def expand(
        self, parent: int, children: Sequence[str | tuple[str, TerminalReason, float]], *, observation: str = "Done."
    ) -> list[int]:
        """Draw and step children: an action each, or (action, why it is terminal, return). Returns their ids.

        Terminal children are backed up at once, as the search does.
        """
        first = len(self.tree)
        made = []
        for draw, child in enumerate(children):
            action, terminal, reward = (child, None, 0.0) if isinstance(child, str) else child
            self.apply(Sampled(seq=0, parent=parent, draw=draw, response=f"Thought: let me {action}\nAction: {action}"))
            made.append(Child(draw=draw, action=action, observation=observation, reward=reward, terminal=terminal))
        self.apply(Expanded(seq=0, parent=parent, children=made, steps=len(made)))
        for place, born in enumerate(made):
            if born.terminal is not None:
                self.apply(BackedUp(seq=0, leaf=first + place, value=max(0.0, born.reward)))
        return list(range(first, first + len(made)))

    def select(self, path: list[int]) -> None:
        """The search walks this path."""
        self.apply(Selected(seq=0, path=path))


def yellow_bed() -> Grower:
    """A small search with everything in it that a row can be: every kind of leaf, unseen nodes, dead ends."""
    grower = Grower()
    wool, bed, log, planks, _ = grower.expand(
        ROOT,
        ["get 3 white wool", "get 1 yellow bed", "get 2 oak log", "craft 4 oak planks using 1 oak log", "inventory"],
    )
    dye, oak, _, dead = grower.expand(
        wool,
        [
            "get 3 yellow dye",
            "get 3 oak planks",
            ("craft 1 yellow bed using 3 yellow wool, 3 oak planks", "done", 1.0),
            "look around",
        ],
    )
    grower.expand(dead, [])
    craft, _, inventory = grower.expand(
        dye,
        [
            "craft 3 yellow wool using 1 yellow dye, 3 white wool",
            ("craft 1 yellow bed using 3 white wool, 3 oak planks", "disaster", -1.0),
            "inventory",
        ],
    )
    grower.expand(craft, [("craft 1 yellow bed", "done", 1.0), ("craft 1 yellow bed at once", "done", 0.8)])
    grower.expand(oak, [("put bed down", "depth", 0.0), ("sleep", "done", 0.75)])
    grower.expand(
        bed,
        [
            ("get 1 yellow bed", "depth", 0.0),
            "get 3 yellow wool",
            ("craft 1 yellow bed using 1 wool", "done", 0.0),
        ],
    )
    grower.expand(log, [("craft 4 oak planks", "done", 0.3), ("get 1 oak log", "depth", 0.0)])
    grower.expand(planks, ["inventory", "get 3 white wool"])
    grower.select([ROOT, wool, dye, inventory])
    return grower


def random_tree(nodes: int, seed: int = 0, *, draws: int = 4, max_depth: int = 25) -> Grower:
    """A tree of about that many nodes, grown at random places; deterministic."""
    rng = random.Random(seed)
    grower = Grower()
    open_nodes = [ROOT]
    while len(grower.tree) < nodes and open_nodes:
        place = rng.randrange(len(open_nodes))
        parent = open_nodes[place]
        open_nodes[place] = open_nodes[-1]
        open_nodes.pop()
        depth = grower.tree.node(parent).depth
        children: list[str | tuple[str, TerminalReason, float]] = []
        for draw in range(rng.randint(1, draws)):
            action = f"get {rng.randint(1, 9)} {rng.choice(('oak log', 'white wool', 'yellow dye', 'iron ingot'))}"
            if depth >= max_depth or (depth > 2 and draw and rng.random() < 0.25):
                children.append((action, "done" if depth < max_depth else "depth", round(rng.random(), 2)))
            else:
                children.append(action)
        made = grower.expand(parent, children)
        open_nodes.extend(id for id in made if grower.tree.node(id).terminal is None)
    return grower


def imported_tree(parents: Iterable[int]) -> SearchTree:
    """A tree of any shape at once: the parent of each node after the root, by id."""
    rows = [ImportedNode(parent=NO_PARENT)]
    rows.extend(ImportedNode(parent=parent, action="step", response="Action: step") for parent in parents)
    tree = SearchTree()
    tree.apply(Grower().events[0])
    tree.apply(Imported(seq=1, source="test", nodes=rows))
    return tree


def chain(depth: int) -> SearchTree:
    """A single line of steps."""
    return imported_tree(range(depth))
