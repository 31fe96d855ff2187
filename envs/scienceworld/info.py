"""What is known of ScienceWorld before it is loaded."""

from __future__ import annotations

import re

from envs.base import EnvironmentInfo

RULES = """\
You do elementary science by text, in a house with a kitchen, a workshop, a greenhouse, rooms and a garden. First you \
are given a task and what you see. Parts of the task score as they are done, up to 100. Some tasks ask you to focus on \
something: do that only with what the task means, since focusing on the wrong thing ends the task at once with nothing.

What you can do, one action a turn (THING and PLACE stand for what you see or carry):
- look around, look at THING, look in THING, examine THING, read THING, inventory
- open THING, close THING, activate THING, deactivate THING, flush THING
- go to PLACE: through an open door, to the next room
- pick up THING, put down THING, move THING to PLACE, pour THING into PLACE, dunk THING into PLACE, mix THING
- use THING, use THING on THING, connect THING to THING, disconnect THING, eat THING
- focus on THING: tell that this is what the task means
- wait, wait1: let ten moments pass, or one
Where an action may mean several things you are asked which: answer with its number.

Answer every observation with a short thought and one action, in this form and with nothing after it:
Thought: why this is the next step
Action: the action

For example, where the task is to find an animal and you are in the hallway:
Thought: Animals live outside, and the way there leads through the kitchen.
Action: open door to kitchen

Begin when you are given the task."""


def _is_scienceworld(observation: str) -> bool:
    seen = ("This room is called the ", "This outside location is called the ")
    return observation.startswith("Your task is to ") and any(words in observation for words in seen)


def _refuses(observation: str) -> bool:
    return observation.startswith(("No known action matches that input.", "Unknown action."))


_ALREADY = re.compile(r"(?:The |It)[^.\n]{0,80}\balready\b[^.\n]{0,40}\.")


def _idles(action: str, observation: str) -> bool:
    """Whether an action found done already what it was to do: `The door is already open.` It takes its time."""
    return _ALREADY.fullmatch(observation.strip()) is not None


_LOOKS = ("look around", "look at ", "look in ", "examine ", "inventory", "task")


def _looks(action: str) -> bool:
    """What is read may be needed, so `read` is none of them; `wait` lets time pass."""
    return action.strip().lower().startswith(_LOOKS)


INFO = EnvironmentInfo(
    name="scienceworld",
    summary="science experiments in ScienceWorld's own simulator; 7,207 variations of 30 tasks, TASK:VARIATION or a"
    " number; scienceworld:easy simplifies; snapshots and an expert; needs Java",
    load="envs.scienceworld.env:make",
    rules=RULES,
    score_range=(0.0, 100.0),
    requires="scienceworld",
    recognises=_is_scienceworld,
    refuses=_refuses,
    looks=_looks,
    careless=_idles,
    timed=True,
    blocking=True,
    needs=("scienceworld",),
    programs=(("java", "install a Java runtime, e.g. apt install default-jre-headless"),),
)
"""The registry's entry."""
