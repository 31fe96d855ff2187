"""What the words of the screens mean, for the help."""

from __future__ import annotations

SEARCH = (
    ("N", "visits: how often the search went through a node"),
    ("Q", "the mean return of what lies below a node"),
    ("U", "what selection adds to Q for nodes that were visited little; c sets how much"),
    ("leaf", "the end of a trajectory: solved, failed, or cut by the depth limit"),
    ("dead end", "a node at which no answer of the actor was usable"),
    ("all ended", "every way below a node has ended: nothing there can be selected any more"),
    ("refused", "the environment said no to the action: nothing was done"),
    ("seen 6×", "six nodes are in the same state of the environment"),
)
PAIRS = (
    ("alpha", "a leaf is good where its Q is above alpha"),
    ("beta", "a bad leaf makes a pair with a good one whose Q is greater by more than beta"),
    ("fork", "the last step that the good and the bad trajectory share"),
    ("gap", "the difference between the returns of the two leaves of a pair"),
)
SAMPLES = (
    ("mark", "the first wrong step of the bad trajectory"),
    ("lesson", "one wrong action in one state: pairs that teach the same are one lesson"),
    ("revision", "the bad trajectory up to the mark, a thought, then the way of the good one"),
    ("verified", "replayed in the environment, every observation was the same"),
    ("reobserved", "replayed with other observations, the return is still met: the true ones are taken"),
    ("diverged", "replayed, the return is not met: not exported"),
    ("unreplayable", "it can't be replayed; the sample says why"),
    ("repaired", "a search of its own found a tail that meets the return"),
    ("pass the replay", "verified, reobserved or repaired: it may be exported"),
    ("shared", "a step that the good trajectory took, too: it is not disowned"),
    ("disowned", "the wrong step, which the revision thought takes back"),
    ("tail", "the steps after the thought, those of the good trajectory: they are trained"),
    ("context", "the steps before the thought: a model reads them, and does not learn them (masked)"),
    ("centric", "contents of an export: revision trajectories; good: good trajectories alone"),
)

WORDS = {
    "library": (*SEARCH[:3], *PAIRS[:2], SAMPLES[1]),
    "search": (*SEARCH, *PAIRS[:2]),
    "pairs": (*PAIRS, *SEARCH[:2]),
    "revision": (*SAMPLES, PAIRS[2]),
    "dataset": SAMPLES,
}
"""The words that each screen uses, by its mode."""
