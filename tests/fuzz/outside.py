"""What comes from outside without a file of its own: bytes of servers, answers that call tools. And files that whole
commands are given, whose exit codes and lines are looked at."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import os
import shutil
import socketserver
import tempfile
import threading
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch
from zlib import crc32

import msgspec

from agentr_tui.cli.main import run
from agentr_tui.screens.search.imports.step_text import call_lines
from engine.answers.form import AnswerForm
from engine.answers.left_calls import calls_in_text, made_right
from engine.answers.reader import read_answer, written_response
from engine.base.errors import InputError
from engine.models.client import CallFailed, ChatRequest, complete, open_client
from engine.models.endpoint import Endpoint
from engine.models.faults import asks_too_much, refusal_of_status
from engine.search.job import new_job
from engine.tree.events import Message, SearchSettings, ToolCall
from engine.workspace.workspace import Workspace
from envs.agentgym.connection import Connection, Trouble
from envs.call_text import Call, arguments_of, calls_text, parse_calls, read_calls, split_results
from envs.tool_schemas import misfit, tool

CORPUS = Path(__file__).parent / "corpus"
FORBIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of characters that no line of a command may hold."""

TOOL = tool("get", "Gets.", count={"type": "integer", "minimum": 1}, item={"type": "string", "enum": ["wool"]})
ANSWER_FORMS = (AnswerForm(), AnswerForm(several_lines=True), AnswerForm(joined="{action}[{input}]"))


def _calls(path: Path) -> None:
    """Whatever a model says is read: nothing may be raised at all."""
    text = path.read_bytes().decode("utf-8", "replace")
    for each in (text, *text.split("\n\n")):
        said, left = calls_in_text(each, ["get", "act"])
        found = [*(read_calls(each) or ()), *left, *made_right(left, ["get"]), Call("get", each)]
        for call in found:
            told = calls_text([(call.name, call.arguments)])
            again = parse_calls(told)
            assert calls_text([(one.name, one.arguments) for one in again or ()]) == told
            if (given := arguments_of(call.arguments)) is not None:
                misfit(TOOL, given)
            for whole in (False, True):
                call_lines(ToolCall(name=call.name, arguments=call.arguments), 0, whole)
        split_results(each, 3)
        for form in ANSWER_FORMS:
            read_answer(said, form)
            msgspec.json.encode(read_answer(each, form, held_to_form=True).response)
            written_response(each, form)


