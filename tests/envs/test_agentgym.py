"""AgentGym's servers: the recorded exchanges, whole searches over HTTP, and the ways in which a server goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gymnasium.utils.env_checker import check_env

from engine.actors.base import Answer, Request
from engine.actors.scripted import ScriptedActor
from engine.environment.opened import open_environment
from engine.environment.permission import by_person
from engine.search.search import Search
from engine.search.started_event import started_event
from engine.trace.diff import compare
from engine.tree.events import AnyEvent, Ended, Expanded, SearchSettings, Started
from engine.tree.tree import SearchTree
from envs import base
from envs.agentgym.env import MAX_SESSIONS_LOST, AgentGym
from envs.base import EnvError, InstanceDied, TextEnv, UnknownTask, info_of, make
from envs.recorded import sent_action
from envs.textcraft.env import TextCraft
from tests.fixtures import SHARED, needs_fixtures, read_json
from tests.servers.agentgym_server import Live, Recorded, Server

RECORDED = SHARED / "agentgym"
QUICK = "?patience=10&timeout=5"
TASK = "2"


@pytest.fixture
def live() -> Iterator[tuple[Live, Server]]:
    """TextCraft, served."""
    state = Live()
    server = Server(state.answer)
    yield state, server
    server.stop()


def start(server: Server, task: str = TASK, options: str = QUICK) -> AgentGym:
    env = make(f"agentgym:textcraft@{server.url}{options}")
    assert isinstance(env, AgentGym)
    env.reset(options={"task": task})
    return env


def one_line(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text
    assert len(text) < 600
    return text


def restarted(server: Server, after: float = 0.0) -> Callable[[], tuple[Live, Server]]:
    """Stop a server; another one listens at its place some seconds later. Returns how to wait for it."""
    server.stop()
    made: list[tuple[Live, Server]] = []

    def again() -> None:
        time.sleep(after)
        state = Live()
        made.append((state, Server(state.answer, server.port)))

    thread = threading.Thread(target=again)
    thread.start()

    def wait() -> tuple[Live, Server]:
        thread.join()
        return made[0]

    return wait


# -- the recorded exchanges ------------------------------------------------------------------------------


def exchanges(kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_json(RECORDED / f"{kind}.json")
    return found


def recorded_walk(kind: str) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    """The task of the first good reset of a recording, and the steps up to what ends that session's episode."""
    task, steps, session = "", [], None
    for exchange in exchanges(kind):
        request, reply = exchange["request"], exchange["response"]
        if exchange["path"] == "/reset":
            if task:
                break
            task = str(request.get("data_idx", request.get("session_id")))
            session = request.get("id", request.get("env_idx"))
        elif exchange["path"] == "/step" and request.get("id", request.get("env_idx")) == session:
            if sent_action(kind, request["action"]) == request["action"]:  # as its client sends it
                steps.append((request["action"], reply))
            if reply.get("done"):
                break
    return task, steps


@needs_fixtures
@pytest.mark.parametrize("kind", ["textcraft", "sciworld", "webshop"])
def test_every_recorded_step_is_answered_as_recorded(kind: str) -> None:
    recording = Recorded(exchanges(kind))
    server = Server(recording.answer)
    env = make(f"agentgym:{kind}@{server.url}")
    task, steps = recorded_walk(kind)
    assert len(steps) >= 4
    first, info = env.reset(options={"task": task})
    assert info == {"environment": f"agentgym:{kind}@{server.url}", "task": task}
    resets = [exchange["response"] for exchange in exchanges(kind) if exchange["path"] == "/reset"]
    match kind:
        case "textcraft":
            assert first == resets[0]["observation"]
        case "sciworld":
            assert first == f"{resets[0]['task_description']}\n{resets[0]['observation']}"
        case _:
            assert first == resets[0][0]
    for action, reply in steps:
        observation, score, done, truncated, _ = env.step(action)
        assert observation == reply.get("observation", reply.get("state"))
        assert score == reply.get("score", reply["reward"])
        assert (done, truncated) == (reply["done"], False)
    env.close()
    assert set(recording.asked) <= set(recording.keys)  # nothing but what the protocol knows
    assert any(key.startswith("POST /close") for key in recording.asked) == (kind != "webshop")
    server.stop()


