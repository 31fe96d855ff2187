"""Imported attempts on the Search screen: which goes where, what they share, and where failures leave successes.

N is here how many attempts pass a node; nothing was searched.
"""

from __future__ import annotations

from typing import Literal

from agentr_tui.screens.search.imports.step_text import row_label
from agentr_tui.screens.search.services import TreeServices
from agentr_tui.screens.shared.mode_screen import key
from agentr_tui.state.session import Session
from agentr_tui.terminal.safe_text import clip, pad
from agentr_tui.terminal.theme import Role, glyphs, value_role
from agentr_tui.widgets.text_pane import BLANK, Line, line
from agentr_tui.widgets.tree.overlay import Mark
from engine.base.text import many
from engine.explain.forks import ForkOf, Share, forks, shares
from engine.pairs.parting import is_silent, outcomes
from engine.tree.events import ImportedAttempt
from engine.tree.folding.attempts import is_end
from engine.tree.node import NO_PARENT, ROOT, Node
from engine.tree.reader import TreeReader
from engine.tree.tree import SearchTree

MOST_LISTED = 40
"""Attempts or forks that a pane lists, around the one that the cursor is on: a key costs what is in sight."""

TABS = ("attempts", "forks", "conversation", "environment", "raw")
"""Of an imported tree; nobody chose anything there, so that there is no `why`."""


def figures_of(session: Session, tree: SearchTree) -> list[str]:
    """Returns the figures of the attempts, the least important first."""
    alpha = session.thresholds.alpha
    scored = [attempt.reward for attempt in tree.attempts if attempt.reward is not None]
    cut = sum(attempt.cut_off for attempt in tree.attempts)
    return [
        f"merged by {tree.merged_by}",
        many(len(tree) - tree.left_nodes, "node"),
        f"{len(tree.attempts) - len(scored)} without a reward" if len(scored) < len(tree.attempts) else "",
        f"{cut} cut off" if cut else "",
        f"{sum(reward > alpha for reward in scored)} solved",
        _many(len(tree.attempts), "attempt"),
    ]


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def row_mark(tree: SearchTree, id: int) -> Mark | None:
    """Returns what a row shows about a node that attempts share: chance, wordings, how many are equal."""
    node = tree.nodes[id]
    row = node.imported
    if row is None or node.parent == NO_PARENT:
        return None
    if not node.visits:
        return Mark("left", "muted")
    if is_end(node):
        return Mark("ended", "muted")
    if is_silent(node):
        return Mark("told", "muted")
    if row.compacted:
        return Mark("compacted", "warn")
    if (count := outcomes(tree, id)) > 1:
        return Mark(f"{count} results", "warn")
    if node.is_leaf and node.visits > 1:
        return Mark(f"{node.visits}×", "muted")
    if row.error:
        return Mark("error", "warn")
    words = wordings(tree, id)
    if words > 1:
        return Mark(f"worded {words}×", "muted")
    return Mark("times", "muted") if row.wordings else None


def wordings(tree: SearchTree, id: int) -> int:
    """Returns the number of wordings of the agent's turn. Counted once: a thousand attempts may share a step, and rows
    are drawn at each key."""
    known = tree.wording_counts.get(id)
    if known is None:
        known = tree.wording_counts[id] = _count_wordings(tree.nodes[id])
    return known


def _count_wordings(node: Node) -> int:
    row = node.imported
    if row is None:
        return 1
    own = {(node.response, row.reasoning)}
    for wording in row.wordings:
        response = node.response if wording.response is None else wording.response
        own.add((response, row.reasoning if wording.reasoning is None else wording.reasoning))
    return len(own)


def shared_lines(tree: SearchTree, id: int) -> list[tuple[str, str, Role]]:
    """Returns label, text and role of the lines about the attempts that pass a step."""
    node = tree.nodes[id]
    row = node.imported
    if row is None or not tree.attempts:
        return []
    if not node.visits:
        return [("attempts", "none through here any more: the one that ended here went on otherwise", "muted")]
    first = tree.first_through[id] + 1
    all_of_them = _many(len(tree.attempts), "attempt")
    whose = f"attempt {first}" if node.visits == 1 else f"in the words of attempt {first}"
    told: list[tuple[str, str, Role]] = [("attempts", f"{node.visits} of {all_of_them} through here · {whose}", "text")]
    words = wordings(tree, id)
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


