from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.samples.revise import revise
from engine.samples.settings import Revised, ReviseSettings
from engine.search.job import new_job
from engine.tree.events import SearchSettings
from envs import base
from envs.webshop.catalogue import Product, find, read
from envs.webshop.env import MAX_QUERY, SEARCH_HINT, WebShop, make, parse
from envs.webshop.goals import split_limit
from envs.webshop.pages import PER_PAGE
from envs.webshop.shop import Search, Shop, open_shop
from tests.engine.made import AS_FOUND
from tests.fixtures import SHARED, needs_fixtures, read_json

CATALOGUE = SHARED / "webshop"
RECORDED = SHARED / "agent-r" / "webshop" / "6" / "replay.json.gz"
SERVER = SHARED / "agentgym" / "webshop.json"
SAMPLED_TASKS = [str(number) for number in range(0, 1900, 61)]


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def start(task: str = "6") -> WebShop:
    env = make()
    env.reset(options={"task": task})
    return env


def walk(env: WebShop, actions: list[str]) -> list[tuple[str, float, bool]]:
    return [env.step(action)[:3] for action in actions]


def wander(env: WebShop, rng: random.Random, steps: int) -> None:
    """Random valid actions; a search bar gets a query of the goal or of another product. Never buys."""
    for _ in range(steps):
        action = rng.choice([action for action in env.valid_actions() if action != "click[buy now]"])
        if action == SEARCH_HINT:
            product = rng.choice([env.goal.product, rng.choice(env.shop.catalogue.products)])
            action = f"search[{rng.choice([product.query, product.title, 'zzz'])}]"
        env.step(action)


# -- as the original ----------------------------------------------------------------------------------


class Listed:
    """The results of recorded searches, as far as their pages were seen; other products stand where none was."""

    def __init__(self, products: tuple[Product, ...]) -> None:
        self.products = products
        self.by_asin = {product.asin: product for product in products}
        self.totals: dict[str, int] = {}
        self.seen: dict[str, dict[int, str]] = {}

    def learn(self, query: str, page: str) -> None:
        shown = re.search(r"Page (\d+) \(Total results: (\d+)\)", page)
        assert shown is not None
        number, total = int(shown[1]), int(shown[2])
        self.totals[query] = total
        asins = page.partition("Next >")[2].split(" [SEP] ")[1::3]
        first = (number - 1) * PER_PAGE
        self.seen.setdefault(query, {}).update(enumerate(asins, first))

    def search(self, query: str) -> tuple[Product, ...]:
        seen = self.seen.get(query, {})
        others = (product for product in self.products if product.asin not in seen.values())
        total = self.totals.get(query, 0)
        return tuple(self.by_asin[seen[place]] if place in seen else next(others) for place in range(total))


def shop_of_fixtures(search: Search | None = None) -> Shop:
    return Shop(read(find(CATALOGUE)), search) if search else open_shop(str(CATALOGUE))


def steps_of_recording() -> Iterator[tuple[list[str], dict[str, Any]]]:
    for key, reply in read_json(RECORDED)["environment"]["step"].items():
        yield json.loads(key), reply


def query_of(actions: list[str]) -> str:
    return [action for action in actions if action.startswith("search[")][-1].removeprefix("search[")[:-1]


@needs_fixtures
def test_a_task_starts_as_the_recorded_one() -> None:
    ((task, (observation, _)),) = read_json(RECORDED)["environment"]["reset"].items()
    env = WebShop(shop_of_fixtures())
    assert env.reset(options={"task": task})[0] == observation
    assert env.reset(options={"observation": observation}) == (observation, env.reset(options={"task": task})[1])


@needs_fixtures
def test_every_recorded_page_and_reward_comes_out_with_the_recorded_order_of_results() -> None:
    listed = Listed(read(find(CATALOGUE)).products)
    for actions, reply in steps_of_recording():
        if "(Total results: " in reply["state"]:
            listed.learn(query_of(actions), reply["state"])
    env = WebShop(shop_of_fixtures(listed.search))
    steps = list(steps_of_recording())
    assert len(steps) > 50
    assert {reply["reward"] for _, reply in steps} >= {0.0, 0.04000000000000001, 1.0}
    for actions, reply in steps:
        env.reset(options={"task": "6"})
        assert walk(env, actions)[-1] == (reply["state"], reply["reward"], reply["done"]), actions


