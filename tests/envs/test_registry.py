"""What environments there are, what they lack, and those of other packages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from envs.base import EnvError, EnvironmentInfo, broken_entry_points, environments, info_of, make, missing
from tests.fixtures import own_environments

ROOT = Path(__file__).parents[2]


def info(**more: object) -> EnvironmentInfo:
    return EnvironmentInfo(name="x", summary="", load="x:make", rules="", **more)  # type: ignore[arg-type]


def test_what_is_missing_is_one_line_with_the_command_that_installs_it() -> None:
    assert missing(info()) is None
    assert missing(info(needs=("msgspec",), programs=(("sh", "apt install dash"),))) is None
    assert missing(info(needs=("msgspec", "no_such_module"))) == "no_such_module: pip install no_such_module"
    lacking = info(
        requires="extra", needs=("no_such_a", "no_such_b"), programs=(("no-such-program", "apt install it"),)
    )
    assert missing(lacking) == (
        "no_such_a, no_such_b: pip install 'agentr-tui[extra]'; no-such-program: apt install it"
    )


def test_looking_for_what_is_missing_imports_nothing_of_it() -> None:
    program = (
        "import sys\nfrom envs.base import environments, missing\n"
        "known = [missing(info) for info in environments()]\n"
        "print(len(known) > 4, sorted({'httpx2', 'textcraft', 'tantivy', 'scienceworld'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True []\n"


def test_an_unknown_environment_is_one_line_with_those_there_are() -> None:
    with pytest.raises(EnvError, match="unknown environment 'textcaft': one of agentgym, gym, recorded"):
        make("textcaft")


def test_every_environment_is_told_with_rules_and_a_range() -> None:
    for one in environments():
        assert one.summary
        assert "\n" not in one.summary
        assert "Action:" in one.rules
        assert one.score_range[0] < one.score_range[1]


PACKAGE = """
import gymnasium
from gymnasium.spaces import Text

from envs.base import EnvironmentInfo


class Echo(gymnasium.Env):
    action_space = observation_space = Text(100)

    def reset(self, *, seed=None, options=None):
        return "Say something.", {}

    def step(self, action):
        return action, 1.0, True, False, {}


def make(argument):
    return Echo()


INFO = EnvironmentInfo(name="echo", summary="says it again", load="echo_package:make", rules="Action: anything")


def give():
    return EnvironmentInfo(name="echo2", summary="says it again", load="echo_package:make", rules="Action: anything")


def broken():
    raise RuntimeError("not\\ntoday")


TAKEN = EnvironmentInfo(name="textcraft", summary="mine", load="echo_package:make", rules="")
NUMBER = 7
"""
POINTS = """[agentr_tui.envs]
echo = echo_package:INFO
echo2 = echo_package:give
broken = echo_package:broken
absent = no_such_package:INFO
taken = echo_package:TAKEN
number = echo_package:NUMBER
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with entry points, as pip would install it."""
    (tmp_path / "echo_package.py").write_text(PACKAGE)
    meta = tmp_path / "echo_package-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: echo-package\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    broken_entry_points.cache_clear()
    with own_environments():
        yield
    broken_entry_points.cache_clear()


@pytest.mark.usefixtures("installed")
def test_environments_of_other_packages_are_found_by_their_entry_points() -> None:
    env = make("echo")
    assert env.reset()[0] == "Say something."
    assert env.step("hello")[0] == "hello"
    assert {"echo", "echo2"} <= {one.name for one in environments()}


@pytest.mark.usefixtures("installed")
def test_a_broken_entry_point_is_told_and_harms_nothing() -> None:
    lines = broken_entry_points()
    assert len(lines) == 4
    text = "|".join(lines)
    for words in ("RuntimeError: not today", "no_such_package", "an environment 'textcraft' already", "'number'"):
        assert words in text
    assert all("\n" not in line for line in lines)
    assert info_of("textcraft").summary != "mine"
