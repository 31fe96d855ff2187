"""A mutant: one line of the program broken on purpose, and the tests that must notice."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Mutant(NamedTuple):
    """One breakage of one promise."""

    name: str
    promise: str  # what no longer holds
    file: str  # from the root of the repository
    old: str  # a part of one line; occurs once in the file
    new: str
    tests: tuple[str, ...]  # pytest node ids below `tests/`, at least one of which must fail

    @property
    def test_ids(self) -> list[str]:
        """The node ids as pytest takes them."""
        return [f"tests/{test}" for test in self.tests]

    def broken(self, text: str) -> str:
        """The text of the file with this line broken. Raises `ValueError` where the old text does not occur once."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.file} holds {self.old!r} {text.count(self.old)} times, not once")
        return text.replace(self.old, self.new)


def mutant(name: str, promise: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    """A mutant; the tests are its last arguments."""
    return Mutant(name, promise, file, old, new, tests)
