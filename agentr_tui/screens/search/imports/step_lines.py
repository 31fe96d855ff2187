"""The node pane and the conversation of an imported tree: whose words they are, calls and results set out."""

from __future__ import annotations

from agentr_tui.screens.search.imports.attempts import shared_lines
from agentr_tui.screens.search.imports.step_text import call_lines, text_lines
from agentr_tui.terminal.theme import Role, value_role
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.explain.forks import Share
from engine.tree.events import Message
from engine.tree.node import NO_PARENT, Node
from engine.tree.tree import SearchTree

LABEL = 10
"""Cells of the labels at the left."""

NAMES = {"system": "system", "user": "user", "assistant": "said", "tool": "result"}


def attempt_step_lines(
    tree: SearchTree, id: int, share: Share, score_range: tuple[float, float], whole: bool
) -> list[Line]:
    """Returns the step under the cursor in the words of the first attempt that took it.

    `tree`: the import. `id`: the node. `share`: how its attempts ended. `score_range`: least and greatest return.
    `whole`: whether to show long texts in full.
    """
    node = tree.nodes[id]
    if node.parent == NO_PARENT:
        header = tree.started.header if tree.started else []
        lines = [_labelled("attempts", *_outcome(tree, node, share, score_range)), BLANK]
        return lines + [piece for message in header[-1:] for piece in _message("task", message, whole)]
    lines = [_labelled(*told) for told in shared_lines(tree, id)]
    lines.append(_labelled("outcome", *_outcome(tree, node, share, score_range)))
    lines.append(BLANK)
    words = tree.words_at(id).get(id, 0)
    if reasoning := node.reasoning_as(words):
        lines += _under("thought", text_lines(reasoning, LABEL, whole, "muted"))
    for message in node.messages_as(words):
        lines += _message(NAMES[message.role], message, whole)
    return lines


def attempt_conversation_lines(tree: SearchTree, id: int, whole: bool) -> list[Line]:
    """Returns the conversation at a node, as the first attempt that passes it had it.

    `tree`: the import. `id`: the node. `whole`: whether to show long texts in full.
    """
    lines: list[Line] = []
    for message in tree.conversation(id):
        lines += _message(NAMES[message.role], message, whole)
    return lines


def _message(label: str, message: Message, whole: bool) -> list[Line]:
    calls = [piece for call in message.tool_calls for piece in call_lines(call, LABEL, whole)]
    role: Role = (
        "muted" if message.role == "system" else "focus" if message.role == "assistant" and not calls else "text"
    )
    said = text_lines(message.content, LABEL, whole, role) if message.content.strip() else []
    if not said and not calls:
        said = [line((" " * LABEL, "text"), ("(nothing)", "faint"), indent=LABEL)]
    return _under(label, said) + _under("call" if len(message.tool_calls) == 1 else "calls", calls)


def _under(label: str, lines: list[Line]) -> list[Line]:
    """The lines with a label in the first one's margin."""
    if not lines:
        return []
    first = lines[0]
    (blank, _), *rest = first.parts
    labelled = first._replace(parts=((f"{label:<{LABEL}}" + blank[LABEL:], "muted"), *rest))
    return [labelled, *lines[1:]]


def _labelled(label: str, text: str, role: Role) -> Line:
    return line((f"{label:<{LABEL}}", "muted"), (text, role), indent=LABEL)


def _outcome(tree: SearchTree, node: Node, share: Share, score_range: tuple[float, float]) -> tuple[str, Role]:
    """What became of the attempts that pass a node."""
    if not share.of:
        return "no reward is known of them", "muted"
    many = f"{share.solved} of {share.of} solved"
    mean = "" if node.q is None or node.q == share.value else f" · mean reward {node.q:.3g}"
    if node.is_leaf and node.visits == 1:
        return f"reward {node.reward:g}", value_role(node.q, *score_range)
    return many + mean, value_role(node.q, *score_range)
