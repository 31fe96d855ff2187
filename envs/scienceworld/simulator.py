"""ScienceWorld's simulator: a Java process that plays one game at a time.

The process runs the package's own simulator behind `envs/scienceworld/java`, which answers through a pipe, keeps states
of the simulator and takes them up again in about a millisecond. One setting of Java matters: `-XX:hashCode=2`. The
simulator keeps its objects in sets ordered by Java's identity hash, which is a random number; so the same actions may
lead elsewhere in another process, or the second time (another bee moves, the expert chooses another plant). With a
constant in its place the same actions always lead to the same state.

A process ends with the one that started it, however that ends, since its input ends then. Processes whose game is over
are kept for the next one.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import select
import shutil
import struct
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO, NamedTuple

from scienceworld.constants import BASEPATH, ID2TASK, JAR_PATH

from envs.base import EnvError, InstanceDied

TASK_NAMES: tuple[str, ...] = tuple(ID2TASK.values())
"""The tasks in the package's order."""

NO_JAVA = "scienceworld needs Java on the PATH: install a runtime, e.g. apt install default-jre-headless"
MAX_IDLE = 2
"""Processes that are kept for the next game."""

CAPACITY = 4000
"""States that one process keeps, 40 kB each; the one not used for longest goes first."""

REPLY_LIMIT = 300.0
"""Seconds that a process may take to answer (to find the expert's way takes a minute in some tasks)."""

_OPTIONS = (
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-XX:+UnlockExperimentalVMOptions",
    "-XX:hashCode=2",
    "-XX:+UseSerialGC",  # a third of the memory
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",  # no files in the temporary folder
    "-Xmx2g",
    "--add-opens=java.base/java.util=ALL-UNNAMED",  # the state of its random numbers
)
_LENGTH = struct.Struct(">I")
_HEAD = struct.Struct(">IB")
_numbers = itertools.count(1)


class Situation(NamedTuple):
    """What a game is begun with."""

    task: str
    variation: int
    simplifications: str


class Reply(NamedTuple):
    """The answer to a step."""

    observation: str
    score: int  # 0 to 100, or -100
    done: bool


class Start(NamedTuple):
    """The beginning of a game, as it was kept."""

    observation: str
    state: int


