"""Standing at a node: always in its state, with few steps, whatever the environment can keep, and if it dies."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Hashable, Iterator
from typing import Any

import gymnasium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.actors.scripted import ScriptedActor
from engine.base.errors import InputError
from engine.base.text import flatten
from engine.environment.at_node import POOL_SIZE, EnvironmentAtNode
from engine.environment.opened import Opened, open_environment
from engine.environment.replay import Replayer, Step
from engine.search.search import Search
from engine.search.started_event import started_event
from engine.trace.diff import compare
from engine.tree.events import AnyEvent, Imported, ImportedNode, PrefixStep, SearchSettings, Started
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.tree import SearchTree
from envs.base import EnvError, EnvironmentInfo, InstanceDied, Plan, TextEnv, register
from envs.textcraft.env import TextCraft
from tests.fixtures import own_environments

TASK = "2"
ACTIONS = ("get 1 red sand", "get 2 red sand", "get 1 sand", "inventory", "get 1 honey bottle", "craft nothing")


class Replayed(gymnasium.Env[str, str]):
    """TextCraft without snapshots. It counts, can take its time, and can die."""

    made: list[Replayed]
    steps_of_all = 0
    resets_of_all = 0
    walked_in: set[int]  # threads
    dies_at: set[int] = set()  # numbers of steps, over all instances, at which the instance dies
    delay = 0.0  # seconds a step

    def __init__(self) -> None:
        self.inner = TextCraft()
        self.action_space, self.observation_space = self.inner.action_space, self.inner.observation_space
        self.dead = self.closed = False
        Replayed.made.append(self)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start a task; the dead rise."""
        Replayed.resets_of_all += 1
        self.dead = False
        return self.inner.reset(seed=seed, options=options)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """One step, or death."""
        Replayed.steps_of_all += 1
        Replayed.walked_in.add(threading.get_ident())
        if self.dead or Replayed.steps_of_all in Replayed.dies_at:
            self.dead = True
            raise InstanceDied("gone")
        if Replayed.delay:
            time.sleep(Replayed.delay)
        return self.inner.step(action)

    def plan(self) -> Plan:
        """TextCraft's plan."""
        return self.inner.plan()

    def mistake(self, rng: random.Random) -> tuple[str, str]:
        """TextCraft's mistakes."""
        return self.inner.mistake(rng)

    def close(self) -> None:
        """Closed is closed."""
        self.closed = True


