"""What can happen in a search: the closed set of events that a trace holds.

A trace is a sequence of these events and the only truth about a search; the tree is a fold over them
(`engine.tree.tree.SearchTree.apply`). Each event has `seq`, its place in the trace (0, 1, 2, …), and `t`, seconds
since the search started. Events are msgspec structs tagged by `type`; fields at their default are not written.

`t`, latencies, the order of `sampled`, `failed`, `paused` and `resumed` events and code versions depend on the
machine; everything else is determined by the settings, the seed and the answers, and is what `agentr diff` compares.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from envs.call_text import calls_text

FORMAT_VERSION = 2
"""Version of the trace format. A reader refuses a newer one, and reads older ones for ever."""

Role = Literal["system", "user", "assistant", "tool"]
MAX_INT = 2**53
"""The greatest integer that a float, and every reader of JSON, keeps exactly."""

Int = Annotated[int, Meta(ge=-MAX_INT, le=MAX_INT)]
Number = Int | float
Small = Annotated[int, Meta(ge=0, le=2**31 - 1)]
TerminalReason = Literal["done", "disaster", "depth", "dead_end", "cut_off", "unscored"]
"""Why a node has no future: the environment said done; its score fell below 0; depth > max_depth; its draws
were made and none was usable; a limit ended an imported attempt; nobody knows an imported attempt's reward."""
PauseKind = Literal["asked", "breakpoint", "failures"]
InterventionKind = Literal[
    "edited", "forced", "pruned", "restored", "breakpoint", "breakpoint removed", "note", "mark", "refused"
]

WITHOUT_RETURN = frozenset({"dead_end", "unscored"})
"""Reasons for which a node without children has no return."""


class ToolCall(Struct, omit_defaults=True, frozen=True, gc=False):
    """A call of a tool. Its id is made where a conversation is (`engine.tree.messages`): events hold none."""

    name: str
    arguments: str  # the model's own string: JSON, where the model kept to it
    id: str = ""


