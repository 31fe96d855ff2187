"""What the node pane shows, as lines: a node's step, why it was or was not selected, its conversation, raw facts."""

from __future__ import annotations

import json

import msgspec

from agentr_tui.screens.search.figures import search_figures
from agentr_tui.screens.search.imports.attempts import shared_lines
from agentr_tui.screens.shared.copying import node_facts
from agentr_tui.terminal.theme import Role, glyphs, value_role
from agentr_tui.widgets.text_pane import BLANK, Line, line, lines_of
from engine.actors.request_log import request_of, seen_and_dropped
from engine.base.errors import AgentrError
from engine.base.text import many
from engine.models.context_window import turns_of_steps
from engine.tree.events import WITHOUT_RETURN, Sampled
from engine.tree.node import NO_PARENT, Node
from engine.tree.reader import TreeReader
from engine.tree.tree import SearchTree
from envs.base import title_of

MOST_LINES, FIRST_LINES = 1_000, 100
"""Of a conversation or a request so many lines are shown, and so many of these from its beginning."""

LABEL = 10
"""Cells of the labels at the left."""

TERMINAL_WORDS = {
    "done": "the environment ended the episode",
    "disaster": "disaster: the score fell below 0",
    "depth": "too deep: depth exceeds max_depth",
    "dead_end": "dead end: no answer of the actor was usable",
    "cut_off": "cut off: a limit or a failure outside of the agent ended the attempt",
    "unscored": "the attempt ended here, and nobody knows its reward",
}


def labelled(label: str, text: str, role: Role = "text") -> Line:
    """Returns a line with a muted label; wrapped lines are set in below the text.

    `label`: what it is. `text`: the value. `role`: colour of the value.
    """
    return line((f"{label:<{LABEL}}", "muted"), (text, role), indent=LABEL)


def step_lines(tree: SearchTree, reader: TreeReader, id: int, score_range: tuple[float, float]) -> list[Line]:
    """Returns thought, action, observation and status of a node.

    `tree`: the search. `reader`: the same tree at a moment. `id`: the node. `score_range`: least and greatest return.
    """
    node = tree.nodes[id]
    started = tree.started
    if node.parent == NO_PARENT:
        first = started.header[-1].content if started and started.header else ""
        lines = [line((part, "text")) for part in lines_of(first)]
        lines += [BLANK, labelled("children", str(len(reader.children(id))))]
        if reader is tree and tree.calls:
            lines.append(labelled("so far", " · ".join(search_figures(tree)[1:])))
        return lines
    lines = []
    if tree.attempts:
        words = tree.words_at(id).get(id, 0)
        if reasoning := node.reasoning_as(words):
            lines.append(labelled("reasoned", reasoning, "muted"))
        lines += [labelled(*told) for told in shared_lines(tree, id)]
    if node.thought:
        lines.append(labelled("thought", node.thought))
    lines.append(labelled("action", node.action, "focus"))
    lines.append(labelled("observed", node.observation))
    lines.append(BLANK)
    lines.append(labelled("status", *standing(reader, node, score_range)))
    if node.reward and not node.is_leaf:
        lines.append(labelled("score", f"{node.reward:g} so far"))
    if id in tree.written_by:
        lines.append(labelled("written", f"{glyphs().edited} by {tree.written_by[id]}", "person"))
    elif tree.imported_from is None:
        draws = tree.settings_at(tree.born_at(id)).samples
        repeats = tree.repeats.get(id, 0)
        same = f" · {many(repeats, 'other')} the same" if repeats else ""
        lines.append(labelled("answer", f"{node.draw + 1} of {draws}{same}{_usage(tree, id)}", "muted"))
    same_state = [other for other in tree.same_state(id) if other < len(reader)]
    if len(same_state) > 1:
        others = [str(other) for other in same_state if other != id]
        shown = ", ".join(others[:4]) + (f" and {len(others) - 4} more" if len(others) > 4 else "")
        lines.append(
            labelled("state", f"{glyphs().repeat} the same as at node{'s' * (len(others) > 1)} {shown}", "warn")
        )
    return lines


def _usage(tree: SearchTree, id: int) -> str:
    usage, latency, dropped = tree.usages.get(id, (None, None, 0))
    parts = []
    if usage is not None and usage.tokens_in is not None and usage.tokens_out is not None:
        parts.append(f"{usage.tokens_in} → {usage.tokens_out} tokens")
    if usage is not None and usage.cost is not None:
        parts.append(f"${usage.cost:.4f}")
    if latency is not None:
        parts.append(f"{latency:.2f} s")
    if dropped:
        parts.append(f"context cut: {many(dropped, 'step')} not seen")
    return "".join(f" · {part}" for part in parts)


