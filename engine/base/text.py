"""Responses as they are stored: their action and thought. `engine.answers.reader` reads a model's answers."""

from __future__ import annotations

import re
from typing import Any

_NUMBERED = re.compile(r"^\d+\.\s+")
_ACTION = "Action:"
_LABELS = ("Action 1:", _ACTION)
_AT_LINE_START = re.compile(r"^[ \t]*Action(?: 1)?:[ \t]*", re.M)


def parse_action(response: str) -> str:
    """The action of a response by the rule of the original (`--parse agent-r`).

    What follows the last `Action 1:` where that occurs at all, else the last `Action:`; with neither, the last
    line. A leading `N. ` is dropped. May be empty.
    """
    for label in _LABELS:
        if label in response:
            action = response.rsplit(label, 1)[1].strip()
            break
    else:
        lines = response.strip().splitlines()
        action = lines[-1].strip() if lines else ""
    return _NUMBERED.sub("", action).strip()


def stored_action(response: str) -> str:
    """The action of a stored response: what follows its last label at the beginning of a line; by the original's rule
    where there is none."""
    start = _label_at(response)
    return parse_action(response) if start is None else response[start[1] :].strip()


def _label_at(response: str) -> tuple[int, int] | None:
    """Where the label of a stored response's action is."""
    if "Action 1:" not in response:  # mostly: its last line begins with the label
        at = response.rfind(_ACTION)
        if at < 0:
            return None
        start, end = response.rfind("\n", 0, at) + 1, at + len(_ACTION)
        if start == at:
            while response[end : end + 1] in (" ", "\t"):
                end += 1
            return start, end
    labels = list(_AT_LINE_START.finditer(response))
    return labels[-1].span() if labels else None


def normalise_response(response: str) -> str:
    """The response as it is stored: `Action 1:` and `Thought 1:` become `Action:` and `Thought:`."""
    return response.replace("Action 1:", "Action:").replace("Thought 1:", "Thought:")


def split_thought(response: str) -> str:
    """The response less its action, without the `Thought:` label."""
    start = _label_at(response)
    if start is not None:
        thought = response[: start[0]]
    elif label := next((label for label in _LABELS if label in response), None):
        thought = response.rsplit(label, 1)[0]
    else:
        thought = "\n".join(response.strip().splitlines()[:-1])
    return re.sub(r"^\s*Thought(?: 1)?:\s*", "", thought).strip()


def clean(text: str) -> str:
    """The text without lone surrogates, which no file can hold: each becomes U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def clean_values(value: Any) -> Any:
    """A value of JSON whose texts and keys have no lone surrogates."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list | tuple):
        return [clean_values(item) for item in value]
    if isinstance(value, dict):
        return {clean_values(key): clean_values(item) for key, item in value.items()}
    return value


def flatten(observation: str) -> str:
    """An observation as the search stores it: newlines and tabs become spaces."""
    return observation.replace("\n", " ").replace("\t", " ")


def many(count: int, one: str, more: str = "") -> str:
    """Returns a count with its noun: `1 line`, `1,200 lines`.

    `count`: the number. `one`: the singular. `more`: the plural, where it is not the singular and an s.
    """
    return f"{count:,} {one if count == 1 else more or one + 's'}"