@needs_fixtures
def test_recorded_pages_past_the_results_come_out_whatever_the_order_of_results() -> None:
    env = WebShop(shop_of_fixtures())
    checked, bought = 0, set()
    for actions, reply in steps_of_recording():
        opened = [place for place, action in enumerate(actions) if re.fullmatch(r"click\[b0\w{8}\]", action)]
        if not opened or "(Total results: " in reply["state"]:
            continue
        query, product = query_of(actions[: opened[-1]]), actions[opened[-1]]
        env.reset(options={"task": "6"})
        env.step(f"search[{query}]")
        for _ in range(5):
            if product in env.valid_actions():
                break
            env.step("click[next >]")
        else:
            continue  # the stand-in also matched on "&"
        got = walk(env, actions[opened[-1] :])[-1]
        assert got == (reply["state"], reply["reward"], reply["done"]), actions
        checked += 1
        if reply["done"]:
            bought.add(reply["reward"])
    assert checked > 25
    assert bought == {0.0, 0.04000000000000001, 1.0}


@needs_fixtures
def test_result_pages_agree_with_the_recorded_ones_but_for_the_order() -> None:
    shop = shop_of_fixtures()
    env = WebShop(shop)
    agreed = total = 0
    for actions, reply in steps_of_recording():
        if "Page 1 (" not in reply["state"] or len(actions) > 1:
            continue
        env.reset(options={"task": "6"})
        page = env.step(actions[0])[0]
        head = page.partition(" [SEP] Page 1 (")
        assert head[0] == reply["state"].partition(" [SEP] Page 1 (")[0]
        theirs = reply["state"].partition("Next > [SEP] ")[2].split(" [SEP] ")
        ours = page.partition("Next > [SEP] ")[2].split(" [SEP] ")
        lines = {shown[0]: shown for shown in zip(ours[::3], ours[1::3], ours[2::3], strict=True)}
        for shown in zip(theirs[::3], theirs[1::3], theirs[2::3], strict=True):
            total += 1
            if shown[0] in lines:
                assert lines[shown[0]] == shown
                agreed += 1
    assert total > 20
    assert agreed > 0.8 * total


@needs_fixtures
def test_every_recorded_server_exchange_is_answered_as_recorded() -> None:
    listed = Listed(read(find(CATALOGUE)).products)
    exchanges = read_json(SERVER)
    query = ""
    for exchange in exchanges:
        if exchange["path"] == "/step" and exchange["status"] == 200:
            action, page = exchange["request"]["action"], exchange["response"]["state"]
            query = query_of([action]) if action.startswith("search[") else query
            if "(Total results: " in page:
                listed.learn(query, page)
    env = WebShop(shop_of_fixtures(listed.search))
    checked = 0
    for exchange in exchanges:
        request, reply, path = exchange["request"], exchange["response"], exchange["path"].partition("?")[0]
        if exchange["status"] != 200:
            continue
        if path == "/reset" and "session_id" in request:
            assert env.reset(options={"task": str(request["session_id"])})[0] == reply[0]
        elif path == "/reset":
            assert env.reset(options={"observation": reply[0]})[1]["task"] in env.tasks()
        elif path == "/step":
            assert env.step(request["action"])[:3] == (reply["state"], reply["reward"], reply["done"])
            checked += 1
        elif path == "/available_actions":
            assert (SEARCH_HINT in env.valid_actions()) == reply["has_search_bar"]
            clicks = [f"click[{name}]" for name in reply["clickables"] if name != "search"]
            assert [action for action in env.valid_actions() if action != SEARCH_HINT] == clicks
    assert checked == 12


def test_actions_are_read_as_the_original_reads_them() -> None:
    original = re.compile(r"(.+)\[(.+)\]")

    @settings(max_examples=1000, deadline=None)
    @given(st.text(alphabet="ab[] \n\r]Search", max_size=12))
    def check(action: str) -> None:
        found = original.match(action)
        expected = (found[1], found[2].lower()) if found else None
        verb, argument = parse(action)
        assert ((verb, argument) if argument else None) == expected

    check()
    assert parse("search[Two Words]") == ("search", "two words")
    assert parse("Search[x]")[0] == "Search"


# -- the shop -----------------------------------------------------------------------------------------


def test_it_is_an_environment_of_gymnasium() -> None:
    check_env(make(), skip_render_check=True)


