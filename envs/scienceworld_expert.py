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
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from envs.scienceworld_game import Game, Reply, Situation
from envs.scienceworld_nearest import candidates, nearest

K = TypeVar("K")
V = TypeVar("V")
Way = tuple[str, ...]
Path = tuple[str, ...]

HORIZON = 30
"""Steps of a way that are tried."""

FIRST_ACTION = "look around"
"""What every game begins with: its reply is the first observation."""

REFUSALS = ("No known action matches that input.", "Unknown action.")
MAX_WORDINGS = 8
_MAX_KNOWN = 50_000
_MAX_LISTS = 200
_MAX_TASKS = 32

_ROOM = re.compile(r"^This (?:room|outside location) is called the ([^.]+)\.")
_DOOR = re.compile(r"A door to the (.+?) \(that is (open|closed)\)")
_PUT_AWAY = re.compile(r"^(?:move|put|pour|drop|dunk) (.+?)(?: (?:in inventory )?(?:to|in|into) .+)?$")


class Known(NamedTuple):
    """What is known of a state."""

    detour: Way  # steps before the gold path goes on
    left: int  # steps of the gold path that are left
    strays: int  # actions that were none of the way since it last held
    holds: bool  # whether detour and rest lead to the goal


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
    doors: dict[str, dict[str, bool]] = field(default_factory=dict)  # room → room → whether the door was open last
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
    """The expert beside a game that stands where `path` leads."""

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
        known = self._known
        if known.gold is None:
            self._learn()
        assert known.gold is not None
        found = known.states.get(self.path)
        if found is None:
            found = self._follow()
            if found.strays:
                found = next((option for option in self._options(found) if self._holds(option)), found)
            _remember(known.states, self.path, found, _MAX_KNOWN)
        return found.detour + known.gold[len(known.gold) - found.left :] if found.holds else None

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
        self._return(state)
        known.gold, known.scores, known.rooms = gold, scores, rooms

    def _room(self) -> str:
        """The room where the agent is; its doors are remembered."""
        look = self.game.look()
        match = _ROOM.match(look)
        room = match[1] if match else ""
        doors = self._known.doors.setdefault(room, {})
        for door, how in _DOOR.findall(look):
            doors[door] = how == "open"
        return room

    def _follow(self) -> Known:
        """What is known of the nearest state above, followed along the path to here, as if it held all along."""
        known = self._known
        gold = known.gold or ()
        begin = len(self.path)
        while begin and self.path[:begin] not in known.states:
            begin -= 1
        detour, left, strays, _ = known.states.get(self.path[:begin]) or Known((), len(gold), 0, True)
        for place in range(begin, len(self.path)):
            action, wording = self.path[place], known.wordings.get(self.path[:place])
            if detour and action in (detour[0], wording):
                detour = detour[1:]
            elif not detour and left and action in (gold[-left], wording):
                left -= 1
            else:
                detour, strays = (), strays + 1
        return Known(detour, left, strays, strays == 0)

    def _options(self, found: Known) -> Iterator[Known]:
        """What may hold here."""
        known, left = self._known, found.left
        gold = known.gold or ()
        verb = self.path[-1].split(" ", 1)[0]
        for skipped in range(min(found.strays, 2, left), -1, -1):
            # What was done may be a step of the gold path said otherwise; trying costs time.
            if not skipped or any(action.split(" ", 1)[0] == verb for action in gold[-left:][:skipped]):
                yield Known((), left - skipped, 0, True)
        if back := self._back(known.rooms[-1 - left]):
            yield Known(back, left, 0, True)
        if match := _PUT_AWAY.match(self.path[-1]):
            yield Known((f"pick up {match[1]}",), left, 0, True)

    def _back(self, room: str) -> Way:
        """The way to a room, over the doors that are known; empty where the agent is there, or there is none."""
        here, doors = self._room(), self._known.doors
        came = {here: here}
        pending = deque([here])
        while pending and room not in came:
            at = pending.popleft()
            for door in sorted(doors.get(at, ())):
                if door not in came:
                    came[door] = at
                    pending.append(door)
        steps: list[str] = []
        at = room
        while at in came and at != here:
            steps[:0] = [f"open door to {at}", f"go to {at}"]
            at = came[at]
        if steps and doors[here].get(steps[0].removeprefix("open door to ")):
            steps = steps[1:]  # that door is open
        return tuple(steps)

    def _holds(self, option: Known) -> bool:
        """Whether a way, tried from here, scores as the gold path does: to the goal, or as far as the horizon."""
        known = self._known
        gold = known.gold or ()
        first = len(gold) - option.left  # the place on the gold path where the way joins it
        way = option.detour + gold[first:]
        state = self.game.take()
        try:
            for place, action in enumerate(way[:HORIZON], first - len(option.detour)):
                reply = self.game.step(action)
                refused = reply.observation.startswith(REFUSALS)
                if place >= first and (
                    reply.score < known.scores[place + 1] or (refused and place not in known.refused)
                ):
                    return False
                if reply.done or (refused and place < first):
                    return reply.score >= 100
            return len(way) > HORIZON
        finally:
            self._return(state)

    def _return(self, state: int) -> None:
        """Stand again where the path leads."""
        if self.game.restore(state):
            self.game.drop(state)
            return
        self.game.load(self.situation)
        for action in (FIRST_ACTION, *self.path):
            self.game.step(action)

    # -- how to say it -------------------------------------------------------------------------------------

    def wording(self, way: Way) -> str:
        """The first action of a way, said so that the rule of the nearest valid action leaves it as it is, where some
        valid action does exactly the same."""
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


def _remember(cache: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    cache[key] = value
    if len(cache) > most:
        cache.popitem(last=False)
