"""A whole round with TRL and a tiny model on CPU: `python -m tests.trainers.run_round TRL_PYTHON FOLDER`.

Runs in this project's own environment; TRL and the served model run in that of `TRL_PYTHON`.
The scripted actor collects; the tiny model, with random weights, is
evaluated, trained on the lessons by `trl sft` with the written configuration, and evaluated again. It can't craft: what
counts is that the loop closes, that the weights changed, and that every file is traced. Prints the record in short.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

from agentr_tui.cli.main import run
from agentr_tui.state.places import shipped_folder
from engine.trace.sources import load_any
from tests.trainers.make_data import made_tokenizer

ROUNDS = """
rounds = 1
model = {model}
serve = {serve}

[collect]
env = "textcraft"
actor = "scripted"
tasks = "0-5"
iterations = 15

[export]
format = "trl-sft"
max-length = 4096

[learn]
command = {train}

[eval]
env = "textcraft"
actor = "openai"
base-url = {url}
tasks = "50-51"
max-steps = 2
max-tokens = 24
workers = 1
"""


def main(python: str, folder: Path) -> None:
    """Run the round and check what it left."""
    began = time.monotonic()
    folder.mkdir(parents=True)
    os.environ.update({"AGENTR_TRAINER_DATA": str(folder), "HF_HUB_OFFLINE": "1"})
    tree = load_any(shipped_folder() / "textcraft-deep.trace.jsonl").tree
    said = [message.content or "" for leaf in tree.leaves() for message in tree.conversation(leaf.id)]
    made_tokenizer(folder / "tokenizer.json", said)
    model = folder / "tiny"
    make = "import sys, pathlib; from tests.trainers.tiny import tiny_model; tiny_model(pathlib.Path(sys.argv[1]))"
    subprocess.run([python, "-c", make, str(model)], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    here, trl = shlex.quote(os.getcwd()), shlex.quote(str(Path(python).with_name("trl")))
    serve = f"cd {here} && exec {shlex.quote(python)} -m tests.trainers.serve_tiny {{model}} {port}"
    train = (
        f'cd "$(dirname {{dataset}})" && {trl} sft --config "$(basename {{dataset}})".trl.yaml'
        " --model_name_or_path {model} --output_dir {out} --max_steps 4 --learning_rate 0.01"
        " --gradient_accumulation_steps 1 --use_cpu --bf16 false --report_to none --save_strategy no"
    )
    file = folder / "rounds.toml"
    told = {"model": str(model), "serve": serve, "train": train, "url": f"http://127.0.0.1:{port}/v1"}
    file.write_text(ROUNDS.format(**{name: json.dumps(value) for name, value in told.items()}), encoding="utf-8")
    workspace = folder / "w"
    assert run(["round", str(file), "--workspace", str(workspace), "--yes"]) == 0
    record = json.loads((workspace / "rounds/rounds/round-1.json").read_text())
    stages = {stage["name"]: stage for stage in record["stages"]}
    assert list(stages) == ["collect", "revise", "good", "export", "learn", "eval"]
    files = {each["path"]: each for stage in stages.values() for each in stage["files"]}
    trained = workspace / "rounds/rounds/round-1/model"
    assert files["rounds/rounds/round-1/model/model.safetensors"]["checksum"]
    assert (trained / "model.safetensors").read_bytes() != (model / "model.safetensors").read_bytes(), (
        "it learned nothing"
    )
    for name, stage in stages.items():
        print(f"{name:8} {stage['seconds']:7.1f} s  {len(stage['files'])} files")
    print(f"{stages['export']['figures']['lines']} lines; {time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), Path(sys.argv[2]).absolute())
