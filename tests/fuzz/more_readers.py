"""Readers of files that a person writes or names: rounds, tasks, data of environments, templates, lines of options."""

from __future__ import annotations

import json
import re
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agentr_tui.cli.round_file import read_round_file
from agentr_tui.screens.library.row_filter import row_filter
from agentr_tui.state.trace_row import TraceRow
from engine.base.errors import AgentrError
from engine.base.text import clean
from engine.collect.tasks import shard_of, task_ids, tasks_of_part
from engine.datasets.split import parse_split, share_of
from engine.datasets.templates.model_template import model_template
from engine.imports.sources import FAILED, read_rollouts
from engine.models.context_window import counter
from engine.models.prompts import check_prompts, fill, prompt, prompt_lines
from engine.notes.page import standing, write_page
from engine.review.sample_query import parse as parse_samples
from engine.rounds.record import cells_of, read_round, rounds_in, table_of
from engine.search.settings import with_body
from envs.agentgym.catalogue import Catalogue, _add
from envs.agentgym.env import make as make_gym
from envs.base import EnvError
from envs.webshop.catalogue import find as find_products
from envs.webshop.catalogue import read as read_products
from tests.engine.imports import samples

KINDS = ("babyai", "textcraft", "webshop", "alfworld")
REPLIES: tuple[object, ...] = ({"observation": "o", "reward": 1, "done": False}, "text", [], {"data": [{"x": 1}]})
ROWS = (TraceRow(Path("/w/t.trace.jsonl")), TraceRow(Path("x.json"), error="torn"))


def _round_record(path: Path) -> None:
    read_round(path.parent, 1)
    for row in table_of(rounds_in(path.parent)):
        cells_of(row)


def _tasks(path: Path) -> None:
    ids = task_ids(f"@{path}")
    tasks_of_part("textcraft", ids, "train=0.9,dev=0.1", "train")
    shard_of(ids, "1/2")


def _kind(path: Path) -> None:
    found = Catalogue({}, {})
    with suppress(UnicodeDecodeError):  # the catalogue says so of its file
        _add(found, "own", str(path), path.read_bytes().decode())
    for line in found.broken.values():
        assert "\n" not in line
    for kind in found.kinds.values():
        for reply in REPLIES:
            with suppress(ValueError):  # what a server says otherwise than the kind tells
                kind.session(reply)
            with suppress(ValueError):
                kind.reply(reply)
            with suppress(ValueError):
                kind.first(reply, reply)


class _Answers:
    """A server that says one line after the other, whatever it is asked."""

    def __init__(self, lines: list[bytes], real: object) -> None:
        self._lines, self._real = lines or [b""], real
        self._at = 0

    def ask(self, *_: object) -> bytes:
        self._at += 1
        return self._lines[(self._at - 1) % len(self._lines)]

    def greeting(self) -> bytes:
        return self._lines[0]

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


def _gym_answers(path: Path) -> None:
    lines = path.read_bytes().split(b"\n")
    refused: list[EnvError] = []
    for kind in KINDS:
        env = make_gym(f"{kind}@http://127.0.0.1:1/")
        env._connection = _Answers(lines, env._connection)  # type: ignore[assignment]
        try:
            env.reset(options={"task": "1"})
            env.step("go")
        except EnvError as error:
            refused.append(error)
    if len(refused) == len(KINDS):
        raise refused[0]


def _products(path: Path) -> None:
    read_products(find_products(path))


def _template(path: Path) -> None:
    path.rename(path.with_name("tokenizer_config.json"))
    model_template(str(path.parent))


def _jinja(path: Path) -> None:
    path.rename(path.with_name("chat_template.jinja"))
    model_template(str(path.parent))


def _prompts(path: Path) -> None:
    check_prompts(str(path.parent))
    prompt_lines("revision_thoughts.txt", str(path.parent))
    fill(prompt("revision_thoughts.txt", str(path.parent)), {"task": "x"}, str(path))


def _page(path: Path) -> None:
    text = path.read_bytes().decode("utf-8", "replace")
    standing(write_page([], text).text)


def _eval(path: Path) -> None:
    """A log of inspect: a zip, or a line for each entry (`["name", content]`), so that contents change, too."""
    data = path.read_bytes()
    if not data.startswith(b"PK"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a name that is there twice
            for found in re.finditer(rb'^\["([^"\\\x00-\x1f]{1,99})", ?(.*)\]$', data, re.MULTILINE):
                archive.writestr(found[1].decode("utf-8", "replace"), found[2])
    rollouts = read_rollouts([path])
    for _ in rollouts:
        pass
    assert not any(FAILED in problem.reason for problem in rollouts.problems), rollouts.problems


def _lines(path: Path) -> None:
    """Lines of options, each given to all that read one."""
    readers: tuple[Callable[[str], object], ...] = (
        task_ids,
        parse_split,
        parse_samples,
        lambda text: share_of("mix", text),
        lambda text: shard_of(["1", "2"], text),
        lambda text: with_body({"extra_body": text}),
        lambda text: [asked.holds(row) for row in ROWS] if (asked := row_filter(text)) is not None else None,
    )
    said: list[str] = []
    for line in path.read_bytes().decode("utf-8", "replace").splitlines():
        for read in readers:
            try:
                read(clean(line).removeprefix("@"))
            except AgentrError as error:
                said.append(str(error))
    assert not [text for text in said if "\n" in text]


MORE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "round-file": ("rounds.toml", read_round_file),
    "round-record": ("round-1.json", _round_record),
    "tasks": ("tasks.txt", _tasks),
    "kind": ("own.toml", _kind),
    "gym-answers": ("answers.jsonl", _gym_answers),
    "products": ("items_shuffle_1.json", _products),
    "template": ("t.json", _template),
    "jinja": ("t.jinja", _jinja),
    "tokenizer": ("tokenizer.json", lambda path: counter(str(path)).count("a text")),
    "prompts": ("revision_thoughts.txt", _prompts),
    "page": ("notes.md", _page),
    "lines": ("lines.txt", _lines),
    "eval": ("log.eval", _eval),
}
"""Name of the file, and what reads it."""

_CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_ROUNDS = b"""rounds = 2
model = "m0"
[actor]
actor = "openai"
base-url = "http://127.0.0.1:8000/v1"
[collect]
tasks = "0-9"
env = "textcraft"
[revise]
verifier = "progress"
[export]
format = "trl-sft"
[learn]
command = "train {dataset} --out {out}"
learned = "{out}/model"
[eval]
tasks = "90-99"
"""
_RECORD = {
    "round": 1,
    "model": "m",
    "stages": [
        {"name": "collect", "command": ["collect"], "began": "2026-01-01T00:00:00Z", "seconds": 3.5,
         "figures": {"done": 3, "calls": 7}, "files": [{"path": "traces/x", "size": 3, "sha256": "ab"}]},
        {"name": "eval", "command": ["eval"], "began": "2026-01-01T00:01:00Z", "seconds": 1.0,
         "figures": {"score": {"value": 0.5, "low": 0.1, "high": 0.9}}},
    ],
    "code": {"agentr": "1"},
}  # fmt: skip
_KIND = b"""summary = "a game"
greeting = "This is a game."
clean = [["^\\\\s+|\\\\s+$", ""]]
rules = "You play."
range = [0, 1]
[create]
path = "/create"
[reset]
task = "data_idx"
same = "Goal: (.*)"
[step]
score = "score"
[actions]
after = "Available: ["
pattern = "'([^']*)'"
[close]
path = "/close"
"""
_ANSWERS = b"""{"id": 0, "env_idx": 1, "observation": "You see.", "reward": 0.5, "score": 1, "done": false}
{"id": 0, "env_idx": 1, "observation": "You look.", "reward": 0.5, "score": 1, "done": false, "state": "s"}
{"observation": "Goal: x", "state": "s", "available_actions": ["a", "b"], "data": {"x": 1}, "reward": 1, "done": true}
"This is environment BabyAI."
[1, "text", 0.5, true]
{"error": "no such session"}
"""
VOCABULARY = {"a": 0, "b": 1, "ab": 2}
_LINES = b"""0-9,12,@x
train=0.9,dev=0.1
verdict:verified kind:revision -decided:accepted
good>5 pairs>=1 state=done craft
0.25
1/2
{"a": [1, {"b": null}]}
"""


def more_seeds(reader: str) -> list[bytes]:
    """The good files of one of these readers."""
    made: dict[str, Callable[[], list[bytes]]] = {
        "round-file": lambda: [_ROUNDS],
        "round-record": lambda: [json.dumps(_RECORD).encode()],
        "tasks": lambda: [b"# tasks\n0-3\n7\nboss: a b\n"],
        "kind": lambda: [_KIND],
        "gym-answers": lambda: [_ANSWERS],
        "products": _few_products,
        "template": lambda: [json.dumps({"chat_template": _CHATML, "eos_token": "<|im_end|>", "bos_token": None,
                                         "added_tokens_decoder": {"1": {"content": "<|im_end|>"}}}).encode()],
        "jinja": lambda: [_CHATML.encode()],
        "tokenizer": lambda: [_tokenizer()],
        "prompts": lambda: [b"I was wrong about {task}.\nThat did not work.\n"],
        "page": lambda: [b"# Notes\n\n<!-- kind: 1 -->\n- craft first\n- ~~no~~ [task 2](<t.trace.jsonl#3>)\n"],
        "lines": lambda: [_LINES],
        "eval": _logs,
    }  # fmt: skip
    return made[reader]()


def _logs() -> list[bytes]:
    (sample,) = samples.INSPECT["samples"]
    head = {key: value for key, value in samples.INSPECT.items() if key != "samples"}
    shell = {key: value for key, value in sample.items() if key not in ("messages", "attachments")}
    pieces = {"sample": {**shell, "message_refs": [[0, 3], 3, [4, 9]]}, "messages/0": sample["messages"][:3],
              "messages/1": sample["messages"][3:], "attachments/0": ["Be brief."]}  # fmt: skip
    entries = [("header.json", head), ("samples/door-3_epoch_2.json", sample)]
    parts = [("header.json", head), *((f"samples/d_epoch_1/{name}.json", value) for name, value in pieces.items())]
    written = [b"\n".join(json.dumps(each).encode() for each in told) for told in (entries, parts)]
    with tempfile.TemporaryDirectory() as folder:
        for zstd in (False, True):
            written.append(samples.write_eval(Path(folder) / "l.eval", samples.INSPECT, zstd=zstd).read_bytes())
    return written


def _few_products() -> list[bytes]:
    product = {
        "asin": "B01", "name": "red shirt", "full_description": "a shirt", "small_description": ["soft"],
        "pricing": "$10.00 $12.00", "category": "fashion", "query": "shirt", "product_category": "a › b",
        "images": [], "customization_options": {"size": [{"value": "m", "image": None}]}, "instructions": [],
    }  # fmt: skip
    return [json.dumps([product]).encode(), json.dumps([product, {**product, "asin": "B02"}]).encode()]


def _tokenizer() -> bytes:
    model = {"type": "BPE", "vocab": VOCABULARY, "merges": [["a", "b"]]}
    return json.dumps({"version": "1.0", "model": model}).encode()
