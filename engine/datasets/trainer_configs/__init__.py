"""Configurations for trainers, ready to be written beside a dataset.

The texts lie in this folder, with `$name` where the dataset's own facts go. They name files by themselves, so they are
for the folder in which the dataset lies. What a person has to look at first is the model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files
from string import Template

from engine.datasets.formats.tokens import Markup

PRM_MODEL = "Qwen/Qwen2.5-0.5B"
XTUNER_TEMPLATES = {"chatml": "qwen_chat", "llama3": "llama3_chat"}
LLAMAFACTORY_TEMPLATES = {"chatml": "qwen", "llama3": "llama3"}


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a configuration says of a dataset."""

    base: str  # its name, which the names of configurations begin with
    parts: list[str]  # of a split: to train on, to evaluate on; [""] where it is not split
    files: list[tuple[str, str]]  # name and part of each file that has records
    packing: str
    max_length: int
    markup: Markup  # chat template
    tokenized: bool = False
    loss_weight: bool = False

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
    return None


@cache
def text_of(name: str) -> str:
    """A text of this folder."""
    return package_files(__package__).joinpath(name).read_text(encoding="utf-8")


def _fill(name: str, dataset: Dataset, config: str, **more: str) -> Configuration:
    """A text with the dataset's facts in it. JSON's strings and lists are YAML's and Python's, too."""
    facts = {
        "config": config,
        "model": json.dumps(dataset.markup.model),
        "loader": json.dumps(dataset.loader),
        "files": json.dumps(dataset.train),
        "max_length": str(dataset.max_length),
        "output": json.dumps(f"{dataset.base}.trained"),
        **more,
    }
    lines = Template(text_of(name)).substitute(facts).splitlines()
    return config, "\n".join(line.rstrip() for line in lines if line.strip() or "yaml" not in name) + "\n"


def _xtuner(map_fn: str) -> Callable[[Dataset], Iterator[Configuration]]:
    def make(dataset: Dataset) -> Iterator[Configuration]:
        template = XTUNER_TEMPLATES[dataset.markup.name]
        yield _fill("xtuner.py.txt", dataset, f"{dataset.base}.xtuner.py", template=template, map_fn=map_fn)

    return make


def _trl_sft(dataset: Dataset) -> Iterator[Configuration]:
    config = f"{dataset.base}.trl.yaml"
    if dataset.tokenized:
        yield _fill("trl_tokens.yaml", dataset, config)
        return
    template = f"{dataset.base}.chat_template.jinja"
    yield _fill("trl_sft.yaml", dataset, config, chat_template=json.dumps(template))
    yield template, text_of(f"{dataset.markup.name}.jinja")


def _trl_dpo(dataset: Dataset) -> Iterator[Configuration]:
    yield _fill("trl_dpo.yaml", dataset, f"{dataset.base}.trl.yaml")


def _trl_prm(dataset: Dataset) -> Iterator[Configuration]:
    yield _fill("trl_prm.py.txt", dataset, f"{dataset.base}.trl.py", model=json.dumps(PRM_MODEL))


def _llamafactory(dataset: Dataset) -> Iterator[Configuration]:
    folder = f"{dataset.base}.llamafactory"
    config = f"{folder}/train.yaml"
    if dataset.loss_weight:
        listed = {f"agentr_{number}": {"path": file, "source": "local"} for number, file in enumerate(dataset.train, 1)}
        names = f"{folder}/datasets.yaml"
        yield names, json.dumps(listed, indent=2) + "\n"  # JSON is YAML
        yield _fill("llamafactory_v1.yaml", dataset, config, names=json.dumps(names))
        return
    train = {f"agentr_{number}": file for number, file in enumerate(dataset.train, 1)}
    held_out = {f"agentr_eval_{number}": file for number, file in enumerate(dataset.held_out, 1)}
    info = {name: {"file_name": f"../{file}", "formatting": "sharegpt"} for name, file in {**train, **held_out}.items()}
    yield f"{folder}/dataset_info.json", json.dumps(info, indent=2) + "\n"
    yield _fill(
        "llamafactory.yaml",
        dataset,
        config,
        template=LLAMAFACTORY_TEMPLATES[dataset.markup.name],
        folder=json.dumps(folder),
        names=",".join(train),
        evaluation=f"eval_dataset: {','.join(held_out)}\neval_strategy: epoch" if held_out else "",
    )


def _axolotl(dataset: Dataset) -> Iterator[Configuration]:
    listed = [
        Template(text_of("axolotl_dataset.yaml")).substitute(file=json.dumps(file), loader=json.dumps(dataset.loader))
        for file in dataset.train
    ]
    held_out = [
        Template(text_of("axolotl_dataset.yaml")).substitute(file=json.dumps(file), loader=json.dumps(dataset.loader))
        + "    split: train\n"
        for file in dataset.held_out
    ]
    yield _fill(
        "axolotl.yaml",
        dataset,
        f"{dataset.base}.axolotl.yaml",
        datasets="".join(listed).rstrip(),
        evaluation="test_datasets:\n" + "".join(held_out).rstrip() if held_out else "",
    )


_MAKERS: dict[str, Callable[[Dataset], Iterator[Configuration]]] = {
    "xtuner": _xtuner("openai_map_fn"),
    "xtuner-rounds": _xtuner("None"),
    "trl-sft": _trl_sft,
    "trl-dpo": _trl_dpo,
    "trl-prm": _trl_prm,
    "llamafactory": _llamafactory,
    "axolotl": _axolotl,
}
