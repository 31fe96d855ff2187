"""Configurations for trainers, ready to be written beside a dataset.

The templates are in this folder, with `$name` in place of the dataset's own facts. They name files without a folder, so
they work in the folder of the dataset. The model in them is an example, which a person has to replace.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files
from string import Template

from engine.datasets.formats.masks import THOUGHT, TOOLS
from engine.datasets.templates.markup import CHATML, Markup, alike
from engine.datasets.trainer_configs.marked_template import marked_template

PRM_MODEL = "Qwen/Qwen2.5-0.5B"


@dataclass(frozen=True, slots=True)
class Dataset:
    """The facts about a dataset that a configuration contains."""

    base: str  # its name, which the names of configurations begin with
    parts: list[str]  # of a split: to train on, to evaluate on; [""] where it is not split
    files: list[tuple[str, str]]  # name and part of each file that has records
    packing: str
    max_length: int
    markup: Markup  # chat template
    tokenized: bool = False
    loss_weight: bool = False
    thinks: bool = False  # whether messages have their reasoning
    calls: bool = False  # whether there is a column of tools

    @property
    def loader(self) -> str:
        """The name by which `datasets.load_dataset` knows the kind of file."""
        return "parquet" if self.packing == "parquet" else "json"

    @property
    def train(self) -> list[str]:
        """Files to train on: those of the first part."""
        return [name for name, part in self.files if part == self.parts[0]]

    @property
    def held_out(self) -> list[str]:
        """Files of the second part, to evaluate on."""
        return [name for name, part in self.files if part in self.parts[1:2]]


Configuration = tuple[str, str]
"""A file's name, and its text."""


def configurations(trainer: str, dataset: Dataset) -> Iterator[Configuration]:
    """The configurations for a trainer; none for one that has none, or where there is nothing to train on."""
    if dataset.train and trainer in _MAKERS:
        yield from _MAKERS[trainer](dataset)


def unread_packing(trainer: str, packing: str) -> str | None:
    """Why a trainer can't read files that are packed so, and the remedy; None where it can."""
    if (trainer, packing) == ("llamafactory", "gzip"):
        return (
            "LLaMA-Factory reads no gzip, so no configuration is written: export without it, or unpack the files first"
        )
    if trainer == "verl" and packing != "parquet":
        return "verl reads Parquet, so no configuration is written: give the file a name that ends in .parquet"
    return None


def unread_name(trainer: str, names: Iterable[str]) -> str | None:
    """Why a trainer can't be given files of such names, and the remedy; None where it can."""
    odd = next((name for name in names if not _HYDRA_NAME.fullmatch(name)), None)
    if trainer == "verl" and odd is not None:
        return f"verl can't be told the name {odd}, so no configuration is written: take letters, digits, '.' and '-'"
    return None


_HYDRA_NAME = re.compile(r"[\w.+@%-]+", re.ASCII)
"""Names that stand in Hydra's lists without quotes."""


def unfit(trainer: str, markup: Markup, loss_weight: bool = False) -> str | None:
    """Returns why a trainer's configuration can't be right for a model's template; None where it can.

    `trainer`: its name. `markup`: the pieces of the template. `loss_weight`: whether records have weights.
    """
    name = markup.title or markup.name
    if trainer.startswith("xtuner"):
        if markup.lead:
            return f"XTuner's templates have no place for {markup.lead!r}, with which a response of {name} begins"
        if not markup.own_start:
            return (
                f"XTuner puts the tokenizer's first token before a text, where the template of {name} begins with"
                f" {markup.start!r}"
            )
    if trainer == "llamafactory":
        if loss_weight and markup.pieces != CHATML.pieces:
            return f"version 1 of LLaMA-Factory knows ChatML alone, which the template of {name} is not"
        if not markup.llamafactory:
            return f"LLaMA-Factory knows templates by name, and none of those that are known here is that of {name}"
    return None


