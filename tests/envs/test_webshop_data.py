from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import random
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import base
from envs.webshop.catalogue import BUNDLED, CatalogueError, Product, build, bundled, find, read
from envs.webshop.env import WebShop, make
from envs.webshop.goals import NO_LIMIT, Goal, human_goals, split_limit, written_goals
from envs.webshop.index import MAX_RESULTS, digest_of, open_index
from envs.webshop.make_catalogue import bundled_bytes, catalogue, write_files
from envs.webshop.reward import score, similar, token_set_ratio, type_score
from envs.webshop.shop import open_shop

ITEM: dict[str, Any] = {
    "asin": "B0TEST0001",
    "name": "Quorora Dimmable Desk Lamps, Glass Shade",
    "category": "lighting",
    "query": "Desk Lamps ",
    "product_category": "Lighting › Desk Lamps › Lamps",
    "full_description": "A lamp.",
    "small_description": ["Bright", "Quiet"],
    "pricing": "$12.5",
    "customization_options": {"Color": [{"value": " Navy/Blue "}, {"value": "Red"}], "Size": None},
    "images": ["x"],
}
INS: dict[str, Any] = {
    "B0TEST0001": {
        "attributes": ["dimmable", "glass shade"],
        "instruction": "Find me dimmable desk lamps",
        "instruction_attributes": ["dimmable"],
    }
}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(folder: Path, items: Any = None, ins: Any = None, human: Any = None, ending: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    contents = {"items_shuffle": [ITEM] if items is None else items, "items_ins_v2": INS if ins is None else ins}
    if human is not None:
        contents["items_human_ins"] = human
    for name, content in contents.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{name}{ending}.json").write_text(text, encoding="utf-8")
    return folder


def product(**fields: Any) -> Product:
    item = ITEM | fields
    known = {item["asin"]: {"attributes": fields.get("attributes", [])}}
    return build(([item], known, {}), ("items",) * 3, "made").products[0]


def goal(wanted: Product, attributes: list[str], options: list[tuple[str, str]], upper: float = NO_LIMIT) -> Goal:
    return Goal(wanted, "Find it", tuple(attributes), tuple(options), upper)


# -- catalogue ----------------------------------------------------------------------------------------


def test_a_product_is_read_as_the_original_reads_it() -> None:
    (lamp,) = build(([ITEM], INS, {}), ("items",) * 3, "made").products
    assert lamp.options == (("color", ("navy | blue", "red")),)
    assert (lamp.price_tag, lamp.price, lamp.query) == ("$12.5", 12.5, "desk lamps")
    assert lamp.bullets == ("Bright", "Quiet")
    assert lamp.kinds == {"Lighting", "Desk Lamps", "Lamps"}
    assert lamp.text == "quorora dimmable desk lamps, glass shade a lamp. bright color: navy | blue, red"


@pytest.mark.parametrize(
    ("pricing", "tag", "low", "high"),
    [
        *((None, "$100.0", 100, 100), ("", "$100.0", 100, 100), ("$1,299.5", "$1299.5", 1299.5, 1299.5)),
        *(("$5.0$9.90", "$5.0 to $9.9", 5, 9.9), ("$5$6$7", "$5.0 to $6.0", 5, 6)),
    ],
)
def test_prices_are_shown_as_the_original_shows_them(pricing: str | None, tag: str, low: float, high: float) -> None:
    found = product(pricing=pricing)
    assert found.price_tag == tag
    assert low <= found.price <= high
    assert product(pricing=pricing).price == found.price


def test_a_missing_price_field_is_a_price_too() -> None:
    bare = {name: value for name, value in ITEM.items() if name != "pricing"}
    assert build(([bare], INS, {}), ("items",) * 3, "made").products[0].price == 100.0


def test_ids_that_the_original_passes_over_are_passed_over() -> None:
    items = [ITEM, ITEM | {"name": "again"}, ITEM | {"asin": "nan"}, ITEM | {"asin": "B0TOOLONG000"}]
    (only,) = build((items, INS, {}), ("items",) * 3, "made").products
    assert only.title == ITEM["name"]


BROKEN = [
    ({"items": {}}, "items_shuffle.json must be a list"),
    ({"items": [3]}, "items_shuffle.json: product 0 must be an object"),
    ({"items": [{"name": "x"}]}, "items_shuffle.json: product 0: asin must be text"),
    ({"items": [ITEM | {"name": None}]}, "items_shuffle.json: product B0TEST0001: name must be text"),
    ({"items": [ITEM | {"pricing": "soon"}]}, "product B0TEST0001: pricing must be dollars"),
    ({"items": [ITEM | {"pricing": "$x"}]}, "product B0TEST0001: pricing must be dollars"),
    ({"items": [ITEM | {"pricing": 12}]}, "product B0TEST0001: pricing must be text"),
    ({"items": [ITEM | {"pricing": "$1.2.3"}]}, "product B0TEST0001: pricing must be dollars"),
    ({"items": [ITEM | {"customization_options": {"size": [{}]}}]}, "B0TEST0001: customization_options: size must be"),
    ({"items": [ITEM | {"small_description": [1]}]}, "product B0TEST0001: small_description must be texts"),
    ({"items": "[{"}, "items_shuffle.json: not JSON"),
    ({"items": "[" * 100_000}, "items_shuffle.json: not JSON"),
    ({"ins": []}, "items_ins_v2.json must be an object"),
    ({"ins": {"B0TEST0001": 1}}, "items_ins_v2.json: product B0TEST0001 must be an object"),
    ({"ins": {"B0TEST0001": {"attributes": "x"}}}, "items_ins_v2.json: product B0TEST0001: attributes must be texts"),
    ({"ins": {"B0TEST0001": {"instruction": "x"}}}, "B0TEST0001: instruction_attributes must be at least one"),
    ({"ins": {}}, "items_shuffle.json: no product has an instruction"),
    ({"human": {"B0TEST0001": 3}}, "items_human_ins.json: product B0TEST0001 must be a list"),
    ({"human": {"B0TEST0001": [{"instruction_attributes": ["x"]}]}}, "items_human_ins.json: product B0TEST0001: instr"),
]


@pytest.mark.parametrize(("contents", "said"), BROKEN, ids=lambda value: value if isinstance(value, str) else "")
def test_a_malformed_catalogue_is_one_line_naming_file_and_product(
    contents: dict[str, Any], said: str, tmp_path: Path
) -> None:
    folder = write(tmp_path / "data", **contents)
    with pytest.raises(base.EnvError) as caught:
        base.make(f"webshop:{folder}")
    line = str(caught.value)
    assert said in line
    assert "\n" not in line


def test_a_folder_is_searched_for_the_files_that_belong_together(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="no such folder"):
        find(tmp_path / "nowhere")
    with pytest.raises(CatalogueError, match="contains no items_shuffle"):
        find(tmp_path)
    folder = write(tmp_path / "data", ending="_1000")
    assert [place and place.name for place in find(folder)] == [
        "items_shuffle_1000.json",
        "items_ins_v2_1000.json",
        None,
    ]
    (folder / "items_human_ins.json").write_text("{}")
    write(folder, items=[ITEM | {"name": "Another"}])
    with pytest.raises(CatalogueError, match=re.escape("items_shuffle.json, items_shuffle_1000.json: name one")):
        find(folder)
    for ending in ("", "_1000"):
        places = find(folder / f"items_shuffle{ending}.json")
        assert [place and place.name for place in places][1:] == [f"items_ins_v2{ending}.json", "items_human_ins.json"]
    assert open_shop(str(folder / "items_shuffle.json")).catalogue.products[0].title == "Another"


def test_files_may_be_compressed_and_are_read_again_when_they_change(tmp_path: Path) -> None:
    folder = write(tmp_path / "data")
    plain = folder / "items_shuffle.json"
    (folder / "items_shuffle.json.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert open_shop(str(folder)) is open_shop(str(folder))
    changed = folder / "items_shuffle.json.gz"
    changed.write_bytes(gzip.compress(json.dumps([ITEM | {"name": "New Lamps"}]).encode()))
    os.utime(changed, ns=(1, 1))
    assert open_shop(str(folder)).catalogue.products[0].title == "New Lamps"
    changed.write_bytes(changed.read_bytes()[:40])
    with pytest.raises(CatalogueError, match=r"items_shuffle.json.gz: "):
        open_shop(str(folder))


def test_hostile_text_in_a_catalogue_stays_text(tmp_path: Path) -> None:
    evil = "[red]x[/red] \x1b[31m <b>&amp; [SEP]"
    folder = write(tmp_path / "data", items=[ITEM | {"name": evil, "full_description": "\x00"}])
    env = make(str(folder))
    env.reset(options={"task": "0"})
    while (action := env.plan().action) is not None:
        observation, reward, *_ = env.step(action)
        assert evil in observation or "Thank you" in observation
    assert reward == 1.0


# -- goals --------------------------------------------------------------------------------------------


def test_written_instructions_give_a_goal_for_every_combination_of_options(tmp_path: Path) -> None:
    options = {
        "Size": [{"value": "S"}, {"value": "L"}],
        "Color": [{"value": "Red"}, {"value": "Tan"}, {"value": "Sky"}],
    }
    made = build(([ITEM | {"customization_options": options}], INS, {}), ("items",) * 3, "made")
    goals = written_goals(made)
    assert len(goals) == 6
    assert {found.options for found in goals} == {
        (("color", color), ("size", size)) for color in ("red", "tan", "sky") for size in ("s", "l")
    }
    assert all(
        re.fullmatch(
            r"Find me dimmable desk lamps with color: \w+, and size: \w, and price lower than [345]0\.00 dollars",
            found.instruction,
        )
        for found in goals
    )
    assert len({found.price_upper for found in goals}) == 1
    assert split_limit(goals[0].instruction) == (goals[0].wish, goals[0].price_upper)


def test_of_tasks_with_the_same_instruction_the_named_one_is_rebuilt(tmp_path: Path) -> None:
    twin = ITEM | {"asin": "B0TEST0002"}
    folder = write(tmp_path / "data", items=[ITEM, twin], ins=INS | {"B0TEST0002": INS["B0TEST0001"]})
    env = make(str(folder))
    first = {task: env.reset(options={"task": task})[0] for task in env.tasks()}
    assert len({re.sub(r"than .*", "", text) for text in first.values()}) == 2
    for task, text in first.items():
        assert env.reset(options={"task": task, "observation": text})[1]["task"] == task


def test_what_costs_more_than_any_limit_has_none() -> None:
    (found,) = written_goals(
        build(([ITEM | {"pricing": "$985.0", "customization_options": {}}], INS, {}), ("items",) * 3, "made")
    )
    assert found.instruction == "Find me dimmable desk lamps"
    assert score(found, found.product, {}).price


def test_instructions_of_people_are_tasks_of_their_own(tmp_path: Path) -> None:
    human = {
        "B0TEST0001": [
            {"instruction": "i want a lamp.", "instruction_attributes": ["dimmable"], "instruction_options": ["red"]},
            {"instruction": "no attribute", "instruction_attributes": [], "instruction_options": []},
        ],
        "B0UNKNOWN1": [{"instruction": "x", "instruction_attributes": ["y"], "instruction_options": []}],
    }
    folder = write(tmp_path / "data", human=human)
    env = make(str(folder))
    assert env.tasks() == ("0", "1", "human:0")
    first, info = env.reset(options={"task": "human:0"})
    assert re.search(r"\[SEP\] i want a lamp, and price lower than [345]0.00 dollars \[SEP\] Search", first)
    assert "synthetic" not in info
    assert env.reset(options={"observation": first})[1]["task"] == "human:0"
    reward = 0.0
    while (action := env.plan().action) is not None:
        reward = env.step(action)[1]
    assert reward == 1.0
    assert env.page.options == (("color", "red"),)
    assert len(human_goals(env.shop.catalogue)) == 1
    only = make(str(write(tmp_path / "only", ins={}, human=human)))
    assert only.tasks() == ("human:0",)
    with pytest.raises(base.UnknownTask, match="human:0 to human:0"):
        only.reset(options={"task": "0"})


# -- score --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        *(
            ("dry skin", "skin dry", 100),
            ("dry", "very dry skin", 100),
            ("", "x", 0),
            ("!!", "x", 0),
            ("Red", "red!", 100),
        ),
        *(("essential oil", "essential oils", 96.3), ("anti aging", "anti slip", 63.2), ("abc", "xyz", 0)),
        *(("a b c", "a b d", 80.0), ("caf\u00e9", "caf", 100)),
    ],
)
def test_similarity_is_the_token_set_ratio(one: str, other: str, ratio: float) -> None:
    assert token_set_ratio(one, other) == pytest.approx(ratio, abs=0.05)
    assert token_set_ratio(other, one) == pytest.approx(ratio, abs=0.05)


