"""Trees that were made over a server, and the embedded environment with its rules: the task is found by what it is, and
an action stands for the same valid one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentr_tui.state.places import free_name, short_name
from engine.actors.base import Answer, Request
from engine.environment.opened import open_environment
from engine.environment.permission import by_person
from engine.search.search import Search
from engine.search.started_event import started_event
from engine.trace.trace_file import TraceWriter
from engine.tree.events import AnyEvent, Expanded, SearchSettings
from envs.agentgym.catalogue import own_folder
from envs.base import EnvError, InstanceDied, MapsActions, Unavailable, info_of, make, missing
from tests.agentr_tui.cli.test_cli import agentr
from tests.envs.test_agentgym import PlansAside
from tests.envs.test_agentgym_kinds import Reshuffled
from tests.servers.agentgym_server import Answer as Said
from tests.servers.agentgym_server import Live, Server

MISSING = missing(info_of("scienceworld"))
needs_scienceworld = pytest.mark.skipif(MISSING is not None, reason=f"scienceworld lacks {MISSING}")


TASK = "416"
"""The number, over the server, of the embedded environment's task 2."""


class Elsewhere(Live):
    """TextCraft's server with other numbers of tasks than the embedded environment has."""

    def _start(self, id: int, number: int) -> dict[str, Any]:
        return super()._start(id, number + 5)


def trace_of(path: Path, server: Server, task: str = TASK) -> Path:
    """A search over a TextCraft server, in a file."""
    settings = SearchSettings(iterations=4, max_depth=8, seed=5, error_rate=0.4)
    opened = open_environment(by_person(f"agentgym:textcraft@{server.url}?patience=3"), task)
    writer = TraceWriter(path)
    assert asyncio.run(Search.begin(started_event(opened, settings), opened, PlansAside(0.4), writer.write).run())
    writer.close()
    return path


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Path]]:
    """A server whose numbers are others, and a tree that was made over it."""
    monkeypatch.chdir(tmp_path)
    server = Server(Elsewhere().answer)
    yield server, trace_of(tmp_path / "served.trace.jsonl", server)
    server.stop()


def test_the_embedded_environment_finds_the_task_of_a_server_s_tree_by_its_first_observation(
    served: tuple[Server, Path],
) -> None:
    server, path = served
    server.stop()
    done = agentr("replay", path, "--env", "textcraft")
    assert (done.code, done.out.split(", ")[-1]) == (0, "0 differences\n"), done.out + done.err
    assert tasks_differ(path), "the number alone would do"
    done = agentr("revise", path, "--env", "textcraft", "--json")
    assert done.code == 0, done.err
    verdicts = done.json["by_verdict"]
    assert sum(verdicts.values()) > 0
    assert set(verdicts) <= {"verified", "repaired"}, verdicts


def tasks_differ(path: Path) -> bool:
    """Whether the server's task has another goal than the embedded one of that number."""
    env = make("textcraft")
    first, _ = env.reset(options={"task": TASK})
    return first not in path.read_text()


def test_a_server_with_another_task_of_that_number_is_an_error_with_exit_code_2(served: tuple[Server, Path]) -> None:
    path = served[1]
    other = Server(Live().answer)
    for command in (["replay"], ["revise", "--verifier", "value"]):
        done = agentr(command[0], path, *command[1:], "--env", f"agentgym:textcraft@{other.url}")
        assert done.code == 2, done.out + done.err
        assert f"task {TASK} of agentgym:textcraft" in done.err
        assert "is another one" in done.err
        assert "PYTHONHASHSEED=0" in done.err
        assert done.err.count("\n") == 1
    other.stop()


@pytest.mark.parametrize("name", ["webshop", "gym:tests.envs.gym_samples:KeyDoor-v0"])
def test_an_environment_of_another_kind_is_an_error_too(served: tuple[Server, Path], name: str) -> None:
    done = agentr("replay", served[1], "--env", name)
    assert done.code == 2, done.out + done.err
    assert done.err.count("\n") == 1


def test_a_server_that_lists_other_commands_is_resumed_with_a_word_on_it(tmp_path: Path) -> None:
    """TextCraft's real server does, unless it is started with PYTHONHASHSEED=0."""
    server = Server(Live().answer)
    path = trace_of(tmp_path / "a.trace.jsonl", server)
    server.answer = Reshuffled().answer
    done = agentr("replay", path, "--env", f"agentgym:textcraft@{server.url}")
    assert done.code == 0
    assert done.out.endswith("0 differences\n")
    assert "otherwise than before, with the same goal (start it with PYTHONHASHSEED=0)" in done.err
    server.stop()


