"""A plugin for pytest while mutants are tried: hypothesis draws the same examples each time, and a failure is enough.

Whether a mutant is killed must not depend on luck, and nobody reads the smallest example that kills it.
"""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile("mutants", derandomize=True, phases=(Phase.explicit, Phase.generate))
settings.load_profile("mutants")
