"""Kinds of servers as data: twelve searched and replayed, each in the shapes of its servers; kinds of one's own."""

from __future__ import annotations

import asyncio
import importlib.metadata
import random
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.actors.base import Answer, Request
from engine.environment.at_node import EnvironmentAtNode
from engine.environment.opened import open_environment
from engine.environment.permission import by_person
from engine.environment.replay import replay_tree
from engine.search.search import Search
from engine.search.started_event import started_event
from engine.trace.diff import compare
from engine.tree.events import AnyEvent, Child, Expanded, SearchSettings, Selected
from engine.tree.tree import SearchTree
from envs import base
from envs.agentgym.catalogue import _catalogue, catalogue, own_folder
from envs.agentgym.kind import Misread, at, read_kind
from envs.base import Actions, EnvError, Unavailable, UnknownTask, environments, info_of, make
from tests.servers.agentgym_kinds import SERVED, BabyAI, Served, TodoAnew
from tests.servers.agentgym_server import Live, Server

LISTED = ("babyai", "alfworld", "maze")
"""Kinds whose servers, or files, list valid actions."""

SAID = {
    "wordle": ["crane", "s h i r e", "frown", "xyz"],
    "weather": [
        "get_user_current_date with Action Input: {}",
        'finish with Action Input: {"answer": "2015-01-02"}',
        'finish with Action Input: {"answer": 3}',
        "finish",
    ],
    "movie": [
        'get_search_movie with Action Input: {"movie_name": "Dune 2"}',
        'Action: get_movie_details with Action Input: {"movie_id": "438631"}',
        'finish with Action Input: {"answer": "2021-09-15"}',
        'finish with Action Input: {"answer": null}',
    ],
    "sheet": [
        'open_sheet with Action Input: {"name": "Sheet2"}',
        'update_cell with Action Input: {"position": "B1", "value": "3"}',
        "get_all_values with Action Input: {}",
        "finish with Action Input: {}",
    ],
    "todo": [
        'get_tasks with Action Input: {"project_id": "1"}',
        'complete_task with Action Input: {"task_id": "7000"}',
        'finish with Action Input: {"answer": "done"}',
        "get_projects",
    ],
    "academia": [
        "loadPaperNet with Action Input: {}",
        'paperNodeCheck with Action Input: {"node": "P2"}',
        'finish with Action Input: {"answer": "2021"}',
    ],
    "sqlgym": ["SELECT COUNT(*) FROM t WHERE a = 2", "```sql\nSELECT 1\n```", "DROP TABLE t", "SELECT a FROM t"],
    "searchqa": ["<search>city</search>", "<answer>Oslo</answer>", "<answer>Rome</answer>", "Oslo"],
    "webarena": ["click [2]", "```stop [2]```", "stop [7]", "scroll [down]"],
}
TASK = "2"
SETTINGS = SearchSettings(iterations=5, max_depth=6, seed=3)