class Forgetful(Replayed):
    """Keeps the last few states only."""

    KEEPS = 3

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Hashable] = []

    def snapshot(self) -> Hashable:
        """The state, kept for a while."""
        self.kept = [*self.kept, self.inner.snapshot()][-self.KEEPS :]
        return self.inner.snapshot()

    def restore(self, snapshot: Hashable) -> None:
        """Where it is kept. An instance that died keeps nothing."""
        if self.dead or snapshot not in self.kept:
            raise ValueError("not kept any more")
        self.inner.restore(snapshot)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both environments by name, with fresh figures."""
    for name, value in (
        ("made", []),
        ("walked_in", set()),
        ("steps_of_all", 0),
        ("resets_of_all", 0),
        ("dies_at", set()),
        ("delay", 0.0),
    ):
        monkeypatch.setattr(Replayed, name, value, raising=False)
    with own_environments():
        for name in ("Replayed", "Forgetful"):
            register(EnvironmentInfo(name.lower(), "for tests", f"{__name__}:{name.lower()}", "Rules."))
        yield


def replayed(argument: str) -> TextEnv:
    return Replayed()


def forgetful(argument: str) -> TextEnv:
    return Forgetful()


def grown_tree(seed: int, nodes: int) -> SearchTree:
    """A tree of random actions."""
    rng = random.Random(seed)
    start = Started(
        seq=0, version=1, trace="t", environment="textcraft", task=TASK, header=[], settings=SearchSettings()
    )
    rows = [ImportedNode()]
    for id in range(1, nodes):
        parent = id - 1 if rng.random() < 0.6 else rng.randrange(id)
        rows.append(ImportedNode(parent=parent, action=rng.choice(ACTIONS)))
    return SearchTree([start, Imported(seq=1, source="made", nodes=rows)])


def true_state(tree: SearchTree, id: int, prefix: tuple[str, ...] = ()) -> Hashable:
    """The state at a node, come to by every step from the start."""
    env = TextCraft()
    env.reset(options={"task": TASK})
    for action in (*prefix, *(tree.nodes[node].action for node in tree.ancestors(id)[1:])):
        env.step(action)
    return env.snapshot()


def state_of(env: TextEnv) -> Hashable:
    assert isinstance(env, Replayed)
    return env.inner.snapshot()


def stand_in(tree: SearchTree, name: str, size: int = POOL_SIZE, prefix: tuple[str, ...] = ()) -> EnvironmentAtNode:
    return EnvironmentAtNode(
        tree, open_environment(name, TASK), [PrefixStep(action, action) for action in prefix], size
    )


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 5),
    st.sampled_from(["replayed", "forgetful"]),
    st.sampled_from([(), ("get 3 sand", "inventory")]),
    st.none() | st.integers(3, 90),
)
def test_it_stands_where_it_is_asked_to_whatever_was_asked_before(
    seed: int, size: int, name: str, prefix: tuple[str, ...], death: int | None
) -> None:
    Replayed.made, Replayed.steps_of_all, Replayed.dies_at = [], 0, set()
    tree, rng = grown_tree(seed, 25), random.Random(seed)
    stand = stand_in(tree, name, size, prefix)
    if death is not None:
        Replayed.dies_at = set(range(death, 10**4, 97))  # never twice while one instance begins again
    for _ in range(30):
        id = rng.randrange(len(tree))
        if id != ROOT and rng.random() < 0.6:
            parent = tree.nodes[id].parent
            expected = TextCraft()
            expected.reset(options={"task": TASK})
            expected.restore(true_state(tree, parent, prefix))
            observation, score, done, _, _ = expected.step(tree.nodes[id].action)
            assert stand.try_action(parent, tree.nodes[id].action) == (observation, score, done)
            assert state_of(stand.env) == true_state(tree, id, prefix)
            if rng.random() < 0.8:
                stand.remember_as(id)
        else:
            env = stand.go_to(id)
            assert env is stand.env
            assert state_of(env) == true_state(tree, id, prefix)
    assert len(Replayed.made) <= size
    stand.close()
    assert all(env.closed for env in Replayed.made)


@pytest.mark.parametrize("name", ["replayed", "forgetful"])
def test_steps_and_resets_are_those_of_the_environments(name: str) -> None:
    tree, rng = grown_tree(3, 40), random.Random(1)
    stand = stand_in(tree, name)
    for _ in range(60):
        id = rng.randrange(1, len(tree))
        stand.try_action(tree.nodes[id].parent, tree.nodes[id].action)
        stand.remember_as(id)
    opened = 1  # the reset of `open_environment`
    assert stand.steps == Replayed.steps_of_all > 0
    assert stand.resets == Replayed.resets_of_all - opened > 0


def line_of(*children: str) -> SearchTree:
    """A line of ten nodes, and these actions below its end."""
    start = Started(
        seq=0, version=1, trace="t", environment="textcraft", task=TASK, header=[], settings=SearchSettings()
    )
    rows = [ImportedNode(parent=id - 1, action=f"get {id} sand") for id in range(11)]
    rows += [ImportedNode(parent=10, action=action) for action in children]
    return SearchTree([start, Imported(seq=1, source="made", nodes=rows)])


def test_siblings_that_do_the_same_cost_one_step() -> None:
    tree = line_of("inventory", "inventory", "get 1 sand", "inventory")
    stand = stand_in(tree, "replayed")
    stand.go_to(10)
    before = stand.steps
    seen = []
    for id in (11, 12, 14):
        seen.append(stand.try_action(10, "inventory"))
        stand.remember_as(id)
    assert seen[0] == seen[1] == seen[2]
    assert stand.steps == before + 1
    assert state_of(stand.env) == true_state(tree, 14)
    stand.try_action(10, "get 1 sand")
    stand.remember_as(13)
    assert stand.steps == before + 1 + 11


def test_a_selected_child_costs_nothing_whichever_of_the_siblings_it_is() -> None:
    tree = line_of(*ACTIONS[:4])
    stand = stand_in(tree, "replayed")
    for id in (11, 12, 13, 14):
        stand.try_action(10, tree.nodes[id].action)
        stand.remember_as(id)
    steps, resets = stand.steps, stand.resets
    for id in (12, 14, 11, 13):
        assert state_of(stand.go_to(id)) == true_state(tree, id)
    assert (stand.steps, stand.resets) == (steps, resets)
    assert len(Replayed.made) == 4


def test_only_siblings_open_further_instances() -> None:
    tree = grown_tree(5, 60)
    stand = stand_in(tree, "replayed")
    for id in reversed(range(len(tree))):
        stand.go_to(id)
    assert len(Replayed.made) == 1


def test_instances_that_a_node_needs_come_at_the_same_time() -> None:
    tree = line_of(*ACTIONS[:4])
    stand = stand_in(tree, "replayed")
    stand.go_to(10)
    Replayed.delay = 0.02
    began = time.perf_counter()
    stand.warm_up(10, [*ACTIONS[:4], "inventory"])
    spent = time.perf_counter() - began
    assert len(Replayed.made) == 4
    assert 10 * 0.02 <= spent < 4 * 10 * 0.02, "one after the other"
    Replayed.delay = 0.0
    steps, resets = stand.steps, stand.resets
    for id in (11, 12, 13, 14):
        stand.try_action(10, tree.nodes[id].action)
        assert state_of(stand.env) == true_state(tree, id)
        stand.remember_as(id)
    assert (stand.steps, stand.resets) == (steps, resets), "they were stepped at the same time, too"


def test_a_search_lets_instances_come_together_where_a_step_waits_and_that_changes_nothing_but_time() -> None:
    came: list[int] = []

    def search(blocking: bool) -> list[AnyEvent]:
        opened = open_environment("replayed", TASK)
        opened.blocking = blocking
        chosen = SearchSettings(iterations=3, max_depth=6, error_rate=0.5)
        events: list[AnyEvent] = []
        asyncio.run(Search.begin(started_event(opened, chosen), opened, ScriptedActor(0.5), events.append).run())
        came.append(len(Replayed.walked_in))
        return events

    assert compare(search(False), search(True)) == []
    assert came[0] <= 1
    assert came[1] > 3  # several threads walked


def test_a_search_is_the_same_with_and_without_snapshots() -> None:
    traces = []
    for name in ("textcraft", "replayed", "forgetful"):
        opened = open_environment(name, TASK)
        chosen = SearchSettings(iterations=6, max_depth=8, error_rate=0.4)
        started = started_event(Opened(opened.env, "textcraft", TASK, opened.first_observation, {}), chosen)
        events: list[AnyEvent] = []
        asyncio.run(Search.begin(started, opened, ScriptedActor(0.4), events.append).run())
        for event in events:
            for child in getattr(event, "children", []):
                child.state_key = None  # of which only the first knows
        traces.append(events)
    assert len(traces[0]) > 100
    assert compare(traces[0], traces[1]) == []
    assert compare(traces[0], traces[2]) == []


@pytest.mark.parametrize("name", ["replayed", "forgetful"])
def test_an_instance_that_dies_begins_again_and_one_that_dies_twice_is_reported(name: str) -> None:
    tree = line_of(*ACTIONS[:2])
    stand = stand_in(tree, name)
    stand.go_to(10)
    Replayed.dies_at = {Replayed.steps_of_all + 1}
    resets = stand.resets
    assert stand.try_action(10, ACTIONS[0])[0] == "Got 1 red sand"
    stand.remember_as(11)
    assert stand.resets == resets + 1
    assert state_of(stand.env) == true_state(tree, 11)
    Replayed.dies_at = set(range(Replayed.steps_of_all + 1, Replayed.steps_of_all + 200))
    with pytest.raises(InstanceDied):
        stand.try_action(10, ACTIONS[1])
    Replayed.dies_at = set()
    assert state_of(stand.go_to(10)) == true_state(tree, 10)


@pytest.mark.parametrize("kind", ["replayed", "forgetful"], ids=["without snapshots", "with snapshots"])
def test_an_instance_that_cannot_begin_again_is_replaced(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = line_of()
    stand = stand_in(tree, kind)
    first = Replayed.made[0]
    reset = Replayed.reset

    def refuses(self: Replayed, **arguments: Any) -> tuple[str, dict[str, Any]]:
        if self is first:
            raise InstanceDied("for good")
        return reset(self, **arguments)

    monkeypatch.setattr(Replayed, "reset", refuses)
    Replayed.dies_at = {Replayed.steps_of_all + 3}
    assert state_of(stand.go_to(10)) == true_state(tree, 10)
    assert first.closed
    assert stand.env is not first


@pytest.mark.parametrize("name", ["replayed", "forgetful"])
def test_a_question_of_which_the_instance_dies_is_asked_another(name: str) -> None:
    tree = line_of()
    stand = stand_in(tree, name)
    stand.go_to(7)
    asked: list[Hashable] = []

    def question(env: TextEnv) -> Plan:
        asked.append(state_of(env))
        assert isinstance(env, Replayed)
        if len(asked) == 1:
            env.dead = True
            raise InstanceDied("gone")
        return env.plan()

    assert stand.ask(7, question).action is not None
    assert asked == [true_state(tree, 7)] * 2


def test_a_state_that_can_not_be_kept_is_come_to_by_its_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = line_of(*ACTIONS[:2])
    stand = stand_in(tree, "forgetful")
    stand.try_action(10, ACTIONS[0])
    with monkeypatch.context() as patch:

        def dies(self: Forgetful) -> Hashable:
            self.dead = True
            raise InstanceDied("gone")

        patch.setattr(Forgetful, "snapshot", dies)
        stand.remember_as(11)
    assert state_of(stand.go_to(11)) == true_state(tree, 11)


def test_children_of_a_state_that_was_come_to_by_actions_start_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a death, or in a resumed search: the way to a node is gone once, not once a child."""
    monkeypatch.setattr(Forgetful, "KEEPS", 100)
    tree = line_of(*ACTIONS[:4])
    stand = stand_in(tree, "forgetful")
    for id in (11, 12, 13, 14):
        stand.try_action(10, tree.nodes[id].action)
        stand.remember_as(id)
    assert stand.steps == 10 + 4


