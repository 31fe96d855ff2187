"""The parts of a search tree: its nodes, and the walks of iterations that are under way."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from engine.base.text import split_thought
from engine.tree.events import ImportedNode, Message, Number, PrefixStep, TerminalReason, ToolCall
from engine.tree.messages import step_messages

ROOT = 0
"""Id of the root: the state after reset (and after the prefix, if there is one)."""

NO_PARENT = -1
"""The root's parent."""

UNEXPANDED = -1
"""As `Node.open_children`: before the draws."""


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
        "answers",
        "calls",
        "children",
        "depth",
        "draw",
        "id",
        "imported",
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
        "unscored",
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
        self.open_children = UNEXPANDED  # children that are not exhausted
        self.state_key: str | None = None
        self.draw = 0  # which of the parent's draws it came of; -1: a person wrote it
        self.pruned = False  # a person ruled it, or an ancestor, out: counts as exhausted
        self.unscored = 0  # of the visits: attempts whose reward nobody knows; they are not in W
        self.raw: dict[str, Any] | None = None  # see ImportedNode.raw
        self.imported: ImportedNode | None = None  # of merged attempts: what only they have
        self.calls: tuple[ToolCall, ...] = ()  # of tools; its action is their text
        self.answers: tuple[Message, ...] = ()  # all that answers the step, where that is not its observation alone

    @property
    def thought(self) -> str:
        """The response less its action, without the `Thought:` label; beside calls of tools, all of it."""
        return self.response if self.calls else split_thought(self.response)

    @property
    def said(self) -> str:
        """The actor's whole text, with calls of tools as text."""
        return "\n".join(filter(None, (self.response, self.action))) if self.calls else self.response

    @property
    def messages(self) -> list[Message]:
        """Returns the step as messages of a conversation: the assistant's, and all that answered it."""
        return self.messages_as(0)

    def messages_as(self, wording: int) -> list[Message]:
        """Returns the step in the words of one of the attempts that share it. `wording`: which; 0: the node's own."""
        row = self.imported
        response, observation, calls, answers = self._words(wording)
        if row is not None and row.silent:
            return list(answers)
        messages = step_messages(str(self.id), response, observation, calls, answers)
        if reasoning := self.reasoning_as(wording):
            messages[0] = replace(messages[0], reasoning=reasoning)
        return messages[:1] if row is not None and row.unanswered else messages

    def reasoning_as(self, wording: int) -> str:
        """Returns the reasoning before the step of an attempt that shares it, where its file has it. `wording`: which;
        0: the node's own."""
        row = self.imported
        if row is None:
            return ""
        own = row.wordings[wording - 1].reasoning if wording else None
        return row.reasoning if own is None else own

    def _words(self, wording: int) -> tuple[str, str, tuple[ToolCall, ...], tuple[Message, ...]]:
        row = self.imported
        if row is None or not wording:
            return self.response, self.observation, self.calls, self.answers
        own = row.wordings[wording - 1]
        answers = self.answers if own.answers is None and own.observation is None else own.answers or ()
        return (
            self.response if own.response is None else own.response,
            self.observation if own.observation is None else own.observation,
            self.calls if own.tool_calls is None else own.tool_calls,
            answers,
        )

    @property
    def results(self) -> tuple[str, ...]:
        """What each call returned, where that is kept beside the observation."""
        return _results(self.answers) if self.answers else ()

    def as_prefix(self, wording: int = 0) -> PrefixStep:
        """The step as one that was executed before a search began, in the words of an attempt that shares it."""
        response, observation, calls, answers = self._words(wording)
        return PrefixStep(response, self.action, observation, calls, _results(answers))

    @property
    def expanded(self) -> bool:
        """Whether its draws were made, or never will be (it was pruned)."""
        return self.open_children != UNEXPANDED

    @property
    def exhausted(self) -> bool:
        """Whether nothing below can be selected: terminal itself, all children exhausted, or pruned."""
        return self.terminal is not None or self.open_children == 0

    @property
    def is_leaf(self) -> bool:
        """A terminal node without children."""
        return self.terminal is not None and not self.children

    @property
    def q(self) -> float | None:
        """Mean return Q = W / N, over visits with a return; None where there is none."""
        scored = self.visits - self.unscored
        return self.value_sum / scored if scored else None

    def __repr__(self) -> str:
        return f"Node({self.id}, {self.action!r}, N={self.visits}, W={self.value_sum})"


def _results(answers: tuple[Message, ...]) -> tuple[str, ...]:
    return tuple(answer.content for answer in answers if answer.role == "tool")
