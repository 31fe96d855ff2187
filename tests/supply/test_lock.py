"""The lock file, the licences and the list of parts are what pyproject and the docs say."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
APART = {"ray", "local"}
"""Extras that the tests do not install: their lines are not in the lock file."""


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def name_of(requirement: Requirement) -> str:
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def test_the_lock_file_holds_a_fitting_version_of_everything_that_is_asked_for() -> None:
    extras = [line for name, lines in PROJECT["optional-dependencies"].items() if name not in APART for line in lines]
    asked = [Requirement(line) for line in (*PROJECT["dependencies"], *extras)]
    versions = locked() | {"agentr-tui": PROJECT["version"]}
    wrong = [
        str(each) for each in asked if not each.specifier.contains(versions.get(name_of(each), "0"), prereleases=True)
    ]
    assert wrong == [], "make lock"


def test_the_licences_that_the_package_names_are_there() -> None:
    for file in PROJECT["license-files"]:
        assert (ROOT / file).read_text(encoding="utf-8").strip()
    assert "MIT License" in (ROOT / "envs/textcraft/data/LICENSE").read_text(encoding="utf-8")


def test_a_release_is_checked_for_known_vulnerabilities_and_lists_its_parts() -> None:
    release = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
    steps = "\n".join(step.get("run", "") for step in release["jobs"]["release"]["steps"])
    documented = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    for command in ("pip-audit -r requirements.lock --no-deps", "cyclonedx-py"):
        assert command in steps
        assert command in documented
    assert "requirements.lock" in (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