def subsequence(one: str, other: str) -> int:
    row = [0] * (len(other) + 1)
    for letter in one:
        previous = 0
        for place, against in enumerate(other, 1):
            kept, row[place] = row[place], max(row[place], row[place - 1], previous + (letter == against))
            previous = kept
    return row[-1]


@settings(deadline=None)
@given(st.text("abcd", min_size=1, max_size=20), st.text("abce", min_size=1, max_size=20))
def test_one_word_each_is_compared_by_the_longest_common_subsequence(one: str, other: str) -> None:
    expected = 100.0 if one == other else 200 * subsequence(one, other) / (len(one) + len(other))
    assert token_set_ratio(one, other) == pytest.approx(expected)


def test_a_purchase_scores_by_kind_attributes_options_and_price() -> None:
    lamp = product(attributes=["dimmable", "glass shade"])
    wanted = goal(lamp, ["dimmable", "heavy duty"], [("color", "red")], 12.5)
    assert score(wanted, lamp, {"color": "red"}) == (3 / 4, 1.0, 1, 1, True)
    assert score(wanted, lamp, {"color": "navy | blue"}) == (2 / 4, 1.0, 1, 0, True)
    assert score(wanted, lamp, {}).options == 0
    assert score(goal(lamp, ["dimmable", "heavy duty"], [], 12.49), lamp, {}).total == 1 / 3