def standing(reader: TreeReader, node: Node, score_range: tuple[float, float]) -> tuple[str, Role]:
    """Returns the status of a node in words, and the role to show it in.

    `reader`: the tree at a moment. `node`: the node. `score_range`: least and greatest return.
    """
    if node.is_leaf and node.terminal is not None:
        if node.terminal in WITHOUT_RETURN:
            return TERMINAL_WORDS[node.terminal], "warn"
        role = value_role(float(node.reward), *score_range)
        return f"return {node.reward:g} · {TERMINAL_WORDS[node.terminal]}", role
    if reader.pruned(node.id):
        return "pruned by hand: never selected any more", "person"
    if reader.exhausted(node.id):
        return "all ended: nothing below can be selected any more", "muted"
    if not reader.expanded(node.id):
        return "not expanded yet", "muted"
    return "open", "text"


def conversation_lines(tree: SearchTree, id: int) -> list[Line]:
    """Returns the whole conversation at a node. Steps that the actor did not see when it made this one look
    different."""
    names = {"system": "system", "user": "env", "assistant": "agent", "tool": "tool"}
    before, first, dropped = seen_and_dropped(tree, id)
    unseen = range(first, first + turns_of_steps(before, first, dropped))
    cut = glyphs().untrained
    lines: list[Line] = []
    if dropped:
        said = f"{cut} the actor did not see the first {dropped} step{'s' * (dropped != 1)} when it made this one"
        lines += [line((f"{said}: no room in its context", "warn"), indent=2), BLANK]
    for turn, message in enumerate(tree.conversation(id)):
        role: Role = "focus" if message.role == "assistant" else "muted" if message.role == "system" else "text"
        if turn in unseen:
            role = "faint"
        for place, part in enumerate(lines_of(message.said)):
            label = names[message.role] if place == 0 else ""
            gutter = f"{cut} {label:<6}" if turn in unseen else f"{label:<8}"
            lines.append(line((gutter, "warn" if turn in unseen else "muted"), (part, role), indent=8))
    return shortened(lines)


def shortened(lines: list[Line]) -> list[Line]:
    """The lines; of very many those in the middle are left out, so that a key on a deep node takes no longer."""
    if len(lines) <= MOST_LINES:
        return lines
    said = f"{glyphs().ellipsis} {len(lines) - MOST_LINES:,} lines are not shown here: y copies all"
    return [*lines[:FIRST_LINES], line((said, "warn")), *lines[FIRST_LINES - MOST_LINES :]]


def environment_lines(tree: SearchTree, id: int) -> list[Line]:
    """Which environment, which task, and the way to this node as a list of actions."""
    started = tree.started
    if started is None:
        return []
    low, high = started.score_range
    lines = [
        labelled("name", title_of(started.environment)),
        labelled("task", started.task),
        labelled("goal", started.instruction),
        labelled("scores", f"{low:g} to {high:g}"),
        labelled("state", tree.nodes[id].state_key or "–"),
        BLANK,
        line(("actions from the root", "muted")),
    ]
    for place, step in enumerate(tree.ancestors(id)[1:], 1):
        lines.append(line((f"{place:>4}  ", "muted"), (tree.nodes[step].action, "text"), indent=6, key=step))
    return lines


def raw_lines(tree: SearchTree, reader: TreeReader, id: int, answer: Answered) -> list[Line]:
    """Returns the node's fields as they are kept, the request that it came of, and the answer as it arrived.

    `tree`: the search. `reader`: the same tree at a moment. `id`: the node. `answer`: as far as it was read.
    """
    facts = node_facts(tree, reader, id)
    try:
        request = request_of(tree, id)
    except AgentrError as error:
        request = {"not known": str(error)}
    if id in tree.written_by:
        said = [line((f"no request: {tree.written_by[id]} wrote this step", "person"))]
    elif request is None:
        said = [line(("no request is known", "muted"))]
    else:
        said = [line(("answer", "strong")), *_answer_lines(answer), BLANK, line(("request", "strong")), *_json(request)]
    return [line(("node", "strong")), *_json(facts), BLANK, *said]


Answered = Sampled | str
"""The answer as it arrived, or a word why it is not there."""


def _answer_lines(answer: Answered) -> list[Line]:
    return [line((answer, "muted"))] if isinstance(answer, str) else _json(answer)


def _json(value: object) -> list[Line]:
    text = json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False)
    return shortened([line((part, "text"), indent=4) for part in text.split("\n")])