class Guesses:
    """Says any of the actions that can be done, or that are said of a kind; depends on the draw's seed alone."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    async def sample(self, request: Request) -> Answer:
        """At once."""

        def listed(env: Any) -> list[str]:
            assert isinstance(env, Actions) == (self._kind in LISTED)
            return list(env.valid_actions()) if isinstance(env, Actions) else SAID[self._kind]

        can = await request.environment(listed)
        rng = random.Random(request.seed)
        action = can[-1] if self._kind in LISTED and rng.random() < 0.6 else rng.choice([*can, "dance"])
        return Answer(f"Thought: number {request.draw}\nAction: {action}")


def grown(kind: str, server: Server, instances: int | None = None) -> tuple[SearchTree, list[AnyEvent]]:
    """A search over a server."""
    opened = open_environment(by_person(f"agentgym:{kind}@{server.url}?patience=5&timeout=5"), TASK)
    if instances is not None:
        opened.instances = instances
    events: list[AnyEvent] = []
    search = Search.begin(started_event(opened, SETTINGS), opened, Guesses(kind), events.append)
    assert asyncio.run(search.run()) in ("iterations", "exhausted")
    return search.tree, events


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Served, Server]]:
    """The server of a kind."""
    state = SERVED[request.param]()
    server = Server(state.answer)
    yield state, server
    server.stop()


@pytest.mark.parametrize(("kind", "served"), [(kind, kind) for kind in SERVED], indirect=["served"])
def test_a_kind_is_searched_and_replayed_with_no_difference(kind: str, served: tuple[Served, Server]) -> None:
    state, server = served
    tree, _ = grown(kind, server)
    low, high = info_of(f"agentgym:{kind}@{server.url}").score_range
    assert tree.failures == []
    assert len(tree) > 8
    assert max(node.reward for node in tree.nodes) > low + 0.5 * (high - low), "nothing reached the goal"
    assert all(low <= node.reward <= high for node in tree.nodes)
    assert not any(node.terminal == "disaster" for node in tree.nodes)
    opened = open_environment(by_person(f"agentgym:{kind}@{server.url}"), TASK)
    assert list(replay_tree(tree, opened)) == []
    if kind == "webarena":
        assert state.created == 2, "one browser a search"
    if state.closes:
        assert state.games == {}, "all sessions are ended"
    else:
        assert not any("/close" in line for line in server.log)


@pytest.mark.parametrize("kind", ["weather", "movie", "sheet", "todo", "academia"])
def test_an_action_of_a_tool_is_sent_with_its_label(kind: str) -> None:
    sent = catalogue().kinds[kind].sent
    assert sent('finish with Action Input: {"answer": "1"}') == 'Action: finish with Action Input: {"answer": "1"}'
    assert sent(" Action: finish with Action Input: {}\n") == "Action: finish with Action Input: {}"


def test_an_account_that_a_reset_fills_with_new_ids_is_not_repeatable_and_that_is_told() -> None:
    server = Server(TodoAnew().answer)
    tree, _ = grown("todo", server)
    opened = open_environment(by_person(f"agentgym:todo@{server.url}"), TASK)
    assert {each.field for each in replay_tree(tree, opened)} == {"observation"}
    opened = open_environment(by_person(f"agentgym:todo@{server.url}"), TASK)
    stand = EnvironmentAtNode(SearchTree([started_event(opened, SETTINGS)]), opened, [])
    stand.tree.apply(Selected(seq=1, path=[0]))
    look = 'get_tasks with Action Input: {"project_id": "1"}'
    seen, score, _ = stand.try_action(0, look)
    stand.tree.apply(Expanded(seq=2, parent=0, children=[Child(0, look, seen, score, response="x")]))
    stand.try_action(0, "get_projects")
    stand.go_to(1)
    assert "not repeatable: step 1 answered" in "".join(stand.take_remarks())
    assert "not repeatable" in catalogue().kinds["todo"].note
    assert opened.instances == 1, "a session empties the account of the others"
    stand.close()
    server.stop()


def test_the_replay_of_a_kind_can_fail() -> None:
    server = Server(BabyAI().answer)
    tree, _ = grown("babyai", server)
    opened = open_environment(by_person(f"agentgym:babyai@{server.url}"), "0")
    assert {difference.field for difference in replay_tree(tree, opened)} >= {"first observation", "observation"}
    server.stop()


def test_what_a_maze_scores_is_what_is_left_of_its_fifty_steps_where_the_goal_is_reached() -> None:
    server = Server(SERVED["maze"]().answer)
    env = make(f"agentgym:maze@{server.url}/maze")  # with the prefix, as AgentGym's own client wants it
    env.reset(options={"task": "0"})
    scores = [env.step(action)[1:3] for action in ("move up", "Right", "jump", "move right")]
    assert scores == [(0, False), (0, False), (0, False), (47, True)]
    env.close()
    server.stop()


def test_a_word_of_five_letters_is_sent_as_five_letters_and_scores_one() -> None:
    server = Server(SERVED["wordle"]().answer)
    env = make(f"agentgym:wordle@{server.url}")
    env.reset(options={"task": "0"})
    assert env.step("shire")[:3] == ("b b b y g", 0, False)
    assert env.step("crane")[:3] == ("g g g g g", 1, True)
    env.close()
    server.stop()


def test_the_task_of_webarena_is_asked_for_after_the_reset() -> None:
    server = Server(SERVED["webarena"]().answer)
    env = make(f"agentgym:webarena@{server.url}")
    assert env.reset(options={"task": "2"})[0].startswith("OBJECTIVE: which order is there? (task 2)")
    assert env.step("click [2]")[:3] == ("OBJECTIVE: which order is there? (task 2)\n[3] text 'Order 2'", 0, False)
    assert env.step("stop [2]")[1:3] == (1, True)
    env.close()
    server.stop()


def test_a_task_that_a_maze_does_not_have_is_no_lost_session() -> None:
    """Its words are those of an unknown session, almost."""
    state = SERVED["maze"]()
    server = Server(
        lambda method, path, body: (
            (200, {"error": "The game 99 is not valid."}) if path == "/maze/reset" else state.answer(method, path, body)
        )
    )
    env = make(f"agentgym:maze@{server.url}")
    with pytest.raises(EnvError, match=r"no task 99, or it can't be started: .*The game 99 is not valid"):
        env.reset(options={"task": "99"})
    assert state.created == 1
    server.stop()


def test_after_a_broken_connection_a_server_that_can_t_be_asked_gets_a_new_session() -> None:
    """BabyAI's has no /observation: after a restart the number of a session may be somebody else's."""
    state, after = BabyAI(), BabyAI()
    server = Server(state.answer)
    env = make(f"agentgym:babyai@{server.url}")
    env.reset(options={"task": "2"})
    env.step("move forward")
    server.answer = after.answer
    other = make(f"agentgym:babyai@{server.url}")
    other.reset(options={"task": "2"})  # session 0 again, as the other one's
    server.hang_up()
    assert "1 steps away" not in env.step("turn left")[0]  # 4 away at first, 3 after the step
    assert env.step("move forward")[0].count("2 steps away") == 1
    assert after.created >= 2
    assert "You see no objects" in other.step("turn left")[0]
    server.stop()


def test_the_draws_of_a_node_are_stepped_side_by_side_and_that_changes_no_event() -> None:
    traces, most, resets = [], [], []
    for instances in (4, 1):
        state = SERVED["alfworld"]()
        state.delay = 0.02
        server = Server(state.answer)
        _, events = grown("alfworld", server, instances)
        traces.append([_plain(event, server.url) for event in events])
        most.append(state.most_at_once)
        resets.append(server.count("POST /reset"))
        server.stop()
    assert most[0] >= 3
    assert most[1] == 1
    assert resets[1] > resets[0]
    assert compare(*traces) == []


def _plain(event: AnyEvent, url: str) -> AnyEvent:
    """An event without what tells instances, or servers, apart: how many steps were needed, the address."""
    if hasattr(event, "steps") and hasattr(event, "resets"):
        event = msgspec.structs.replace(event, steps=0, resets=0)
    if hasattr(event, "totals"):
        event = msgspec.structs.replace(event, totals=event.totals | {"steps": 0, "resets": 0})
    return msgspec.json.decode(msgspec.json.encode(event).replace(url.encode(), b"URL"), type=type(event))


# -- all kinds ---------------------------------------------------------------------------------------------


def test_all_environments_of_agentgym_are_described_and_listed() -> None:
    agentgym = next(info for info in environments() if info.name == "agentgym")
    assert agentgym.kinds is not None
    names = {info.name.removeprefix("agentgym:") for info in agentgym.kinds()}
    assert names >= {
        *("textcraft", "sciworld", "webshop", "babyai", "alfworld", "maze", "wordle", "weather", "movie", "sheet"),
        *("todo", "academia", "sqlgym", "searchqa", "webarena"),
    }
    assert catalogue().broken == {}
    for info in agentgym.kinds():
        assert "Action:" in info.rules
        assert info.blocking
        assert info.summary
        assert info_of(f"{info.name}@http://127.0.0.1:1").rules == info.rules


def test_a_server_of_another_kind_is_named_where_its_greeting_tells() -> None:
    server = Server(SERVED["alfworld"]().answer)
    with pytest.raises(EnvError, match="is a server of alfworld: agentgym:alfworld@URL"):
        make(f"agentgym:babyai@{server.url}").reset(options={"task": "0"})
    server.answer = SERVED["maze"]().answer
    with pytest.raises(EnvError, match="is a server of maze or wordle"):
        make(f"agentgym:textcraft@{server.url}").reset(options={"task": "0"})
    server.stop()


# -- of one's own ------------------------------------------------------------------------------------------

DOCS = (Path(__file__).parents[2] / "docs/environments.md").read_text()
MINE = DOCS.partition("**A kind of your own**")[2].partition("```toml\n")[2].partition("```")[0]
"""The documented one."""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a user's own kinds."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = own_folder()
    folder.mkdir(parents=True)
    return folder


def test_a_file_of_ten_lines_makes_a_kind(own: Path) -> None:
    assert len(MINE.splitlines()) == 10
    (own / "counter.toml").write_text(MINE)
    at_now: dict[str, Any] = {"said": 0, "bye": []}

    def answer(method: str, path: str, body: Any) -> Any:
        match path:
            case "/":
                return 200, "counter"
            case "/game":
                return 200, {"game": {"name": "anna"}}
            case "/begin":
                at_now.update(said=0, upto=body["upto"])
                return 200, {"game": {"goal": f"Count to {body['upto']}", "state": "0"}}
            case "/say":
                assert body["name"] == "anna"
                right = body["text"] == str(at_now["said"] + 1)
                at_now["said"] += right
                return 200, {
                    "state": str(at_now["said"]),
                    "points": int(right),
                    "over": at_now["said"] == at_now["upto"],
                }
            case _:
                at_now["bye"].append(body)
                return 200, None

    server = Server(answer)
    env = make(f"agentgym:counter@{server.url}")
    assert env.reset(options={"task": "2"})[0] == "Count to 2\n0"
    assert [env.step(said)[:3] for said in ("1", "7", "2")] == [("1", 1, False), ("1", 1, False), ("2", 2, True)]
    env.close()
    assert at_now["bye"] == [{"name": "anna"}]
    assert info_of(f"agentgym:counter@{server.url}").score_range == (0.0, 10.0)
    server.stop()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("summary = ", "counter.toml: Invalid value"),
        (MINE.replace('summary = "count to a number"', ""), "missing required field `summary`"),
        (MINE.replace("points", 'points"\ncolour = "red', 1).replace("create", "create"), "counter.toml"),
        (MINE + 'colour = "red"', "unknown field `colour`"),
        (MINE.replace("sum = true", 'sum = "yes"'), "Expected `bool`, got `str` - at `$.step.sum`"),
        (MINE.replace("[0, 10]", "[10, 0]"), "the least score comes first"),
        (MINE.replace('rules = "Say', 'note = "Say'), "rules are missing"),
        (MINE.replace("^", "("), "is no pattern"),
        (MINE.replace('"/say"', '"say"'), "it begins with /"),
        ("\udcff", "counter.toml"),
    ],
)
def test_a_file_that_makes_no_kind_is_named_with_the_reason(own: Path, text: str, words: str) -> None:
    (own / "counter.toml").write_text(text, errors="surrogateescape")
    with pytest.raises(EnvError) as caught:
        make("agentgym:counter@http://127.0.0.1:1")
    assert words in str(caught.value)
    assert str(own) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert make("agentgym:textcraft@http://127.0.0.1:1")  # the others are there


def test_a_file_of_one_s_own_comes_before_the_built_in_one_and_is_read_again_when_it_changes(own: Path) -> None:
    place = own / "babyai.toml"
    place.write_text(MINE)
    assert info_of("agentgym:babyai@http://127.0.0.1:1").score_range == (0.0, 10.0)
    place.write_text(MINE.replace("10]", "300]"))
    assert info_of("agentgym:babyai@http://127.0.0.1:1").score_range == (0.0, 300.0)
    place.write_text("=")
    with pytest.raises(EnvError, match="can't be used"):  # never the built-in one in silence
        info_of("agentgym:babyai@http://127.0.0.1:1")
    place.unlink()
    assert info_of("agentgym:babyai@http://127.0.0.1:1").score_range == (0.0, 1.0)


class Point:
    """An entry point of an installed package."""

    name, value = "counter", "package:KIND"

    def __init__(self, said: Any) -> None:
        self._said = said

    def load(self) -> Any:
        """What it names."""
        if isinstance(self._said, Exception):
            raise self._said
        return self._said


def test_a_package_brings_kinds_and_a_broken_one_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tomllib.loads(MINE)
    (tmp_path / "counter.toml").write_text(MINE)
    for given_, fits in (
        (said, True),
        (tmp_path / "counter.toml", True),
        (3, False),
        (ImportError("no package"), False),
    ):
        with monkeypatch.context() as patch:
            points = [Point(given_)]
            patch.setattr(importlib.metadata, "entry_points", lambda group, points=points: points)
            _catalogue.cache_clear()
            assert ("counter" in catalogue().kinds) == fits
            assert fits or "entry point 'counter' (package:KIND)" in catalogue().broken["counter"]
    _catalogue.cache_clear()


def test_a_file_in_a_workspace_or_the_working_folder_is_no_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("agentgym", "agentr-workspace/agentgym", "."):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "counter.toml").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTR_WORKSPACE", str(tmp_path / "agentr-workspace"))
    with pytest.raises(EnvError, match=r"agentgym has no 'counter': one of academia, .*NAME\.toml in .* adds one"):
        make("agentgym:counter@http://127.0.0.1:1")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "observation", "0"]), inner),
    max_leaves=8,
)


@given(json_values, st.lists(st.sampled_from(["a", "observation", "0", "1"]), max_size=3).map(".".join))
def test_whatever_a_server_says_is_read_or_misread(reply: Any, path: str) -> None:
    said = {"summary": "x", "rules": "x", "reset": {"task": "t", "text": path}, "step": {"text": path}}
    kind = read_kind("any", said)
    readers: list[Callable[[], object]] = [
        lambda: at(reply, path),
        lambda: kind.first(reply),
        lambda: kind.reply(reply),
        lambda: kind.session(reply),
    ]
    misread: list[str] = []
    for read in readers:
        try:
            read()
        except Misread as error:
            misread.append(str(error))
    assert not any("\n" in words for words in misread)


# -- servers that do not come back with the same task --------------------------------------------------------


def test_a_server_that_comes_back_with_another_task_says_what_to_do(own: Path) -> None:
    built_in = (Path(base.__file__).parent / "agentgym/kinds/babyai.toml").read_text()
    (own / "babyai.toml").write_text(f'remedy = "start it with SEED=0"\n{built_in}')
    server, after = Server(BabyAI().answer), BabyAI()
    env = make(f"agentgym:babyai@{server.url}")
    env.reset(options={"task": "0"})
    env.step("turn left")
    server.answer = lambda method, path, body: after.answer(
        method, path, body | {"data_idx": 1} if path == "/reset" else body
    )
    with pytest.raises(Unavailable, match=r"came back with another task 0: .* \(start it with SEED=0\)"):
        env.step("turn left")
    server.stop()


class Reshuffled(Live):
    """TextCraft's server of another process: it lists other commands beside those that a task needs."""

    def _start(self, id: int, number: int) -> dict[str, Any]:
        said = super()._start(id, number)
        head, *commands = said["observation"].split("\n\n")[0].split("\n")
        goal = said["observation"].split("\n\n")[1]
        said["observation"] = self.observations[id] = "\n".join([head, *reversed(commands), "", goal])
        return said


def test_a_textcraft_server_that_lists_other_commands_has_the_same_task() -> None:
    """Replies depend on the goal alone: the walk goes on, and what the actor was told stays what it was told."""
    server = Server(Live().answer)
    env = make(f"agentgym:textcraft@{server.url}?patience=2")
    first, _ = env.reset(options={"task": "2"})
    env.step("get 3 oak logs")
    server.answer = Reshuffled().answer
    server.hang_up()
    assert env.step("inventory")[0] == "Inventory: [oak logs] (3) "
    again, info = env.reset(options={"task": "2", "observation": first})
    assert again == first
    assert "begins task 2 otherwise than before, with the same goal (start it with PYTHONHASHSEED=0)" in info["changed"]
    with pytest.raises(UnknownTask, match=r"is another one: .*PYTHONHASHSEED=0"):
        env.reset(options={"task": "3", "observation": first})
    server.stop()
