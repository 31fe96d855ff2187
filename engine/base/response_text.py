"""Reading a response: its action and thought, by the rules of the original."""

from __future__ import annotations

import re

_NUMBERED = re.compile(r"^\d+\.\s+")


def parse_action(response: str) -> str:
    """The action of a response.

    What follows the last `Action 1:` where that occurs at all, else the last `Action:`; with neither, the last
    line. A leading `N. ` is dropped. May be empty.
    """
    for label in ("Action 1:", "Action:"):
        if label in response:
            action = response.rsplit(label, 1)[1].strip()
            break
    else:
        lines = response.strip().splitlines()
        action = lines[-1].strip() if lines else ""
    return _NUMBERED.sub("", action).strip()


def normalise_response(response: str) -> str:
    """The response as it is stored: `Action 1:` and `Thought 1:` become `Action:` and `Thought:`."""
    return response.replace("Action 1:", "Action:").replace("Thought 1:", "Thought:")


def split_thought(response: str) -> str:
    """The response less its action, without the `Thought:` label."""
    for label in ("Action 1:", "Action:"):
        if label in response:
            thought = response.rsplit(label, 1)[0]
            break
    else:
        thought = "\n".join(response.strip().splitlines()[:-1])
    return re.sub(r"^\s*Thought(?: 1)?:\s*", "", thought).strip()


def clean(text: str) -> str:
    """The text without lone surrogates, which no file can hold: each becomes U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def flatten(observation: str) -> str:
    """An observation as the search stores it: newlines and tabs become spaces."""
    return observation.replace("\n", " ").replace("\t", " ")
