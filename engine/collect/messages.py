"""The messages between a collector and its workers: a JSON object a line, over a worker's standard input and output."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from engine.base.sums_with_unknowns import plus
from engine.tree.events import SearchSettings

Outcome = Literal["done", "halted", "owed", "failed", "hopeless", "elsewhere"]
"""How a search of a worker ended: `done`; `halted`: the collection ends; `owed`: an outage; `failed`: an error;
`hopeless`: an error that another try won't change; `elsewhere`: another process writes the trace."""


class Spent(Struct, omit_defaults=True):
    """What a search has used so far, since it began. None: unknown."""

    calls: int = 0
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost: float | None = None
    nodes: int = 0

    def add(self, other: Spent) -> None:
        """Add what another used; what is unknown stays out of the sum."""
        self.calls += other.calls
        self.nodes += other.nodes
        self.tokens_in = plus(self.tokens_in, other.tokens_in)
        self.tokens_out = plus(self.tokens_out, other.tokens_out)
        self.cost = plus(self.cost, other.cost)

    def take(self, other: Spent) -> None:
        """Take off what was added before."""
        self.calls -= other.calls
        self.nodes -= other.nodes
        if self.tokens_in is not None:
            self.tokens_in -= other.tokens_in or 0
        if self.tokens_out is not None:
            self.tokens_out -= other.tokens_out or 0
        if self.cost is not None:
            self.cost -= other.cost or 0.0

    @property
    def tokens(self) -> int:
        """Tokens that are known."""
        return (self.tokens_in or 0) + (self.tokens_out or 0)


# -- to a worker ---------------------------------------------------------------------------------------------


class Orders(Struct, tag="orders", tag_field="do"):
    """The first message: what all searches have in common."""

    environment: str
    settings: SearchSettings
    choose_actor: bool  # take the actor that the environment can have
    slots: int  # calls at a time
    spacing: float = 0.0  # least seconds between two calls
    metered: bool = False  # ask before calls
    delay: float = 0.0  # seconds a draw of the scripted actor
    notes: str = ""  # what the actor is told below the rules


class RunTask(Struct, tag="run", tag_field="do"):
    """Search this task, or go on with it."""

    task: str
    path: str


class Grant(Struct, tag="grant", tag_field="do"):
    """The number of further calls that a worker may make; 0: no more."""

    calls: int


class Halt(Struct, tag="halt", tag_field="do"):
    """End all searches; what is in flight is awaited, unless `now`."""

    reason: str
    now: bool = False


ToWorker = Orders | RunTask | Grant | Halt

# -- from a worker -------------------------------------------------------------------------------------------


class Wants(Struct, tag="wants", tag_field="said"):
    """Asks for calls."""


class Report(Struct, tag="report", tag_field="said"):
    """How far a search is."""

    task: str
    spent: Spent


class Finished(Struct, tag="finished", tag_field="said"):
    """A search ended."""

    task: str
    outcome: Outcome
    spent: Spent
    reason: str = ""  # of the end of the search
    error: str = ""
    seconds: float = 0.0  # of this run of it


FromWorker = Wants | Report | Finished

to_worker: msgspec.json.Decoder[ToWorker] = msgspec.json.Decoder(ToWorker)
from_worker: msgspec.json.Decoder[FromWorker] = msgspec.json.Decoder(FromWorker)


def line_of(message: ToWorker | FromWorker) -> bytes:
    """A message as a line."""
    return msgspec.json.encode(message) + b"\n"