@needs_fixtures
def test_a_fatal_focus_is_a_score_of_minus_100_and_the_end() -> None:
    server = Server(Recorded(exchanges("sciworld")).answer)
    env = make(f"agentgym:sciworld@{server.url}")
    task, steps = recorded_walk("sciworld")
    env.reset(options={"task": task})
    replies = [env.step(action) for action, _ in steps]
    assert replies[-1][:3] == ("You focus on the air.", -100, True)
    assert [reply[1] for reply in replies[:-1]] == [0] * (len(steps) - 1)
    with pytest.raises(EnvError, match="has finished"):
        env.step("inventory")
    server.stop()


@needs_fixtures
@pytest.mark.parametrize(("kind", "task"), [("sciworld", "999999"), ("webshop", "999999")])
def test_a_task_that_the_recorded_server_does_not_have_is_one_line(kind: str, task: str) -> None:
    recorded = exchanges(kind)
    id_of_bad = next(e["request"] for e in recorded if e["path"] == "/reset" and 999999 in e["request"].values())
    server = Server(Recorded(recorded).answer)
    env = make(f"agentgym:{kind}@{server.url}")
    with pytest.raises(UnknownTask) as caught:
        env.reset(options={"task": task})
    assert "no task 999999" in one_line(caught.value)
    assert id_of_bad
    env.close()
    server.stop()


@needs_fixtures
def test_the_loopback_server_answers_bad_requests_as_the_recorded_one() -> None:
    """It is no worse a server than the real one: same status, same words."""
    live = Live()
    for id in range(9):
        live.answer("POST", "/create", {})
        assert id in live.open
    checked = 0
    for exchange in exchanges("textcraft"):
        request, path, said = exchange["request"], exchange["path"], exchange["response"]
        bad = exchange["status"] == 422 or (isinstance(said, dict) and "error" in said) or isinstance(said, bool)
        if not bad or exchange["method"] == "GET":
            continue
        status, reply = live.answer(exchange["method"], path, request)
        assert status == exchange["status"]
        if status == 200:
            assert reply == said
        checked += 1
    assert checked >= 7


# -- a whole search over HTTP ------------------------------------------------------------------------------


class PlansAside:
    """The scripted actor for an environment without a plan: it plans in an embedded one, brought where the
    conversation says. So whatever the server answers decides what is tried."""

    def __init__(self, error_rate: float) -> None:
        self._scripted = ScriptedActor(error_rate)
        self.before: Callable[[int], None] = lambda draw: None
        self.draws = 0

    async def sample(self, request: Request) -> Answer:
        """An answer that depends on the seed and the conversation alone."""
        self.before(self.draws)
        self.draws += 1
        messages = request.conversation()
        env = TextCraft()
        env.reset(options={"observation": messages[3].content})
        for message in messages[4:]:
            if message.role == "assistant":
                env.step(message.content.rpartition("Action:")[2])

        async def aside(ask: Callable[[TextEnv], Any]) -> Any:
            return ask(env)

        return await self._scripted.sample(msgspec.structs.replace(request, environment=aside))


def grown(name: str, before: Callable[[int], None] | None = None) -> list[AnyEvent]:
    """The events of a search."""
    settings = SearchSettings(iterations=4, max_depth=8, seed=5, error_rate=0.4)
    opened = open_environment(by_person(name), TASK)
    actor = PlansAside(0.4)
    if before is not None:
        actor.before = before
    events: list[AnyEvent] = []
    search = Search.begin(started_event(opened, settings), opened, actor, events.append)
    assert asyncio.run(search.run()) in ("iterations", "exhausted")
    assert search.tree.failures == []
    assert any(node.reward == 1 for node in search.tree.nodes)
    assert any(node.terminal == "depth" and node.reward == 0 for node in search.tree.nodes)
    return events