def test_attributes_are_found_in_title_bullets_and_description_too() -> None:
    lamp = product(full_description="Heavy Duty stand", small_description=["Now with USB port"], attributes=["x"])
    wanted = goal(lamp, ["heavy duty", "usb port", "glass shade", "water proof"], [])
    assert score(wanted, lamp, {}).attributes == 3


@pytest.mark.parametrize(
    ("name", "value", "chosen", "matches"),
    [
        *(("color", "red", "red", True), ("color", "red", "dark red wine", False), ("color", "sky blue", "blue", True)),
        *(("size", "x-large", "large", True), ("size", "large", "x-large", False), ("", "large", "x-large", True)),
        *(("", "navy blue", "royal blue", True), ("size", "6 ounce", "4 ounce", False)),
    ],
)
def test_options_match_as_the_original_matches_them(name: str, value: str, chosen: str, matches: bool) -> None:
    lamp = product()
    assert score(goal(lamp, ["dimmable"], [(name, value)]), lamp, {"any": chosen}).options == matches


TITLE = "Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Lamps"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": TITLE}, 1.0),
        ({"name": "Something Else"}, 0.0),  # no noun in common, whatever else agrees
        ({"name": "Zeta Chairs"}, 0.1),  # one of twelve
        ({"name": "Zeta Eta Chairs"}, 1.0),  # two of twelve, and the same query
        ({"name": "Zeta Eta Chairs", "query": "chairs"}, 1.0),  # … and two categories
        ({"name": "Zeta Eta Chairs", "query": "chairs", "product_category": "Lighting › Chairs"}, 0.5),
        ({"name": "Zeta Eta Iota Chairs", "query": "chairs", "product_category": "Chairs"}, 1.0),  # three of twelve
    ],
)
def test_the_kind_of_a_product_counts_1_05_01_or_0(fields: dict[str, Any], expected: float) -> None:
    assert type_score(product(name=TITLE), product(**fields)) == expected


