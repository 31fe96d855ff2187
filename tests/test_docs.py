"""The README and docs/ name files and modules that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
FOLDERS = "agentr_tui|docs|engine|envs|sample_trees|tests"
PATH = re.compile(rf"`((?:{FOLDERS})/[\w/.]+)`")
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