def comparable(events: list[AnyEvent]) -> list[AnyEvent]:
    """Without what an embedded environment tells beyond a served one: its name, and keys of states."""
    found: list[AnyEvent] = []
    for event in events:
        if isinstance(event, Started):
            event = msgspec.structs.replace(event, environment="textcraft")
        elif isinstance(event, Expanded):
            children = [msgspec.structs.replace(child, state_key=None) for child in event.children]
            event = msgspec.structs.replace(event, children=children)
        found.append(event)
    return found


@pytest.fixture(scope="module")
def embedded() -> list[AnyEvent]:
    """The search in the embedded environment."""
    return comparable(grown("textcraft"))


@pytest.mark.parametrize("keep_alive", [True, False])
def test_a_search_over_http_is_the_search_of_the_embedded_environment(
    embedded: list[AnyEvent], keep_alive: bool
) -> None:
    state = Live()
    server = Server(state.answer, keep_alive=keep_alive)
    events = grown(f"agentgym:textcraft@{server.url}")
    assert isinstance(events[0], Started)
    assert events[0].environment == f"agentgym:textcraft@{server.url}"
    assert compare(comparable(events), embedded) == []
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert server.count("POST /step") == ended.totals["steps"]
    if keep_alive:
        assert len(server.connections) <= state.created  # one connection an instance, whatever is asked
    assert state.open == {}  # all sessions are closed
    assert server.count("POST /close") == state.created
    server.stop()


def test_the_comparison_of_searches_can_fail(embedded: list[AnyEvent]) -> None:
    state = Live()

    def lies(method: str, path: str, body: Any) -> Any:
        status, said = state.answer(method, path, body)
        if path == "/step" and said["observation"].startswith("Got "):
            said = said | {"observation": "Got nothing"}
        return status, said

    server = Server(lies)
    events = comparable(grown(f"agentgym:textcraft@{server.url}"))
    assert compare(events, embedded)
    server.stop()


