"""The table of mutants fits the program as it is; the mutants themselves are tried by `make mutants`."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache

import pytest

from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.table import MUTANTS


def test_there_are_at_least_sixty_mutants_and_each_has_a_name_of_its_own() -> None:
    assert len(MUTANTS) >= 60
    assert [name for name, count in Counter(mutant.name for mutant in MUTANTS).items() if count > 1] == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_line_that_a_mutant_breaks_is_there_once_and_what_it_becomes_is_python(mutant: Mutant) -> None:
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    broken = mutant.broken(text)
    assert broken != text
    assert "\n" not in mutant.old + mutant.new
    ast.parse(broken)


@cache
def functions_of(file: str) -> set[str]:
    """The names of all functions of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_tests_that_must_notice_a_mutant_are_there(mutant: Mutant) -> None:
    assert mutant.tests
    for test in mutant.test_ids:
        file, _, function = test.partition("::")
        assert function.partition("[")[0] in functions_of(file), f"name one test of {file}"
