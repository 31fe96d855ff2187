"""What is told of a node, as lines: its step, why it was or was not selected, its conversation, raw facts."""

from __future__ import annotations

import json

import msgspec

from agentr_tui.theme import Role, format_value, value_role
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.selection import scores
from engine.tree import NO_PARENT, Node, SearchTree, TreeReader

LABEL = 10
"""Cells of the labels at the left."""

TERMINAL_WORDS = {
    "done": "the environment ended the episode",
    "disaster": "disaster: the score fell below 0",
    "depth": "too deep: depth exceeds max_depth",
    "dead_end": "dead end: its draws were made and none was usable",
}


def labelled(label: str, text: str, role: Role = "text") -> Line:
    """A line with a muted label; wrapped lines are set in below the text."""
    return line((f"{label:<{LABEL}}", "muted"), (text, role), indent=LABEL)


def step_lines(tree: SearchTree, reader: TreeReader, id: int, score_range: tuple[float, float]) -> list[Line]:
    """Thought, action, observation and standing of a node."""
    node = tree.nodes[id]
    started = tree.started
    if node.parent == NO_PARENT:
        first = started.header[-1].content if started and started.header else ""
        lines = [line((part, "text")) for part in first.splitlines()]
        return [*lines, BLANK, labelled("children", str(len(reader.children(id))))]
    lines = []
    if node.thought:
        lines.append(labelled("thought", node.thought))
    lines.append(labelled("action", node.action, "focus"))
    lines.append(labelled("observed", node.observation))
    lines.append(BLANK)
    lines.append(labelled("standing", *standing(reader, node, score_range)))
    if node.reward and not node.is_leaf:
        lines.append(labelled("score", f"{node.reward:g} so far"))
    draws = started.settings.samples if started else 0
    lines.append(labelled("draw", f"{node.draw + 1} of {draws}{_usage(tree, id)}", "muted"))
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
        parts.append(f"context cut: {dropped} steps not seen")
    return "".join(f" · {part}" for part in parts)


def standing(reader: TreeReader, node: Node, score_range: tuple[float, float]) -> tuple[str, Role]:
    """How a node stands, in words, and the role to show it in."""
    if node.is_leaf and node.terminal is not None:
        if node.terminal == "dead_end":
            return TERMINAL_WORDS["dead_end"], "warn"
        role = value_role(float(node.reward), *score_range)
        return f"return {node.reward:g} · {TERMINAL_WORDS[node.terminal]}", role
    if reader.exhausted(node.id):
        return "exhausted: every line below has ended", "muted"
    if not reader.expanded(node.id):
        return "not expanded yet", "muted"
    return "open", "text"


def why_lines(reader: TreeReader, tree: SearchTree, id: int, width: int = 48) -> list[Line]:
    """The score terms of a node's siblings as selection compares them at the moment of `reader`."""
    node = tree.nodes[id]
    parent = node.parent if node.parent != NO_PARENT else id
    settings = tree.started.settings if tree.started else None
    c = settings.c if settings else 0.25
    rows = scores(reader, parent, c)
    lines = [line((f"event {reader.seq} · parent N {reader.visits(parent)} · c {c:g}", "muted")), BLANK]
    if not rows:
        return [*lines, line(("no draws were made here yet", "muted"))]
    name = max(10, width - 27)
    lines.append(line((f"  {'child':<{name}}{'N':>5} {'Q':>5} {'U':>5} {'score':>6}", "muted")))
    open_totals = [score.total for _, score in rows if score.selectable]
    best = max(open_totals, default=None)
    for child, score in rows:
        chosen = score.selectable and score.total == best
        marker = "◀ " if chosen else "● " if child == id else "  "
        action = tree.nodes[child].action.replace("\n", " ")
        shown = action if len(action) < name else action[: name - 2] + "…"
        infinite = score.exploitation is None
        q = format_value(score.exploitation)
        terms = f"{q:>5} {'–' if infinite else format(score.exploration, '.2f'):>5} " + (
            f"{'∞' if infinite else format(score.total, '.2f'):>6}" if score.selectable else f"{'–':>6}"
        )
        role: Role = "strong" if child == id else "text" if score.selectable else "muted"
        lines.append(
            line((marker, "person"), (f"{shown:<{name}}{reader.visits(child):>5} ", role), (terms, role), key=child)
        )
    lines.append(BLANK)
    lines += [line((text, "muted"), indent=2) for text in _why_words(best)]
    return lines


def _why_words(best: float | None) -> list[str]:
    words = []
    if best is None:
        words.append("nothing to select: every child is terminal or exhausted")
    elif best == float("inf"):
        words.append("◀ unseen first: a child that was never visited counts as infinite")
    else:
        words.append("◀ the greatest Q + U is selected next; ties are broken at random by the seed")
    words.append("children without a score are terminal or exhausted: never selected")
    return words


def conversation_lines(tree: SearchTree, id: int) -> list[Line]:
    """The whole conversation at a node, as the actor sees it."""
    names = {"system": "system", "user": "env", "assistant": "agent"}
    lines: list[Line] = []
    for message in tree.conversation(id):
        role: Role = "focus" if message.role == "assistant" else "muted" if message.role == "system" else "text"
        for place, part in enumerate(message.content.splitlines() or [""]):
            label = names[message.role] if place == 0 else ""
            lines.append(line((f"{label:<8}", "muted"), (part, role), indent=8))
    return lines


def environment_lines(tree: SearchTree, id: int) -> list[Line]:
    """Which environment, which task, and the way to this node as a list of actions."""
    started = tree.started
    if started is None:
        return []
    low, high = started.score_range
    lines = [
        labelled("name", started.environment),
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


def raw_lines(tree: SearchTree, reader: TreeReader, id: int) -> list[Line]:
    """The node's fields as they are kept."""
    node = tree.nodes[id]
    facts = {
        "id": node.id,
        "parent": node.parent,
        "depth": node.depth,
        "response": node.response,
        "action": node.action,
        "observation": node.observation,
        "reward": node.reward,
        "terminal": node.terminal,
        "prior": node.prior,
        "visits": reader.visits(id),
        "value_sum": reader.value_sum(id),
        "state_key": node.state_key,
        "draw": node.draw,
        "children": list(reader.children(id)),
        "raw": node.raw,
    }
    text = json.dumps(msgspec.to_builtins(facts), indent=2, ensure_ascii=False)
    return [line((part, "text"), indent=4) for part in text.splitlines()]