def serve(port: int) -> tuple[subprocess.Popen[str], int]:
    """The server in a process of its own, which can be killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.agentgym_server", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def test_a_server_that_is_killed_and_started_again_in_the_middle_changes_nothing(embedded: list[AnyEvent]) -> None:
    process, port = serve(0)
    processes = [process]

    def kill(draw: int) -> None:
        if draw in (9, 30):
            os.kill(processes[-1].pid, signal.SIGKILL)
            processes[-1].wait()
            if draw == 9:
                processes.append(serve(port)[0])  # back before anyone asks: all its sessions are unknown
            else:
                threading.Timer(0.4, lambda: processes.append(serve(port)[0])).start()  # gone for a while

    try:
        events = grown(f"agentgym:textcraft@http://127.0.0.1:{port}", kill)
    finally:
        for one in processes:
            one.kill()
            one.wait()
            assert one.stdout is not None
            one.stdout.close()
    assert len(processes) == 3
    assert compare(comparable(events), embedded) == []


# -- outages, at one environment ---------------------------------------------------------------------------


def test_a_lost_session_is_made_again_and_the_actions_are_repeated(live: tuple[Live, Server]) -> None:
    env = start(live[1])
    env.step("get 3 oak logs")
    env.step("get 2 oak logs")
    wait = restarted(live[1], after=0.3)
    observation, *_, info = env.step("inventory")
    assert observation == "Inventory: [oak logs] (5) "
    assert info["repeated"] == 2
    state, server = wait()
    assert [server.count(f"POST {path}") for path in ("/create", "/reset", "/step")] == [1, 1, 3]
    env.close()
    assert state.open == {}
    server.stop()


def test_a_session_number_that_somebody_else_got_after_a_restart_is_left_alone(live: tuple[Live, Server]) -> None:
    env = start(live[1])
    env.step("get 3 oak logs")
    state, server = restarted(live[1])()
    foreign = state.answer("POST", "/create", {})[1]["id"]  # another program was quicker
    assert foreign == 0
    state.answer("POST", "/reset", {"id": foreign, "data_idx": 7})
    assert env.step("inventory")[0] == "Inventory: [oak logs] (3) "
    assert state.answer("POST", "/step", {"id": foreign, "action": "inventory"})[1]["observation"].endswith("anything.")
    env.close()
    assert list(state.open) == [foreign]
    server.stop()


def test_instances_of_one_program_never_take_each_others_session_after_a_restart(live: tuple[Live, Server]) -> None:
    envs = [start(live[1]) for _ in range(3)]
    for number, env in enumerate(envs, 1):
        env.step(f"get {number} oak logs")
    for env in envs:  # all stand at the same task and have heard the same: the server's word can't tell them apart
        env.reset(options={"task": TASK})
    state, server = restarted(live[1])()
    for number, env in reversed(list(enumerate(envs, 1))):
        env.step(f"get {number} oak logs")
    seen = [env.step("inventory")[0] for env in envs]
    assert seen == [f"Inventory: [oak logs] ({number}) " for number in (1, 2, 3)]
    assert len(state.open) == 3
    for env in envs:
        env.close()
    assert state.open == {}
    server.stop()


def test_an_idle_connection_that_the_server_breaks_off_costs_one_question(live: tuple[Live, Server]) -> None:
    state, server = live
    env = start(server)
    env.step("get 3 oak logs")
    server.hang_up()
    server.log.clear()
    *_, info = env.step("inventory")
    assert server.log == ["GET /observation?id=0", "POST /step"]
    assert (info["repeated"], state.created) == (0, 1)


def test_a_connection_that_breaks_in_a_step_never_makes_it_twice(live: tuple[Live, Server]) -> None:
    state, server = live
    env = start(server)
    env.step("get 3 oak logs")
    broken: list[str] = []

    def breaks(method: str, path: str, body: Any) -> Any:
        answer = state.answer(method, path, body)
        if path == "/step" and body["action"].startswith("get 2") and not broken:
            broken.append(path)
            return 200, None  # the step was made, but nobody hears of it
        return answer

    server.answer = breaks
    assert env.step("get 2 oak logs")[0] == "Got 2 oak logs"
    assert broken
    assert len(state.open) == 1  # the session in doubt was ended
    assert env.step("inventory")[0] == "Inventory: [oak logs] (5) "
    env.close()
    assert state.open == {}


def test_a_server_that_came_back_with_another_task_ends_the_walk(live: tuple[Live, Server]) -> None:
    state, server = live
    env = start(server)
    env.step("get 3 oak logs")
    other = Live()

    def shuffled(method: str, path: str, body: Any) -> Any:
        return other.answer(method, path, {**body, "data_idx": 9} if path == "/reset" else body)

    server.answer = shuffled
    with pytest.raises(EnvError, match="came back with another task 2") as caught:
        env.step("inventory")
    one_line(caught.value)
    first, _ = env.reset(options={"task": TASK})  # a search refuses it there
    with pytest.raises(UnknownTask, match="another one"):
        env.reset(options={"task": TASK, "observation": first.replace("Goal: craft ", "Goal: craft more ")})
    env.close()
    assert state.open  # of the first server, which forgot nothing and was never told


def test_a_server_that_answers_otherwise_after_a_restart_is_found_out(live: tuple[Live, Server]) -> None:
    _, server = live
    env = start(server)
    env.step("get 3 oak logs")
    other = Live()

    def drifts(method: str, path: str, body: Any) -> Any:
        status, said = other.answer(method, path, body)
        return status, said | {"observation": "Got lost"} if path == "/step" else said

    server.answer = drifts
    with pytest.raises(EnvError, match=r"answers step 1 .* otherwise: 'Got lost'"):
        env.step("inventory")


def test_patience_ends_and_is_spent_once_for_all(live: tuple[Live, Server]) -> None:
    env = start(live[1], options="?patience=0.5")
    env.step("get 3 oak logs")
    live[1].stop()
    began = time.monotonic()
    with pytest.raises(InstanceDied, match=r"no server is listening there; waited 0.5 s") as caught:
        env.step("inventory")
    one_line(caught.value)
    assert 0.4 < time.monotonic() - began < 3
    began = time.monotonic()
    for _ in range(5):
        with pytest.raises(InstanceDied):
            env.step("inventory")
    assert time.monotonic() - began < 2, "it waited again"
    state = Live()
    server = Server(state.answer, live[1].port)
    assert env.step("inventory")[0] == "Inventory: [oak logs] (3) "  # and still it goes on, once it is back
    server.stop()


def test_a_server_that_dies_of_an_action_is_not_asked_for_ever(live: tuple[Live, Server]) -> None:
    state, server = live
    env = start(server)

    def fragile(method: str, path: str, body: Any) -> Any:
        return (200, None) if path == "/step" and body["action"] == "inventory" else state.answer(method, path, body)

    server.answer = fragile
    with pytest.raises(InstanceDied, match="3 times in a row"):
        env.step("inventory")
    assert server.count("POST /step") == MAX_SESSIONS_LOST + 1
    assert env.step("get 1 oak logs")[0] == "Got 1 oak logs"
    env.close()
    assert state.open == {}


# -- what a server may say ---------------------------------------------------------------------------------


def test_no_server_at_all_is_one_line_at_once() -> None:
    began = time.monotonic()
    env = make("agentgym:textcraft@http://127.0.0.1:9")
    with pytest.raises(InstanceDied, match="no server is listening there: is the server running") as caught:
        env.reset(options={"task": "0"})
    assert "http://127.0.0.1:9" in one_line(caught.value)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (422, {"detail": [{"type": "missing", "loc": ["body", "action"]}]}, "HTTP 422"),
        (200, {"error": "something\nbroke \x1b[31m"}, r"says: something broke \\x1b\[31m"),
        (500, b"Internal Server Error", "HTTP 500"),
        (200, b"<html>hello</html>", "answers what no textcraft server does"),
        (200, b"", "answers what no textcraft server does"),
        (200, b"[" * 100_000, "answers what no textcraft server does"),
        (200, {"observation": 7, "reward": 0, "done": False}, "answers what no textcraft server does"),
        (200, {"observation": "x", "reward": "much", "done": False}, "answers what no textcraft server does"),
        (200, b'{"observation": "x", "reward": NaN, "done": false}', "answers what no textcraft server does"),
        (200, b'{"observation": "\\ud800", "reward": 0, "done": false}', "answers what no textcraft server does"),
        (200, b'{"observation": "\xff", "reward": 0, "done": false}', "answers what no textcraft server does"),
        (200, {"state": "x", "reward": 0, "done": False}, "answers what no textcraft server does"),
        (302, b"", "HTTP 302"),
        (404, {"detail": "Not Found"}, "HTTP 404"),
    ],
)
def test_a_bad_reply_to_a_step_is_one_line_and_the_walk_goes_on(
    live: tuple[Live, Server], status: int, said: Any, words: str
) -> None:
    state, server = live
    env = start(server)
    env.step("get 3 oak logs")

    def bad(method: str, path: str, body: Any) -> Any:
        answer = state.answer(method, path, body)
        return (status, said) if path == "/step" and body["action"] == "get 2 oak logs" else answer

    server.answer = bad
    with pytest.raises(EnvError, match=words) as caught:
        env.step("get 2 oak logs")
    assert not isinstance(caught.value, InstanceDied)
    assert server.url in one_line(caught.value)
    # What the server did of the step that failed is undone: the walk so far is what counts.
    assert env.step("inventory")[0] == "Inventory: [oak logs] (3) "
    env.close()
    assert state.open == {}


def test_an_internal_error_that_another_session_does_not_have_goes_unnoticed(live: tuple[Live, Server]) -> None:
    state, server = live
    env = start(server)
    env.step("get 3 oak logs")

    def once(method: str, path: str, body: Any) -> Any:
        if path == "/step" and body["id"] == 0:
            return 500, b"Internal Server Error"  # as WebShop's server says of a session that it does not know
        return state.answer(method, path, body)

    server.answer = once
    assert env.step("inventory")[0] == "Inventory: [oak logs] (3) "


def test_a_reply_that_takes_too_long_is_given_up_in_time(live: tuple[Live, Server]) -> None:
    state, server = live
    env = start(server, options="?timeout=0.3&patience=1")

    def slow(method: str, path: str, body: Any) -> Any:
        if path == "/step":
            time.sleep(1)
        return state.answer(method, path, body)

    server.answer = slow
    began = time.monotonic()
    with pytest.raises(InstanceDied, match=r"did not answer within 0\.3 s") as caught:
        env.step("inventory")
    one_line(caught.value)
    assert time.monotonic() - began < 5
    server.answer = state.answer
    assert env.step("inventory")[0].startswith("Inventory")


def test_a_reply_in_drops_is_given_up_in_time() -> None:
    """The limit is of the whole reply, not of each piece."""

    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
                while True:
                    connection.sendall(b" ")
                    time.sleep(0.05)
            except OSError:
                connection.close()

    threading.Thread(target=drip, daemon=True).start()
    env = make(f"agentgym:textcraft@http://127.0.0.1:{listener.getsockname()[1]}?timeout=0.4&patience=0")
    began = time.monotonic()
    with pytest.raises(InstanceDied, match=r"did not answer within 0.4 s"):
        env.reset(options={"task": "0"})
    assert time.monotonic() - began < 3
    listener.close()


def test_a_reply_of_any_size_is_not_read_to_its_end(live: tuple[Live, Server]) -> None:
    state, server = live
    env = start(server)
    server.answer = lambda method, path, body: (
        (200, b'"' + b"x" * (17 * 2**20) + b'"') if path == "/step" else state.answer(method, path, body)
    )
    with pytest.raises(EnvError, match="more than 16 MiB"):
        env.step("inventory")


@pytest.mark.parametrize("coding", ["gzip, gzip", "zstd", "br"])
def test_a_reply_that_is_packed_without_a_bound_is_not_read(coding: str) -> None:
    reply = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    connection.recv(1 << 16)
                    connection.sendall(reply.encode())
                    connection.close()

        threading.Thread(target=answer, daemon=True).start()
        env = make(f"agentgym:textcraft@http://127.0.0.1:{listener.getsockname()[1]}?patience=0")
        with pytest.raises(EnvError, match=f"packs its reply as '{coding}'"):
            env.reset(options={"task": "0"})


def test_the_wrong_kind_of_server_is_named(live: tuple[Live, Server]) -> None:
    env = make(f"agentgym:sciworld@{live[1].url}")
    with pytest.raises(EnvError, match="is a server of textcraft: agentgym:textcraft@URL"):
        env.reset(options={"task": "0"})
    assert live[0].created == 0


def test_an_instance_that_is_told_what_it_expects_by_the_session_of_another_takes_one_of_its_own(
    live: tuple[Live, Server],
) -> None:
    first, second = start(live[1]), start(live[1])  # sessions 0 and 1, which have heard the same
    state, server = restarted(live[1])()
    asked, released = threading.Event(), threading.Event()

    def held_up(method: str, path: str, body: Any) -> Any:
        if path == "/observation?id=0":
            asked.set()
            assert released.wait(10)
        return state.answer(method, path, body)

    server.answer = held_up
    with ThreadPoolExecutor(1) as thread:
        stepped = thread.submit(first.step, "get 1 oak logs")
        assert asked.wait(10)
        second.reset(options={"task": TASK})  # is told that there is no session 1, and gets number 0
        released.set()
        assert stepped.result()[0] == "Got 1 oak logs"
    assert second.step("inventory")[0] == "Inventory: You are not carrying anything."
    assert len(state.open) == 2
    server.stop()


def test_a_session_number_that_is_given_again_tells_of_a_restart(live: tuple[Live, Server]) -> None:
    server, after = live[1], Live()
    first, second = start(server), start(server)  # sessions 0 and 1, which have heard the same

    def restarts(method: str, path: str, body: Any) -> Any:
        server.answer = after.answer
        server.hang_up()

    server.answer = lambda method, path, body: restarts(method, path, body) or (0, None)
    assert second.step("get 2 oak logs")[0] == "Got 2 oak logs"  # the connection breaks, and it gets number 0
    assert first.step("get 1 oak logs")[0] == "Got 1 oak logs"
    assert second.step("inventory")[0] == "Inventory: [oak logs] (2) "
    assert len(after.open) == 2


class Says:
    """Another answer for every draw."""

    async def sample(self, request: Request) -> Answer:
        """At once."""
        return Answer(f"Action: get {request.draw + 1} oak logs")


def test_a_search_that_is_stopped_does_not_wait_for_a_server_that_takes_its_time(live: tuple[Live, Server]) -> None:
    state, server = live
    asked, released = threading.Event(), threading.Event()

    def silent(method: str, path: str, body: Any) -> Any:
        if path == "/step":
            asked.set()
            released.wait(60)
        return state.answer(method, path, body)

    server.answer = silent
    name = f"agentgym:textcraft@{server.url}"
    opened = open_environment(by_person(name), TASK)
    events: list[AnyEvent] = []
    settings = SearchSettings(iterations=1, max_depth=1)
    search = Search.begin(started_event(opened, settings), opened, Says(), events.append)
    reasons: list[str] = []
    thread = threading.Thread(target=lambda: reasons.append(asyncio.run(search.run())))
    thread.start()
    assert asked.wait(10)
    search.control.stop("interrupted")
    thread.join(20)
    assert reasons == ["interrupted"]
    kinds = [type(event).__name__ for event in events]
    assert kinds == ["Started", "Selected", *["Sampled"] * 4, "Ended"]
    assert state.open == {}
    released.set()
    server.answer = state.answer
    resumed = Search(SearchTree(events), open_environment(by_person(name), TASK), Says(), events.append)
    assert asyncio.run(resumed.run()) == "iterations"
    expanded = next(event for event in events if isinstance(event, Expanded))
    assert [child.action for child in expanded.children] == [f"get {n} oak logs" for n in (1, 2, 3, 4)]


# -- sessions are ended ------------------------------------------------------------------------------------


def test_sessions_end_when_an_environment_is_closed_collected_or_its_program_exits(live: tuple[Live, Server]) -> None:
    state, server = live
    env = start(server)
    env.close()
    env.close()
    assert (state.created, state.open) == (1, {})
    with pytest.raises(InstanceDied, match="was closed"):
        env.reset(options={"task": "0"})
    env = start(server)
    assert len(state.open) == 1
    del env
    gc.collect()
    assert (state.created, state.open) == (2, {})
    program = (
        "from envs.base import make\n"
        f"env = make('agentgym:textcraft@{server.url}')\n"
        "env.reset(options={'task': '3'})\n"
        "raise SystemExit(3)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True)
    assert (done.returncode, done.stderr) == (3, b"")
    assert (state.created, state.open) == (3, {})
    assert server.count("POST /close") == 3


def test_closing_where_the_server_is_gone_takes_no_time_and_says_nothing(live: tuple[Live, Server]) -> None:
    env = start(live[1])
    live[1].stop()
    began = time.monotonic()
    env.close()
    assert time.monotonic() - began < 2.5


# -- names, tasks, the contract ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("agentgym", "agentgym has no ''"),
        ("agentgym:alfwrold@http://127.0.0.1:1", "agentgym has no 'alfwrold': one of academia, alfworld, babyai"),
        ("agentgym:alfwrold@http://127.0.0.1:1", "adds one (docs/environments.md)"),
        ("agentgym:textcraft", "write agentgym:textcraft@http://127.0.0.1:36001"),
        ("agentgym:textcraft@", "write agentgym:textcraft@http"),
        ("agentgym:textcraft@127.0.0.1:36001", "write agentgym:textcraft@http"),
        ("agentgym:textcraft@ftp://127.0.0.1", "write agentgym:textcraft@http"),
        ("agentgym:textcraft@http://127.0.0.1:99999", "is not an address"),
        ("agentgym:textcraft@http://me:secret@127.0.0.1:1", "no user, password"),
        ("agentgym:textcraft@http://127.0.0.1:1?timeout=soon", "only timeout and patience"),
        ("agentgym:textcraft@http://127.0.0.1:1?timeout=0", "only timeout and patience"),
        ("agentgym:textcraft@http://127.0.0.1:1?patience=inf", "only timeout and patience"),
        ("agentgym:textcraft@http://a b:1", "is not an address"),
        ("agentgym:textcraft@http://[::1", "is not an address"),
    ],
)
def test_a_bad_address_is_one_line(name: str, words: str) -> None:
    with pytest.raises(EnvError) as caught:
        make(name)
    assert words in one_line(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("task", ["-1", "1.5", "two", "", "٣", "9" * 30])
def test_a_task_that_is_no_number_is_one_line(live: tuple[Live, Server], task: str) -> None:
    env = make(f"agentgym:textcraft@{live[1].url}")
    with pytest.raises(UnknownTask) as caught:
        env.reset(options={"task": task})
    one_line(caught.value)
    assert live[1].log == []


@pytest.mark.parametrize("action", ["", " ", "\x00\x1b[2J", "\ud800", "get 1 oak logs\n" * 70_000, "Got 1 ☃"])
def test_any_action_is_answered(live: tuple[Live, Server], action: str) -> None:
    env = start(live[1])
    observation, score, done, *_ = env.step(action)
    assert (score, done) == (0, False)
    assert observation.startswith(("Could not execute", "Could not find"))


def test_actions_are_sent_as_the_original_client_sends_them() -> None:
    sent: list[str] = []

    def shop(method: str, path: str, body: Any) -> Any:
        """A server that is a WebShop one, or a TextCraft one, as it is asked."""
        if path == "/step":
            sent.append(body["action"])
            return 200, {"observation": "x", "state": "x", "reward": 0, "done": False}
        if path == "/reset":
            return 200, ["x", None] if "env_idx" in body else {"observation": "x"}
        return 200, (1 if body is None else {"id": 1}) if path == "/create" else ""

    server = Server(shop)
    actions = ["Action:  get 1, oak_logs!", "search[☃ \ud800 \x1b]\n", ""]
    for kind in ("textcraft", "webshop"):
        env = make(f"agentgym:{kind}@{server.url}")
        env.reset(options={"task": "0"})
        for action in actions:
            env.step(action)
        env.close()
    assert sent == ["Action get 1, oaklogs", "search", "", *actions]
    server.stop()


def test_rules_and_scores_depend_on_the_kind_of_server() -> None:
    textcraft, sciworld, webshop = (
        info_of(f"agentgym:{kind}@http://127.0.0.1:1") for kind in ("textcraft", "sciworld", "webshop")
    )
    assert textcraft.rules == info_of("textcraft").rules
    assert textcraft.refuses("Could not find x")
    assert sciworld.score_range == (0.0, 100.0)
    assert webshop.score_range == (0.0, 1.0)
    assert all(info.blocking for info in (textcraft, sciworld, webshop))
    for kind, twin in (("sciworld", "scienceworld"), ("webshop", "webshop")):
        if twin in {info.name for info in base.environments()}:
            assert info_of(f"agentgym:{kind}@http://127.0.0.1:1").rules == info_of(twin).rules


def test_it_passes_the_checker_of_gymnasium(live: tuple[Live, Server]) -> None:
    env = make(f"agentgym:textcraft@{live[1].url}")
    check_env(env, skip_render_check=True)
    env.close()
    assert live[0].open == {}