def test_agentr_envs_lists_every_kind_and_names_the_file_that_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own_folder().mkdir(parents=True)
    (own_folder() / "mine.toml").write_text("summary = 3")
    done = agentr("envs", "--json")
    assert done.code == 0
    names = [row["name"] for row in done.json["environments"]]
    assert sum(name.startswith("agentgym:") for name in names) == 15
    assert "mine.toml: Expected `str`, got `int` - at `$.summary`" in done.err
    assert "agentgym:babyai" in agentr("envs").out


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ("agentgym:textcraft@http://127.0.0.1:1?timeout=3", "agentgym-textcraft-3-s0"),
        ("agentgym:maze@https://a.b/maze", "agentgym-maze-3-s0"),
        ("textcraft", "textcraft-3-s0"),
        ("webshop:DIR", "webshop-3-s0"),
        ("gym:module:ID-v0?range=0,1", "gym-3-s0"),
    ],
)
def test_the_default_name_of_a_trace_holds_the_kind_of_server(tmp_path: Path, environment: str, name: str) -> None:
    assert free_name(tmp_path, short_name(environment), "3", 0).name == f"{name}.trace.jsonl"


# -- the nearest valid action --------------------------------------------------------------------------------


class ScienceWorldServer:
    """ScienceWorld's server: the simulator of the embedded environment, one a session; it lists no valid actions."""

    def __init__(self) -> None:
        self.open: dict[int, Any] = {}

    def answer(self, method: str, path: str, body: Any) -> Said:
        """What it says."""
        match path:
            case "/":
                return 200, "This is environment ScienceWorld."
            case "/create":
                self.open[len(self.open)] = make("scienceworld")
                return 200, {"id": len(self.open) - 1}
            case "/reset":
                first, _ = self.open[body["id"]].reset(options={"task": str(body["data_idx"])})
                task, _, observation = first.partition("\n")
                return 200, {"task_description": task, "observation": observation, "score": 0, "done": False}
            case "/step":
                observation, score, done, *_ = self.open[body["id"]].step(body["action"])
                return 200, {"observation": observation, "reward": 0, "score": score, "done": done}
            case "/close":
                self.open[body["id"]].close()
                return 200, True
        return 404, {"detail": "Not Found"}


class Roughly:
    """Says what no simulator knows."""

    async def sample(self, request: Request) -> Answer:
        """At once."""
        said = ("please open the door to kitchen", "move axe to greenhouse", "look at everything", "go kitchen now")
        return Answer(f"Thought: let me see\nAction: {random.Random(request.seed).choice(said)}")


def stepped(name: str, task: str, algorithm: str) -> list[tuple[str, str]]:
    """Actions and observations of a search."""
    opened = open_environment(by_person(name), task)
    opened.instances = 1
    settings = SearchSettings(iterations=3, max_depth=3, samples=3, seed=1, algorithm=algorithm)
    events: list[AnyEvent] = []
    search = Search.begin(started_event(opened, settings), opened, Roughly(), events.append)
    asyncio.run(search.run())
    assert search.tree.failures == []
    return [
        (child.action, child.observation) for event in events if isinstance(event, Expanded) for child in event.children
    ]


@needs_scienceworld
def test_agent_r_executes_the_nearest_valid_action_over_a_server_as_in_the_embedded_environment() -> None:
    server = Server(ScienceWorldServer().answer)
    name = f"agentgym:sciworld@{server.url}"
    embedded = stepped("scienceworld", "find-plant:3", "agent-r")
    assert len(embedded) >= 6
    assert stepped(name, "3539", "agent-r") == embedded
    said = {action for action, _ in stepped(name, "3539", "uct")}
    assert "go kitchen now" in said
    assert "go to kitchen" in {action for action, _ in embedded} - said
    server.stop()


def test_where_the_embedded_one_can_t_be_asked_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class Simple(ScienceWorldServer):
        """Without a simulator."""

        def answer(self, method: str, path: str, body: Any) -> Said:
            if path == "/create":
                return 200, {"id": 0}
            return (200, {"task_description": "Do.", "observation": "Here."}) if path == "/reset" else (200, "")

    def lacks(name: str) -> Any:
        raise EnvError("environment 'scienceworld' needs scienceworld: pip install 'agentr-tui[scienceworld]'")

    server = Server(Simple().answer)
    env = make(f"agentgym:sciworld@{server.url}")
    assert isinstance(env, MapsActions)
    env.reset(options={"task": "1"})
    monkeypatch.setattr("envs.agentgym.embedded_twin.make", lacks)
    with pytest.raises(Unavailable, match=r"pip install .*, or choose another --algorithm than agent-r") as caught:
        env.executable("look")
    assert not isinstance(caught.value, InstanceDied)
    env.close()
    server.stop()
