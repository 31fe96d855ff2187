"""The command `round`: the loop of docs/rounds.md, resumed, traceable, and asked for before it runs commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App, ArgumentCollection
from hypothesis import given, settings
from hypothesis import strategies as st

from agentr_tui.cli.application import build
from agentr_tui.cli.commands.scale.round import Rounds
from agentr_tui.cli.main import run
from agentr_tui.cli.round_file import (
    COMMANDS,
    LACKING,
    ForeignRounds,
    _quick_test,
    read_round_file,
    unasked,
)
from engine.base.errors import InputError
from engine.rounds.record import Round, Stage
from engine.workspace.workspace import Workspace

PAGE = (Path(__file__).parents[3] / "docs" / "rounds.md").read_text(encoding="utf-8")
EXAMPLE, SERVED = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
TRAINER = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]

SMALL = """
rounds = {rounds}
baseline = false
[actor]
workers = 1
error-rate = [0.6, 0.2]
[collect]
tasks = "2"
iterations = 12
[learn]
{learn}
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "rounds.toml"
    file.write_text(text, encoding="utf-8")
    return file


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def stages(folder: Path, number: int) -> dict[str, Any]:
    record = json.loads((folder / f"round-{number}.json").read_text(encoding="utf-8"))
    return {stage["name"]: stage for stage in record["stages"]}


def test_the_example_of_the_page_runs_and_every_file_is_traced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(TRAINER, encoding="utf-8")
    text = EXAMPLE.replace("python3", shlex.quote(sys.executable))
    for words, less in (
        ("rounds = 2", "rounds = 1"),
        ('"2,3"', '"2"'),
        ('"20-25"', '"20"'),
        ("[actor]", "[actor]\nworkers = 1"),
    ):
        text = text.replace(words, less)
    file = written(tmp_path, text)
    given = ["round", str(file), "--workspace", str(tmp_path / "w"), "--yes"]
    found = printed(capsys, *given)
    before, after = found["rounds"]
    assert (before["done"], after["done"]) == (["eval"], ["collect", "revise", "good", "export", "learn", "eval"])
    assert (before["model"], after["calls"] > 50, found["waits"]) == ("base", True, "")
    assert after["gain"]["value"] == pytest.approx(after["score"]["value"] - before["score"]["value"])
    done = stages(Path(found["folder"]), 1)
    rows = (tmp_path / "w/exports/rounds/round-1/dataset.jsonl").read_bytes()
    assert len(rows.splitlines()) == after["lines"] == done["export"]["figures"]["lines"]
    made = {each["path"]: each for stage in done.values() for each in stage["files"]}
    assert made["exports/rounds/round-1/dataset.jsonl"]["checksum"] == sha256(rows).hexdigest()
    assert "exports/rounds/round-1/dataset.jsonl.provenance.jsonl" in made
    assert "traces/rounds-round-1/.collect/manifest.json" in made
    assert f"runs/{done['revise']['figures']['run']}.jsonl" in made
    weights = tmp_path / "w/rounds/rounds/round-1/model/weights.txt"
    assert weights.read_text(encoding="utf-8") == f"base, and {after['lines']} lines more\n"
    assert made["rounds/rounds/round-1/model/weights.txt"]["checksum"] == sha256(weights.read_bytes()).hexdigest()
    mixed = [
        line
        for line in (tmp_path / "w/exports/rounds/round-1/dataset.jsonl.provenance.jsonl").open()
        if "good.jsonl" in line
    ]
    assert 0 < len(mixed) <= round(after["lines"] / 4)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "w").rglob("*") if path.is_file()}
    assert printed(capsys, *given) == found
    assert {path: path.stat().st_mtime_ns for path in files} == files, "what is done is not done again"
    (tmp_path / "w").rename(tmp_path / "moved")
    moved = printed(capsys, "round", str(file), "--workspace", "moved", "--yes")
    assert [each["done"] for each in moved["rounds"]] == [before["done"], after["done"]], "it lies elsewhere now"
    (tmp_path / "moved").rename(tmp_path / "w")
    written(tmp_path, file.read_text(encoding="utf-8").replace("beta = 0.2", "beta = 0.3"))
    assert run(given) == 2
    assert "revise: was done with --beta=0.2, now the file says --beta=0.3" in capsys.readouterr().err


def test_a_stage_that_failed_is_done_again_and_the_others_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(
        tmp_path, SMALL.format(rounds=1, learn="command = 'echo too little memory; test -e ready && touch {out}/m'")
    )
    given = ["round", str(file), "--workspace", str(tmp_path / "w"), "--yes"]
    assert run(given) == 1
    said = capsys.readouterr().err
    assert "round 1, learn: the command ended with exit code 1: too little memory" in said
    assert "the same command again continues" in said
    folder = tmp_path / "w/rounds/rounds"
    before = stages(folder, 1)
    assert list(before) == ["collect", "revise", "good", "export"]
    written(tmp_path, SMALL.format(rounds=1, learn="command = 'touch {out}/m'"))
    assert printed(capsys, *given)["rounds"][0]["done"] == [*before, "learn"]
    after = stages(folder, 1)
    assert {name: after[name] for name in before} == before