class Message(Struct, omit_defaults=True, frozen=True, gc=False):
    """One turn of a conversation. A step is one message of the assistant and all that answers it."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()  # of the assistant
    tool_call_id: str = ""  # of a tool's message: the call that it answers
    name: str = ""  # of a tool's message: the tool
    reasoning: str = ""  # what the model thought before it said this, where it is known

    @property
    def said(self) -> str:
        """The whole text, with calls as text."""
        if not self.tool_calls:
            return self.content
        calls = calls_text([(call.name, call.arguments) for call in self.tool_calls])
        return "\n".join(filter(None, (self.content, calls)))


class PrefixStep(Struct, omit_defaults=True, frozen=True):
    """A step that was executed before the search began; its messages follow the header."""

    response: str
    action: str
    observation: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    results: tuple[str, ...] = ()  # of its calls, see `Child.results`


class Fork(Struct, frozen=True):
    """Where a trace was branched from."""

    trace: str  # id of the trace it came from
    seq: int  # the last event that both share


class Usage(Struct, omit_defaults=True, frozen=True):
    """What an answer cost. None means unknown, not zero."""

    tokens_in: Int | None = None
    tokens_out: Int | None = None
    cost: float | None = None  # in US dollars
    cached: Int | None = None  # of tokens_in: those that the server had cached


class SearchSettings(Struct, omit_defaults=False, kw_only=True):
    """Everything that shapes a search, and nothing about the machine it runs on except `concurrency`."""

    algorithm: str = "agent-r"
    actor: str = "scripted"
    iterations: Annotated[int, Meta(ge=1)] = 4
    max_depth: Annotated[int, Meta(ge=1)] = 10  # nodes at depth > max_depth are terminal
    samples: Annotated[int, Meta(ge=1)] = 4  # draws a node (the original's n_generate)
    c: Annotated[float, Meta(ge=0)] = 0.25  # exploration constant
    seed: int = 0
    temperature: Annotated[float, Meta(ge=0)] = 1.0
    max_tokens: Annotated[int, Meta(ge=1)] = 500
    error_rate: Annotated[float, Meta(ge=0, le=1)] = 0.35  # of the scripted actor, and of one that follows a file
    concurrency: Annotated[int, Meta(ge=1)] = 4  # simultaneous calls; never changes a trace
    parallel_nodes: Annotated[int, Meta(ge=1)] = 1  # expansions in flight (K)
    any_order: bool = False  # results are applied as they come, not in the order of selection
    max_failures: Annotated[int, Meta(ge=1)] = 12  # outages in a row of one source before the search pauses
    # of actors and verifiers behind an OpenAI-compatible server
    model: str = ""
    base_url: str = ""  # "" stands for the client library's own default
    key_env: str = "OPENAI_API_KEY"  # name of the environment variable that holds the key; never the key
    timeout: Annotated[float, Meta(gt=0)] = 120.0  # seconds a call
    retries: Annotated[int, Meta(ge=0)] = 4  # after the first try of a call
    price_in: Annotated[float, Meta(ge=0)] | None = None  # US dollars a million prompt tokens; None: unknown
    price_out: Annotated[float, Meta(ge=0)] | None = None  # US dollars a million completion tokens
    price_cached: Annotated[float, Meta(ge=0)] | None = None  # of cached prompt tokens; None: as the others
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None  # None: the server's own
    reasoning_effort: str = ""  # "": the server's own
    extra_body: dict[str, Any] = {}  # further fields of every request; null takes one out
    header: list[str] = []  # NAME=VARIABLE: headers whose values are in environment variables, never here
    no_system: bool = False  # the system turn is sent at the head of the first user turn
    example: bool = False  # put a worked example of the environment before the task (few-shot)
    context: Annotated[int, Meta(ge=1)] | None = None  # tokens that a conversation may have; None: no limit
    tokenizer: str = ""  # file of the model's own tokenizer; "": an estimate, named one
    structured: Literal["", "json", "grammar"] = ""  # ask for answers in a form that small models keep
    parse: Literal["first", "agent-r"] = "first"  # how an answer is read; the original's rule in traces of version 1
    prompts: str = ""  # folder whose files take the place of the shipped prompts
    # of an environment whose agent calls tools
    tools: Literal["auto", "required", "off"] = "auto"  # `auto`: it may answer without a call; `off`: as text
    parallel_tool_calls: bool = False  # whether one answer may hold several calls
    send_reasoning: Literal["", "reasoning_content", "reasoning"] = ""  # field of its earlier reasoning
    # budgets; the search ends cleanly when one is used up
    budget_tokens: Annotated[int, Meta(ge=1)] | None = None
    budget_cost: Annotated[float, Meta(gt=0)] | None = None  # US dollars
    budget_calls: Annotated[int, Meta(ge=1)] | None = None
    budget_seconds: Annotated[float, Meta(gt=0)] | None = None
    budget_good: Annotated[int, Meta(ge=1)] | None = None  # good leaves


class Event(Struct, kw_only=True, omit_defaults=True, tag_field="type"):
    """Common to all events."""

    seq: int
    t: float = 0.0  # seconds since the search started


class Started(Event, tag="started"):
    """Always first: what is searched, how, and by which code."""

    version: int  # of the format
    trace: str  # id of this trace; of a foreign tree: a digest of its content
    environment: str
    task: str
    header: list[Message]
    settings: SearchSettings
    instruction: str = ""  # the goal in a few words
    opened: str = ""  # the environment as it was asked for, where that is another name (recorded:FILE)
    score_range: tuple[float, float] = (0.0, 1.0)  # least and greatest return of the environment
    prefix: list[PrefixStep] = []
    tools: list[dict[str, Any]] = []  # that the agent may call, as JSON schemas of functions in OpenAI's form
    code: dict[str, str] = {}
    forked_from: Fork | None = None


class Transcript(Struct, omit_defaults=True, frozen=True, gc=False):
    """What a subagent did, folded into the step that called it."""

    messages: tuple[Message, ...]
    agent: str = ""


class Wording(Struct, omit_defaults=True, frozen=True, gc=False):
    """The words of another attempt at a step that it shares; a field that is None is as in the node."""

    response: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    observation: str | None = None
    answers: tuple[Message, ...] | None = None
    transcripts: tuple[Transcript, ...] | None = None
    messages: tuple[Message, ...] | None = None  # at the root: the header of that attempt


class ImportedNode(Struct, omit_defaults=True, gc=False):
    """A node of a foreign tree with its exact statistics. Nodes come parents first, siblings in their order.

    Where attempts were merged, N and W follow from them (`Imported.attempts`) and are not written here.
    """

    parent: int = -1  # NO_PARENT at the root
    response: str = ""
    action: str = ""
    observation: str = ""
    reward: Number = 0
    visits: Int = 0
    value: Number = 0.0
    terminal: TerminalReason | None = None
    raw: dict[str, Any] | None = None  # fields of the foreign file that do not follow from the rest
    tool_calls: tuple[ToolCall, ...] = ()
    answers: tuple[Message, ...] = ()  # all that answers the step, where that is not its observation alone
    reasoning: str = ""
    wordings: list[Wording] = []  # of other attempts, where they differ from this
    outcome_of: int = -1  # the sibling with the same action and another answer: chance parts them, no decision
    silent: bool = False  # no turn of the agent: what it was told before its first, or the end of an attempt
    unanswered: bool = False  # nothing answers the step: an attempt ended here
    compacted: bool = False  # the context was rewritten here: nothing below merges with what was not
    error: bool = False  # a result is marked as an error
    untrained: bool = False  # the foreign file says that this turn is not to be trained
    transcripts: tuple[Transcript, ...] = ()  # of subagents


class ImportedAttempt(Struct, omit_defaults=True):
    """One attempt of those that became a tree, and where it is from."""

    leaf: int  # where it ends; an end below that node (a silent child without messages) takes it over
    digest: str  # of its content: importing again adds what is new
    source: str = ""  # the file
    place: str = ""  # where in the file
    id: str = ""  # the file's own
    reward: Number | None = None  # None: unknown, which is not 0
    rewards: dict[str, Number | None] = {}
    stop: str = ""  # why it ended, where that is told
    cut_off: bool = False  # by a limit or a failure outside of the agent
    words: list[int] = []  # by depth, from the root: 0 for the node's own words, n for its n-th wording; 0 to the end
    notes: list[str] = []
    replaces: int = -1  # the place, in the tree's attempts so far, of the one that this is the continuation of


class Imported(Event, tag="imported"):
    """In place of a search's events: a whole foreign tree, or what was added to one."""

    source: str  # kind of the foreign file, e.g. "agent-r"
    nodes: list[ImportedNode]
    attempts: list[ImportedAttempt] = []
    merge: str = ""  # which messages are equal: action, text, state, none
    notes: list[str] = []  # what was left out, or decided, a sentence each
    wordings: dict[int, list[Wording]] = {}  # further ones of nodes that were there before
    score_range: tuple[float, float] | None = None  # in place of the one in `started`, where rewards lie outside of it
    withdrawn: list[int] = []  # places of attempts that are none of this tree any more: they went on in another