def own_template(trainer: str, markup: Markup, calls: bool = False) -> str | None:
    """Returns where a trainer that reads the model's own template trains something else than the records say; None
    where it does not.

    `trainer`: its name. `markup`: the pieces of the template. `calls`: whether the records hold calls of tools.
    """
    why = markup.thinks or ("may write calls of tools otherwise, or leave them out" if calls else "")
    if trainer == "trl-dpo" and why:
        return (
            f"TRL's DPO trainer reads the model's own template, which {why}: put the template that is written beside"
            " the dataset into the model's folder as chat_template.jinja first"
        )
    return None


@cache
def text_of(name: str) -> str:
    """A text of this folder."""
    return package_files(__package__).joinpath(name).read_text(encoding="utf-8")


def _quoted(value: object, indent: int | None = None) -> str:
    """Strings and lists as JSON, YAML and Python have them: no pairs of surrogates, which are two letters to YAML and
    Python; and signs that can't be printed only escaped, as YAML takes them."""
    told = json.dumps(value, ensure_ascii=False, indent=indent)
    return "".join(sign if sign.isprintable() or sign == "\n" else f"\\u{ord(sign):04x}" for sign in told)


def _remark(text: str) -> str:
    """A text of somebody else's that stands in a comment or a docstring, and can't end it."""
    return "".join(sign if sign.isprintable() and sign not in '"\\' else "\N{REPLACEMENT CHARACTER}" for sign in text)


def _fill(name: str, dataset: Dataset, config: str, **more: str) -> Configuration:
    """A text with the dataset's facts in it. JSON's strings and lists are YAML's and Python's, too."""
    facts = {
        "config": shlex.quote(config),
        "model": _quoted(dataset.markup.model),
        "end": _quoted(dataset.markup.end),
        "right_for": _right_for(dataset.markup),
        "loader": _quoted(dataset.loader),
        "files": _quoted(dataset.train),
        "max_length": str(dataset.max_length),
        "output": _quoted(f"{dataset.base}.trained"),
        **more,
    }
    lines = Template(text_of(name)).substitute(facts).splitlines()
    return config, "\n".join(line.rstrip() for line in lines if line.strip() or "yaml" not in name) + "\n"


def _right_for(markup: Markup) -> str:
    """For which models a configuration is right, in a comment's words."""
    if markup.model == markup.name:  # a template that was read from a file
        return _remark(f"Right for models whose turns end with {markup.end}, as those of {markup.name} do.")
    named = [each.title for each in alike(markup) if each is not CHATML]
    return _remark(f"Right for {', '.join(named)} (turns end with {markup.end}).")


def _template(dataset: Dataset) -> Configuration:
    """The chat template that is written beside a dataset."""
    return f"{dataset.base}.chat_template.jinja", marked_template(dataset.markup)


def _xtuner(map_fn: str) -> Callable[[Dataset], Iterator[Configuration]]:
    def make(dataset: Dataset) -> Iterator[Configuration]:
        template = _quoted(_xtuner_template(dataset.markup), indent=4)
        template = template.replace(": true", ": True")
        yield _fill("xtuner.py.txt", dataset, f"{dataset.base}.xtuner.py", template=template, map_fn=map_fn)

    return make


def _xtuner_template(markup: Markup) -> dict[str, object]:
    """The pieces as XTuner has them. It trains a suffix as it trains the response, and the separator never."""
    place = markup.after.index(markup.end) + len(markup.end)
    found: dict[str, object] = {
        "INSTRUCTION": _braced(markup.user[0]) + "{input}" + _braced(markup.user[1] + markup.opening),
        "SUFFIX": markup.after[:place],
        "SUFFIX_AS_EOS": True,
        "SEP": markup.after[place:],
        "STOP_WORDS": [markup.end],
    }
    if markup.system is not None:
        before, after = markup.system
        found = {"SYSTEM": _braced(before) + "{system}" + _braced(after), **found}
    return found


def _braced(text: str) -> str:
    """A text as `str.format` takes it."""
    return text.replace("{", "{{").replace("}", "}}")


