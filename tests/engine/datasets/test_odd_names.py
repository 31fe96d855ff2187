"""Names and tokens of anybody in what stands beside a dataset: the card, the configurations, the commands."""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from engine.base.errors import InputError
from engine.datasets.card import code
from engine.datasets.export import export
from engine.datasets.templates.markup import CHATML
from engine.datasets.trainer_configs import Dataset, configurations, unread_name
from engine.datasets.trainer_configs.commands import command_in, other_commands
from engine.workspace.workspace import Workspace
from tests.engine.made import made_workspace

NAMES = (
    "a: b #c", "it's \"so\"", "--- {{x}} ${HOME} $(id)", "`tick` | bar", "[a, b]{c}", "naïve 𝔘 😀", "e\u0301\u200dx",
    "back\\slash", "- 1", "no", "%YAML", "&x *y !z", "<b>&amp;</b>", "x" * 120, "\u202eder",
)  # fmt: skip
TRAINERS = ("trl-sft", "trl-dpo", "trl-prm", "llamafactory", "axolotl", "xtuner", "verl")
STOPS = ("<|end|>", 'x\nimport os; os.system("id")\n#', '"""\nimport os\n"""', "\x7f\x85\u2028\\", "𝔘\ufeff")
"""The token that ends a turn, as a stranger's tokenizer may have it."""


def made(trainer: str, name: str, stop: str = "<|im_end|>", **more: Any) -> dict[str, str]:
    """The configurations of a dataset of that name, by theirs."""
    markup = replace(CHATML, name="a stranger's", model="a stranger's", end=stop, after=f"{stop}\n")
    dataset = Dataset(name, [""], [(name, "")], "none", 1000, markup, **more)
    return dict(configurations(trainer, dataset))


def values(config: Any) -> list[Any]:
    """All that stands in a configuration."""
    if isinstance(config, dict):
        return [each for value in config.values() for each in values(value)]
    return [each for value in config for each in values(value)] if isinstance(config, list) else [config]


def literals(text: str) -> list[Any]:
    """The constants of a program."""
    return [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_configuration_names_its_dataset_word_for_word(trainer: str, name: str) -> None:
    if trainer == "verl":  # it is told of its files on the command line
        told = made(trainer, f"{name}.jsonl")[f"{name}.jsonl.verl.py"] if not unread_name(trainer, [name]) else ""
        assert f"data.train_files='[{name}.jsonl]'" in told or not name.isalnum()
        return
    for weights in (False, True) if trainer == "llamafactory" else (False,):
        found = made(trainer, f"{name}.jsonl", loss_weight=weights)
        held = [
            value
            for file, text in found.items()
            if not file.endswith(".jinja")
            for value in (literals(text) if file.endswith(".py") else values(yaml.safe_load(text)))
        ]
        assert f"{name}.jsonl" in held or f"../{name}.jsonl" in held
        assert f"{name}.jsonl.trained" in held or trainer == "xtuner"
        started = [command for text in found.values() for command in command_in(text)]
        assert started, "a command that starts it"
        assert set(found) & {word for command in started for word in shlex.split(command)}


@pytest.mark.parametrize("stop", STOPS, ids=ascii)
@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_token_of_a_stranger_is_data_of_a_configuration_and_never_its_code(trainer: str, stop: str) -> None:
    plain, odd = made(trainer, "d.jsonl", "<|end|>"), made(trainer, "d.jsonl", stop)
    assert plain.keys() == odd.keys()
    for file, text in odd.items():
        if file.endswith(".py"):
            shape = [type(node) for node in ast.walk(ast.parse(plain[file]))]
            assert [type(node) for node in ast.walk(ast.parse(text))] == shape
        elif file.endswith(".yaml"):
            one, other = yaml.safe_load(plain[file]), yaml.safe_load(text)
            assert one.keys() == other.keys()
            told = [value for value, before in zip(values(other), values(one), strict=True) if value != before]
            assert set(told) <= {stop}
        elif file.endswith(".json"):
            assert json.loads(text) == json.loads(plain[file])


def test_commands_without_a_configuration_name_the_file_as_a_shell_takes_it() -> None:
    for name in NAMES:
        assert shlex.split(other_commands("openai", name)[0])[-1] == name
        assert shlex.split(other_commands("xtuner", name)[0])[-1] == name


# -- the card ------------------------------------------------------------------------------------------------

_READER = MarkdownIt("gfm-like", {"linkify": False})


def spans_of(tokens: Sequence[Token]) -> list[str]:
    """The code spans of Markdown, as a reader shows them."""
    return [each.content for token in tokens for each in token.children or () if each.type == "code_inline"]


SHOWN = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"]), min_size=1).filter(
    lambda text: text.isprintable() and bool(text.strip())
)


@given(SHOWN)
def test_a_text_on_the_card_is_read_word_for_word_and_leaves_its_place_nowhere(text: str) -> None:
    assert spans_of(_READER.parse(f"- told: {code(text)}, and more\n")) == [text]
    tokens = _READER.parse(f"| a | n |\n| --- | ---: |\n| {code(text, cell=True)} | 3 |\n| `b` | 4 |\n")
    assert [each.type for each in tokens].count("td_open") == 4
    assert [each.content for token in tokens for each in token.children or () if each.type == "code_inline"] == [
        text,
        "b",
    ]


HOSTILE = "x`|`<script>\n\n# heading\n---\n{{ }} | | \u202e"


def test_nothing_of_a_stranger_adds_to_the_card(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path / "w")
    plain = workspace.exports / "plain.jsonl"
    export(workspace, None, "agent-r", plain, all=True)
    (file,) = workspace.runs_folder.iterdir()
    head, *rest = file.read_text().splitlines()
    changed = [json.dumps({**json.loads(head), "run": HOSTILE, "time": HOSTILE})]
    for line in rest[:-1]:
        changed.append(json.dumps(json.loads(line) | {"verifier": HOSTILE, "thought_by": HOSTILE}))
    file.write_text("\n".join([*changed, rest[-1]]) + "\n")
    export(Workspace(workspace.path), None, "agent-r", workspace.exports / "odd.jsonl", all=True)
    shapes = []
    for out in (plain, workspace.exports / "odd.jsonl"):
        text = Path(f"{out}.card.md").read_text()
        shapes.append([(token.type, token.tag) for token in _READER.parse(text)])
        assert not [token for token in _READER.parse(text) if token.type == "html_block"]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", ["a\nb.jsonl", "a\x1b[2J.jsonl", "a\u2028b.jsonl", "a\udcffb.jsonl", "a\x7f.jsonl"])
def test_a_dataset_has_no_name_that_would_break_a_line(name: str, tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path / "w")
    with pytest.raises(InputError, match="holds a control character") as error:
        export(workspace, None, "agent-r", workspace.exports / name, all=True)
    assert str(error.value).isprintable()
