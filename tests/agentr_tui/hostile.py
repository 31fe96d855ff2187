"""A trace of text that tries to be obeyed: in actions, thoughts, observations, the task, notes, errors, names."""

from __future__ import annotations

from pathlib import Path

from engine.trace.trace_file import write_trace
from engine.tree.events import (
    AnyEvent,
    BackedUp,
    Child,
    Ended,
    Expanded,
    Failed,
    Intervened,
    Message,
    Sampled,
    SearchSettings,
    Started,
)

PIECES = (
    "\x1b[2J\x1b[H",  # clears the screen
    "\x1b]52;c;SE9TVElMRQ==\x07",  # writes the clipboard
    "\x1b]8;;http://hostile.invalid/\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]0;HOSTILE\x07",
    "\x1bP+q544e\x1b\\",  # asks the terminal for its name
    "\x1b[?1049l\x1b[31;45m",
    "\x9b31m\x9d0;HOSTILE\x9c\x85",  # the same in one character each
    "\x00\x07\x08\x0b\x0c\r\x7f\t",
    "\u202eelif\u202c\u2066x\u2069\u200e",
    "\u200b\u200d\ufeff\u2060\u00ad\u034f\ufe0f",
    "\u2028\u2029",
    "[/] [/red] [red]red[/red] [@click=app.leave]click[/] [bold $error",
    "日本語 한국어 👩\u200d🚀 👍🏽",
    "e\u0301a\u0300\u0316" + "\u0301" * 20,
    "\U000e0041\U000e007f",
)
HOSTILE = " ".join(PIECES)
FILE_NAME = "h[red]o\x1b]0;HOSTILE\x07s\u202et日.trace.jsonl"
MEGABYTE = "x" * 500_000 + " \x1b[2J " * 10_000 + "\n" * 400_000


def hostile_events(long: str = "", environment: str = f"env{HOSTILE}", task: str = f"task{HOSTILE}") -> list[AnyEvent]:
    """A search with good and bad leaves, failures, notes; `long` is the observation of one step."""
    events: list[AnyEvent] = [
        Started(
            seq=0, version=1, trace=f"trace{HOSTILE}", environment=environment, task=task,
            header=[Message("system", HOSTILE), Message("user", HOSTILE), Message("assistant", "Ok."),
                    Message("user", f"Goal: {HOSTILE}\nand\n{HOSTILE}")],
            settings=SearchSettings(model=f"m{HOSTILE}"), instruction=HOSTILE, score_range=(0.0, 1.0),
        )
    ]  # fmt: skip
    count = 1

    def expand(parent: int, *ends: float | None) -> list[int]:
        nonlocal count
        made: list[Child] = []
        for draw, end in enumerate(ends):
            text = f"Thought: {draw} {HOSTILE}\nAction: {draw} {HOSTILE}"
            events.append(Sampled(seq=0, parent=parent, draw=draw, response=text))
            observation = long if long and not made and parent == 1 else f"seen {HOSTILE}"
            made.append(
                Child(draw=draw, action=f"{draw} {HOSTILE}", observation=observation, reward=end or 0.0,
                      terminal=None if end is None else "done", state_key=f"k{draw}{HOSTILE}")
            )  # fmt: skip
        events.append(Expanded(seq=0, parent=parent, children=made, steps=len(made)))
        born = list(range(count, count + len(made)))
        count += len(made)
        events.extend(
            BackedUp(seq=0, leaf=node, value=end) for node, end in zip(born, ends, strict=True) if end is not None
        )
        return born

    (first, _) = expand(0, None, None)
    (second, _) = expand(first, None, 0.0)
    expand(second, 1.0, 0.0)
    events.append(Failed(seq=0, parent=second, draw=2, what=f"call{HOSTILE}", error=f"model said {HOSTILE}", attempt=1))
    events.append(Intervened(seq=0, who=f"me{HOSTILE}", node=second, what="note", detail=f"note {HOSTILE}"))
    events.append(Ended(seq=0, reason=f"reason{HOSTILE}"))
    for seq, event in enumerate(events):
        event.seq = seq
    return events


def hostile_trace(folder: Path, **options: str) -> Path:
    """The trace as a file with a hostile name; the options are those of `hostile_events`."""
    path = folder / FILE_NAME
    write_trace(path, hostile_events(**options))
    return path
