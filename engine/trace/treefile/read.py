"""Tree files of the original, `search_results_{task}.json`: read into events, and written.

A trace holds each thing once (`ImportedNode`), where a tree file repeats in every node what follows from the path to
it. Reading compares each node with what `engine.trace.treefile.write` would write for it; whatever differs is kept in
`ImportedNode.raw`, so that writing gives back what was read.
"""

from __future__ import annotations

import codecs
import json
import math
import os
import re
from collections.abc import Callable
from hashlib import blake2b
from typing import IO, Any

import msgspec

from engine.base.compression import open_unpacked, reading
from engine.base.errors import TraceError
from engine.base.text import parse_action
from engine.environment.opened import instruction_of, score_range_of
from engine.trace.treefile.scan import GROWING, Broken, Grown, NodeScanner, ScannedNode
from engine.trace.treefile.write import (
    EXACT,
    FORM,
    TEXTS,
    puct_value,
    recent_form,
    recent_step,
    turns,
)
from engine.tree.events import (
    FORMAT_VERSION,
    MAX_INT,
    AnyEvent,
    Imported,
    ImportedNode,
    Message,
    Number,
    PrefixStep,
    SearchSettings,
    Started,
    event_encoder,
)
from engine.tree.node import NO_PARENT, ROOT
from envs.base import recognise

SOURCE = "agent-r"
HEADER_TURNS = 4  # system, rules, `Ok.`, first observation

_FILE_NAME = re.compile(r"search_results_(.+?)\.json(?:\.gz|\.zst)?$")
_HALF_PAIR = re.compile("[\ud800-\udfff]")  # half of a surrogate pair: UTF-8 has no bytes for it
_MOST_VISITS = 1 << 53

Overrides = dict[str, Any]
"""Fields of the file, by name, that do not follow from the compact form."""


def read_tree(
    path: str | os.PathLike[str], *, environment: str | None = None, task: str | None = None
) -> list[AnyEvent]:
    """Returns the events of a tree file (plain, gzip or zstandard): `started` and `imported`, nodes in the file's
    order. Raises `TraceError`.

    The constant c and, where the deepest level shows it, `max_depth` are inferred; other settings are not in the file
    and stay at their defaults.

    `path`: the file. `environment`: its name; None: recognised by the first observation and the form of the steps, else
    "unknown". `task`: its id; None: as in the file's name.
    """
    try:
        with reading(path), open_unpacked(path) as file:
            return _Import(environment, _task_of(path) if task is None else task).events(NodeScanner(_reader(file)))
    except Broken as error:
        raise TraceError(path, None, str(error)) from None
    except UnicodeDecodeError as error:
        raise TraceError(path, None, f"not a tree: not UTF-8 text ({error.reason})") from None
    except RecursionError:
        raise TraceError(path, None, "a value is nested too deep") from None


def _task_of(path: str | os.PathLike[str]) -> str:
    name = os.path.basename(os.fspath(path))
    found = _FILE_NAME.search(name)
    return found[1] if found else name.split(".", 1)[0]