class _Raw(socketserver.ThreadingTCPServer):
    """A server on loopback that answers every request with the same bytes, and hangs up."""

    daemon_threads, answer = True, b""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            length = 0
            while (line := self.rfile.readline(1 << 16)) not in (b"", b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            self.rfile.read(length)
            with contextlib.suppress(OSError):
                self.wfile.write(self.server.answer)  # type: ignore[attr-defined]


@functools.cache
def _raw() -> _Raw:
    server = _Raw(("127.0.0.1", 0), _Raw.Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _model_server(path: Path) -> None:
    server = _raw()
    server.answer = path.read_bytes()
    endpoint = Endpoint("m", f"http://127.0.0.1:{server.server_address[1]}/v1", timeout=3.0, retries=0)

    async def call() -> None:
        client = open_client(endpoint)
        try:
            msgspec.json.encode(await complete(client, endpoint, ChatRequest([Message("user", "x")], 1.0, 50, seed=7)))
        finally:
            await client.close()

    try:
        asyncio.run(call())
    except CallFailed as error:
        raise InputError(str(error)) from error


def _environment_server(path: Path) -> None:
    server = _raw()
    server.answer = path.read_bytes()
    connection = Connection(f"http://127.0.0.1:{server.server_address[1]}", 3.0)
    try:
        connection.ask("POST", "/create", {"id": 1})
        connection.greeting()
    except Trouble as error:
        raise InputError(str(error)) from error
    finally:
        connection.close()


def _refusal(path: Path) -> None:
    """An answer with a status of its own, and headers that say when to come again."""
    head, _, body = path.read_bytes().decode("utf-8", "replace").partition("\n\n")
    status, *lines = head.splitlines() or [""]
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    number = int(status) if status.isascii() and status.isdecimal() and len(status) < 4 else 429
    refusal = refusal_of_status(number, body, headers)
    assert refusal.wait is None or refusal.wait >= 0
    asks_too_much(refusal.wait)
    raise refusal


# -- whole commands ----------------------------------------------------------------------------------------


def call(arguments: Sequence[str], folder: Path) -> int:
    """Call a command as a person does; its exit code. What it prints must be legible, and a failure one line."""
    out, err = io.StringIO(), io.StringIO()
    homes = {f"XDG_{name}_HOME": str(folder / name) for name in ("STATE", "CONFIG", "CACHE")}
    with patch.dict(os.environ, homes), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([*arguments])
    said, told = out.getvalue(), err.getvalue()
    assert code in (0, 1, 2), (arguments, code, told)
    assert "--debug shows where" not in told, (arguments, told)
    assert code == 0 or told.strip(), (arguments, code, said)
    for text in (said, told):
        wrong = {hex(ord(each)) for each in text if each != "\n" and unicodedata.category(each) in FORBIDDEN}
        assert not wrong, (arguments, wrong, text)
    return code


TRACE_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("stats",), ("stats", "--json"), ("show",), ("show", "2", "--path"), ("show", "--json"), ("grep", "good or text~a"),
    ("grep", "return>=0.5", "--json"), ("diff", "ANOTHER"), ("convert", "o.json"), ("convert", "o.dot"), ("replay",),
    ("convert", "o.dot", "--no-merge"), ("compare", "ANOTHER"), ("revise",), ("verify", "--against", "progress"),
)  # fmt: skip


def _command(path: Path) -> None:
    """One of the commands that take a trace, which the bytes choose."""
    name, *more = TRACE_COMMANDS[crc32(path.read_bytes()) % len(TRACE_COMMANDS)]
    folder = path.parent
    another = str(CORPUS / "trace" / "textcraft.trace.jsonl")
    more = [another if each == "ANOTHER" else str(folder / each) if each[:2] == "o." else each for each in more]
    if name in ("revise", "verify"):
        more += ["--workspace", str(folder / "w")]
    given = [name, more[0], str(path), *more[1:]] if name == "grep" else [name, str(path), *more]
    if call(given, folder) == 2:
        raise InputError("refused")


def _resumed(path: Path) -> None:
    """A search goes on from a trace, or begins at a node of it; the trace can be read afterwards."""
    folder, node = path.parent, crc32(path.read_bytes()) % 4
    least = ["--iterations", "2", "--max-depth", "4", "--samples", "2", "--workspace", str(folder / "w")]
    how = (
        ["--resume", str(path)] if node == 0 else ["--from", f"{path}:{node}", "--out", str(folder / "new.trace.jsonl")]
    )
    if call(["search", *how, *least, "--actor", "random"], folder) == 2:
        raise InputError("refused")
    written = path if node == 0 else folder / "new.trace.jsonl"
    if written.exists():
        assert call(["stats", str(written)], folder) in (0, 1)


@functools.cache
def _reviewed() -> tuple[Path, str]:
    """A workspace with a search and a run of `revise`, and the name of the run's file."""
    folder = Path(tempfile.mkdtemp())
    workspace = Workspace.open(folder / "w", create=True)
    trace = workspace.traces / "t.trace.jsonl"
    job = new_job("textcraft", "2", SearchSettings(iterations=4, error_rate=0.5), trace)
    thread = threading.Thread(target=job.run_blocking)
    thread.start()
    thread.join()
    assert call(["revise", str(trace), "--workspace", str(workspace.path)], folder) == 0
    (file,) = [each for each in (workspace.path / "runs").iterdir() if each.name.endswith(".jsonl")]
    return workspace.path, str(file.relative_to(workspace.path))


RUN_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("review", "list"), ("review", "stats"), ("review", "list", "gap>=0 or text~craft"), ("notes", "--out", "o.md"),
    ("recover", "verdict:verified", "--price"), ("export", "--format", "agent-r"), ("export", "--format", "trl-sft"),
    ("export", "--format", "trl-dpo"), ("export", "--format", "sharegpt"), ("export", "--format", "openai"),
    ("export", "--format", "atif"), ("export", "--format", "trl-stepwise"), ("review", "accept", "verdict:verified"),
)  # fmt: skip


