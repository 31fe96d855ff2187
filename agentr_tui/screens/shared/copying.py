"""What `y…` copies on each screen: ids, paths, actions, conversations as Markdown, JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec
from textual.app import App

from agentr_tui.screens.shared.dialogs import Choice, ask
from agentr_tui.state.review.shown_sample import Shown
from agentr_tui.state.session import Session
from agentr_tui.terminal.clipboard import copy
from agentr_tui.terminal.safe_text import escape
from engine.datasets.formats import FORMATS
from engine.tree.reader import TreeReader
from engine.tree.tree import SearchTree


class Copyable(NamedTuple):
    """One thing that can be copied."""

    key: str
    label: str
    text: Callable[[], str]  # may take a while
    suffix: str = "txt"  # of the file


def ask_copy(app: App[int], things: Sequence[Copyable]) -> None:
    """The menu of what can be copied here."""
    if not things:
        app.notify("There is nothing to copy here.", severity="warning")
        return
    ask(app, "copy", [Choice(each.key, each.label, partial(_copy, app, each)) for each in things])


def _copy(app: App[int], thing: Copyable) -> None:
    def work() -> None:
        text = thing.text()
        if thing.suffix != "json":  # JSON has its own escapes; a pasted text must not steer a terminal
            text = escape(text, multiline=True)
        told = copy(text, thing.suffix, lambda text: app.call_from_thread(app.copy_to_clipboard, text))
        app.call_from_thread(app.notify, f"copied: {told}", markup=False, timeout=6)

    app.run_worker(work, thread=True, group="copy", exit_on_error=False)


def of_node(session: Session, id: int) -> list[Copyable]:
    """A node of the open tree."""
    tree, reader, path = session.tree, session.reader, session.path
    if tree is None or reader is None or not 0 <= id < len(reader):
        return []
    node, place = tree.nodes[id], f"{path}:{id}"
    return [
        Copyable("i", f"id: {id}", lambda: str(id)),
        Copyable("p", "path: file and node, as --from takes it", lambda: place),
        Copyable("w", "way: the actions from the root", lambda: "\n".join(_way(tree, id))),
        Copyable("a", "action", lambda: node.action),
        Copyable("o", "observation", lambda: node.observation),
        Copyable("c", "conversation as Markdown", lambda: as_markdown(_messages(tree, id)), "md"),
        Copyable("j", "node as JSON", lambda: as_json(node_facts(tree, reader, id)), "json"),
    ]


def _way(tree: SearchTree, id: int) -> list[str]:
    return [tree.nodes[step].action for step in tree.ancestors(id)[1:]]


def _messages(tree: SearchTree, id: int) -> list[tuple[str, str]]:
    return [(message.role, message.said) for message in tree.conversation(id)]


def of_sample(shown: Shown, format_name: str) -> list[Copyable]:
    """The sample that is reviewed. What a blind reviewer may not see is not copied either."""
    sample = shown.sample
    things = [Copyable("i", f"sample id {sample.id}", lambda: sample.id)]
    if sample.path:
        things.append(Copyable("p", "path of its trace", lambda: sample.path))
    if shown.veiled:
        return things
    return [
        *things,
        Copyable(
            "c",
            "spliced conversation as Markdown",
            lambda: as_markdown((_turn(turn.role, turn.loss), turn.said) for turn in shown.turns),
            "md",
        ),
        Copyable(
            "j", f"its line as {format_name}",
            lambda: as_json(FORMATS[format_name].render(shown.tree, sample, shown.turns)), "json",
        ),
    ]  # fmt: skip


def _turn(role: str, loss: bool | None) -> str:
    return role if loss is None else f"{role} ({'trained' if loss else 'not trained'})"


def as_markdown(messages: Iterable[tuple[str, str]]) -> str:
    """A conversation: a heading a turn. Contents are indented as code, so that nothing in them is markup."""
    parts = []
    for role, content in messages:
        body = "\n".join(f"    {line}".rstrip() for line in content.splitlines()) or "    "
        parts.append(f"### {role}\n\n{body}\n")
    return "\n".join(parts)


def as_json(value: object) -> str:
    """Indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def node_facts(tree: SearchTree, reader: TreeReader, id: int) -> dict[str, object]:
    """Returns the node's fields as they are kept, with the figures of a moment.

    `tree`: the search. `reader`: the same tree at a moment. `id`: the node.
    """
    node = tree.nodes[id]
    return {
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
        "written_by": tree.written_by.get(id),
        "pruned": reader.pruned(id),
        "children": list(reader.children(id)),
        "raw": node.raw,
    }