def test_the_bundled_shop_says_everywhere_that_it_is_synthetic() -> None:
    env = make()
    info = env.reset(options={"task": "0"})[1]
    assert "synthetic" in info["catalogue"]
    assert "made up" in info["synthetic"]
    assert env.shop.catalogue.synthetic
    known = base.info_of("webshop")
    assert "synthetic" in known.summary
    assert base.title_of("webshop", "6") == "webshop 6 (synthetic)"  # on every screen, and in the card of a dataset
    assert base.title_of("webshop:/home/me/data", "6") == "webshop:/home/me/data 6"
    tasks = re.search(r"([\d,]+) tasks of (\d) to (\d) steps", known.summary)
    assert tasks is not None
    assert int(tasks[1].replace(",", "")) == len(env.tasks())
    assert all("does not exist" in product.description for product in env.shop.catalogue.products)


def test_it_is_recognised_by_its_first_observation() -> None:
    first, _ = make().reset(options={"task": "3"})
    recognised = base.recognise(first)
    assert recognised is not None
    assert recognised.name == "webshop"


def test_tasks_are_numbers_in_a_fixed_order() -> None:
    env = make()
    assert env.tasks() == tuple(str(number) for number in range(len(env.tasks())))
    first = env.reset(options={"task": "17"})
    assert make().reset(options={"task": "17"}) == first
    assert env.reset(seed=17 + len(env.tasks()))[0] == first[0]


@pytest.mark.parametrize("task", ["1946", "-1", "x", "", "007", "human:0", "٣", "9" * 5000, "\x1b[31m"])
def test_an_unknown_task_is_one_line_that_names_the_known_ones(task: str) -> None:
    with pytest.raises(base.UnknownTask) as caught:
        make().reset(options={"task": task})
    line = str(caught.value)
    assert "0 to 1945" in line
    assert len(line) < 200
    assert line.isprintable()


def test_a_task_is_rebuilt_from_a_first_observation_with_its_own_limit_of_price() -> None:
    env = make()
    first, info = env.reset(options={"task": "6"})
    other = re.sub(r"lower than [\d.]+", "lower than 7.50", first)
    assert env.reset(options={"observation": other}) == (other, info | {"goal": split(other)})
    assert env.goal.price_upper == 7.5
    assert split_limit(env.goal.instruction)[0] == split_limit(info["goal"])[0]
    while (action := env.plan().action) is not None:
        env.step(action)
    bought = start("6")
    while (action := bought.plan().action) is not None:
        bought.step(action)
    assert 0 < env.page.score < bought.page.score == 1.0  # all but the price holds


def split(observation: str) -> str:
    return observation.split(" [SEP] ")[2]


@pytest.mark.parametrize(
    "observation",
    ["", "Goal: craft a bed", "WebShop [SEP] Instruction: [SEP] Find me a yacht [SEP] Search", "x" * 1_000_000],
)
def test_a_first_observation_of_elsewhere_is_refused_in_one_line(observation: str) -> None:
    with pytest.raises(base.UnknownTask) as caught:
        make().reset(options={"observation": observation})
    assert len(str(caught.value)) < 300


def test_pages_follow_each_other() -> None:
    env = start("6")
    product = env.goal.product
    results = env.step(f"search[{product.title}]")[0]
    assert "[SEP] Page 1 (Total results: 50) [SEP] Next > [SEP] SYN" in results
    second = env.step("click[Next >]")[0]
    assert "[SEP] Page 2 (Total results: 50) [SEP] < Prev [SEP] Next > [SEP] SYN" in second
    assert env.step("click[< prev]")[0] == results
    item = env.step(f"click[{product.asin}]")[0]
    assert f"[SEP] {product.title} [SEP] Price: {product.price_tag} [SEP] Rating: N.A. [SEP] Description" in item
    assert product.description in env.step("click[Description]")[0]
    assert env.step("click[< Prev]")[0] == item
    assert " [SEP] ".join(product.bullets) in env.step("click[features]")[0]
    env.step("click[< prev]")
    assert env.step("click[reviews]")[0].endswith("[SEP] No reviews found")
    assert env.step("click[back to search]")[0].startswith("WebShop [SEP] Instruction: [SEP]")


