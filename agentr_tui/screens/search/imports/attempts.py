"""Imported attempts on the Search screen: which goes where, what they share, and where failures leave successes.

N is here how many attempts pass a node; nothing was searched.
"""

from __future__ import annotations

from agentr_tui.screens.search.desk import TreeDesk
from agentr_tui.screens.shared.mode_screen import key
from agentr_tui.state.session import Session
from agentr_tui.terminal.theme import Role, glyphs, value_role
from agentr_tui.widgets.text_pane import BLANK, Line, line
from agentr_tui.widgets.tree.overlay import Mark
from engine.explain.forks import ForkOf, forks
from engine.pairs.parting import is_silent, outcomes
from engine.tree.events import ImportedAttempt
from engine.tree.fold_attempts import is_end
from engine.tree.node import NO_PARENT, Node
from engine.tree.tree import SearchTree

MOST_ATTEMPTS = 200
"""Attempts and forks that a pane lists."""

TABS = ("attempts", "forks", "conversation", "environment", "raw")
"""Of an imported tree; nobody chose anything there, so that there is no `why`."""


def figures_of(session: Session, tree: SearchTree) -> list[str]:
    """What the attempts came to, the least important first."""
    alpha = session.thresholds.alpha
    scored = [attempt.reward for attempt in tree.attempts if attempt.reward is not None]
    cut = sum(attempt.cut_off for attempt in tree.attempts)
    return [
        f"merged by {tree.merged_by}",
        f"{len(tree)} nodes",
        f"{len(tree.attempts) - len(scored)} without a reward" if len(scored) < len(tree.attempts) else "",
        f"{cut} cut off" if cut else "",
        f"{sum(reward > alpha for reward in scored)} solved",
        f"{len(tree.attempts)} attempts",
    ]


def row_mark(tree: SearchTree, id: int) -> Mark | None:
    """What a row says of a node that attempts share: chance, wordings, how many are equal."""
    node = tree.nodes[id]
    row = node.imported
    if row is None or node.parent == NO_PARENT:
        return None
    if is_end(node):
        return Mark("ended", "muted")
    if is_silent(node):
        return Mark("told", "muted")
    if row.compacted:
        return Mark("compacted", "warn")
    if (count := outcomes(tree, id)) > 1:
        return Mark(f"{count} outcomes", "warn")
    if node.is_leaf and node.visits > 1:
        return Mark(f"{node.visits}×", "muted")
    if row.error:
        return Mark("error", "warn")
    words = wordings(node)
    if words > 1:
        return Mark(f"{words} words", "muted")
    return Mark("times", "muted") if row.wordings else None


def wordings(node: Node) -> int:
    """In how many wordings the agent said it."""
    row = node.imported
    if row is None:
        return 1
    own = {(node.response, row.reasoning)}
    for wording in row.wordings:
        response = node.response if wording.response is None else wording.response
        own.add((response, row.reasoning if wording.reasoning is None else wording.reasoning))
    return len(own)


def shared_lines(tree: SearchTree, id: int) -> list[tuple[str, str, Role]]:
    """Label, text and role of what a step says of the attempts that pass it."""
    node = tree.nodes[id]
    row = node.imported
    if row is None or not tree.attempts:
        return []
    first = tree.first_through[id] + 1
    told: list[tuple[str, str, Role]] = [
        ("attempts", f"{node.visits} of {len(tree.attempts)} pass here · in the words of attempt {first}", "text")
    ]
    words = wordings(node)
    if words > 1:
        told.append(("", f"{words} wordings of the same action", "muted"))
    if any(each.observation is not None or each.answers is not None for each in row.wordings):
        told.append(("", "the result differs in time only", "muted"))
    if (count := outcomes(tree, id)) > 1:
        told.append(("chance", f"same action, {count} outcomes: no decision parts the attempts here", "warn"))
    if row.compacted:
        told.append(("context", "compacted here: the agent went on with a summary", "warn"))
    if row.transcripts:
        count = sum(len(each.messages) for each in row.transcripts)
        told.append(("subagent", f"{len(row.transcripts)} folded in, {count} messages: [ ] raw", "muted"))
    for attempt in tree.attempts_at(id)[:3]:
        if attempt.stop:
            told.append(("stopped", attempt.stop, "warn" if attempt.cut_off else "muted"))
    return told


