"""A public function with three parameters or more says in its docstring what each is, by its name in backticks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from agentr_tui.cli.application import COMMANDS
from tests.test_house import modules

MANY = 3
OF_COMMANDS = {target.replace(":", ".") for target in COMMANDS.values()}
"""Their parameters are options, which `--help` explains (`tests/agentr_tui/cli/test_help.py`)."""

OF_TEXTUAL = {
    "agentr_tui.app.app.AgentrApp.exit",
    "agentr_tui.app.app.AgentrApp.notify",
    "agentr_tui.widgets.chips.Chips.get_content_height",
    "agentr_tui.widgets.partial_repaint.Frugal.refresh",
    "agentr_tui.widgets.partial_repaint.FrugalScrollBar.refresh",
}
"""Methods in place of Textual's own, which explains their parameters."""


class Function(NamedTuple):
    """A public function of a module, or a method of a class."""

    place: str
    name: str
    parameters: tuple[str, ...]
    docstring: str
    is_method: bool

    def unnamed(self) -> list[str]:
        """The parameters that the docstring does not name."""
        return [name for name in self.parameters if f"`{name}`" not in self.docstring]


def functions(body: list[ast.stmt], place: str, *, is_method: bool = False) -> Iterator[Function]:
    """Every public function and method; not those inside of functions."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from functions(node.body, f"{place}.{node.name}", is_method=True)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            given = node.args
            names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
            bound = is_method and "staticmethod" not in map(ast.unparse, node.decorator_list)
            told = ast.get_docstring(node) or ""
            yield Function(f"{place}.{node.name}", node.name, tuple(names[bound:]), told, is_method)


def test_a_function_of_three_parameters_says_what_each_is() -> None:
    found = [
        function
        for module, path in modules().items()
        for function in functions(ast.parse(path.read_text(encoding="utf-8")).body, module)
        if len(function.parameters) >= MANY
    ]
    # of methods with one name and the same parameters, as a protocol and its classes have, one explains them
    told = {(each.name, each.parameters) for each in found if each.is_method and not each.unnamed()}
    silent = {
        each.place: each.unnamed()
        for each in found
        if each.unnamed()
        and each.place not in OF_COMMANDS | OF_TEXTUAL
        and not (each.is_method and (each.name, each.parameters) in told)
    }
    assert len(found) > 400
    assert silent == {}