def test_nouns_are_what_is_no_function_word_number_or_participle() -> None:
    wanted = product(name="Zeta Lamp for the 3.1 Rated 4K Women's Non-Slip Rack")
    same = product(name="Zeta Lamp Women Non Slip Rack", query="x", product_category="x")
    assert type_score(wanted, same) == 1.0
    assert type_score(product(name="for the 42 Rated"), same) == 0.5  # no noun at all counts as a fifth
    other = product(name="for the 3.1 Rated 4K 's", query="x", product_category="x")
    assert type_score(wanted, other) == 0.0


# -- index --------------------------------------------------------------------------------------------


def lamps(count: int, **fields: Any) -> tuple[Product, ...]:
    items = [ITEM | {"asin": f"B0TEST{number:04d}"} | fields for number in range(count)]
    random.Random(0).shuffle(items)
    return build((items, {}, {}), ("items",) * 3, "made").products


def test_equal_scores_are_in_the_order_of_product_ids_and_only_the_best_50_count(tmp_path: Path) -> None:
    products = lamps(180)
    found = open_index(products, tmp_path).search("desk lamp")
    assert [one.asin for one in found] == [f"B0TEST{number:04d}" for number in range(MAX_RESULTS)]


def test_title_description_first_bullet_and_options_are_searched_with_english_stems(tmp_path: Path) -> None:
    index = open_index(lamps(3), tmp_path)
    for query in ("LAMP", "dimmable", "a lamp.", "bright", "navy", "reds"):
        assert len(index.search(query)) == 3, query
    for query in ("quiet", "lighting", "zzz", "", "the"):
        assert index.search(query) == (), query


