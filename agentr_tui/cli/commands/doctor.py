"""The command `doctor`: what is installed, what is missing, and how to get it. Changes nothing, never prints a key."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal, TypedDict

import msgspec
from cyclopts import Parameter
from filelock import FileLock, Timeout
from msgspec import Struct

from agentr_tui.cli.model_options import (
    ExampleOption,
    ExtraBodyOption,
    HeaderOption,
    NoSystemOption,
    PriceInOption,
    PriceOutOption,
    PromptsOption,
    ReasoningEffortOption,
    StructuredOption,
    TimeoutOption,
    TopPOption,
)
from agentr_tui.cli.options import MODEL, TASK, JsonOption, WorkspaceOption, option_of
from agentr_tui.state.settings_files import DEFAULT_WORKSPACE, SETTINGS_FILE, user_file
from agentr_tui.terminal.clipboard import tools
from agentr_tui.terminal.glyphs import encoding_is_ascii, glyphs
from agentr_tui.terminal.output import emit_json, say
from agentr_tui.terminal.own_output import own_output
from engine.actors.probe import ENVIRONMENT, Trial
from engine.base.errors import AgentrError
from engine.base.untrusted_files import UNREADABLE
from engine.base.version import __version__
from engine.environment.permission import by_person, is_loopback
from engine.models.tool_calls import START_WITH_TOOLS
from engine.search.settings import settings_from
from engine.tree.events import SearchSettings
from envs.base import environments, missing

State = Literal["ok", "missing", "hint", "wrong"]
"""`missing` is what somebody may not need; `wrong` is what does not work, and makes the exit code 1."""

QUOTED = 160  # characters of an answer that are shown

PATIENCE = 10.0  # seconds, for a program or a server
MAX_ANSWER = 8 << 20  # bytes of a server's list of models


class Check(Struct):
    """One thing that was looked at."""

    name: str
    state: State
    said: str
    remedy: str = ""


_option = partial(option_of, SearchSettings)


class ModelFlags(TypedDict, total=False):
    """The options of a request to the model, as in a search."""

    max_tokens: Annotated[int, _option(MODEL, "max_tokens", "Maximum tokens of one answer.")]
    timeout: TimeoutOption
    price_in: PriceInOption
    price_out: PriceOutOption
    top_p: TopPOption
    reasoning_effort: ReasoningEffortOption
    extra_body: ExtraBodyOption
    header: HeaderOption
    no_system: NoSystemOption
    example: ExampleOption
    structured: StructuredOption
    prompts: PromptsOption


def doctor(
    *,
    base_url: Annotated[
        str | None,
        Parameter(
            group=MODEL,
            help="URL of an OpenAI-compatible server to ask for its models. Without it, no network is used.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        Parameter(group=MODEL, help="Model to ask for the first turn of an environment, with five short calls."),
    ] = None,
    key_env: Annotated[
        str, Parameter(group=MODEL, help="Environment variable that holds the API key.")
    ] = "OPENAI_API_KEY",
    env: Annotated[
        str, Parameter(group=TASK, name="--env", help="Environment whose first turn the model has to answer.")
    ] = ENVIRONMENT,
    task: Annotated[
        str | None, Parameter(group=TASK, help="Task id. The default is the environment's first task.")
    ] = None,
    flags: Annotated[ModelFlags | None, Parameter(name="*")] = None,
    json: JsonOption = False,
    workspace: WorkspaceOption = Path(DEFAULT_WORKSPACE),
) -> int:
    """Check this installation and say how to get what is missing."""
    checks = [*_python(), *_extras(), *_environments(), *_terminal(), *_workspace(workspace), _settings(workspace)]
    checks.append(_key(key_env))
    if base_url is not None:
        checks.append(_server(base_url, os.environ.get(key_env, "")))
    if model is not None:
        named = {"actor": "openai", "model": model, "base_url": base_url or "", "key_env": key_env}
        checks += _model(settings_from({**named, **(flags or {})}), env, task)
    wrong = any(check.state == "wrong" for check in checks)
    if json:
        emit_json({"ok": not wrong, "checks": checks})
    else:
        signs = {"ok": glyphs().good, "missing": "-", "hint": "!", "wrong": glyphs().bad}
        width = max(len(check.name) for check in checks)
        for check in checks:
            say(f"{signs[check.state]} {check.name:<{width}}  {check.said}")
            if check.remedy:
                say(f"  {'':<{width}}  {glyphs().joined.strip()} {check.remedy}")
    return int(wrong)


def _python() -> Iterator[Check]:
    version = platform.python_version()
    enough = sys.version_info >= (3, 11)
    remedy = "" if enough else "install Python 3.11 or newer"
    yield Check("python", "ok" if enough else "wrong", f"{version} on {platform.system()}", remedy)
    yield Check("agentr", "ok", __version__)


_EXTRA = re.compile(r"^([A-Za-z0-9._-]+).*extra == ['\"]([a-z]+)['\"]")


def _extras() -> Iterator[Check]:
    """The extras of the package, by what its metadata say that they need."""
    try:
        needs = metadata.requires("agentr-tui") or []
    except metadata.PackageNotFoundError:
        yield Check("extras", "hint", "the package is not installed, so its extras are unknown", "pip install .")
        return
    wanted: dict[str, list[str]] = {}
    for need in needs:
        found = _EXTRA.match(need)
        if found and found[2] != "dev":
            wanted.setdefault(found[2], []).append(found[1])
    for extra, names in wanted.items():
        lacking = [name for name in names if not _installed(name)]
        if lacking:
            yield Check(f"extra {extra}", "missing", ", ".join(lacking), f"pip install 'agentr-tui[{extra}]'")
        else:
            yield Check(f"extra {extra}", "ok", ", ".join(names))


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _environments() -> Iterator[Check]:
    for info in environments():
        lacks = missing(info)
        yield Check(
            f"environment {info.name}", "missing" if lacks else "ok", "not ready" if lacks else "ready", lacks or ""
        )
    java = shutil.which("java")
    if java is not None:
        said = _first_line([java, "-version"])
        state: State = "ok" if said else "wrong"
        yield Check(
            "java", state, said or f"{java} does not start", "" if said else "install a Java runtime, 11 or newer"
        )


def _first_line(command: list[str]) -> str:
    """The first line that a program says; empty where it does not run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).strip().partition("\n")[0] if done.returncode == 0 else ""