def attempt_lines(session: Session, tree: SearchTree, id: int) -> list[Line]:
    """All attempts, those that pass the node under the cursor told apart."""
    low, high = session.score_range
    path = set(tree.ancestors(id))
    here = glyphs().here
    lines = [line((note, "warn")) for note in tree.import_notes]
    lines += [BLANK] if lines else []
    for number, attempt in enumerate(tree.attempts[:MOST_ATTEMPTS], 1):
        passes = id in tree.ancestors(attempt.leaf) or attempt.leaf in path
        sign, role = _sign(session, attempt)
        reward = "–" if attempt.reward is None else f"{attempt.reward:g}"
        shade: Role = "text" if passes else "faint"
        steps = sum(not is_silent(tree.nodes[step]) for step in tree.ancestors(attempt.leaf)[1:])
        cut = " · cut off" if attempt.cut_off else ""
        stop = f" · {attempt.stop}" if attempt.stop else ""
        told = f"{steps} steps{cut}{stop}  {attempt.id or attempt.place}"
        value: Role = "muted" if attempt.reward is None else value_role(float(attempt.reward), low, high)
        lines.append(
            line(
                (f"{here if passes else ' '} {number:>3} ", shade),
                (f"{sign} ", role if passes else "faint"),
                (f"{reward:>5}  ", value if passes else "faint"),
                (told, shade),
                indent=8,
            )
        )
    if len(tree.attempts) > MOST_ATTEMPTS:
        lines.append(line((f"and {len(tree.attempts) - MOST_ATTEMPTS} more: {{ }} goes through all", "muted")))
    return lines


def _sign(session: Session, attempt: ImportedAttempt) -> tuple[str, Role]:
    signs = glyphs()
    if attempt.reward is None:
        return signs.dead_end, "warn"
    return (signs.good, "good") if attempt.reward > session.thresholds.alpha else (signs.bad, "bad")


def fork_lines(found: list[ForkOf], child: int | None) -> list[Line]:
    """The forks where failures leave successes; `child`: the one that the cursor was put on."""
    if not found:
        return [line(("No step parts failed attempts from solved ones.", "muted"))]
    lines = [line(("Where failed attempts leave solved ones; D goes to the next one.", "muted")), BLANK]
    for fork in found[:MOST_ATTEMPTS]:
        low, high = fork.taken.interval
        role: Role = "focus" if fork.child == child else "text"
        lines.append(
            line(
                (f"step {fork.depth:<3} ", role),
                (f"{fork.before.value:4.0%} → {fork.taken.value:.0%} ", "bad"),
                (f"[{low:.0%}, {high:.0%}] ", "muted"),
                (f"{fork.taken.solved} of {fork.taken.of}; others {fork.others.solved} of {fork.others.of}  ", "muted"),
                (" ".join(fork.action.split())[:200], role),
                indent=9,
            )
        )
    return lines


ATTEMPT_KEYS = (
    key("right_curly_bracket", "attempt(1)", "attempt", "search.attempt_next", "Next attempt of an imported tree",
        key_display="{ }"),
    key("left_curly_bracket", "attempt(-1)", "attempt before", "search.attempt_back", "Attempt before"),
    key("D", "attempt(0)", "fork", "search.next_fork", "Next fork where failures leave successes"),
)  # fmt: skip


class Attempts:
    """Goes from attempt to attempt, and from fork to fork."""

    def __init__(self, desk: TreeDesk) -> None:
        self._desk = desk
        self._of: tuple[SearchTree | None, int, float] = (None, 0, 0.0)
        self._found: list[ForkOf] = []
        self.fork: int | None = None  # the child that `D` went to last

    @property
    def forks(self) -> list[ForkOf]:
        """The forks of the tree that is shown. O(nodes), once."""
        session = self._desk.session
        tree = session.tree
        if tree is None:
            return []
        key = (tree, tree.seq, session.thresholds.alpha)
        if self._of != key:
            self._of, self._found, self.fork = key, forks(tree, session.thresholds), None
        return self._found

    def next(self, by: int) -> None:
        """To the end of the next attempt, or of the one before."""
        tree = self._desk.session.tree
        if tree is None or not tree.attempts:
            self._desk.say("This tree is no import: { } go through attempts.", severity="warning")
            return
        at = self._desk.tree_view.cursor_node or 0
        count = len(tree.attempts)
        here = tree.first_through[at] if tree.nodes[at].is_leaf else (-1 if by > 0 else count)
        place = (here + by) % count
        while tree.attempts[place].leaf == at and count > 1 and by and place != here:
            place = (place + by) % count
        attempt = tree.attempts[place]
        self._desk.go_to_node(attempt.leaf)
        self._desk.tree_view.set_path(tree.ancestors(attempt.leaf))
        name = f" ({attempt.id})" if attempt.id else ""
        self._desk.say(f"attempt {place + 1} of {count}{name}")

    def next_fork(self) -> None:
        """To the next fork where failures leave successes, the surest first."""
        found = self.forks
        if not found:
            self._desk.say("No step parts failures from successes here.")
            return
        places = [fork.child for fork in found]
        place = (places.index(self.fork) + 1) % len(places) if self.fork in places else 0
        fork = found[place]
        self.fork = fork.child
        self._desk.go_to_node(fork.child)
        self._desk.say(
            f"fork {place + 1} of {len(places)}: {fork.before.value:.0%} → {fork.taken.value:.0%} solved"
            f" ({fork.taken.solved} of {fork.taken.of}; others {fork.others.solved} of {fork.others.of})"
        )