def attempt_lines(session: Session, tree: SearchTree, id: int, steps: list[int]) -> list[Line]:
    """Returns the attempts around the one under the cursor; those that pass the node stand out.

    `session`: marks and score range. `tree`: the import. `id`: the node under the cursor. `steps`: number of steps, one
    entry an attempt.
    """
    low, high = session.score_range
    here = glyphs().here
    first = tree.first_through[id]
    start = _start(first, len(tree.attempts))
    shown = tree.attempts[start : start + MOST_LISTED]
    depth = tree.nodes[id].depth
    of_end: dict[int, bool] = {}  # whether an end is on a path through the node: equal attempts share it
    lines = [line((note, "warn")) for note in tree.import_notes]
    lines += [BLANK] if lines else []
    if start:
        lines.append(line((f"{start} before", "muted")))
    for number, attempt in enumerate(shown, start):
        passes = of_end.get(attempt.leaf)
        if passes is None:
            passes = of_end[attempt.leaf] = _passes(tree, attempt.leaf, id, depth)
        sign, role = _sign(session, attempt)
        reward = "–" if attempt.reward is None else f"{attempt.reward:.4g}"
        shade: Role = "text" if passes else "faint"
        cut = " · cut off" if attempt.cut_off else ""
        stop = f" · {attempt.stop}" if attempt.stop else ""
        told = f"{_many(steps[number], 'step')}{cut}{stop}  {attempt.id or attempt.place}"
        value: Role = "muted" if attempt.reward is None else value_role(float(attempt.reward), low, high)
        lines.append(
            line(
                (f"{here if passes else ' '} {number + 1:>3} ", shade),
                (f"{sign} ", role if passes else "faint"),
                (f"{reward:>5}  ", value if passes else "faint"),
                (told, shade),
                indent=8,
                key=attempt.leaf,
                highlight=number == first and id != ROOT,
            )
        )
    if (after := len(tree.attempts) - start - len(shown)) > 0:
        lines.append(line((f"{after} after: {{ }} goes through all", "muted")))
    return lines


