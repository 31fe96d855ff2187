"""What the trainers' tests read: every format as the command writes it, and the samples' own conversations and masks.

Run as `python -m tests.trainers.make_data FOLDER` with this project's own environment; the tests beside it run in the
environments of the trainers, which know nothing of it. In the folder stand

- `tokenizer.json`: a byte-level BPE of the texts, with the special tokens of ChatML;
- `models`: each family's tokenizer folder, with its own template;
- `samples.json`: sample → its conversation as `[role, text, trained]` up to the last response, and both sides of a
  preference;
- a folder a case of `reading.CASES`, with the dataset `data.*` and everything that is written beside it.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from engine.datasets.export import export
from engine.datasets.formats import FORMATS, Item
from engine.datasets.formats.trl_dpo import sides_of
from engine.datasets.options import ExportOptions
from engine.datasets.templates.tool_calls import as_texts
from engine.samples.revise import revise
from engine.samples.sample import Sample, turns_of
from engine.samples.settings import ReviseSettings
from engine.samples.splice import Turn
from engine.search.job import new_job
from engine.trace.sources import load_any
from engine.tree.events import SearchSettings
from engine.tree.tree import SearchTree
from engine.workspace.sample_tree import load_tree
from engine.workspace.workspace import Workspace
from tests.engine.hostile_texts import hostile_workspace
from tests.engine.real_templates import tokenizer_folder
from tests.trainers.reading import CASES, SPECIAL, TOOLS

TREES = Path(__file__).parents[2] / "sample_trees"
UNTRAINED = {"atif"}  # formats that no trainer reads
MOST = 24  # samples of the large tree


def main(folder: Path) -> None:
    """Write everything."""
    assert {name for name, _ in CASES.values()} | UNTRAINED == set(FORMATS)
    shutil.rmtree(folder, ignore_errors=True)
    workspace = Workspace.open(folder / "workspace", create=True)
    settings = ReviseSettings(max_pairs=MOST)
    traces = [TREES / f"textcraft-{name}.trace.jsonl" for name in ("deep", "many-pairs")]
    with workspace.new_run(settings, [str(path) for path in traces]) as run:
        for path in traces:
            for sample in revise(load_any(path).tree, str(path), settings, run.figures):
                run.add(sample)
    told: dict[str, Any] = {}
    for sample in workspace.load_run().samples:
        tree = load_tree(workspace, sample)
        told[sample.id] = {"turns": rows(turns_of(tree, sample)), **sides(tree, sample)}
    hostile = hostile_workspace(folder / "hostile")
    for sample in hostile.load_run().samples:
        told[sample.id] = {"turns": rows(turns_of(load_tree(hostile, sample), sample))}
    tools = tools_workspace(folder / "tools")
    for sample in tools.load_run().samples:
        tree = load_tree(tools, sample)
        assert tree.started is not None
        told[sample.id] = {
            "turns": rows(as_texts(turns_of(tree, sample), tree.started.tools)),
            **sides(tree, sample),
        }
    (folder / "samples.json").write_text(json.dumps(told), encoding="utf-8")
    made_tokenizer(folder / "tokenizer.json", [text for each in told.values() for _, text, _ in each["turns"]])
    for case, (name, given) in CASES.items():
        options = dict(given)
        if "tokenizer" in options:
            options["tokenizer"] = str(folder / options["tokenizer"])
        family = options.get("for_model")
        if family:
            options["for_model"] = str(tokenizer_folder(folder / "models" / family, family))
        out = folder / case / f"data{FORMATS[name].extension}"
        place = hostile if family else tools if case.endswith(TOOLS) else workspace
        done = export(place, None, name, out, all=bool(family), options=ExportOptions(**options))
        print(f"{case}: {done.lines} records of {done.samples} samples")
        assert all(file.lines for file in done.files)


def tools_workspace(folder: Path) -> Workspace:
    """Samples of an agent that calls tools."""
    workspace = Workspace.open(folder, create=True)
    path = workspace.traces / "tools.trace.jsonl"
    new_job("textcraft:tools", "3", SearchSettings(iterations=6), path).run_blocking()
    settings = ReviseSettings(max_pairs=MOST)
    with workspace.new_run(settings, [str(path)]) as run:
        for sample in revise(load_any(path).tree, str(path), settings, run.figures):
            run.add(sample)
    return workspace


def sides(tree: SearchTree, sample: Sample) -> dict[str, Any]:
    """What a preference is between, and what stands before both, with the template's own text of calls; empty where a
    sample has no two sides."""
    found = sides_of(Item(tree, sample, turns_of(tree, sample)))
    if isinstance(found, str):
        return {}
    assert tree.started is not None
    prompt, *both = found
    before = len(as_texts(prompt, tree.started.tools))
    chosen, rejected = (rows(as_texts([*prompt, *side], tree.started.tools)) for side in both)
    return {"prompt": chosen[:before], "chosen": chosen[before:], "rejected": rejected[before:]}


def rows(turns: list[Turn]) -> list[tuple[str, str, bool]]:
    """A conversation up to its last response: role, text, whether it is trained."""
    last = max(place for place, turn in enumerate(turns) if turn.role == "assistant")
    return [(turn.role, turn.content, bool(turn.loss)) for turn in turns[: last + 1]]


# Qwen 2's way to cut a text before its bytes are merged: transformers takes it for a Qwen model, whatever the file says
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def made_tokenizer(path: Path, texts: list[str]) -> None:
    """A byte-level BPE of these texts, so that tokens cross the borders of words and lines as a model's do."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=alphabet, special_tokens=SPECIAL, show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    made.save(str(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