def test_rounds_wait_for_a_model_that_is_trained_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, SMALL.format(rounds=1, learn="wait = true"))
    given = ["round", str(file), "--workspace", str(tmp_path / "w")]
    found = printed(capsys, *given)
    dataset = tmp_path / "w/exports/rounds/round-1/dataset.jsonl"
    assert found["waits"] == f"round 1 waits: train on {dataset}, then: agentr round {file} --learned MODEL"
    assert dataset.exists()
    found = printed(capsys, *given, "--learned", "mine/one")
    assert (found["waits"], found["rounds"][0]["model"]) == ("", "mine/one")
    assert printed(capsys, *given) == found


def test_notes_are_a_way_to_learn_that_a_person_may_edit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, SMALL.format(rounds=1, learn="notes = true\nkinds = 5"))
    given = ["round", str(file), "--workspace", str(tmp_path / "w")]
    first = printed(capsys, *given)["rounds"][0]
    assert first["done"] == ["collect", "revise", "learn"], "no dataset is needed"
    page = Path(first["notes"])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Notes")
    page.write_text(text.replace("**", "**(edited) ", 1), encoding="utf-8")
    written(tmp_path, SMALL.format(rounds=2, learn="notes = true\nkinds = 5"))
    second = printed(capsys, *given)["rounds"][1]
    assert (
        "--notes={workspace}/rounds/rounds/round-1/notes.md"
        in stages(tmp_path / "w/rounds/rounds", 2)["collect"]["command"]
    )
    assert "**(edited) " in Path(second["notes"]).read_text(encoding="utf-8")


def test_commands_and_places_of_a_file_need_a_yes_for_exactly_these(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, SERVED.replace("[learn]", "[collect]\ntasks = '1'\n[learn]"))
    asked = unasked(read_round_file(file))
    assert isinstance(asked, ForeignRounds)
    assert asked.reaches[1:] == [
        "run 'vllm serve {model} --port 8000'",
        "set collect --base-url http://127.0.0.1:8000/v1",
    ]
    assert run(["round", str(file), "--workspace", str(tmp_path / "w")]) == 2
    said = capsys.readouterr().err
    assert "run 'trl sft" in said
    assert f"agentr trust {file}" in said
    assert not (tmp_path / "w").exists(), "nothing was begun"
    assert run(["trust", str(file)]) == 0
    assert unasked(read_round_file(file)) is None
    other = written(tmp_path, file.read_text(encoding="utf-8").replace("{out}", "{out} && rm -r x"))
    assert unasked(read_round_file(other)) is not None
    plain = written(tmp_path, SMALL.format(rounds=1, learn="wait = true"))
    assert unasked(read_round_file(plain)) is None


@pytest.mark.parametrize(
    "line",
    [
        "tasks = [['@/etc/hostname']]",
        "tasks = ['0', ['@/etc/hostname']]",
        "tasks = '0'\nenv = [['gym:evil:X-v0']]",
        "tasks = '0'\nenv = ['textcraft', ['gym:evil:X-v0']]",
        "tasks = '0'\nactor = [['recorded:/etc/hostname']]",
        "tasks = '0'\nprompts = [[['/etc']]]",
    ],
)
def test_a_place_in_a_list_of_lists_needs_a_yes_too(line: str, tmp_path: Path) -> None:
    file = written(tmp_path, f"[collect]\n{line}\n[learn]\nwait = true\n")
    assert unasked(read_round_file(file)) is not None


