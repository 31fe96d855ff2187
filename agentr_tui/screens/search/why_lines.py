"""Why the search went where it went, and what happened in it, as lines."""

from __future__ import annotations

from bisect import bisect_left
from math import inf

from agentr_tui.terminal.safe_text import clip, pad
from agentr_tui.terminal.theme import Glyphs, Role, glyphs
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.base.text import many
from engine.explain.why import Scored, Why, facts, why
from engine.query.nodes import tree_of
from engine.tree.answer_counts import answer_words, asks_model
from engine.tree.events import AnyEvent, Ended, Failed, Intervened, Paused, Resumed, SettingsChanged
from engine.tree.node import ROOT
from engine.tree.reader import TreeReader
from engine.tree.tree import SearchTree

MOST_LOGGED = 2_000
"""Lines of the log, the newest first."""


def why_lines(reader: TreeReader, id: int, width: int = 48, c: float | None = None) -> list[Line]:
    """Returns the siblings of a node as selection compares them at that moment, what was chosen, and what the node is.

    `reader`: the tree at a moment. `id`: the node. `width`: cells. `c`: another exploration constant to compare with;
    None: none.
    """
    tree, signs = tree_of(reader), glyphs()
    told = why(reader, id, c)
    settings = told.now.settings
    head = f"event {reader.seq} · parent N {told.now.parent_visits} · {settings.algorithm} c {_short(settings.c)}"
    if told.now.in_flight:
        head += f" · {told.now.in_flight} in flight"
    lines = [line((head, "muted")), BLANK]
    if not told.now.rows:
        lines.append(line(("the actor was not asked here yet", "muted")))
    elif tree.imported_from is None:
        lines += _table(tree, told.now, id, width, signs, told.other)
        lines += [BLANK, *_next_words(tree, told, c, signs)]
    else:
        lines += _table(tree, told.now, id, width, signs, [])
    lines += _choice_lines(tree, told, width, signs)
    path = tree.path_at(reader.seq)
    if path and (reader is not tree or tree.state in ("running", "paused")):
        lines += [BLANK, _path_line(path, id, signs)]
    return [*lines, *_fact_lines(reader, id)]


def _fact_lines(reader: TreeReader, id: int) -> list[Line]:
    known = facts(reader, id)
    rows = [
        line((f"{fact.label:<10}", "muted"), (fact.text, "person" if fact.person else "text"), indent=10)
        for fact in known
    ]
    return [BLANK, line((f"node {id}" if id != ROOT else "root", "muted")), *rows] if rows else []


def _table(tree: SearchTree, scored: Scored, id: int, width: int, signs: Glyphs, other: list[int]) -> list[Line]:
    """A row a child: N, Q, U (with P or the virtual loss where there are such), the score."""
    best_first, puct = scored.settings.algorithm == "best-first", scored.settings.algorithm == "puct"
    losing = any(row.score.virtual_loss for row in scored.rows)
    heads = ["N", "Q", *(["P"] if puct or best_first else []), *([] if best_first else ["U"])]
    if scored.settings.algorithm == "lessons":
        heads = ["N", "good", "new"]
    heads += [*(["loss"] if losing else []), "score"]
    name = max(8, width - 4 - 6 * len(heads))
    lines = [line((f"    {'child':<{name}}" + "".join(f"{head:>6}" for head in heads), "muted"))]
    now = tree.at(scored.seq)
    for row in scored.rows:
        score = row.score
        cells = [str(now.visits(row.child)), "–" if score.exploitation is None else format(score.exploitation, ".2f")]
        if puct or best_first:
            cells.append(format(score.prior if score.prior is not None else 1.0, ".2f"))
        if not best_first:
            cells.append("–" if score.total == inf else format(score.exploration, ".2f"))
        if losing:
            cells.append(format(-score.virtual_loss, ".2f") if score.virtual_loss else "")
        total = "∞" if score.total == inf else format(score.total, ".2f")
        cells.append(total if score.selectable else "–")
        marker = (signs.here if row.best else " ") + (OTHER if row.child in other else " ")
        cursor = signs.running if row.child == id else " "
        shown = pad(clip(tree.nodes[row.child].action, name - 1, ellipsis=signs.ellipsis), name)
        role: Role = "strong" if row.child == id else "text" if score.selectable else "muted"
        lines.append(
            line(
                (f"{marker}{cursor} ", "focus"),
                (shown + "".join(f"{part:>6}" for part in cells), role),
                key=row.child,
            )
        )
    return lines


NO_CONSTANT = ("best-first", "lessons")
"""Algorithms without an exploration constant: another c changes nothing."""

OTHER = "="
"""Marks what another c would choose."""


def _next_words(tree: SearchTree, told: Why, c: float | None, signs: Glyphs) -> list[Line]:
    best, algorithm = told.now.best, told.now.settings.algorithm
    words = []
    if not best:
        words.append("nothing to select here: every child and all below it has ended, is pruned, or is being asked now")
    elif algorithm == "best-first":
        words.append(f"{signs.here} the best of these; best-first takes the best open node of the whole tree")
    elif algorithm == "lessons":
        words.append(
            f"{signs.here} the best of these: the chance of a good end, times the share of new steps; a walk starts at"
            " the best open node of the whole tree and goes on with the step that it drew (∞)"
        )
    elif any(row.best and row.score.total == inf for row in told.now.rows):
        words.append(f"{signs.here} unseen first: a child that was never visited counts as infinite{_tied(best)}")
    else:
        words.append(f"{signs.here} the greatest score is selected next{_tied(best)}")
    if any(not row.score.selectable for row in told.now.rows):
        words.append("children without a score are not selected: all of them has ended, is pruned, or is asked now")
    if any(row.score.virtual_loss for row in told.now.rows):
        words.append("loss: each expansion in flight below counts as a visit with the least return")
    lines = [line((text, "muted"), indent=2) for text in words]
    if c is not None and algorithm not in NO_CONSTANT:
        lines.append(_other_words(tree, told, c))
    return lines