def _trl_sft(dataset: Dataset) -> Iterator[Configuration]:
    config = f"{dataset.base}.trl.yaml"
    if dataset.tokenized:
        yield _fill("trl_tokens.yaml", dataset, config)
        return
    name, text = _template(dataset)
    yield _fill("trl_sft.yaml", dataset, config, chat_template=_quoted(name))
    yield name, text


def _trl_dpo(dataset: Dataset) -> Iterator[Configuration]:
    yield _fill("trl_dpo.yaml", dataset, f"{dataset.base}.trl.yaml")
    if own_template("trl-dpo", dataset.markup, dataset.calls):
        yield _template(dataset)


def _verl(dataset: Dataset) -> Iterator[Configuration]:
    name, text = _template(dataset)
    files = "[" + ",".join(dataset.train) + "]"
    held_out = "[" + ",".join(dataset.held_out) + "]" if dataset.held_out else "null"
    config = f"{dataset.base}.verl.py"
    yield _fill(
        "verl.py.txt", dataset, config, chat_template=_quoted(name), train=files, held_out=held_out, this=config
    )
    yield name, text


def _trl_prm(dataset: Dataset) -> Iterator[Configuration]:
    yield _fill("trl_prm.py.txt", dataset, f"{dataset.base}.trl.py", model=_quoted(PRM_MODEL))


def _llamafactory(dataset: Dataset) -> Iterator[Configuration]:
    folder = f"{dataset.base}.llamafactory"
    config = f"{folder}/train.yaml"
    if dataset.loss_weight:
        listed = {f"agentr_{number}": {"path": file, "source": "local"} for number, file in enumerate(dataset.train, 1)}
        names = f"{folder}/datasets.yaml"
        yield names, _quoted(listed, indent=2) + "\n"  # JSON is YAML
        yield _fill("llamafactory_v1.yaml", dataset, config, names=_quoted(names))
        return
    train = {f"agentr_{number}": file for number, file in enumerate(dataset.train, 1)}
    held_out = {f"agentr_eval_{number}": file for number, file in enumerate(dataset.held_out, 1)}
    columns = {"columns": {"messages": "conversations", "tools": TOOLS}} if dataset.calls else {}
    info = {
        name: {"file_name": f"../{file}", "formatting": "sharegpt", **columns}
        for name, file in {**train, **held_out}.items()
    }
    yield f"{folder}/dataset_info.json", _quoted(info, indent=2) + "\n"
    yield _fill(
        "llamafactory.yaml",
        dataset,
        config,
        template=dataset.markup.llamafactory,
        folder=_quoted(folder),
        names=",".join(train),
        evaluation=f"eval_dataset: {','.join(held_out)}\neval_strategy: epoch" if held_out else "",
    )


def _axolotl(dataset: Dataset) -> Iterator[Configuration]:
    thinking = f"      {THOUGHT}: {THOUGHT}\n" if dataset.thinks else ""
    loader = _quoted(dataset.loader)

    def entry(file: str) -> str:
        return Template(text_of("axolotl_dataset.yaml")).substitute(
            file=_quoted(file), loader=loader, thinking=thinking
        )

    listed = [entry(file) for file in dataset.train]
    held_out = [entry(file) + "    split: train\n" for file in dataset.held_out]
    name, text = _template(dataset)
    yield _fill(
        "axolotl.yaml",
        dataset,
        f"{dataset.base}.axolotl.yaml",
        datasets="".join(listed).rstrip(),
        evaluation="test_datasets:\n" + "".join(held_out).rstrip() if held_out else "",
        chat_template=_quoted(name),
    )
    yield name, text


_MAKERS: dict[str, Callable[[Dataset], Iterator[Configuration]]] = {
    "xtuner": _xtuner("openai_map_fn"),
    "xtuner-rounds": _xtuner("None"),
    "trl-sft": _trl_sft,
    "trl-dpo": _trl_dpo,
    "trl-prm": _trl_prm,
    "llamafactory": _llamafactory,
    "axolotl": _axolotl,
    "verl": _verl,
}