def _start(place: int, count: int) -> int:
    """The first of so many that is listed, where one is in front."""
    return max(0, min(place - MOST_LISTED // 2, count - MOST_LISTED))


def _passes(tree: SearchTree, leaf: int, id: int, depth: int) -> bool:
    """Whether the attempt that ends at a leaf passes a node, or the node lies where it ended."""
    at = leaf
    while tree.nodes[at].depth > depth:
        at = tree.nodes[at].parent
    return at == id or (tree.nodes[leaf].depth < depth and leaf in tree.ancestors(id))


def attempt_name(place: int, attempt: ImportedAttempt) -> str:
    """What an attempt is called beside another."""
    reward = "no reward" if attempt.reward is None else f"reward {attempt.reward:.4g}"
    return f"attempt {place + 1} ({reward})"


def _sign(session: Session, attempt: ImportedAttempt) -> tuple[str, Role]:
    signs = glyphs()
    if attempt.reward is None:
        return signs.dead_end, "warn"
    return (signs.good, "good") if attempt.reward > session.thresholds.alpha else (signs.bad, "bad")


def fork_lines(found: list[ForkOf], child: int | None, tree: SearchTree, width: int) -> list[Line]:
    """Returns the forks where failures leave successes.

    `found`: the forks. `child`: the one that the cursor was put on; None: on none. `tree`: the import. `width`: cells.
    """
    if not found:
        return [line((no_fork(tree), "muted"))]
    side = max(12, (width - FORK_FIGURES) // 2)
    last = max(12, width - FORK_FIGURES - side - 1)
    lines = [
        line(
            ("step ", "muted"),
            (pad("after", side), "muted"),
            (f" {'solved':>10} → {'then':<5} {'95 %':<11}{'of':>3}    ", "muted"),
            ("what these did", "muted"),
        )
    ]
    start = _start(next((place for place, fork in enumerate(found) if fork.child == child), 0), len(found))
    if start:
        lines.append(line((f"{start} before", "muted")))
    before = -1
    for fork in found[start : start + MOST_LISTED]:
        low, high = fork.taken.interval
        at = fork.child == child
        role: Role = "focus" if at else "text"
        after = "the same" if fork.node == before else label_at(tree, fork.node)
        before = fork.node
        lines.append(
            line(
                (f"{fork.depth:>4} ", role),
                (pad(clip(after, side), side), "muted"),
                (f" {fork.before.value:>10.0%} → ", "text"),
                (f"{fork.taken.value:<5.0%}", "bad"),
                (f" {f'{low:.0%} to {high:.0%}':<11}", "muted"),
                (f"{fork.taken.solved:>3}/{fork.taken.of:<3}", "bad"),
                (clip(label_at(tree, fork.child), last), role),
                key=fork.child,
                highlight=at,
            )
        )
    if (more := len(found) - start - MOST_LISTED) > 0:
        lines.append(line((f"and {more} more: D goes through all", "muted")))
    return lines


FORK_FIGURES = 5 + 14 + 5 + 12 + 7
"""Cells of a fork's figures."""


def label_at(tree: SearchTree, id: int) -> str:
    """A step in one line."""
    return "the prompt" if id == ROOT else row_label(tree.nodes[id])


def reader_label(reader: TreeReader, id: int) -> str:
    """A step in one line, for its row."""
    return row_label(reader.node(id))


def no_fork(tree: SearchTree) -> str:
    """Returns why no step is listed."""
    known = {attempt.reward for attempt in tree.attempts if attempt.reward is not None}
    if not known:
        return "No reward is known: nothing tells failed attempts from solved ones."
    if len(known) == 1:
        return f"All known rewards are {known.pop():g}: no step parts failed attempts from solved ones."
    return "No decision of the agent parts failed attempts from solved ones."


ATTEMPT_KEYS = (
    key("right_curly_bracket", "attempt('next')", "attempt", "search.attempt_next", "Next attempt of an imported tree",
        key_display="{ }"),
    key("left_curly_bracket", "attempt('back')", "attempt before", "search.attempt_back", "Attempt before"),
    key("D", "attempt('fork')", "failures part", "search.next_fork", "Next fork where failures leave successes"),
    key("equals_sign", "attempt('compare')", "compare", "search.compare_attempt",
        "Compare this attempt with one that ended otherwise, from where they part", key_display="="),
    key("o", "attempt('whole')", "whole texts", "search.whole", "Long texts of an imported tree in full, or folded"),
)  # fmt: skip


Step = Literal["next", "back", "fork", "compare", "whole"]
"""What a key does in a tree of attempts."""


def not_of(tree: SearchTree) -> frozenset[str]:
    """Returns the actions that have no meaning in a tree of attempts, since it was not searched."""
    return frozenset({"event(-1)"}) if tree.attempts else frozenset()


def told_of(tree: SearchTree, narrow: bool) -> frozenset[str]:
    """Returns the actions that the key bar shows first in a tree of attempts."""
    if not tree.attempts:
        return frozenset()
    steps: tuple[Step, ...] = ("next", "fork", "compare") if narrow else ("next", "fork", "compare", "whole")
    return frozenset(f"attempt('{step}')" for step in steps)


class Attempts:
    """Goes from attempt to attempt, and from fork to fork."""

    def __init__(self, services: TreeServices) -> None:
        self._services = services
        self._of: tuple[SearchTree | None, int, float] = (None, 0, 0.0)
        self._found: list[ForkOf] = []
        self._counts_of: tuple[SearchTree | None, int, float] = (None, 0, 0.0)
        self._shares: list[Share] = []
        self._steps: list[int] = []
        self.fork: int | None = None  # the child that `D` went to last
        self.whole = False  # long texts in full

    @property
    def forks(self) -> list[ForkOf]:
        """The forks of the tree that is shown. O(nodes), once."""
        session = self._services.session
        tree = session.tree
        if tree is None:
            return []
        key = (tree, tree.seq, session.thresholds.alpha)
        if self._of != key:
            self._of, self._found, self.fork = key, forks(tree, session.thresholds), None
        return self._found

    def _count(self) -> None:
        """How many of the attempts through each node were solved, and the steps of each. O(nodes + attempts), once."""
        session = self._services.session
        tree = session.tree
        assert tree is not None
        key = (tree, tree.seq, session.thresholds.alpha)
        if self._counts_of != key:
            self._counts_of, self._shares = key, shares(tree, session.thresholds)
            steps = [0] * len(tree)
            for node in tree.nodes[1:]:
                steps[node.id] = steps[node.parent] + (not is_silent(node))
            self._steps = [steps[attempt.leaf] for attempt in tree.attempts]

    def share(self, id: int) -> Share:
        """How many of the attempts through a node were solved."""
        self._count()
        return self._shares[id]

    @property
    def steps(self) -> list[int]:
        """The steps of each attempt."""
        self._count()
        return self._steps

    def rival(self, id: int) -> tuple[int, int] | None:
        """The attempt under the cursor, and one that ended otherwise and shares most steps with it: their places.

        Where none ended otherwise, one that went elsewhere; None where all are equal.
        """
        session, tree = self._services.session, self._services.session.tree
        if tree is None or len(tree.attempts) < 2:
            return None
        own = tree.first_through[id]
        if own < 0:
            return None
        good = session.thresholds.alpha
        mine = tree.attempts[own]
        depths = {step: depth for depth, step in enumerate(tree.ancestors(mine.leaf))}
        best: tuple[tuple[bool, int], int] | None = None
        for place, attempt in enumerate(tree.attempts):
            if attempt.leaf == mine.leaf:
                continue
            at = attempt.leaf
            while at not in depths:
                at = tree.nodes[at].parent
            otherwise = (
                attempt.reward is not None
                and mine.reward is not None
                and (attempt.reward > good) != (mine.reward > good)
            )
            rank = (otherwise, depths[at])
            if best is None or rank > best[0]:
                best = rank, place
        return None if best is None else (own, best[1])

    def next(self, by: int) -> None:
        """To the end of the next attempt, or of the one before."""
        tree = self._services.session.tree
        if tree is None or not tree.attempts:
            self._services.say("This tree is no import: { } go through attempts.", severity="warning")
            return
        at = self._services.tree_view.cursor_node or 0
        count = len(tree.attempts)
        here = tree.first_through[at] if tree.nodes[at].is_leaf else (-1 if by > 0 else count)
        place = (here + by) % count
        while tree.attempts[place].leaf == at and count > 1 and by and place != here:
            place = (place + by) % count
        attempt = tree.attempts[place]
        self._services.go_to_node(attempt.leaf)
        self._services.tree_view.set_path(tree.ancestors(attempt.leaf))
        name = f" ({attempt.id})" if attempt.id else ""
        self._services.say(f"attempt {place + 1} of {count}{name}")

    def next_fork(self) -> None:
        """To the next fork where failures leave successes, the surest first."""
        found = self.forks
        if not found:
            tree = self._services.session.tree
            told = (
                no_fork(tree) if tree is not None and tree.attempts else "No step parts failures from successes here."
            )
            self._services.say(told)
            return
        places = [fork.child for fork in found]
        place = (places.index(self.fork) + 1) % len(places) if self.fork in places else 0
        fork = found[place]
        self.fork = fork.child
        self._services.go_to_node(fork.child)
        self._services.say(
            f"fork {place + 1} of {len(places)}: {fork.before.value:.0%} → {fork.taken.value:.0%} solved"
            f" ({fork.taken.solved} of {fork.taken.of}; others {fork.others.solved} of {fork.others.of})"
        )
