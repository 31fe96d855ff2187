"""What is said of a thing wherever it is said, in one or two words."""

from __future__ import annotations

ENDED = {
    "done": "done",
    "disaster": "disaster",
    "depth": "too deep",
    "dead_end": "dead end",
    "cut_off": "cut off",
    "unscored": "no reward",
}
"""Why a trajectory ended, by `Node.terminal`."""