def test_all_instances_are_closed_even_where_one_of_them_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    stand = stand_in(line_of(*ACTIONS[:3]), "replayed")
    for id, action in enumerate(ACTIONS[:3], 11):
        stand.try_action(10, action)
        stand.remember_as(id)
    close = Replayed.close

    def fails(self: Replayed) -> None:
        close(self)
        if self is Replayed.made[1]:
            raise EnvError("close failed")

    monkeypatch.setattr(Replayed, "close", fails)
    with pytest.raises(EnvError, match="close failed"):
        stand.close()
    assert [env.closed for env in Replayed.made] == [True] * 3


def test_closing_in_the_middle_leaves_no_instance_open() -> None:
    """Whatever another thread does just then: make further instances, walk, replace what died."""
    for place in range(25):
        Replayed.made, Replayed.steps_of_all, Replayed.delay = [], 0, 0.0005
        Replayed.dies_at = set(range(20, 10**4, 37))
        tree = line_of(*ACTIONS[:4])
        stand = stand_in(tree, "replayed")
        said: list[str] = []

        def walk(stand: EnvironmentAtNode = stand, said: list[str] = said) -> None:
            try:
                while True:
                    stand.warm_up(10, ACTIONS[:4])
                    for action in ACTIONS[:4]:
                        stand.try_action(10, action)
                    stand.go_to(3)
            except InstanceDied as error:
                said.append(str(error))

        thread = threading.Thread(target=walk)
        thread.start()
        time.sleep(0.002 * place)
        stand.close()
        thread.join()
        assert "closed" in said[0]
        assert all(env.closed for env in Replayed.made)


