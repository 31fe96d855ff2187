"""Mutants of what is shown, and of the keys."""

from __future__ import annotations

from tests.mutants.mutant import Mutant, mutant

SCREENS: list[Mutant] = []
