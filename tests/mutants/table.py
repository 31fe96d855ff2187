"""The mutants: promises of the program, each broken in one line, with the tests that must turn red.

`python -m tests.mutants.run` tries them. One is added with every promise whose loss no other test of the table
would show; a line that reads like the promise is better than a clever one.
"""

from __future__ import annotations

from tests.mutants.mutant import Mutant
from tests.mutants.of_files import FILES
from tests.mutants.of_samples import SAMPLES
from tests.mutants.of_screens import SCREENS
from tests.mutants.of_search import SEARCH
from tests.mutants.of_strangers import STRANGERS

MUTANTS: tuple[Mutant, ...] = (*SEARCH, *SAMPLES, *FILES, *SCREENS, *STRANGERS)