def test_where_no_further_instance_can_be_opened_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = line_of(*ACTIONS[:2])
    stand = stand_in(tree, "replayed")
    stand.try_action(10, ACTIONS[0])
    stand.remember_as(11)

    def no_more(argument: str) -> TextEnv:
        raise EnvError("the server takes no further session")

    monkeypatch.setattr(f"{__name__}.replayed", no_more)
    assert stand.try_action(10, ACTIONS[1])[0] == "Got 2 red sand"  # one has to do
    assert state_of(stand.env) == true_state(tree, 12)


def test_what_steps_past_the_stand_is_noticed() -> None:
    tree = line_of()
    stand = stand_in(tree, "replayed")
    stand.go_to(5)
    stand.at = NO_PARENT  # as a replay does
    stand.step("get 9 red sand")
    assert state_of(stand.go_to(5)) == true_state(tree, 5)


@pytest.mark.parametrize("name", ["replayed", "forgetful"])
def test_what_replayed_trajectories_share_is_stepped_once_and_a_death_on_the_way_is_survived(name: str) -> None:
    replayer = Replayer(line_of(), lambda: open_environment(name, TASK))

    def written(*actions: str) -> list[Step]:
        env = TextCraft()
        env.reset(options={"task": TASK})
        return [Step(action, flatten(env.step(action)[0])) for action in actions]

    assert replayer.replay(written(*ACTIONS[:4]), 0).verdict == "verified"
    before = Replayed.steps_of_all
    assert replayer.replay(written(*ACTIONS[:4]), 0).verdict == "verified"
    false = Step(ACTIONS[1], "another observation")
    assert replayer.replay([written(ACTIONS[0])[0], false], 0).verdict == "reobserved"
    assert Replayed.steps_of_all == before
    Replayed.dies_at = {before + 3}
    assert replayer.replay(written(*ACTIONS[:3], "inventory", "get 1 honey bottle"), 0).verdict == "verified"
    assert Replayed.steps_of_all == before + 3 + 5
    replayer.close()


