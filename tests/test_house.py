"""The house shows its plan: no circle of files, no crowded room, no class that hides its size in its bases."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).parents[1]
PACKAGES = ("agentr_tui", "engine", "envs")
MOST_MODULES = 16
MOST_LINES = 430
"""Of a class, the lines of its bases in this project counted."""


def modules() -> dict[str, Path]:
    """Every module of the three packages."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports() -> nx.DiGraph:
    """Which module imports which, in functions and for types, too."""
    known, graph = modules(), nx.DiGraph()
    for name, path in known.items():
        graph.add_node(name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            targets: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module:
                targets = [f"{node.module}.{alias.name}" for alias in node.names]
                targets = [target if target in known else node.module for target in targets]
            elif isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            graph.add_edges_from((name, target) for target in targets if target in known and target != name)
    return graph


def test_no_files_import_each_other_in_a_circle() -> None:
    circles = [sorted(found) for found in nx.strongly_connected_components(imports()) if len(found) > 1]
    assert circles == []


def test_no_folder_holds_more_modules_than_a_reader_takes_in() -> None:
    rooms = Counter(path.parent for path in modules().values() if path.name != "__init__.py")
    assert {str(room): count for room, count in rooms.items() if count > MOST_MODULES} == {}


def test_no_class_is_longer_than_a_reader_takes_in_its_bases_counted() -> None:
    lines: dict[str, int] = {}
    bases: dict[str, list[str]] = {}
    for path in modules().values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                lines[node.name] = (node.end_lineno or node.lineno) - node.lineno + 1
                bases[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]

    def whole(name: str) -> int:
        return lines.get(name, 0) + sum(whole(base) for base in bases.get(name, ()) if base != name)

    assert {name: whole(name) for name in lines if whole(name) > MOST_LINES} == {}


def test_private_parts_of_other_packages_are_listed_with_the_reason() -> None:
    used = set()
    for path in modules().values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] not in PACKAGES:
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                used |= {name for name in names if "._" in name and "__future__" not in name}
    assert used == {
        "textual._ansi_sequences.ANSI_SEQUENCES_KEYS",
        "textual._compositor.Compositor",
        "textual._compositor.CompositorMap",
        "textual._compositor.ReflowResult",
        "textual._styles_cache.StylesCache",
        "textual._xterm_parser.XTermParser",
        "textual.keys._character_to_key",
        "textual.widgets._toast.ToastRack",
    }
    listed = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in listed for name in used)


def test_an_id_in_the_styles_of_the_app_belongs_to_one_module() -> None:
    """A rule for `#plots` of one screen would also hold for a `#plots` of another."""
    styles = (ROOT / "agentr_tui" / "app" / "agentr.tcss").read_text(encoding="utf-8")
    selectors = [each for rule in re.findall(r"([^{}]+)\{", styles) for each in rule.split(",")]
    of_any_screen = [each for each in selectors if not re.search(r"\b[A-Z]\w+Screen\b", each)]
    named = {id for each in of_any_screen for id in re.findall(r"#([a-z][\w-]*)", each)}
    owners: dict[str, set[str]] = {}
    for path in (ROOT / "agentr_tui").rglob("*.py"):
        for id in re.findall(r'\bid="([a-z][\w-]*)"', path.read_text(encoding="utf-8")):
            owners.setdefault(id, set()).add(path.name)
    assert {id: modules for id, modules in owners.items() if id in named and len(modules) > 1} == {}


def test_everything_public_says_what_it_is() -> None:
    silent = []

    def look(body: list[ast.stmt], place: str) -> None:
        for node in body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            marks = [ast.unparse(mark) for mark in node.decorator_list]
            if not ast.get_docstring(node) and not any("overload" in mark or ".setter" in mark for mark in marks):
                silent.append(f"{place}.{node.name}")
            if isinstance(node, ast.ClassDef):
                look(node.body, f"{place}.{node.name}")

    for name, path in modules().items():
        look(ast.parse(path.read_text(encoding="utf-8")).body, name)
    assert silent == []