class Selected(Event, tag="selected"):
    """The search chose the node to expand next."""

    path: list[int]  # nodes walked, from where the walk stood to the chosen node
    ties: list[Small] = []  # at each choice, how many children shared the best score
    in_flight: list[int] = []  # nodes whose expansion had not been applied yet
    draws: int = 0  # how many draws are made; 0: all that were not made yet


class Sampled(Event, tag="sampled"):
    """An answer as it arrived, before it is read or executed, so that no paid answer is lost."""

    parent: int
    draw: int  # 0 ≤ draw < samples
    response: str  # as it is stored: of a model's answer its thought and action, in the form (`engine.answers.reader`)
    usage: Usage | None = None
    latency: float | None = None  # seconds
    prior: float = 1.0
    reasoning: str | None = None
    action: str | None = None  # to execute, where it is not what the response says
    dropped: int = 0  # steps cut from the front of the conversation to fit the context
    raw: str | None = None  # the server's own words, where the response is not the same
    notes: list[str] = []  # what was odd about the answer, see `engine.answers.form.Note`
    tool_calls: tuple[ToolCall, ...] = ()


class Child(Struct, omit_defaults=True):
    """What became of one draw: a new node. Ids are dense, in order of creation."""

    draw: int
    action: str  # as executed
    observation: str
    reward: Number = 0  # the environment's score after the step
    terminal: TerminalReason | None = None
    response: str | None = None  # as stored, where it differs from the raw answer
    state_key: str | None = None  # digest of the environment's state
    prior: float = 1.0
    tool_calls: tuple[ToolCall, ...] | None = None  # as stored, where they differ from the answer's
    results: tuple[str, ...] = ()  # what each call returned, where there were several; the observation joins them