class Game:
    """One simulator. Used by one thread at a time.

    Every method raises `InstanceDied` where the process is gone, and `EnvError` where the simulator fails.
    """

    def __init__(self) -> None:
        self.number = next(_numbers)  # no two in a process have the same
        self.starts: dict[Situation, Start] = {}  # of the games that were begun here since `forget`
        self._process, self._errors = _start()
        self._last_words = ""
        self._ending = threading.Lock()
        with _lock:
            _running[self.number] = self
        try:
            self.keeps_states = self._ask("keeps") == "true"
        except InstanceDied as error:
            raise EnvError(f"scienceworld's simulator does not start: {_first_line(self._last_words)}") from error

    def _ask(self, *request: str) -> str:
        text = "\n".join(request).encode(errors="replace")
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(_LENGTH.pack(len(text)) + text)
            self._process.stdin.flush()
            length, failed = _HEAD.unpack(self._read(_HEAD.size))
            answer = self._read(length).decode(errors="replace")
        except (OSError, ValueError, struct.error) as error:
            self.end()
            raise InstanceDied("scienceworld's simulator has ended") from error
        except BaseException:  # an interrupt: the next request must not get this reply
            self.end()
            raise
        if failed:
            raise EnvError(f"scienceworld's simulator failed: {_first_line(answer)}")
        return answer

    def _read(self, length: int) -> bytes:
        """So many bytes of the reply. Raises `EOFError` where they don't come."""
        stream = self._process.stdout
        assert stream is not None
        parts = b""
        while len(parts) < length:
            if os.name == "posix" and not select.select([stream], [], [], REPLY_LIMIT)[0]:
                raise TimeoutError
            part = os.read(stream.fileno(), length - len(parts))
            if not part:
                raise BrokenPipeError
            parts += part
        return parts

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    # -- the game ------------------------------------------------------------------------------------------

    def load(self, at: Situation, gold: bool = False) -> None:
        """Begin a game; `gold`: look for the expert's way, too."""
        problem = self._ask("load", at.task, str(at.variation), at.simplifications, str(gold).lower())
        if problem:
            raise EnvError(f"scienceworld: {_first_line(problem)}")

    def variations(self, task: str) -> int:
        """How many variations a task has."""
        return int(self._ask("variations", task))

    def simplifications(self) -> list[str]:
        """Names of the simplifications there are."""
        return self._ask("simplifications").split(", ")

    def description(self) -> str:
        """What the task is."""
        return self._ask("description")

    def step(self, action: str) -> Reply:
        """Execute an action, which has to be one line."""
        score, completed, observation = self._ask("step", action).split("\n", 2)
        points = round(100 * float(score))
        return Reply(observation, points, completed == "true" or points < 0)

    def gold(self) -> tuple[str, ...]:
        """The expert's way, of a game that was begun with it."""
        return tuple(self._ask("gold").splitlines())

    def look(self) -> str:
        """What the agent sees. Takes no time."""
        return self._ask("look")

    def inventory(self) -> str:
        """What the agent carries. Takes no time."""
        return self._ask("inventory")

    def valid_actions(self) -> list[str]:
        """All valid actions, sorted. Takes no time in the game, and tens of milliseconds."""
        return self._ask("valid").splitlines()

    # -- states --------------------------------------------------------------------------------------------

    def take(self) -> int:
        """Keep the present state; returns its number. 0 where states can't be kept."""
        return int(self._ask("take")) if self.keeps_states else 0

    def restore(self, state: int) -> bool:
        """Return to a kept state; False where it is no longer kept."""
        return self.keeps_states and self._ask("restore", str(state)) == "true"

    def drop(self, state: int) -> None:
        """Stop keeping a state."""
        if self.keeps_states:
            self._ask("drop", str(state))

    def digest(self) -> str:
        """16 characters, equal where the state is equal; empty where states can't be kept."""
        return self._ask("digest") if self.keeps_states else ""

    # -- the process ---------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Stop keeping all states."""
        self.starts.clear()
        if self.keeps_states:
            self._ask("clear")

    def end(self) -> None:
        """End the process. May be called again."""
        with _lock:
            _running.pop(self.number, None)
        self._process.kill()  # it holds nothing that has to be saved
        self._process.wait()
        with self._ending:  # who waits for a reply ends it, too
            if not self._errors.closed:
                self._errors.seek(0)
                self._last_words = self._errors.read(10_000).decode(errors="replace")
            for stream in (self._process.stdin, self._process.stdout, self._errors):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()


_lock = threading.Lock()
_idle: list[Game] = []
_running: dict[int, Game] = {}


def lease() -> Game:
    """A simulator: one whose game is over, or a new one. Raises `EnvError` where there is no Java."""
    with _lock:
        while _idle:
            game = _idle.pop()
            if game.alive:
                return game
    return Game()


def give_back(game: Game) -> None:
    """The game is over: its simulator is kept for the next, or ended."""
    try:
        game.forget()
    except EnvError:
        game.end()
        return
    with _lock:
        if game.number in _running and len(_idle) < MAX_IDLE:
            _idle.append(game)
            return
    game.end()


def end_all() -> None:
    """End all simulators of this process."""
    with _lock:
        games = list(_running.values())
        _idle.clear()
    for game in games:
        game.end()


def _forget_all() -> None:
    """A forked child must not speak to the simulators of its parent."""
    global _lock
    _lock = threading.Lock()
    _idle.clear()
    _running.clear()


atexit.register(end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _start() -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    java = java_path()
    if java is None:
        raise EnvError(NO_JAVA)
    classes = Path(__file__).parent / "java"
    command = [java, *_OPTIONS, "-classpath", os.pathsep.join((JAR_PATH, str(classes))), "agentr.Main", str(CAPACITY)]
    errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long, and has no name to leave behind
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=BASEPATH,
            start_new_session=True,  # a ctrl+c in the terminal is not meant for it
        )
    except OSError as error:
        raise EnvError(f"{java}: {error.strerror or error}; {NO_JAVA}") from error
    return process, errors


def java_path() -> str | None:
    """The `java` of JAVA_HOME, else that on the PATH."""
    home = os.environ.get("JAVA_HOME")
    return (shutil.which(os.path.join(home, "bin", "java")) if home else None) or shutil.which("java")


def _first_line(text: object) -> str:
    lines = str(text).strip().splitlines()
    return lines[0][:200] if lines else "it gives no reason"
