"""Parts, mixtures, order, shards and packing of a dataset; its report and card; and what a kill leaves behind."""

from __future__ import annotations

import gzip
import hashlib
import json
import multiprocessing
import os
import signal
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import InputError, WorkFailed
from engine.datasets.export import export
from engine.datasets.files import Outputs, other_shards
from engine.datasets.formats import FORMATS
from engine.datasets.mixing import choose_lines, parse_mix
from engine.datasets.options import Exported, ExportOptions
from engine.datasets.split import (
    file_name,
    lines_to_mix,
    orders,
    parse_split,
    part_of,
    shard_bounds,
)
from engine.review.decisions import Decisions
from engine.workspace.workspace import Workspace
from tests.engine.made import ROWS, made_workspace
from tests.engine.tasks import tasks_workspace

TASKS = 12


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with twelve tasks, which no test decides on; each test exports to a folder of its own."""
    return tasks_workspace(tmp_path_factory.mktemp("many"), TASKS)


def exported(workspace: Workspace, out: Path, format: str = "xtuner", **options: Any) -> Exported:
    """Export with options."""
    return export(workspace, None, format, out, options=ExportOptions(**options))


def read(path: str | Path) -> list[dict[str, Any]]:
    """Records of JSON Lines, gzip'd or not."""
    data = Path(path).read_bytes()
    text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    return [json.loads(line) for line in text.splitlines()]


def origins(done: Exported) -> list[dict[str, Any]]:
    """Where the records come from."""
    return read(done.provenance)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder and the folders in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- parts -------------------------------------------------------------------------------------------


def test_a_task_is_wholly_in_one_part_and_every_record_in_one(many: Workspace, tmp_path: Path) -> None:
    whole = exported(many, tmp_path / "whole.jsonl")
    done = exported(many, tmp_path / "data.jsonl", split="train=0.7,dev=0.3")
    assert [Path(file.path).name for file in done.files] == ["data.train.jsonl", "data.dev.jsonl"]
    rows = {file.part: read(file.path) for file in done.files}
    assert {name: len(found) for name, found in rows.items()} == done.parts
    assert min(done.parts.values()) > 0
    assert done.lines == whole.lines == 5 * TASKS
    parts: dict[str, set[str]] = {}
    for origin in origins(done):
        parts.setdefault(origin["task"], set()).add(origin["file"])
        record = rows["train" if "train" in origin["file"] else "dev"][origin["line"] - 1]
        assert f"Rules of {origin['task'].removeprefix('honey-')}." == record["messages"][1]["content"]
    assert all(len(files) == 1 for files in parts.values())
    assert len(parts) == TASKS
    everything = sorted(json.dumps(row) for found in rows.values() for row in found)
    assert everything == sorted(json.dumps(row) for row in read(whole.out))


def test_a_task_stays_in_its_part_when_more_are_exported(tmp_path: Path) -> None:
    few, more = tasks_workspace(tmp_path / "few", 4), tasks_workspace(tmp_path / "more", 8)
    found = []
    for workspace in (few, more):
        done = exported(workspace, workspace.exports / "x.jsonl", split="train=0.5,dev=0.5")
        found.append({origin["task"]: origin["file"] for origin in origins(done)})
    assert found[0].items() <= found[1].items()
    other = exported(more, more.exports / "x.jsonl", split="train=0.5,dev=0.5", seed=7)
    assert found[1] != {origin["task"]: origin["file"] for origin in origins(other)}


def test_shares_are_met_on_average() -> None:
    parts = parse_split("train=0.8, dev=0.15,test=0.05")
    counts = Counter(part_of("textcraft", str(task), parts, 0) for task in range(4000))
    for index, part in enumerate(parts):
        assert abs(counts[index] / 4000 - part.share) < 0.03