def _run_command(path: Path) -> None:
    """One of the commands that take the samples of a run, in a workspace where the run is these bytes."""
    made, file = _reviewed()
    folder, data = path.parent, path.read_bytes()
    shutil.copytree(made, folder / "w")
    (folder / "w" / file).write_bytes(data)
    name, *more = RUN_COMMANDS[crc32(data) % len(RUN_COMMANDS)]
    more = [str(folder / each) if each[:2] == "o." else each for each in more]
    more += ["--out", str(folder / "o.jsonl")] if name == "export" else []
    if call([name, *more, "--workspace", str(folder / "w")], folder) == 2:
        raise InputError("refused")


OUTSIDE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "calls": ("said.txt", _calls),
    "model-server": ("reply.http", _model_server),
    "environment-server": ("reply.http", _environment_server),
    "refusal": ("refusal.txt", _refusal),
    "command": ("t.trace.jsonl", _command),
    "resumed": ("t.trace.jsonl", _resumed),
    "run-command": ("r.jsonl", _run_command),
}
"""Name of the file, and what reads it."""

_SAID = b"""Thought: so
Action: get(count=3, item="white wool")

get(item='white wool', count=3)

<tool_call>
{"name": "get", "arguments": {"count": 1, "item": "wool"}}
</tool_call>

<function=get><parameter=count>
3
</parameter></function>

[TOOL_CALLS][{"name": "get", "arguments": "{\\"count\\": 1}"}]

<|python_tag|>get.call(count=[1, {"a": null}])

functools[{"name": "get", "arguments": {"x": 1e3}}]

```json
{"action": {"tool": "get", "args": ["a", {"b": [true]}]}, "thought": "t"}
```

<|start|>assistant<|channel|>commentary to=functions.get <|constrain|>json<|message|>{"count": 2}<|call|>

{'action': 'get', 'action_input': {'item': 'wool', 'n': (1, 2)}}

[1] one
[2] two
[3] three
"""
_WHOLE = (CORPUS / "answer" / "whole.json").read_bytes()
_STREAM = (CORPUS / "answer" / "stream.txt").read_bytes()


def _reply(body: bytes, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"", body])


def _pieces(body: bytes) -> bytes:
    cut = [body[at : at + 40] for at in range(0, len(body), 40)]
    return b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in cut) + b"0\r\n\r\n"


def outside_seeds(reader: str) -> list[bytes]:
    """Good bytes of one of these readers."""
    if reader == "run-command":
        made, file = _reviewed()
        return [(made / file).read_bytes()]
    plain = b"Content-Type: application/json"
    replies = [
        _reply(_WHOLE, plain, b"Content-Length: %d" % len(_WHOLE)),
        _reply(_pieces(_STREAM), b"Content-Type: text/event-stream", b"Transfer-Encoding: chunked"),
        _reply(b'{"error": {"message": "slow down", "code": 429}}', plain, b"Retry-After: 1",
               status=b"429 Too Many Requests"),
        _reply(b"", b"Location: http://127.0.0.1:1/", b"Content-Length: 0", status=b"302 Found"),
    ]  # fmt: skip
    traces = [(CORPUS / "trace" / name).read_bytes() for name in ("textcraft.trace.jsonl", "search.trace.jsonl")]
    return {
        "calls": [_SAID],
        "model-server": replies,
        "environment-server": [*replies, _reply(b'{"id": 0}', plain, b"Content-Length: 9")],
        "refusal": [b"429\nRetry-After: 3\n\nslow down", b"503\nretry-after: Wed, 21 Oct 2026 07:28:00 GMT\n\n",
                    b'400\nretry-after-ms: 250\nlocation: x\n\n{"error": {"message": "max_tokens", "param": "seed"}}'],
        "command": traces,
        "resumed": traces[:1],
    }[reader]  # fmt: skip