def _reader(file: IO[bytes]) -> Callable[[int], str]:
    """A function that reads up to n characters, none only at the end."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()

    def read(count: int) -> str:
        while True:
            data = file.read(count)
            text = decoder.decode(data, final=not data)
            if text or not data:
                return text

    return read


class _Line:
    """A node on the current path, for what its children continue."""

    __slots__ = ("lists", "parent")

    def __init__(self, parent: _Line | None) -> None:
        self.parent = parent
        self.lists: dict[str, tuple[bool, Any]] = {}  # name → (True, items after the parent's) or (False, whole value)

    def whole(self, name: str) -> Any:
        """The whole value of a growing list."""
        tails: list[list[Any]] = []
        line = self
        continues, items = line.lists[name]
        while continues:
            tails.append(items)
            assert line.parent is not None  # a root continues nothing
            line = line.parent
            continues, items = line.lists[name]
        return [*items, *(item for tail in reversed(tails) for item in tail)] if tails else items


class _Import:
    """Turns the nodes of a file into events."""

    def __init__(self, environment: str | None, task: str) -> None:
        self.environment = environment
        self.task = task
        self.nodes: list[ImportedNode] = []
        self.odd: dict[int, Overrides] = {}
        self.flags: list[tuple[Any, Any, Any]] = []  # a node's is_terminal, disaster, puct_value
        self.depth = 0  # of the deepest level
        self.deepest: list[int] = []
        self.form: str | None = None  # of recent_actions
        self.header: list[Message] = []
        self.prefix: list[PrefixStep] = []

    def events(self, scanner: NodeScanner) -> list[AnyEvent]:
        """Read all nodes."""
        path: list[_Line] = []
        for node in scanner:
            del path[node.depth :]
            path.append(self._add(node, path[-1] if path else None))
        for id, fields in scanner.late.items():
            self._keep(id, fields)
        first = self.header[-1].content if self.header else ""
        environment = self.environment if self.environment is not None else self._recognised(first)
        settings = SearchSettings(algorithm="agent-r", actor="recorded", c=self._constant())
        score_range = score_range_of(environment)
        self._check_scores(settings.c)
        self._check_ends()
        self._seal()
        digest = blake2b(event_encoder.encode([self.header, self.prefix, self.nodes]), digest_size=8)
        # What follows depends on the environment, which the caller may name: not in the digest.
        if self._ended_by_depth(score_range[1]):
            settings.max_depth = self.depth - 1
        if self.form is not None and self.form != recent_form(environment):
            root = self.nodes[ROOT]
            root.raw = {**(root.raw or {}), FORM: self.form}
        started = Started(
            seq=0,
            version=FORMAT_VERSION,
            trace=digest.hexdigest(),
            environment=environment,
            task=_clean(self.task),
            header=self.header,
            settings=settings,
            instruction=instruction_of(first),
            score_range=score_range,
            prefix=self.prefix,
        )
        return [started, Imported(seq=1, source=SOURCE, nodes=self.nodes)]

    def _keep(self, id: int, fields: Overrides) -> None:
        self.odd.setdefault(id, {}).update(fields)

    # -- one node ----------------------------------------------------------------------------------

    def _add(self, scanned: ScannedNode, above: _Line | None) -> _Line:
        fields, line = scanned.fields, _Line(above)
        odd: Overrides = {}
        visits, value = _visits(fields.pop("visits"), scanned), _value(fields.pop("value"), scanned)
        action, obs, response = (_text(fields.pop(name), name, scanned) for name in ("action", "obs", "llm_response"))
        said, saw = response, obs
        if above is None:
            odd |= self._root_lists(scanned.grown, line)
            odd |= {name: "" for name, text in (("llm_response", response), ("action", action)) if not text}
        else:
            pair = _continued(scanned.grown["state"], above, line, "state")
            if pair is not None and len(pair) == 2 and _is_turn(pair[0], "assistant") and _is_turn(pair[1], "user"):
                said, saw = pair[0]["content"], pair[1]["content"]
                odd |= {"llm_response": response} if said != response else {}
                odd |= {"obs": obs} if saw != obs else {}
            else:
                odd["state"] = _own(scanned.grown["state"], above, line, "state")
            steps = _continued(scanned.grown["recent_actions"], above, line, "recent_actions")
            if steps and self.form is None:
                self.form = "text" if isinstance(steps[-1], str) else "pair"
            if steps != [recent_step(self.form or "pair", action, obs)]:
                odd["recent_actions"] = _own(scanned.grown["recent_actions"], above, line, "recent_actions")
        row = ImportedNode(scanned.parent, said, action, saw, 0, visits, value)
        score = fields.pop("env_score")
        if (type(score) is int and abs(score) <= MAX_INT) or (type(score) is float and math.isfinite(score)):
            row.reward = score
        else:
            odd["env_score"] = score
        for name, usual in (("prior", 1), ("depth", scanned.depth)):
            given = fields.pop(name)
            if type(given) is not int or given != usual:
                odd[name] = given
        self.flags.append((fields.pop("is_terminal"), fields.pop("disaster"), fields.pop("puct_value")))
        if odd or fields:
            self._keep(scanned.id, odd | fields)
        self.nodes.append(row)
        if scanned.depth > self.depth:
            self.depth, self.deepest = scanned.depth, []
        if scanned.depth == self.depth:
            self.deepest.append(scanned.id)
        return line

    def _root_lists(self, grown: dict[str, Grown], line: _Line) -> Overrides:
        for name in GROWING:
            line.lists[name] = (False, grown[name].items)
        state, steps = (grown[name].items for name in GROWING)
        if isinstance(state, list) and all(_is_turn(turn) for turn in state):
            messages = [Message(turn["role"], _clean(turn["content"])) for turn in state]
            self.header, self.prefix = _split_prefix(messages)
        written = [{"role": message.role, "content": message.content} for message in self.header]
        for step in self.prefix:
            written += turns(step.response, step.observation)
        return ({"state": state} if state != written else {}) | ({"recent_actions": steps} if steps != [] else {})

    # -- the whole tree ----------------------------------------------------------------------------

    def _recognised(self, first_observation: str) -> str:
        if (known := recognise(first_observation)) is not None:
            return known.name
        if self.form == "text":
            return "scienceworld"
        return "webshop" if first_observation.startswith("WebShop [SEP]") else "unknown"

    def _visits_above(self, node: ImportedNode) -> int | None:
        return self.nodes[node.parent].visits if node.parent != NO_PARENT else None

    def _constant(self) -> float:
        """The exploration constant that explains the first score that depends on it; else the original's."""
        usual = SearchSettings().c
        for node, (_, _, score) in zip(self.nodes, self.flags, strict=True):
            above = self._visits_above(node)
            if node.visits and above is not None and above > 1 and type(score) is float and math.isfinite(score):
                guess = (score - node.value / node.visits) / math.sqrt(math.log(above) / node.visits)
                for c in (usual, round(guess, 9)):
                    if c >= 0 and puct_value(node.visits, node.value, above, c) == score:
                        return c
                return usual
        return usual

    def _check_scores(self, c: float) -> None:
        for id, (node, (_, _, score)) in enumerate(zip(self.nodes, self.flags, strict=True)):
            expected = puct_value(node.visits, node.value, self._visits_above(node), c)
            if type(score) is not type(expected) or score != expected:
                self._keep(id, {"puct_value": score})

    def _check_ends(self) -> None:
        """Say why leaves ended; keep the flags that do not follow from that."""
        inner, is_open = bytearray(len(self.nodes)), bytearray(len(self.nodes))  # is_open: a child is not exhausted
        for id in range(len(self.nodes) - 1, -1, -1):
            node, (is_terminal, disaster, _) = self.nodes[id], self.flags[id]
            if is_terminal is True and not inner[id]:
                node.terminal = "disaster" if disaster is True else "done" if node.visits else "dead_end"
            exhausted = not is_open[id] if inner[id] else node.terminal is not None
            if is_terminal is not exhausted:
                self._keep(id, {"is_terminal": is_terminal})
            if disaster is not (node.terminal == "disaster"):
                self._keep(id, {"disaster": disaster})
            if node.parent != NO_PARENT:
                inner[node.parent] = True
                is_open[node.parent] |= not exhausted

    def _ended_by_depth(self, best: float) -> bool:
        """Whether the deepest level lies below the search's max_depth; its leaves then ended by depth.

        There all nodes are terminal. A leaf with the best return was done all the same.
        """
        nodes = [self.nodes[id] for id in self.deepest]
        late = [node for node in nodes if node.terminal == "done" and node.reward < best]
        if self.depth < 2 or not late or any(node.terminal is None for node in nodes):
            return False
        for node in late:
            node.terminal = "depth"
        return True

    def _seal(self) -> None:
        """Put into `raw` what does not follow, in a form that a trace can hold."""
        for id, fields in self.odd.items():
            fits = _fits(fields) and not fields.keys() & {FORM, EXACT}
            self.nodes[id].raw = fields if fits else {EXACT: json.dumps({"file": fields})}
        try:
            event_encoder.encode(self.nodes)
        except UnicodeEncodeError:
            for node in self.nodes:
                texts = {name: getattr(node, name) for name in TEXTS if _HALF_PAIR.search(getattr(node, name))}
                if texts:
                    raw = node.raw or {}
                    exact = json.loads(raw.get(EXACT, "{}"))
                    node.raw = raw | {EXACT: json.dumps(exact | {"node": texts})}
                    for name, text in texts.items():
                        setattr(node, name, _clean(text))