def test_a_record_of_rounds_names_no_file_for_the_actor_and_no_dataset_elsewhere(tmp_path: Path) -> None:
    """Anybody may have written the record: `round-0.json` named notes, which went to the model's server."""
    (secret := tmp_path / "secret").write_text("a secret")
    folder = tmp_path / "w" / "rounds" / "rounds"
    folder.mkdir(parents=True)
    (folder / "round-0.json").write_text(json.dumps({"round": 0, "learned_notes": str(secret)}))
    rounds = Rounds(
        read_round_file(written(tmp_path, SMALL.format(rounds=1, learn="notes = true"))),
        Workspace.open(tmp_path / "w"),
        folder,
    )
    asked: list[str] = []

    def learn(now: Round, learned: str | None) -> str:
        asked.append(now.notes)
        return "stop here"

    rounds._learn = learn  # type: ignore[method-assign]
    assert (rounds.run(None), asked) == ("stop here", [""])
    stage = Stage(name="export", command=[], began="", seconds=0.0, figures={"out": str(secret)})
    rounds._agentr = lambda *_, **__: stage  # type: ignore[method-assign]
    assert rounds._export(Round(round=1), "r") == str(tmp_path / "w/exports/rounds/round-1/dataset.jsonl")
    for packing, name in (("gzip", "dataset.jsonl.gz"), ("parquet", "dataset.parquet")):
        text = SMALL.replace("[learn]", f"[export]\nformat = 'trl-sft'\ncompress = '{packing}'\n[learn]")
        rounds._file = read_round_file(written(tmp_path, text.format(rounds=1, learn="notes = true")))
        assert rounds._export(Round(round=1), "r") == str(tmp_path / "w/exports/rounds/round-1" / name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("tasks = ", "task = "), "tasks is missing"),
        (("iterations = 12", "iteratons = 12"), r"\[collect\] Unknown option: .*--iteratons"),
        (("iterations = 12", "iterations = 'many'"), r"\[collect\] .*iterations"),
        (("wait = true", "wait = true\nnotes = true"), "takes one of command"),
        (("wait = true", "weight = 3"), r"\[learn\] has no setting 'weight'"),
        (("rounds = 1", "rounds = 0"), "must be 1 to 1,000"),
        (("rounds = 1", "rounds = 'two'"), "not of the right kind"),
        (("rounds = 1", "round = 1"), "'round' is not a setting or table"),
        (("[learn]", "[export]\nout = 'x'\n[learn]"), r"\[export\] out: a round sets this itself"),
        (("[learn]", "[export]\ngood = 1\n[learn]"), "from 0 to below 1"),
        (("[learn]", "[export]\nformat = 'trl-dpo'\ngood = 0.2\n[learn]"), "holds no good trajectories"),
        (("[learn]", "[export]\nmix = 'none.jsonl:0.2'\n[learn]"), "no such file"),
        (("[collect]", "[collect"), "not TOML"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_before_anything_runs(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    file = written(tmp_path, SMALL.format(rounds=1, learn="wait = true").replace(*change))
    with pytest.raises(InputError, match=said) as error:
        read_round_file(file)
    assert str(file) in str(error.value) or "no such file" in str(error.value)


def test_a_thousand_values_cost_few_parses_of_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parse takes 40 ms: three such lists took two minutes before the first question was asked."""
    parsed, parse = [], App.parse_args

    def counted(app: App, tokens: list[str], **options: Any) -> object:
        parsed.append(tokens)
        return parse(app, tokens, **options)

    monkeypatch.setattr(App, "parse_args", counted)
    text = SMALL.format(rounds=1000, learn="wait = true")
    many = text.replace("= 12", f"= {list(range(1, 1002))}").replace("[0.6, 0.2]", f"{[1 / n for n in range(1, 1002)]}")
    assert read_round_file(written(tmp_path, many)).rounds == 1000
    assert len(parsed) == 1
    with pytest.raises(InputError, match=r"\[collect\] .*1001x"):
        read_round_file(written(tmp_path, many.replace("1001]", "'1001x']")))


VALUES = (
    "1",
    "-1",
    "0.5",
    "x",
    "",
    "true",
    "1e400",
    "1_0",
    "٣",
    "a=b",
    "--seed=1",
    "None",
    "uct",
    "[1]",
    "{}",
    "\ud800",
)


@settings(max_examples=int(os.environ.get("AGENTR_FUZZ", "20")), deadline=None, database=None)
@given(st.data())
def test_what_the_quick_test_takes_the_command_takes(data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(COMMANDS))
    names = [name for argument in known_of(table) for name in argument.names if name.startswith("--")]
    name = data.draw(st.sampled_from([*names, "--none", "--no-x"]))
    value = data.draw(st.sampled_from(VALUES) | st.text(max_size=4))
    typed = [f"{name}={value}"] * data.draw(st.integers(1, 2))
    if _quick_test(known_of(table))(typed):
        needed = [] if name == LACKING[table].partition("=")[0] else [LACKING[table]]
        build([]).parse_args([table, *needed, *typed], exit_on_error=False, print_error=False)


@cache
def known_of(table: str) -> ArgumentCollection:
    return build([])[table].assemble_argument_collection()


def test_a_list_is_checked_as_far_as_there_are_rounds(tmp_path: Path) -> None:
    """Each value costs a parse of the whole command: 50,000 of them took an hour."""
    many = ", ".join(["'x'"] * 50_000)
    text = SMALL.replace("iterations = 12", f"iterations = [12, 13, {many}]")
    assert read_round_file(written(tmp_path, text.format(rounds=1, learn="wait = true"))).rounds == 1
    with pytest.raises(InputError, match="iterations"):
        read_round_file(written(tmp_path, text.format(rounds=2, learn="wait = true")))
