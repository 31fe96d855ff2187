"""The README and docs/ name files and modules that are there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError, MissingArgumentError

from agentr_tui.cli.application import build

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
FOLDERS = "agentr_tui|docs|engine|envs|sample_trees|tests"
PATH = re.compile(rf"`((?:{FOLDERS})/[\w/.]+)`")
BLOCK = re.compile(r"```(?:sh|console)[^\n]*\n(.*?)```", re.S)
INLINE = re.compile(r"`(agentr [^`]+)`")
MODULE = re.compile(r"`((?:agentr_tui|engine|envs)(?:\.\w+)+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_paths_and_modules_of_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    lacking = [link for link in LINK.findall(text) if "://" not in link and not (page.parent / link).exists()]
    lacking += [path for path in PATH.findall(text) if not (ROOT / path).exists()]
    for module in MODULE.findall(text):
        place = ROOT / module.replace(".", "/")  # a module, or a name in one
        if not any(each.exists() for each in (place, place.with_suffix(".py"), place.parent.with_suffix(".py"))):
            lacking += [module] if not place.parent.is_dir() else []
    assert lacking == []


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command of the README and docs/ that is written out, with its page."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        written = [
            line.strip().removeprefix("$ ")
            for block in BLOCK.findall(text)
            for line in block.replace("\\\n", " ").splitlines()
        ]
        for command in [*written, *INLINE.findall(text)]:
            words = command.split("#")[0].split(" | ")[0].split(" > ")[0].split("&&")[0]
            if words.startswith("agentr ") and not re.search(r"[…|\[{]|(?:^| )[A-Z]", words):
                yield page.name, shlex.split(words)[1:]


def test_every_command_of_the_docs_is_one_that_the_command_line_takes() -> None:
    app, told = build([]), list(commands())
    refused = []
    for page, words in told:
        try:
            app.parse_args(words, exit_on_error=False, print_error=False)
        except MissingArgumentError:  # the name of a command, or a part of one
            continue
        except CycloptsError as error:
            refused.append((page, words, str(error)))
    assert len(told) > 50
    assert refused == []


def test_modules_and_targets_that_the_docs_run_can_be_run() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    modules = set(re.findall(r"python3? -m ((?:engine|envs|agentr_tui|tests)[\w.]*)", text))
    targets = set(re.findall(r"(?:`|^)make ([\w-]+)", text, re.M))
    made = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    idle = []
    for module in modules:
        file = (ROOT / module.replace(".", "/")).with_suffix(".py")
        idle += [] if file.exists() and '__name__ == "__main__"' in file.read_text(encoding="utf-8") else [module]
    assert len(modules) > 10
    assert idle == []
    assert targets - made == set()