def _continued(grown: Grown, above: _Line, line: _Line, name: str) -> list[Any] | None:
    """What a growing list adds to the parent's; None where it does not continue it."""
    items = grown.items
    if not grown.continues:
        whole = above.whole(name)
        if not (isinstance(items, list) and isinstance(whole, list) and items[: len(whole)] == whole):
            return None
        items = items[len(whole) :]
    line.lists[name] = (True, items)
    return list(items)


def _own(grown: Grown, above: _Line, line: _Line, name: str) -> Any:
    """The whole value of a growing list, where it does not follow."""
    whole = [*above.whole(name), *grown.items] if grown.continues else grown.items
    line.lists[name] = (False, whole)
    return whole


def _split_prefix(messages: list[Message]) -> tuple[list[Message], list[PrefixStep]]:
    """Header and executed steps, where the messages after the header's four are steps."""
    header, rest = messages[:HEADER_TURNS], messages[HEADER_TURNS:]
    if [turn.role for turn in rest] != ["assistant", "user"] * (len(rest) // 2):
        return messages, []
    pairs = zip(rest[::2], rest[1::2], strict=True)
    return header, [PrefixStep(said.content, parse_action(said.content), saw.content) for said, saw in pairs]


def _is_turn(turn: Any, role: str | None = None) -> bool:
    if not isinstance(turn, dict) or turn.keys() != {"role", "content"} or type(turn["content"]) is not str:
        return False
    return turn["role"] == role if role else turn["role"] in ("system", "user", "assistant")


def _visits(value: Any, node: ScannedNode) -> int:
    if type(value) is not int or not 0 <= value < _MOST_VISITS:
        raise Broken(f"node {node.id} (depth {node.depth}): `visits` is not a count: {value!r:.40}")
    return value


def _value(value: Any, node: ScannedNode) -> Number:
    if type(value) not in (int, float) or not abs(value) <= (MAX_INT if type(value) is int else 1e300):
        raise Broken(f"node {node.id} (depth {node.depth}): `value` is not a finite number: {value!r:.40}")
    number: Number = value
    return number


def _text(value: Any, name: str, node: ScannedNode) -> str:
    if type(value) is not str:
        raise Broken(f"node {node.id} (depth {node.depth}): `{name}` is not a text: {value!r:.40}")
    return value


def _fits(fields: Overrides) -> bool:
    """Whether a trace gives these fields back as they are."""
    try:
        return bool(msgspec.json.decode(event_encoder.encode(fields)) == fields)
    except (UnicodeEncodeError, msgspec.MsgspecError):
        return False


def _clean(text: str) -> str:
    return _HALF_PAIR.sub("\ufffd", text)