def _tied(best: list[int]) -> str:
    return f"; {len(best)} tie, the seed decides" if len(best) > 1 else ""


def _other_words(tree: SearchTree, told: Why, c: float) -> Line:
    """What another c would choose."""
    label = f"{OTHER} with c {_short(c)}: "
    if not told.other:
        return line((label + "nothing either", "muted"), indent=2)
    if told.other == told.now.best:
        return line((label, "muted"), ("the same", "text"), indent=2)
    names = " or ".join(tree.nodes[id].action.replace("\n", " ")[:60] for id in told.other[:2])
    more = f" or {len(told.other) - 2} more" if len(told.other) > 2 else ""
    return line((label, "muted"), (names + more, "person"), indent=2)


def _choice_lines(tree: SearchTree, told: Why, width: int, signs: Glyphs) -> list[Line]:
    """Whom the search chose here last, and the scores as they were then, where they are others by now."""
    choice, then = told.choice, told.then
    if choice is None or then is None:
        return []
    iteration = bisect_left(tree.iteration_seqs, choice.seq) + 1
    action = tree.nodes[choice.child].action.replace("\n", " ")
    ties = f", one of {choice.ties} that tied" if choice.ties > 1 else ""
    flying = f", {len(choice.in_flight)} in flight" if choice.in_flight else ""
    lines = [
        BLANK,
        line(
            (f"last chosen here: event {choice.seq}, iteration {iteration}{ties}{flying}", "muted"),
            indent=2,
        ),
        line(("  ", "muted"), (action, "focus"), (f"  node {choice.child}", "muted"), indent=4),
    ]
    same = [(row.child, row.score) for row in then.rows] == [(row.child, row.score) for row in told.now.rows]
    if not same and len(then.rows) > 1 and then.settings.algorithm != "best-first":
        lines += [line(("the scores at that moment", "muted")), *_table(tree, then, choice.child, width, signs, [])]
    return lines


def _path_line(path: list[int], id: int, signs: Glyphs) -> Line:
    """The way of the iteration under way; where it passes the node that is looked at, that stands out."""
    shown = path if len(path) <= 12 else [*path[:5], -1, *path[-6:]]
    parts: list[tuple[str, Role]] = [("path      ", "muted")]
    for place, node in enumerate(shown):
        name = signs.ellipsis if node < 0 else "root" if node == ROOT else str(node)
        parts.append((signs.joined if place else "", "muted"))
        parts.append((name, "strong" if node == id else "focus"))
    return line(*parts, indent=10)


def _short(value: float) -> str:
    return f"{value:g}"


# -- the log -------------------------------------------------------------------------------------------


def log_lines(reader: TreeReader) -> list[Line]:
    """Failures, pauses, changed settings and interventions up to that moment, the newest first."""
    tree = tree_of(reader)
    events = [event for event in tree.chronicle.log if event.seq <= reader.seq]
    words = answer_words(tree.answers) if _says_answers(tree) and reader.seq >= tree.seq else []
    counted = (
        [line((f"{many(tree.answers.answers, 'answer')}: {', '.join(words)}", "warn"), indent=18)] if words else []
    )
    if not events:
        return counted or [line(("nothing happened beside the search itself", "muted"))]
    lines = counted + [_log_line(event) for event in reversed(events[-MOST_LOGGED:])]
    if len(events) > MOST_LOGGED:
        lines.append(line((f"{len(events) - MOST_LOGGED} older", "muted")))
    return lines


def _says_answers(tree: SearchTree) -> bool:
    """Whether how answers went is worth a line: a scripted actor's are made up."""
    return tree.started is not None and tree.imported_from is None and asks_model(tree.started.settings)


def _log_line(event: AnyEvent) -> Line:
    text, role = logged(event)
    word, _, rest = text.partition(" ")
    return line(
        (f"{event.t:>7.1f} s {event.seq:>6}  ", "muted"), (f"{word} ", role), (rest, "text"), indent=18, key=event.seq
    )


def logged(event: AnyEvent) -> tuple[str, Role]:
    """An event of the log in words, its first word being what happened, and the role of that."""
    match event:
        case Failed():
            again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
            return f"failed node {event.parent}, answer {event.draw + 1}: {event.what}: {event.error}{again}", "bad"
        case Intervened():
            return _intervention(event), "warn" if event.what == "refused" else "person"
        case SettingsChanged():
            changes = ", ".join(f"{name} = {value}" for name, value in event.changes.items())
            return f"settings {changes} (by {event.who})", "person"
        case Paused():
            return f"paused {event.reason}", "warn"
        case Resumed():
            return "resumed", "good"
        case Ended():
            return f"ended {event.reason}", "muted"
        case _:
            return type(event).__name__.lower(), "muted"


def _intervention(event: Intervened) -> str:
    who = f" (by {event.who})"
    match event.what:
        case "edited":
            of = f" in place of node {event.of}" if event.of is not None else ""
            action = event.child.action.replace("\n", " ") if event.child is not None else ""
            return f"edited node {event.node} got a written step{of}: {action}{who}"
        case "forced":
            return f"expanded node {event.node} on demand{who}"
        case "refused":
            return f"refused {event.detail}{who}"
        case "breakpoint":
            return f"breakpoint {event.detail}{who}"
        case "breakpoint removed":
            return f"breakpoint {event.detail} removed{who}"
        case _:
            return f"{event.what} node {event.node}{': ' + event.detail if event.detail else ''}{who}"
