"""One attempt at a task as its harness recorded it, in one form for all formats.

A reader (`engine.imports.reader`) yields these. Messages stand in the order of what happened, and their texts are the
file's own, character by character: comparing, masking and merging is for those who build a tree of them.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from engine.tree.events import ToolCall

AttemptRole = Literal["system", "user", "assistant", "tool"]


class Transcript(Struct, frozen=True, omit_defaults=True, gc=False):
    """The messages of a subagent, folded into the message that returned its result or reports it."""

    messages: tuple[AttemptMessage, ...]
    agent: str = ""
    id: str = ""  # the format's own


class AttemptMessage(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One message of an attempt.

    `content` is text: parts are joined with nothing between them where the format says that they are one text, else
    with a newline; an image, a sound or a file is a placeholder such as `[image: shots/1.png]` or
    `[image: sha256:0123456789abcdef image/png]`, so that equal images give equal texts.

    The arguments of a call are the file's own string; where the file has an object, its compact JSON in the file's
    order. The id of a call is the file's, "" where it gives none.

    A `tool` message follows the assistant message that it answers; `tool_call_id` is the id of that call, "" where the
    file matches them in no way (a text agent's observation, then, is a `user` message).
    """

    role: AttemptRole
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()  # of an assistant; of a user with tools of its own (tau2) too
    tool_call_id: str = ""
    name: str = ""
    reasoning: str = ""
    compacted: bool = (
        False  # the context was rewritten here: nothing after it is comparable with an uncompacted sibling
    )
    synthesised: bool = False  # no message of the file: made of its task text, because the file leaves the prompt out
    error: bool = False  # a result that the format marks as an error
    of_user: bool = False  # a result of a call that the user (not the agent) made
    untrained: bool = False  # the format says: not to be trained on (a demonstration, an acknowledgement, loss false)
    sub: tuple[Transcript, ...] = ()


class Attempt(Struct, kw_only=True):
    """One rollout of one task by one agent."""

    task: str  # key of the group: attempts of one task share it
    source: str  # the file it was read from, as given
    format: str  # the reader's name, e.g. "atif"
    place: str = ""  # where in the file: "line 3", "samples/1_epoch_2.json"; "" for the whole file
    id: str = ""  # the format's own id of this attempt (trial name, epoch, trace id); "" where there is none
    agent: str = ""  # harness or agent, as far as told
    model: str = ""
    environment: str = ""
    instruction: str = ""  # the goal in a few words, where told
    tools: list[dict[str, Any]] = []  # OpenAI function schemas: {"type": "function", "function": {"name": …}}
    messages: list[AttemptMessage]  # in logical order (what happened), header (system, user …) included
    played_user: bool = False  # the user is played by a model: its turns are observations
    rewards: dict[str, float | None] = {}  # by name; the format's own overall one is "reward", where it has one
    reward: float | None = None  # None: unknown, which is not 0
    reward_range: tuple[float, float] | None = None  # the format's own, where it has one
    stop: str = ""  # why it ended, where told ("max_turns", "timeout", "context_length" …)
    cut_off: bool = False  # it ended by a limit or a failure outside of the agent, not by itself
    notes: list[str] = []  # what was left out or is odd, a sentence each
    raw: dict[str, Any] = {}  # small leftovers worth keeping (metadata)


class TreeNode(Struct, kw_only=True, omit_defaults=True):
    """A node of a search tree that another program grew."""

    parent: int = -1  # index in `ForeignTree.nodes`; -1 at a root. Parents come first, siblings in their order
    messages: tuple[AttemptMessage, ...] = ()  # the step: an assistant message and its results
    visits: int = 0  # N
    value: float = 0.0  # W, the sum of the returns
    reward: float | None = None  # of the node; None: not scored
    explanation: str = ""  # of the reward
    terminal: bool = False
    duplicate: bool = False
    raw: dict[str, Any] = {}


class ForeignTree(Struct, kw_only=True):
    """A real search tree of another program, with its N and W: read as it is, not merged of attempts."""

    task: str
    source: str
    format: str
    place: str = ""
    agent: str = ""
    model: str = ""
    environment: str = ""
    instruction: str = ""
    tools: list[dict[str, Any]] = []
    header: list[AttemptMessage] = []
    nodes: list[TreeNode]
    reward_range: tuple[float, float] | None = None
    notes: list[str] = []
    raw: dict[str, Any] = {}