def test_choices_stay_on_sub_pages_and_are_lost_in_the_results() -> None:
    env = start("6")
    env.step(f"search[{env.goal.product.title}]")
    env.step(f"click[{env.goal.product.asin}]")
    name, values = env.goal.product.options[0]
    env.step(f"click[{values[0]}]")
    env.step(f"click[{values[1]}]")
    assert env.page.options == ((name, values[1]),)
    env.step("click[description]")
    env.step("click[< prev]")
    assert env.page.options == ((name, values[1]),)
    env.step("click[< prev]")
    env.step(f"click[{env.goal.product.asin}]")
    assert not env.page.options


def test_the_order_of_choices_does_not_matter() -> None:
    env, other = start("0"), start("0")
    values = [value for _, value in env.goal.options]
    assert len(values) > 1
    for shop, order in ((env, values), (other, values[::-1])):
        walk(shop, [f"search[{env.goal.product.title}]", f"click[{env.goal.product.asin}]"])
        walk(shop, [f"click[{value}]" for value in order])
    assert env.snapshot() == other.snapshot()
    assert env.state_key() == other.state_key()


def test_a_purchase_ends_the_episode_and_shows_what_was_bought() -> None:
    env = start("0")
    while (action := env.plan().action) != "click[buy now]":
        assert action is not None
        assert env.step(action)[1:3] == (0.0, False)
    receipt, score, done, _, terms = env.step("click[Buy Now]")
    assert (score, done, terms["total"], terms["type"], terms["price"]) == (1.0, True, 1.0, 1.0, True)
    assert f"[SEP] {env.goal.product.asin} [SEP] options [SEP] {json.dumps(dict(env.goal.options))} [SEP]" in receipt
    assert receipt.endswith("Your score (min 0.0, max 1.0) [SEP] 1.0 [SEP] Reward Details [SEP] None")


@pytest.mark.parametrize(
    "action",
    [
        *("", "search", "search[]", "SEARCH[lamp]", "click[]", "click[search]", "click[buy now]", "click[SYN0000001]"),
        *("think[hm]", "\x00\x1b[2J\x07", "click[\x1b[31m]", "[" * 1_000_000, "click[" + "x" * 1_000_000 + "]"),
    ],
    ids=lambda action: repr(action[:20]),
)
def test_what_can_not_be_done_changes_nothing(action: str) -> None:
    env = start("6")
    first, key = env.reset(options={"task": "6"})[0], env.state_key()
    assert env.step(action)[:3] == (first, 0.0, False)
    assert env.state_key() == key


@pytest.mark.parametrize(
    "query",
    ["   ", "\x00\x1b]31m", "]]]", "the of and", "lamp " * 250_000, "\ud800", "日本語", 'a:"b" AND (c', "-", "*?~^"],
    ids=lambda query: repr(query[:20]),
)
def test_any_search_is_answered_with_a_page(query: str) -> None:
    env = start("6")
    page, score, done = env.step(f"search[{query}]")[:3]
    assert re.search(r" \[SEP\] Page 1 \(Total results: \d+\) \[SEP\] Next >", page)
    assert (score, done) == (0.0, False)
    assert len(env.page.query) <= MAX_QUERY
    assert page.isprintable()


@settings(deadline=None, max_examples=200)
@given(st.lists(st.one_of(st.text(max_size=20), st.integers(0, 30)), max_size=12), st.sampled_from(SAMPLED_TASKS))
def test_any_actions_are_answered_with_a_page_of_one_line(actions: list[str | int], task: str) -> None:
    env = start(task)
    for chosen in actions:
        valid = [*env.valid_actions(), "search[lamps]"]
        action = valid[chosen % len(valid)] if isinstance(chosen, int) else f"search[{chosen}]"
        page, score, done, truncated, _ = env.step(action)
        assert page.isprintable()
        assert 0 <= score <= 1
        assert done or not score
        assert not truncated
        assert env.plan().steps_left is None or done or env.plan().action is not None


# -- states -------------------------------------------------------------------------------------------


def test_a_snapshot_is_taken_up_again_by_another_instance() -> None:
    rng = random.Random(1)
    for task in SAMPLED_TASKS[:10]:
        env, other = start(task), make()
        wander(env, rng, 6)
        kept, key = env.snapshot(), env.state_key()
        after = walk(env, ["click[< prev]", "search[lamps]", "click[next >]"])
        other.restore(kept)
        assert other.state_key() == key
        assert walk(other, ["click[< prev]", "search[lamps]", "click[next >]"]) == after
        assert hash(kept) == hash(other.snapshot()) or kept != other.snapshot()
    with pytest.raises(ValueError, match="WebShop"):
        make().restore(("something", "else"))


