"""What the trees of one run share, beside its settings and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from engine.samples.duplicates import Duplicates
from engine.samples.finishing import Repairer

if TYPE_CHECKING:  # the client library takes half a second to import
    from engine.verifiers.judge_pool import JudgePool


@dataclass(frozen=True)
class SharedByTrees:
    """What the trees of one run share. One of its own serves where a run is of a single tree."""

    marks: Callable[[str], int | None] = lambda sample: None  # a person's mark by sample id (verifier `human`)
    cache: Path | None = None  # the folder of judgements (verifier `openai`, thoughts by a model); None: keep none
    repair: Repairer | None = None  # finds a tail for a sample whose own does not hold; None: no repairs
    duplicates: Duplicates | None = None  # the samples so far; None: each tree's own
    taught: Counter[str] = field(default_factory=Counter)  # how often each lesson was taught
    decided: Collection[str] = ()  # ids of samples with a decision, which are always made
    seam_pool: JudgePool | None = None  # makes the calls of the judge of seams; None: each tree's own
