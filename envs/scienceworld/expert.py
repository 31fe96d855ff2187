"""The expert's way in ScienceWorld: from the start as the simulator finds it, elsewhere as far as it holds when tried.

The simulator knows one way from the start of a task, its gold path. Where somebody left it, the rest of it may still
hold, or hold after a step back (into the room that was left, picking up what was put away). So what is left is tried in
the game itself, up to `HORIZON` steps ahead, and the state is taken up again. What no try confirms is unknown: there
the way is None, although there may be one.

States are named by the actions that lead to them.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from envs.scienceworld.nearest_action import candidates, nearest
from envs.scienceworld.simulator import Game, Reply, Situation

K = TypeVar("K")
V = TypeVar("V")
Way = tuple[str, ...]
Path = tuple[str, ...]

HORIZON = 20
"""Steps of a way that are tried."""

FIRST_ACTION = "look around"
"""What every game begins with: its reply is the first observation."""

REFUSALS = ("No known action matches that input.", "Unknown action.")
MAX_WORDINGS = 8
_MAX_KNOWN = 50_000
_MAX_LISTS = 200
_MAX_TASKS = 32

DOORS = {
    "art studio": ("hallway",),
    "bathroom": ("kitchen",),
    "bedroom": ("hallway",),
    "foundry": ("outside",),
    "greenhouse": ("hallway", "outside"),
    "hallway": ("art studio", "bedroom", "greenhouse", "kitchen", "living room", "workshop"),
    "kitchen": ("bathroom", "hallway", "outside"),
    "living room": ("hallway",),
    "outside": ("foundry", "greenhouse", "kitchen"),
    "workshop": ("hallway",),
}
"""Where the doors of each room lead; the same in all tasks."""

_ROOM = re.compile(r"^This (?:room|outside location) is called the ([^.]+)\.")
_PUT_AWAY = re.compile(r"^(?:move|put|pour|drop|dunk) (.+?)(?: (?:in inventory )?(?:to|in|into) .+)?$")


class Known(NamedTuple):
    """What is known of a state."""

    detour: Way  # steps before the gold path goes on as it is
    left: int  # steps of the gold path that are left
    strays: int  # actions that were none of the way since it last held
    holds: bool  # whether detour and rest lead to the goal
    joined: int  # steps of the gold path that were left where the detour began: its last ones are some of them

    def strayed(self) -> Known:
        """The same after an action that was none of the way."""
        left = self.left + min(len(self.detour), self.joined - self.left)
        return Known((), left, self.strays + 1, False, left)


class Sight(NamedTuple):
    """What can be done in a state, and what is seen in it."""

    allowed: list[str]
    look: str
    inventory: str


@dataclass
class Knowledge:
    """What is known of one task."""

    gold: Way | None = None  # None: not asked for yet
    scores: list[int] = field(default_factory=list)  # after 0, 1, … actions of the gold path
    rooms: list[str] = field(default_factory=list)  # in which the agent is then
    refused: set[int] = field(default_factory=set)  # places of actions that the simulator itself refuses
    states: OrderedDict[Path, Known] = field(default_factory=OrderedDict)
    wordings: OrderedDict[Path, str] = field(default_factory=OrderedDict)  # of the expert's next action
    sights: OrderedDict[Path, Sight] = field(default_factory=OrderedDict)


_tasks: OrderedDict[Situation, Knowledge] = OrderedDict()


def knowledge_of(situation: Situation) -> Knowledge:
    """What this process knows of a task."""
    known = _tasks.setdefault(situation, Knowledge())
    _tasks.move_to_end(situation)
    if len(_tasks) > _MAX_TASKS:
        _tasks.popitem(last=False)
    return known


@dataclass
class Expert:
    """The expert beside a game in the state that `path` leads to."""

    game: Game
    situation: Situation
    path: Path
    reply: Reply  # to the last action

    @property
    def _known(self) -> Knowledge:
        return knowledge_of(self.situation)

    # -- what there is to see ------------------------------------------------------------------------------

    def sight(self) -> Sight:
        """What can be done here and what is seen. Remembered, for it takes tens of milliseconds."""
        sights = self._known.sights
        found = sights.get(self.path)
        if found is None:
            look, inventory = self.game.look(), self.game.inventory()
            found = Sight(candidates(self.game.valid_actions(), look, inventory), look, inventory)
            _remember(sights, self.path, found, _MAX_LISTS)
        return found

    # -- the way -------------------------------------------------------------------------------------------

    def way(self) -> Way | None:
        """The steps to the goal from here, in the simulator's words; None where none is known."""
        if self.reply.done:
            return () if self.reply.score >= 100 else None
        if self._known.gold is None:
            self._learn()
        found, gold = self._know(), self._known.gold or ()
        return found.detour + gold[len(gold) - found.left :] if found.holds else None

    def _know(self) -> Known:
        """What is known of this state. It depends on the path alone, not on what was asked before: so first all states
        above have to be known."""
        states = self._known.states
        begin = len(self.path)
        while begin >= 0 and self.path[:begin] not in states:
            begin -= 1
        if begin == len(self.path):
            return states[self.path]
        if begin < len(self.path) - 1:
            state = self.game.take()
            self._to_the_start()
            reply = Reply("", 0, False)
            for place, action in enumerate(self.path):
                Expert(self.game, self.situation, self.path[:place], reply)._know()
                reply = self.game.step(action)
            self._return(state)
        found = self._follow()
        if found.strays and not self.reply.done:
            options = list(self._options(found))
            tries = ((option, other_words) for other_words in (False, True) for option in options)
            found = next(filter(None, (self._try(*attempt) for attempt in tries)), found)
        _remember(states, self.path, found, _MAX_KNOWN)
        return found

    def _learn(self) -> None:
        """Ask for the gold path, and walk it once."""
        known, state = self._known, self.game.take()
        self.game.load(self.situation, gold=True)
        gold = self.game.gold()
        self.game.load(self.situation)
        reply = self.game.step(FIRST_ACTION)
        scores, rooms = [reply.score], [self._room()]
        for place, action in enumerate(gold):
            reply = self.game.step(action)
            if reply.observation.startswith(REFUSALS):
                known.refused.add(place)
            scores.append(reply.score)
            rooms.append(self._room())
            if reply.done:
                gold = gold[: place + 1]  # some go on for nothing
                break
        self._return(state)
        known.gold, known.scores, known.rooms = gold, scores, rooms

    def _room(self) -> str:
        """The room where the agent is."""
        match = _ROOM.match(self.game.look())
        return match[1] if match else ""

    def _follow(self) -> Known:
        """What is known of the state above, one action further, as if that changed nothing."""
        gold = self._known.gold or ()
        if not self.path:
            return Known((), len(gold), 0, True, len(gold))
        before, action = self._known.states[self.path[:-1]], self.path[-1]
        if before.detour:
            return before._replace(detour=before.detour[1:]) if action == before.detour[0] else before.strayed()
        if before.left and action == gold[-before.left]:
            return before._replace(left=before.left - 1)
        return before.strayed()

    def _options(self, found: Known) -> Iterator[Known]:
        """Ways that may hold here."""
        known, left = self._known, found.left
        gold = known.gold or ()
        verb = self.path[-1].split(" ", 1)[0]
        for skipped in range(min(found.strays, 2, left), -1, -1):
            # What was done may be a step of the gold path said otherwise; trying costs time.
            if not skipped or any(action.split(" ", 1)[0] == verb for action in gold[-left:][:skipped]):
                yield _option((), left - skipped)
        if back := self._back(known.rooms[-1 - left]):
            yield _option(back, left)
        if match := _PUT_AWAY.match(self.path[-1]):
            yield _option((f"pick up {match[1]}",), left)

    def _back(self, room: str) -> Way:
        """The shortest way to a room; empty where the agent is there."""
        here = self._room()
        came = {here: here}
        pending = deque([here])
        while pending and room not in came:
            at = pending.popleft()
            for door in DOORS.get(at, ()):
                if door not in came:
                    came[door] = at
                    pending.append(door)
        steps: list[str] = []
        at = room
        while at in came and at != here:
            steps[:0] = [f"open door to {at}", f"go to {at}"]
            at = came[at]
        if steps and f"A door to the {steps[1].removeprefix('go to ')} (that is open)" in self.game.look():
            steps = steps[1:]
        return tuple(steps)

    def _try(self, option: Known, other_words: bool) -> Known | None:
        """The way, where it scores from here as the gold path does: to the goal, or as far as the horizon.

        `other_words`: an action that the game does not understand may be the nearest valid one of its kind, since
        things change their names with time.
        """
        known = self._known
        gold = known.gold or ()
        first = len(gold) - option.left  # the place on the gold path where the way joins it
        way = [*option.detour, *gold[first:]]
        before = len(option.detour)  # steps that are none of the gold path, or worded otherwise
        state = self.game.take()
        try:
            for at, action in enumerate(way[:HORIZON]):
                place = first + at - len(option.detour)
                reply = self.game.step(action)
                if reply.observation.startswith(REFUSALS) and place not in known.refused:
                    way[at] = self._other_words(way[:at], action, state) if other_words else action
                    if way[at] == action:
                        return None
                    reply, before = self.game.step(way[at]), at + 1
                if at >= len(option.detour) and reply.score < known.scores[place + 1]:
                    return None
                if reply.done:
                    if reply.score < 100:
                        return None
                    if at + 1 < len(way):
                        return option._replace(detour=tuple(way[: at + 1]), left=0)
                    break
            else:
                if len(way) <= HORIZON:
                    return None
            return option._replace(detour=tuple(way[:before]), left=len(way) - before)
        finally:
            self._return(state)

    def _other_words(self, walked: Sequence[str], action: str, state: int) -> str:
        """The nearest valid action of the same kind behind some steps from here, where the game stands then."""
        verb = action.split(" ", 1)[0]
        if verb in ("go", "open"):
            return action
        self._back_to(state)
        for step in walked:
            self.game.step(step)
        allowed = candidates(self.game.valid_actions(), self.game.look(), self.game.inventory())
        return nearest(action, [other for other in allowed if other.split(" ", 1)[0] == verb])

    def _return(self, state: int) -> None:
        """Stand again where the path leads, and keep that state no more."""
        self._back_to(state)
        self.game.drop(state)

    def _back_to(self, state: int) -> None:
        if not self.game.restore(state):
            self._to_the_start()
            for action in self.path:
                self.game.step(action)

    def _to_the_start(self) -> None:
        start = self.game.starts.get(self.situation)
        if start is None or not self.game.restore(start.state):
            self.game.load(self.situation)
            self.game.step(FIRST_ACTION)

    # -- how to say it -------------------------------------------------------------------------------------

    def wording(self, way: Way) -> str:
        """Returns the first action of a way, worded so that the rule of the nearest valid action does not change it,
        where some valid action does exactly the same."""
        wordings = self._known.wordings
        found = wordings.get(self.path)
        if found is None:
            allowed = self.sight().allowed
            found = way[0] if nearest(way[0], allowed) == way[0] else self._equal(way, allowed)
            _remember(wordings, self.path, found, _MAX_KNOWN)
        return found

    def _equal(self, way: Way, allowed: list[str]) -> str:
        state = self.game.take()
        if not state:
            return way[0]
        try:
            wanted = self.game.step(way[0])
            digest = self.game.digest()
            answered = len(way) > 1 and way[1].isdigit()  # the game asks back: a way to say it that needs no answer
            if answered:
                wanted = self.game.step(way[1])
            words = frozenset(way[0].split())
            verb = way[0].split()[0]
            alike = sorted(
                (action for action in allowed if action.split()[0] == verb),
                key=lambda action: -len(words.intersection(action.split())),
            )
            for action in alike[:MAX_WORDINGS]:
                self.game.restore(state)
                if self.game.step(action) == wanted and (answered or self.game.digest() == digest):
                    return action
            return way[0]
        finally:
            self._return(state)


def _option(detour: Way, left: int) -> Known:
    return Known(detour, left, 0, True, left)


def _remember(cache: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    cache[key] = value
    if len(cache) > most:
        cache.popitem(last=False)