def test_state_keys_differ_where_anything_does() -> None:
    env = start("6")
    keys = [env.state_key()]
    product = env.goal.product
    for action in (f"search[{product.title}]", "click[next >]", "click[< prev]", f"click[{product.asin}]"):
        env.step(action)
        keys.append(env.state_key())
    env.step(f"click[{product.options[0][1][0]}]")
    keys.append(env.state_key())
    assert keys[1] == keys[3]
    assert len(set(keys)) == len(keys) - 1
    env.reset(options={"task": "7"})
    assert env.state_key() not in keys
    assert all(len(key) == 16 for key in keys)


# -- expert and mistakes ------------------------------------------------------------------------------


def test_the_expert_ends_every_bundled_task_with_full_score() -> None:
    env = make()
    for task in env.tasks()[::7]:
        env.reset(options={"task": task})
        left = env.plan().steps_left
        score = 0.0
        while (action := env.plan().action) is not None:
            assert env.plan().steps_left == left
            score = env.step(action)[1]
            left = left - 1 if left else None
        assert (score, left, env.plan()) == (1.0, 0, base.Plan(None, 0)), task


def test_from_anywhere_the_expert_comes_one_step_nearer_and_no_click_comes_nearer_than_that() -> None:
    rng = random.Random(5)
    for task in SAMPLED_TASKS:
        env = start(task)
        for _ in range(4):
            wander(env, rng, rng.randint(0, 5))
            here, before = env.snapshot(), env.plan()
            assert before.steps_left is not None
            assert before.action is not None
            for action in env.valid_actions():
                env.restore(here)
                done = env.step(action)[2]
                after = env.plan().steps_left
                assert after is None if done and env.page.score < 1 else after is not None
                assert after is None or after >= before.steps_left - 1, (task, here, action)
            env.restore(here)
            env.step(before.action)
            assert env.plan().steps_left == before.steps_left - 1
        while (last := env.plan().action) is not None:
            score = env.step(last)[1]
        assert score == 1.0


def test_a_purchase_that_is_not_right_leaves_no_way() -> None:
    env = start("0")
    env.step("search[frying pans]")
    wrong = next(product for product in env.shop.search("frying pans") if product.query != env.goal.product.query)
    env.step(f"click[{wrong.asin}]")
    _, score, done, _, _ = env.step("click[buy now]")
    assert done
    assert score < 1
    assert env.plan() == base.Plan(None, None)


def test_mistakes_are_never_the_experts_action_and_depend_on_state_and_seed_alone() -> None:
    rng = random.Random(9)
    for task in SAMPLED_TASKS:
        env, other = start(task), make()
        wander(env, rng, rng.randint(0, 5))
        other.restore(env.snapshot())
        for seed in range(20):
            thought, action = env.mistake(random.Random(seed))
            assert thought
            assert action != env.plan().action
            assert other.mistake(random.Random(seed)) == (thought, action)


def test_customers_who_err_get_scores_in_between() -> None:
    rng = random.Random(3)
    scores = []
    for task in SAMPLED_TASKS * 3:
        env = start(task)
        for _ in range(10):
            right = env.plan().action
            assert right is not None
            _, score, done, _, _ = env.step(env.mistake(rng)[1] if rng.random() < 0.5 else right)
            if done:
                scores.append(score)
                break
    assert len(scores) > 60
    assert 1.0 in scores
    assert sum(0 < score < 1 for score in scores) > 20
    assert len(set(scores)) > 8


def test_a_search_with_the_scripted_actor_gives_good_bad_and_intermediate_leaves_and_verified_samples(
    tmp_path: Path,
) -> None:
    out = tmp_path / "shop.trace.jsonl"
    job = new_job("webshop", "6", SearchSettings(iterations=6, max_depth=8, error_rate=0.5), out)
    assert job.run_blocking() == "iterations"
    returns = {leaf.reward for leaf in job.tree.leaves()}
    assert {0, 1.0} <= returns
    assert any(0 < score < 1 for score in returns)
    figures = Revised()
    samples = list(revise(job.tree, str(out), ReviseSettings(**AS_FOUND, max_pairs=60), figures))
    assert figures.pairs > 20
    assert figures.by_verdict["verified"] > 5
    assert "unreplayable" not in figures.by_verdict
    assert any(sample.kind == "good" for sample in samples)