def _terminal() -> Iterator[Check]:
    if not own_output().isatty():
        yield Check("terminal", "hint", "the output is not a terminal: only the app needs one")
    else:
        columns, lines = shutil.get_terminal_size()
        room: State = "ok" if columns >= 80 and lines >= 24 else "hint"
        yield Check("terminal", room, f"{columns}×{lines}", "" if room == "ok" else "80×24 shows everything")
    yield _colours()
    if encoding_is_ascii():
        yield Check("unicode", "hint", "the locale has ASCII only, so glyphs are ASCII too", "export LANG=C.UTF-8")
    else:
        yield Check("unicode", "ok", "yes")
    yield _clipboard()
    yield _mouse()


def _colours() -> Check:
    term, more = os.environ.get("TERM", ""), os.environ.get("COLORTERM", "")
    if "NO_COLOR" in os.environ:
        return Check("colours", "ok", "none: NO_COLOR is set")
    if more in ("truecolor", "24bit"):
        return Check("colours", "ok", "16 million")
    if "256" in term:
        return Check("colours", "ok", "256", "export COLORTERM=truecolor, where the terminal can")
    if term in ("", "dumb"):
        without = "; the app does not start" if term else ""
        return Check("colours", "hint", f"TERM is {term or 'not set'}{without}", "export TERM=xterm-256color")
    return Check("colours", "hint", f"16 (TERM={term})", "export TERM=xterm-256color, where the terminal can")


def _clipboard() -> Check:
    found = [command[0] for command in tools()]
    if found and found != ["tmux"]:
        return Check("clipboard", "ok", found[0])
    if os.environ.get("TMUX"):
        setting = _first_line(["tmux", "show", "-gv", "set-clipboard"])
        on = setting in ("on", "external")
        return Check("clipboard", "ok" if on else "hint", f"tmux, set-clipboard {setting or 'unknown'}",
                     "" if on else "tmux set -g set-clipboard on")  # fmt: skip
    told = "the terminal is asked (OSC 52), which may not answer; what is copied is in a file, too"
    remedy = "install xclip, xsel or wl-clipboard" if os.environ.get("DISPLAY") else ""
    return Check("clipboard", "hint", told, remedy)


def _mouse() -> Check:
    if os.environ.get("TMUX"):
        on = _first_line(["tmux", "show", "-gv", "mouse"])
        return Check("mouse", "ok", f"tmux passes it on (its own mouse mode is {on or 'unknown'})")
    return Check("mouse", "ok", "where the terminal reports it; hold shift to select text")


def _workspace(folder: Path) -> Iterator[Check]:
    """Whether it can be written, and locked: tried with files that are taken away again."""
    if not folder.is_dir():
        there = next((parent for parent in folder.absolute().parents if parent.is_dir()), Path("/"))
        can = os.access(there, os.W_OK)
        remedy = "" if can else "name a folder that you may write to with --workspace"
        yield Check("workspace", "ok" if can else "wrong",
                    f"{folder}: is made when it is needed" if can else f"{folder}: can't be made", remedy)  # fmt: skip
        return
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as place:
            yield Check("workspace", "ok", f"{folder}: can be written")
            yield _locks(Path(place) / "lock")
    except OSError as error:
        said = f"{folder}: can't be written ({error.strerror}): it can still be read"
        yield Check("workspace", "wrong", said, "fix its permissions, or name another folder with --workspace")


def _locks(file: Path) -> Check:
    try:
        with FileLock(file).acquire(timeout=0):
            try:
                with FileLock(file, is_singleton=False).acquire(timeout=0):
                    said = "two writers of one trace would not notice each other"
            except Timeout:
                return Check("locks", "ok", "work here")
    except (OSError, NotImplementedError) as error:
        said = f"do not work on this file system ({error})"
    return Check("locks", "wrong", said, "put the workspace on a file system with locks (NFS: mount it with them)")


