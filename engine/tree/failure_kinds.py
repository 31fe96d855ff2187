"""Kinds of failed draws: which are answers about their node, and which mean that no answer could be had."""

from __future__ import annotations

ENVIRONMENT_GONE = "environment gone"
"""Kind of a step that was not made, since the environment could not be used."""


STEP_FAILED = "step failed"
"""Kind of a step at which the environment failed, and lives on."""


ABOUT_NODE = frozenset({"too long", "refusal", "empty", "cut off", "not in the form", "no valid action", STEP_FAILED})
"""Kinds of failed draws that are answers about the node."""


HOPELESS = frozenset({"authentication", "quota", "wrong model", "no plan", "no tools"})
"""Kinds of outages that every further draw would meet as well: the search stops at the first."""


OF_ENVIRONMENT = frozenset({ENVIRONMENT_GONE, "environment"})
"""Kinds of outages of the environment. Traces of version 1 have `environment`, for failed steps too."""


def is_outage(what: str) -> bool:
    """Whether a failed draw of that kind says nothing about its node."""
    return what not in ABOUT_NODE