class Repeat(Struct):
    """A draw whose response repeats a sibling's: no node of its own."""

    draw: int
    of: int  # the draw that it repeats


class Expanded(Event, tag="expanded"):
    """All draws of a node were made and stepped."""

    parent: int
    children: list[Child] = []
    repeats: list[Repeat] = []
    partial: bool = False  # draws are still to be made (a rollout made the first)
    steps: Int = 0  # environment steps it took, replayed ones included
    resets: Int = 0


class BackedUp(Event, tag="backed_up"):
    """N += 1 and W += value on the leaf and every ancestor."""

    leaf: int
    value: Number  # the return


class Failed(Event, tag="failed"):
    """A draw failed."""

    parent: int
    draw: int
    what: str  # kind of failure
    error: str  # one line
    attempt: int = 1
    usage: Usage | None = None
    raw: str | None = None  # the server's own words, where an answer came that was of no use


class Intervened(Event, tag="intervened"):
    """A person changed the search.

    `edited`: wrote a step, which became the child `child` of `node` (instead of the child `of`, where one was edited);
    `forced`: had `node` expanded next; `pruned`: nothing at or below `node` is selected any more; `restored`: it may be
    again; `breakpoint`, `breakpoint removed`: the search pauses where a new node matches the query `detail`; `note`,
    `mark`: a comment on `node`; `refused`: asked for what can't be done, `detail` says why.
    """

    who: str
    what: InterventionKind
    node: int
    detail: str = ""
    of: int | None = None  # of `edited`
    child: Child | None = None  # of `edited`; its draw is -1, its response is given


class SettingsChanged(Event, tag="settings_changed"):
    """A person changed settings while the search ran; it holds from the next selection on."""

    who: str
    changes: dict[str, Any]


class Iteration(Event, tag="iteration"):
    """An iteration (a walk from the root until nothing can be selected) is over."""

    number: int  # 1 for the first
    leaf: int = 0  # where the walk ended


class Paused(Event, tag="paused"):
    """The search is paused: a person asked for it, a breakpoint was met, or there were too many failures."""

    reason: str = "asked"  # in words, for people
    kind: PauseKind = "asked"  # in version 1 always that
    node: int | None = None  # that met the breakpoint
    query: str = ""  # of the breakpoint


class Resumed(Event, tag="resumed"):
    """The search goes on, after `paused` or `ended`."""

    code: dict[str, str] = {}


class Ended(Event, tag="ended"):
    """The search is over: `iterations` and `exhausted` mean done, anything else stopped."""

    reason: str  # iterations, exhausted, failures, stopped, interrupted, "budget: …"
    totals: dict[str, Number | None] = {}


AnyEvent = (
    Started
    | Imported
    | Selected
    | Sampled
    | Expanded
    | BackedUp
    | Failed
    | Intervened
    | SettingsChanged
    | Iteration
    | Paused
    | Resumed
    | Ended
)

DONE_REASONS = frozenset({"iterations", "exhausted"})
"""Reasons of `ended` after which there is nothing left to resume."""

event_encoder = msgspec.json.Encoder()
event_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