def _settings(folder: Path) -> Check:
    from agentr_tui.app.preferences_file import read_preferences

    files = [user_file(), folder / SETTINGS_FILE]
    try:
        found = read_preferences(files)
    except AgentrError as error:
        return Check("settings", "wrong", str(error))
    there = ", ".join(str(file) for file in files if file.is_file()) or "none: defaults hold"
    return Check("settings", "ok", f"{there}; theme {found.theme}")


def _key(name: str) -> Check:
    if os.environ.get(name):
        return Check("model key", "ok", f"${name} is set")
    return Check("model key", "missing", f"${name} is not set", "only the openai actor and verifier need it")


def _model(settings: SearchSettings, env: str, task: str | None) -> Iterator[Check]:
    """What the model made of the first turn of an environment, and what its server does."""
    try:
        found = Trial(settings, by_person(env), task).run()
    except AgentrError as error:
        yield Check("model", "wrong", f"{settings.model}: {error}")
        return
    if found is None:
        return
    yield Check("model", "ok" if found.works else "wrong", f"{settings.model} {found}")
    yield Check("model answer", "ok" if found.answer.strip() else "wrong",
                f"to the first turn of {found.where}: {_quoted(found.answer) or 'nothing'}")  # fmt: skip
    label = "" if found.label else ", though no label says so"
    said = f"{found.action!r}{label}" if found.action else "none can be read"
    taken = f"; {'refused' if found.refused else 'taken'}: {_quoted(found.observation)}" if found.action else ""
    state: State = "wrong" if not found.works else "hint" if found.refused else "ok"
    yield Check("model action", state, said + taken, found.remedy)
    stop: State = "ok" if found.stop == "honoured" else "hint"
    yield Check("model stop", stop, found.stop, "" if stop == "ok" else "answers are cut here instead")
    joined = "taken" if found.system else "refused: it is joined to the first user turn"
    yield Check("model system", "ok" if found.system else "hint", joined, "" if found.system else "--no-system")
    yield Check("model seed", "ok" if found.seed == "honoured" else "hint", found.seed)
    yield Check("model logprobs", "ok" if found.logprobs else "hint", "yes" if found.logprobs else "none: no puct")
    called = {"called": "calls them", "not called": "called none that was offered", "refused": "the server takes none"}
    yield Check(
        "model tools",
        "hint" if found.tools == "refused" else "ok",
        called[found.tools],
        START_WITH_TOOLS if found.tools == "refused" else "",
    )
    speed = "tokens unknown" if found.speed is None else f"{found.speed:.0f} tokens a second"
    yield Check("model speed", "ok", f"{found.seconds:.1f} s an answer, {speed}, one call at a time")
    if found.left_out:
        yield Check(
            "model fields",
            "hint",
            f"left out, since the server refuses them: {', '.join(found.left_out)}",
        )


def _quoted(text: str) -> str:
    """A text in a line."""
    line = " ⏎ ".join(part.strip() for part in text.strip().splitlines() if part.strip())
    return line if len(line) <= QUOTED else f"{line[:QUOTED]}…"


def _bounded(pieces: Iterator[bytes], coding: str) -> bytes:
    """What a server answers. Raises `ValueError` where it is packed, too large or too slow."""
    if coding.strip().casefold() != "identity":
        raise ValueError(f"the answer is packed as {coding!r}, although plain was asked for")
    found, until = b"", time.monotonic() + PATIENCE
    for piece in pieces:
        found += piece
        if len(found) > MAX_ANSWER:
            raise ValueError(f"the answer goes on past {MAX_ANSWER >> 20} MB")
        if time.monotonic() > until:
            raise ValueError(f"the answer takes more than {PATIENCE:g} seconds")
    return found


def _server(url: str, key: str) -> Check:
    import httpx2

    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with (
            httpx2.Client(timeout=PATIENCE, trust_env=not is_loopback(url)) as client,
            client.stream(
                "GET", f"{url.rstrip('/')}/models", headers=headers | {"Accept-Encoding": "identity"}
            ) as answer,
        ):
            answer.raise_for_status()
            data = _bounded(answer.iter_raw(), answer.headers.get("content-encoding", "identity"))
        models = [str(model["id"]) for model in msgspec.json.decode(data)["data"]]
    except httpx2.HTTPStatusError as error:
        remedy = (
            "check the key" if error.response.status_code in (401, 403) else "check --base-url: it mostly ends in /v1"
        )
        return Check("model server", "wrong", f"{url}: answers {error.response.status_code}", remedy)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, KeyError, TypeError, *UNREADABLE) as error:
        said = str(error).replace(key, "…") if key else str(error)
        return Check("model server", "wrong", f"{url}: {said or type(error).__name__}", "start it, or check --base-url")
    shown = ", ".join(models[:5]) + (f" and {len(models) - 5} more" if len(models) > 5 else "")
    return Check("model server", "ok", f"{url}: {shown or 'no models'}")