@pytest.mark.parametrize("name", ["replayed", "forgetful"])
def test_threads_find_it_where_they_put_it(name: str) -> None:
    tree = grown_tree(9, 30)
    states = {id: true_state(tree, id) for id in range(len(tree))}
    stand = stand_in(tree, name)
    wrong: list[int] = []

    def ask(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(150):
            id = rng.randrange(1, len(tree))
            with stand.lock:
                if rng.random() < 0.5:
                    env = stand.go_to(id)
                else:
                    stand.try_action(tree.nodes[id].parent, tree.nodes[id].action)
                    env = stand.env
                if state_of(env) != states[id]:
                    wrong.append(id)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(Replayed.made) <= POOL_SIZE


def test_an_environment_that_maps_actions_does_it_at_the_parent() -> None:
    tree = line_of()

    class Maps(Replayed):
        def executable(self, action: str) -> str:
            return f"{action} of {self.inner.snapshot()}"

    env = Maps()
    env.reset(options={"task": TASK})
    stand = EnvironmentAtNode(tree, Opened(env, "textcraft", TASK, "", {}), [], 1)
    assert stand.executable(4, "say") == f"say of {true_state(tree, 4)}"
    assert stand_in(tree, "replayed").executable(4, "say") == "say"


def test_a_task_that_does_not_exist_is_one_line() -> None:
    with pytest.raises(InputError, match="has no task 'x'"):
        open_environment("replayed", "x")