def test_better_matches_come_first(tmp_path: Path) -> None:
    shop = open_shop()
    for wanted in shop.catalogue.products[::9]:
        assert wanted in shop.search(wanted.title)[:3]


def test_an_index_is_built_once_and_kept(tmp_path: Path) -> None:
    products = lamps(20)
    open_index(products, tmp_path)
    (folder,) = tmp_path.iterdir()
    assert folder.name == digest_of(products)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(open_index(products, tmp_path).search("lamp")) == 20
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    open_index(lamps(21), tmp_path)
    open_index(lamps(20, name="Other Lamps"), tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("harm", ["cut", "flip", "remove", "manifest", "empty", "file"])
def test_a_damaged_index_is_built_again(tmp_path: Path, harm: str) -> None:
    products = lamps(20)
    expected = open_index(products, tmp_path).search("lamp")
    (folder,) = tmp_path.iterdir()
    victim = max(folder.glob("*.*"), key=lambda path: (path.suffix != ".json", path.stat().st_size))
    if harm == "cut":
        victim.write_bytes(victim.read_bytes()[:-3])
    elif harm == "flip":
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 0xFF
        victim.write_bytes(data)
    elif harm == "remove":
        victim.unlink()
    elif harm == "manifest":
        (folder / "manifest.json").write_text("{")
    else:
        for path in folder.iterdir():
            path.unlink()
        if harm == "file":
            folder.rmdir()
            folder.write_text("not a folder")
    assert open_index(products, tmp_path).search("lamp") == expected
    assert [path.name for path in tmp_path.iterdir()] == [digest_of(products)]
    assert (folder / "manifest.json").stat().st_size > 10


def _build(folder: str, count: int) -> list[str]:
    return [one.asin for one in open_index(lamps(count), Path(folder)).search("lamp")]


def test_several_processes_may_build_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        found = pool.starmap(_build, [(str(tmp_path), 300)] * 6)
    assert all(one == found[0] and len(one) == MAX_RESULTS for one in found)
    assert [path.name for path in tmp_path.iterdir()] == [digest_of(lamps(300))]


def test_where_nothing_can_be_kept_the_index_is_in_memory(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert len(open_index(lamps(20), blocked / "cache").search("lamp")) == 20


def test_what_a_killed_builder_left_is_swept_away(tmp_path: Path) -> None:
    products = lamps(5)
    left, fresh = tmp_path / f"{digest_of(products)}.old", tmp_path / f"{digest_of(products)}.new"
    for folder in (left, fresh):
        folder.mkdir()
    os.utime(left, (1, 1))
    open_index(products, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {digest_of(products), fresh.name}


# -- the bundled catalogue ----------------------------------------------------------------------------


def test_the_bundled_file_is_what_its_script_makes() -> None:
    data = (files("envs.webshop") / BUNDLED).read_bytes()
    assert json.loads(gzip.decompress(data)) == catalogue()
    assert json.loads(gzip.decompress(bundled_bytes())) == catalogue()
    assert len(data) < 100_000


def test_the_bundled_file_says_that_it_is_synthetic() -> None:
    raw = catalogue()
    assert raw["synthetic"] is True
    assert "synthetic" in raw["note"].lower()
    assert all(item["asin"].startswith("SYN") for item in raw["items_shuffle"])
    assert bundled().synthetic


def test_the_bundled_catalogue_has_what_a_shop_has() -> None:
    found = bundled()
    assert len(found.products) == 360
    assert len({next(iter(sorted(one.kinds))) for one in found.products}) >= 12
    assert len({item["category"] for item in catalogue()["items_shuffle"]}) == 12
    assert any(one.price_tag == "$100.0" for one in found.products)
    assert any(" to " in one.price_tag for one in found.products)
    assert all(wish.attributes for wish in found.written.values())
    limits = {found.price_upper for found in open_shop().goals}
    assert len(limits) > 15
    assert all(one.isprintable() for found_one in found.products for one in (found_one.title, found_one.description))


def test_the_script_writes_webshops_three_files(tmp_path: Path) -> None:
    write_files(tmp_path / "made", 50)
    made = read(find(tmp_path / "made"))
    assert len(made.products) == 50
    env = WebShop(open_shop(str(tmp_path / "made")))
    env.reset(options={"task": "0"})
    reward = 0.0
    while (action := env.plan().action) is not None:
        reward = env.step(action)[1]
    assert reward == 1.0


def test_without_tantivy_the_message_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['tantivy'] = None\n"
        "from envs import base\n"
        "try: base.make('webshop')\n"
        "except base.EnvError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "agentr-tui[webshop]" in said


def test_similar_is_strictly_above_85() -> None:
    assert similar("essential oil", "essential oils")
    assert not similar("a b c", "a b d")


def test_a_file_that_holds_far_more_than_webshop_has_is_refused_before_it_is_in_memory(tmp_path: Path) -> None:
    plain, packed = tmp_path / "items_shuffle_1.json", tmp_path / "items_shuffle_2.json.gz"
    plain.write_bytes(b"[")
    os.truncate(plain, 100 << 30)  # takes no room on the disk
    packed.write_bytes(gzip.compress(b"[" + b" " * (66 << 20), 1))
    for path in (plain, packed):
        with pytest.raises(CatalogueError, match=f"{path.name}: holds more than WebShop's data ever do"):
            read(find(path))