def test_an_empty_part_is_an_empty_file_and_said(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path)
    done = exported(workspace, workspace.exports / "x.jsonl", split="train=0.999999,dev=0.000001")
    assert done.parts == {"train": 5, "dev": 0}
    assert done.warnings == ["the part dev is empty: no task fell into it"]
    assert Path(done.files[1].path).read_bytes() == b""


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ("train", "write NAME=SHARE"),
        ("train=0.9,dev=0.2", "add up to 1.1, not to 1"),
        ("train=0.5,train=0.5", "names a part twice"),
        ("train=1.5,dev=-0.5", "'1.5' is not a share"),
        ("../x=0.5,dev=0.5", "write NAME=SHARE"),
        ("a=nan,b=1", "'nan' is not a share"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(split: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_split(split)


# -- mixing ------------------------------------------------------------------------------------------


def general(path: Path, lines: int) -> Path:
    """Plain conversations."""
    rows = [
        {"messages": [{"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": f"answer {n}"}]}
        for n in range(lines)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def is_general(record: dict[str, Any]) -> bool:
    """Whether a record is one of those."""
    return "question " in json.dumps(record)


@pytest.mark.parametrize("format", [name for name, each in FORMATS.items() if each.conversation is not None])
def test_another_dataset_makes_up_the_share_of_lines(many: Workspace, tmp_path: Path, format: str) -> None:
    mix = general(tmp_path / "general.jsonl", 400)
    out = tmp_path / f"out{FORMATS[format].extension}"
    done = exported(many, out, format, mix=f"{mix}:0.25")
    records = json.loads(out.read_text()) if FORMATS[format].array else read(out)
    mixed = [record for record in records if is_general(record)]
    assert done.mixed == len(mixed)
    assert abs(len(mixed) / len(records) - 0.25) < 0.01
    assert all(FORMATS[format].validate(record) == [] for record in records)
    assert len({json.dumps(record) for record in mixed}) == len(mixed)  # none twice
    told = [origin for origin in origins(done) if "mixed_from" in origin]
    assert len(told) == len(mixed)
    for origin in told:
        assert origin["mixed_from"] == "general.jsonl"
        assert f"answer {origin['mixed_line'] - 1}" in json.dumps(records[origin["line"] - 1])
    places = [place for place, record in enumerate(records) if is_general(record)]
    assert places != sorted(range(len(records)))[-len(places) :]  # shuffled among the others


def test_several_datasets_make_up_their_shares_of_all_lines(many: Workspace, tmp_path: Path) -> None:
    first, second = general(tmp_path / "one.jsonl", 200), general(tmp_path / "two.jsonl", 200)
    done = exported(many, tmp_path / "out.jsonl", mix=f"{first}:0.25,{second}:0.1")
    told = [origin["mixed_from"] for origin in origins(done) if "mixed_from" in origin]
    assert abs(told.count("one.jsonl") / done.lines - 0.25) < 0.01
    assert abs(told.count("two.jsonl") / done.lines - 0.1) < 0.01
    assert "one.jsonl:0.25,two.jsonl:0.1" in Path(done.card).read_text(encoding="utf-8")
    assert str(tmp_path) not in Path(done.card).read_text(encoding="utf-8")


def test_what_is_mixed_in_goes_to_the_first_part_and_may_be_packed(many: Workspace, tmp_path: Path) -> None:
    mix = general(tmp_path / "general.jsonl", 50)
    packed = tmp_path / "general.jsonl.gz"
    packed.write_bytes(gzip.compress(mix.read_bytes()))
    done = exported(many, tmp_path / "a.jsonl", split="train=0.7,dev=0.3", mix=f"{packed}:0.3")
    train, dev = (read(file.path) for file in done.files)
    assert abs(sum(map(is_general, train)) / len(train) - 0.3) < 0.02
    assert not any(map(is_general, dev))
    again = exported(many, tmp_path / "b.jsonl", split="train=0.7,dev=0.3", mix=f"{mix}:0.3")
    assert read(again.files[0].path) == train  # the choice follows from the seed alone


def test_records_of_the_format_itself_are_mixed_as_they_are(many: Workspace, tmp_path: Path) -> None:
    other = exported(many, tmp_path / "other.jsonl", "trl-dpo")
    done = exported(many, tmp_path / "out.jsonl", "trl-dpo", mix=f"{other.out}:0.5")
    assert done.mixed == other.lines
    assert {json.dumps(row) for row in read(done.out)} == {json.dumps(row) for row in read(other.out)}


def test_too_few_lines_and_lines_that_break_a_rule_are_said(many: Workspace, tmp_path: Path) -> None:
    mix = general(tmp_path / "general.jsonl", 3)
    with mix.open("a") as file:
        file.write("\n")
        for content in (" ", "my key: sk-" + "a1" * 12):
            said = [{"role": "user", "content": "q"}, {"role": "assistant", "content": content}]
            file.write(json.dumps({"messages": said}) + "\n")
    done = exported(many, tmp_path / "out.jsonl", mix=f"{mix}:0.5")
    assert done.mixed == 3
    assert done.warnings == [
        f"{mix}: 1 line left out: empty text",
        f"{mix}: 1 line left out: looks like a key",
        f"{mix}: gave 3 records, where 60 make up a share of 0.5",
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not JSON"),
        ('{"text": "x"}', "a form that is not known"),
        ('{"messages": [{"role": "user", "content": "x", "weight": 1}]}', "no trained turn"),
        ("[1]", "a form that is not known"),
        ("\xff", "not JSON"),
    ],
)
def test_a_file_of_which_no_line_fits_is_refused_with_place_and_reason(
    many: Workspace, tmp_path: Path, line: str, words: str
) -> None:
    mix = tmp_path / "general.jsonl"
    mix.write_text(line + "\n", encoding="latin-1")
    with pytest.raises(InputError, match=rf"general.jsonl:1: none of 1 lines fits the format xtuner; {words}"):
        exported(many, tmp_path / "out.jsonl", mix=f"{mix}:0.2")
    assert os.listdir(tmp_path) == ["general.jsonl"]


def test_a_mixture_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    mix = general(tmp_path / "g.jsonl", 1)
    for text, words in (
        (f"{mix}", "write FILE:SHARE"),
        (f"{mix}:1", "a share below 1"),
        (f"{mix}:0.5,{mix}:0.5", "a share below 1"),
        (f"{mix}:0.5,{tmp_path}/absent.jsonl:0.2", "no such file"),
        (f"{mix}:x", "'x' is not a share"),
        (f"{tmp_path}/absent.jsonl:0.2", "no such file"),
    ):
        with pytest.raises(InputError, match=words):
            parse_mix(text)
    assert parse_mix(f"{mix}:0.2") == [(mix, 0.2)]
    comma = general(tmp_path / "a,b.jsonl", 1)
    assert parse_mix(f"{comma}:0.2,{mix}:0.1") == [(comma, 0.2), (mix, 0.1)]


@given(st.integers(0, 10_000), st.floats(0.01, 0.99))
def test_the_number_of_lines_to_mix_gives_the_share(own: int, share: float) -> None:
    count = lines_to_mix(share, own)
    assert abs(count - share * (own + count)) <= 0.5 + 1e-6


def test_lines_are_chosen_alike_over_the_whole_file(tmp_path: Path) -> None:
    mix = general(tmp_path / "g.jsonl", 200)
    counts: Counter[int] = Counter()
    for seed in range(300):
        chosen = choose_lines(mix, 20, seed).chosen
        assert chosen == sorted(set(chosen))
        assert len(chosen) == 20
        counts.update(chosen)
    assert set(counts) == set(range(1, 201))
    assert max(counts.values()) < 60  # 30 on average
    assert choose_lines(mix, 500, 1).chosen == list(range(1, 201))


# -- order and files ---------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3), max_size=60), st.booleans(), st.integers(0, 5))
def test_an_order_holds_each_record_of_its_part_once(of_part: list[int], shuffle: bool, seed: int) -> None:
    found = orders(of_part, 4, shuffle, seed)
    for part, order in enumerate(found):
        mine = [index for index, each in enumerate(of_part) if each == part]
        assert sorted(order) == mine
        assert shuffle or list(order) == mine
    assert found == orders(of_part, 4, shuffle, seed)


@given(st.integers(0, 500), st.integers(1, 40))
def test_shards_follow_each_other_and_differ_by_one_record(records: int, shards: int) -> None:
    bounds = shard_bounds(records, shards)
    assert [end for _, end in bounds[:-1]] == [begin for begin, _ in bounds[1:]]
    assert (bounds[0][0], bounds[-1][1]) == (0, records)
    sizes = [end - begin for begin, end in bounds]
    assert max(sizes) - min(sizes) <= 1


def test_a_shuffle_is_another_order_of_the_same_records(many: Workspace, tmp_path: Path) -> None:
    plain = exported(many, tmp_path / "plain.jsonl")
    shuffled = exported(many, tmp_path / "shuffled.jsonl", shuffle=True)
    one, two = read(plain.out), read(shuffled.out)
    assert one != two
    assert sorted(map(json.dumps, one)) == sorted(map(json.dumps, two))
    assert read(exported(many, tmp_path / "seed.jsonl", shuffle=True, seed=1).out) != two
    told = origins(shuffled)
    by_sample = {origin["sample"]: one[origin["line"] - 1] for origin in origins(plain)}
    assert [by_sample[origin["sample"]] for origin in told] == two  # provenance moved along


def test_shards_joined_are_the_dataset(many: Workspace, tmp_path: Path) -> None:
    plain = exported(many, tmp_path / "plain.jsonl")
    done = exported(many, tmp_path / "out.jsonl", shards=4)
    names = [Path(file.path).name for file in done.files]
    assert names == [f"out-0000{number}-of-00004.jsonl" for number in (1, 2, 3, 4)]
    assert b"".join((tmp_path / name).read_bytes() for name in names) == Path(plain.out).read_bytes()
    assert [file.lines for file in done.files] == [15, 15, 15, 15]
    for file in done.files:
        data = Path(file.path).read_bytes()
        assert (file.size, file.checksum) == (len(data), hashlib.sha256(data).hexdigest())
    assert done.checksum == ""
    assert [(origin["file"], origin["line"]) for origin in origins(done)[14:16]] == [(names[0], 15), (names[1], 1)]


def test_shards_of_an_earlier_export_are_named(many: Workspace, tmp_path: Path) -> None:
    exported(many, tmp_path / "out.jsonl", shards=3)
    done = exported(many, tmp_path / "out.jsonl", shards=2)
    assert done.warnings[0].startswith("shards of another export stand beside it: out-00001-of-00003.jsonl")
    assert exported(many, tmp_path / "else.jsonl").warnings == []
    assert other_shards([], tmp_path / "absent.jsonl") == []


def test_an_array_is_an_array_in_every_file(many: Workspace, tmp_path: Path) -> None:
    done = exported(many, tmp_path / "out.json", "agent-r-rewrite", shards=2, split="train=0.7,dev=0.3")
    assert [Path(file.path).name for file in done.files][:2] == [
        "out.train-00001-of-00002.json",
        "out.train-00002-of-00002.json",
    ]
    assert sum(len(json.loads(Path(file.path).read_text())) for file in done.files) == done.lines


@pytest.mark.parametrize(
    ("base", "part", "shards", "name"),
    [
        ("data.jsonl", "", 1, "data.jsonl"),
        ("data.jsonl", "dev", 1, "data.dev.jsonl"),
        ("a.b.jsonl", "dev", 3, "a.b.dev-00002-of-00003.jsonl"),
        ("data", "dev", 1, "data.dev"),
    ],
)
def test_names_of_files(base: str, part: str, shards: int, name: str) -> None:
    assert file_name(base, ".jsonl", part, 2, shards) == name


# -- packing -----------------------------------------------------------------------------------------


def test_gzip_holds_the_same_records_and_no_time(many: Workspace, tmp_path: Path) -> None:
    plain = exported(many, tmp_path / "plain.jsonl")
    done = exported(many, tmp_path / "out.jsonl", compress="gzip")
    assert done.out.endswith("out.jsonl.gz")
    data = Path(done.out).read_bytes()
    assert gzip.decompress(data) == Path(plain.out).read_bytes()
    assert data[4:8] == bytes(4)  # the time
    assert data == Path(exported(many, tmp_path / "other-name.jsonl.gz").out).read_bytes()
    assert done.checksum == hashlib.sha256(data).hexdigest()
    both = exported(many, tmp_path / "two.jsonl.gz", shards=2)
    assert Path(both.files[0].path).name == "two-00001-of-00002.jsonl.gz"


def test_parquet_holds_the_same_records(many: Workspace, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the package pyarrow is not there")
    for name, format in FORMATS.items():
        if not format.columns:
            with pytest.raises(InputError, match=f"the format {name} does not fit into columns"):
                exported(many, tmp_path / "x.parquet", name)
            continue
        plain = exported(many, tmp_path / f"{name}.jsonl", name)
        done = exported(many, tmp_path / f"{name}.jsonl", name, compress="parquet", shards=2)
        tables = [parquet.read_table(file.path) for file in done.files]
        assert [row for table in tables for row in table.to_pylist()] == read(plain.out)
        again = exported(many, tmp_path / f"{name}-2.parquet", name, shards=2)
        assert [file.checksum for file in again.files] == [file.checksum for file in done.files]
    empty = exported(many, tmp_path / "empty.parquet", "xtuner", split="train=0.9999999,dev=0.0000001")
    assert parquet.read_table(empty.files[1].path).num_rows == 0


def test_half_characters_reach_every_file(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the package pyarrow is not there")
    rows = list(ROWS)
    rows[4] = (0, "é “q” \u2028 😀", *rows[4][2:])
    workspace = made_workspace(tmp_path, rows)
    plain = exported(workspace, workspace.exports / "a.jsonl")
    packed = exported(workspace, workspace.exports / "a.parquet")
    import pyarrow.parquet as parquet  # type: ignore[import-untyped,unused-ignore]

    assert parquet.read_table(packed.out).to_pylist() == read(plain.out)


# -- the same bytes, whole or not at all -------------------------------------------------------------


def everything(folder: Path, mix: Path) -> list[tuple[str, Path, dict[str, Any]]]:
    """An export in every form."""
    forms: list[tuple[str, Path, dict[str, Any]]] = [
        (name, folder / f"{name}{format.extension}", {}) for name, format in FORMATS.items()
    ]
    forms.append(
        ("openai", folder / "mixed.jsonl.gz", {"mix": f"{mix}:0.2", "split": "train=0.7,dev=0.3", "shards": 3})
    )
    forms.append(("sharegpt", folder / "weights.jsonl", {"loss_weight": True, "shuffle": True, "max_length": 300}))
    return forms


def test_exported_twice_every_file_has_the_same_bytes(many: Workspace, tmp_path: Path) -> None:
    mix = general(tmp_path / "general.jsonl", 100)
    folder = tmp_path / "out"
    for form, out, options in everything(folder, mix):
        exported(many, out, form, **options)
    first = contents(folder)
    for form, out, options in reversed(everything(folder, mix)):
        exported(many, out, form, **options)
    assert contents(folder) == first
    assert len(first) > 40
    assert not any(name.endswith(".part") for name in first)


def test_where_something_fails_every_file_is_as_it_was(many: Workspace, tmp_path: Path) -> None:
    done = exported(many, tmp_path / "out.jsonl", shards=2)
    before = contents(tmp_path)

    def fail(at: int, all: int) -> None:
        if at == all - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(many, None, "xtuner", done.out, options=ExportOptions(shards=2), progress=fail)
    (tmp_path / "out-00002-of-00003.jsonl").mkdir()  # the second shard of three can't be written
    with pytest.raises((InputError, WorkFailed), match="out-00002-of-00003"):
        exported(many, tmp_path / "out.jsonl", shards=3)
    assert contents(tmp_path) == before


def _export_until_killed(workspace: Path, out: Path, where: str, at: int) -> None:
    """In a process of its own: an export that is killed while records are made, written or moved."""
    calls = 0

    def kill(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        if where == "replace":
            rename(*arguments)

    rename = os.replace
    if where != "progress":
        setattr(os, where, kill)
    export(Workspace.open(workspace), None, "openai", out, progress=kill if where == "progress" else None)


@pytest.mark.parametrize(
    ("where", "at"), [("progress", 40), ("fsync", 1), ("fsync", 4), ("replace", 1), ("replace", 3), ("replace", 4)]
)
def test_a_kill_in_an_export_leaves_every_file_whole(many: Workspace, tmp_path: Path, where: str, at: int) -> None:
    out = tmp_path / "out.jsonl"
    exported(many, out, "openai")
    new = contents(tmp_path)
    exported(many, out, "xtuner")
    old = contents(tmp_path)
    arguments = (many.path, out, where, at)
    process = multiprocessing.get_context("spawn").Process(target=_export_until_killed, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    after = contents(tmp_path)
    assert after["out.jsonl"] == old["out.jsonl"]  # it is moved last
    for name in new:
        assert after[name] in (old[name], new[name])
    assert all(name.endswith((".part", ".lock")) for name in set(after) - set(old))
    exported(many, out, "openai")
    assert {name: contents(tmp_path)[name] for name in new} == new


def test_moves_are_made_together(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("old")

    def fail() -> None:
        with Outputs() as outputs:
            outputs.text(one, "new")
            outputs.text(two, "new")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert contents(tmp_path) == {"one": b"old"}


# -- report, strictness, card ------------------------------------------------------------------------


def keyed_workspace(folder: Path) -> Workspace:
    """A workspace of which some samples hold a key-like text."""
    rows = list(ROWS)
    rows[6] = (0, "My key is sk-" + "a1" * 12, *rows[6][2:])  # node 7, below which the bad leaf 8 is
    return made_workspace(folder, rows)


def report_of(done: Exported) -> dict[str, Any]:
    """The report of an export."""
    found: dict[str, Any] = json.loads(Path(done.report).read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("format", FORMATS)
def test_a_key_like_text_is_found_in_every_format_and_named(format: str, tmp_path: Path) -> None:
    workspace = keyed_workspace(tmp_path)
    done = exported(workspace, workspace.exports / "out", format)
    assert "sk-a1" not in (workspace.exports / "out").read_text()
    assert done.dropped["looks like a key"] == 2
    issues = report_of(done)["issues"]
    assert len(issues) == 2
    assert {issue["written"] for issue in issues} == {False}
    assert issues[0]["problems"] == ["looks like a key"]
    named = {sample.id: sample.bad for sample in workspace.load_run().samples}
    assert {named[issue["sample"]] for issue in issues} == {8}


@pytest.mark.parametrize("format", FORMATS)
def test_redact_writes_the_samples_without_their_keys_and_counts_them(format: str, tmp_path: Path) -> None:
    workspace = keyed_workspace(tmp_path)
    done = exported(workspace, workspace.exports / "out", format, redact=True)
    assert "looks like a key" not in done.dropped
    written = contents(workspace.exports)
    assert not any(b"sk-a1" in text for text in written.values())
    assert written["out"].count(b"[redacted]") >= (1 if format == "trl-stepwise" else 2)
    assert done.redacted >= done.warned["a text that looks like a key was redacted"]
    report = report_of(done)
    assert report["exported"]["redacted"] == done.redacted
    told = "a text that looks like a key was redacted"
    assert done.warned[told] == sum(told in issue["warnings"] for issue in report["issues"]) > 0


def test_strict_refuses_what_would_be_dropped_and_leaves_a_report(tmp_path: Path) -> None:
    workspace = keyed_workspace(tmp_path)
    out = workspace.exports / "out.jsonl"
    exported(workspace, out, "openai")
    before = contents(workspace.exports)
    with pytest.raises(InputError, match=r"refused by --strict \(2 looks like a key\)"):
        exported(workspace, out, "xtuner", strict=True)
    after = contents(workspace.exports)
    assert {name for name in after if after[name] != before.get(name)} == {"out.jsonl.report.json"}
    report = json.loads(after["out.jsonl.report.json"])
    assert report["refused"] is True
    assert len(report["issues"]) == 2
    fine = exported(made_workspace(tmp_path / "fine"), tmp_path / "fine.jsonl", "xtuner", strict=True)
    assert fine.lines == 5
    assert report_of(fine)["refused"] is False


def test_a_sample_that_trains_its_disowned_step_again_is_left_out_with_the_reason(tmp_path: Path) -> None:
    rows = list(ROWS)
    rows[5] = (5, "One will do.", "get 4 honey bottle", "Got 4 honey bottle", 0, "depth")  # as the good one does
    odd = made_workspace(tmp_path / "odd", rows)
    sample = next(each for each in odd.load_run().samples if (each.good, each.bad) == (2, 6))
    Decisions(odd.decisions, "ada").decide(sample.id, "accepted", mark=2)
    out = odd.exports / "out.jsonl"
    done = exported(odd, out)
    assert (done.lines, done.files, done.dropped["trains the disowned step again"]) == (0, [], 1)
    with pytest.raises(InputError, match="1 trains the disowned step again"):
        exported(odd, out, strict=True)
    everything = export(odd, None, "agent-r", out, all=True)
    assert everything.problems["trains the disowned step again"] == 1
    assert everything.trained.repeated == 1


def test_the_card_tells_what_the_dataset_is(tmp_path: Path) -> None:
    workspace = tasks_workspace(tmp_path, 6)
    mine = Decisions(workspace.decisions, "ada")
    samples = workspace.load_run().samples
    mine.decide_all([sample.id for sample in samples], "accepted")
    mine.decide(next(sample.id for sample in samples if sample.verdict == "diverged"), "rejected", reason="lost")
    done = exported(
        workspace,
        workspace.exports / "data.jsonl",
        "sharegpt",
        split="train=0.5,dev=0.5",
        seed=3,
        max_length=500,
        licence="CC-BY-4.0",
    )
    card = Path(done.card).read_text(encoding="utf-8")
    for fact in (
        f"{done.lines} records of 30 samples (factor {done.factor:.2f})",
        "licence: `CC-BY-4.0`",
        "defect rate: 2.8% (1 of 36 reviewed; 2.8% to 2.8% of 36 with 95% confidence)",
        "`ada` | 30",
        "`unknown: a foreign tree` | 30",
        "split by task: `train=0.5,dev=0.5`, seed 3",
        "estimated, a token for every 3 bytes",
        *(file.checksum for file in done.files),
        "`data.dev.jsonl`",
    ):
        assert fact in card, fact
    assert done.factor > 2
    assert "not stated" in Path(exported(workspace, workspace.exports / "x.jsonl").card).read_text()


def test_progress_counts_every_sample_up_to_all(many: Workspace, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    export(many, None, "openai", tmp_path / "x.jsonl", progress=lambda done, all: seen.append((done, all)))
    assert seen[-1] == (6 * TASKS, 6 * TASKS)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_configuration_that_its_trainer_could_not_use_is_not_written_and_said(
    many: Workspace, tmp_path: Path
) -> None:
    packed = exported(many, tmp_path / "x.jsonl.gz", "sharegpt")
    assert packed.configs == []
    assert any("LLaMA-Factory reads no gzip" in warning for warning in packed.warnings)
    assert exported(many, tmp_path / "x.parquet", "sharegpt").configs


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"compress": "zip"}, "--compress zip: one of none, gzip, parquet"),
        ({"shards": 0}, "--shards 0: at least 1"),
        ({"max_length": 0}, "--max-length 0: at least 1"),
        ({"loss_weight": True}, "--loss-weight belongs to the format sharegpt, not to xtuner"),
        ({"split": "x"}, "write NAME=SHARE"),
    ],
)
def test_unusable_options_are_refused_before_anything_is_written(
    many: Workspace, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        exported(many, tmp_path / "x.jsonl", **options)
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_what_is_mixed_in(tmp_path: Path) -> None:
    mix = general(tmp_path / "big.jsonl", 60_000)
    choose_lines(mix, 5, 0)
    tracemalloc.start()
    chosen = choose_lines(mix, 100, 1).chosen
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(chosen) == 100
    assert peak < mix.stat().st_size / 20


GOLDEN_PARTS = {
    "textcraft": "10001000002200000000",
    "scienceworld": "00220000100020000202",
}
"""The part (0 train, 1 dev, 2 test) of the tasks 12 to 31."""


def test_a_task_keeps_its_part_in_every_process_and_each_environment_has_its_own() -> None:
    """Golden values: a digest, never Python's `hash`, which differs from process to process."""
    parts = parse_split("train=0.8,dev=0.1,test=0.1")
    found = {
        environment: "".join(str(part_of(environment, str(task), parts, 0)) for task in range(12, 32))
        for environment in ("textcraft", "scienceworld")
    }
    assert found == GOLDEN_PARTS
    assert [part_of("textcraft", str(task), parts, 1) for task in range(12, 32)] != list(
        map(int, GOLDEN_PARTS["textcraft"])
    )
