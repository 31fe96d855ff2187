"""The form of an actor's answers in an environment, and the result of reading one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from engine.base.step_kind import info_or_none

Note = Literal["cut", "trimmed", "without label", "several actions", "no call"]
"""What was odd about an answer that was used: the limit of tokens ended it; something else stood after its action;
its action had no label; it named further ones; it called none of the tools."""

JOINED = "{action} {input}"
"""How an action and its `Action Input` are one action, where the environment does not say otherwise."""


class AnswerForm(NamedTuple):
    """What the actions of an environment look like."""

    several_lines: bool = False
    joined: str = JOINED


ONE_LINE = AnswerForm()


def form_of(environment: str) -> AnswerForm:
    """Returns the form of the actions of an environment; one line for an environment that is not registered."""
    info = info_or_none(environment)
    return ONE_LINE if info is None else AnswerForm(info.several_lines, info.joined)


class Reading(NamedTuple):
    """The thought and the action of an answer."""

    thought: str
    action: str  # "": there is none
    notes: tuple[Note, ...] = ()
    whole: bool = False  # whether something ended the action, so that no limit of tokens cut it

    @property
    def response(self) -> str:
        """The answer in the form in which it is stored."""
        return f"Thought: {self.thought}\nAction: {self.action}" if self.thought else f"Action: {self.action}"


def cut_at_stop(text: str, stops: Sequence[str]) -> str:
    """Returns the text before the first stop word, as a server that knows stop words returns it."""
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(places)] if places else text
