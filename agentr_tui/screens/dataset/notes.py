"""The tab *notes*: the table of rounds, and the page of notes as people left it; read beside the screen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.message import Message

from agentr_tui.screens.shared.services import Services, Stopped
from agentr_tui.terminal.theme import Role, glyphs
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.base.errors import AgentrError
from engine.base.text import many
from engine.base.untrusted_files import names_in, read_text
from engine.notes.page import MOST_NOTES, notes_for_actor, standing
from engine.rounds.record import COLUMNS, FOLDER, Row, cells_of, rounds_in, table_of

PAGE = "notes.md"
"""Of a workspace; a round writes its own."""

MOST_LETTERS = 60_000
"""Of a page, that are shown."""

NO_PAGE = """\
No notes yet.

Notes are what the lessons of a workspace have in common: kinds of wrong actions, what the environment answers, and \
what was needed instead. An actor reads them below the environment's rules.

  agentr notes                    writes the page notes.md of this workspace
  agentr search --notes FILE …    gives it to an actor; so do collect and eval
"""
HOW = "agentr notes writes it again; what you edit, strike ~~so~~ or take out in {file} stays so"

_SPAN = re.compile(r"~~.*?~~|\*\*[^\n]+?\*\*| ?\(\[[^\]\n]{0,200}\]\([^)\n]{0,2000}\)\)", re.DOTALL)


@dataclass(frozen=True)
class Rounds:
    """The table of the rounds of one name; or why it can't be read."""

    name: str
    rows: Sequence[Row] = ()
    error: str = ""


@dataclass(frozen=True)
class Notes:
    """The content of the tab."""

    rounds: Sequence[Rounds] = ()
    page: Path | None = None  # None: there is none
    text: str = ""
    error: str = ""  # why the page can't be read
    fresh: bool = True  # no run is newer than the page


class NotesReader:
    """Reads in a thread while the tab is shown, and again only where a file changed; posts `Read`."""

    class Read(Message):
        """A thread read what there is."""

        def __init__(self, lines: Sequence[Line] | None) -> None:
            super().__init__()
            self.lines = lines  # None: nothing changed

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stamp: object = None
        self._reading = False
        self.shown = False  # whether a person sees the tab
        self.lines: Sequence[Line] = (line((f"reading {glyphs().ellipsis}", "muted")),)

    def look(self) -> None:
        """Read what changed, where the tab is on screen."""
        if not self.shown or self._reading or not self._services.in_front:
            return
        self._reading = True
        folder, runs = self._services.session.workspace.path, self._services.session.workspace.runs_folder

        def work(stopped: Stopped) -> None:
            """In a worker thread."""
            try:
                stamp = _stamp(folder, runs)
                found = None if stamp == self._stamp else notes_lines(read_notes_of(folder, runs))
                self._stamp = stamp
            except Exception as error:  # files that others write
                found = [line((f"{folder}: {error}", "bad"))]
            self._services.post(self.Read(found))

        self._services.beside(work, "notes")

    def was_read(self, event: Read) -> bool:
        """Takes up what was read; whether it is something else."""
        self._reading = False
        if event.lines is None:
            return False
        self.lines = event.lines
        return True


def _stamp(folder: Path, runs: Path) -> object:
    """Something else whenever a file changed that the tab tells of."""
    files = [folder / PAGE, *_run_files(runs)]
    for name in names_in(folder / FOLDER):
        of_name = folder / FOLDER / name
        for each in names_in(of_name):
            files += [of_name / each] if each.endswith(".json") else [of_name / each / PAGE]
    return [(path, _when(path)) for path in files]


def _run_files(runs: Path) -> list[Path]:
    return [runs / name for name in names_in(runs) if name.endswith(".jsonl")]


def _when(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def read_notes_of(folder: Path, runs: Path) -> Notes:
    """The rounds of a workspace, and its page of notes; where it has none, that of the last round that took notes."""
    rounds = [_rounds(folder / FOLDER / name) for name in names_in(folder / FOLDER)]
    rounds = [each for each in rounds if each.rows or each.error]
    below = [(each.name, f"round-{row.round}") for each in rounds for row in reversed(each.rows)]
    pages = [folder / PAGE, *(folder / FOLDER / name / number / PAGE for name, number in below)]
    page = next((path for path in pages if path.is_file()), None)
    if page is None:
        return Notes(rounds)
    try:
        text = read_text(page)
    except AgentrError as error:
        return Notes(rounds, page, error=str(error))
    written = _when(page) or (0, 0)
    return Notes(rounds, page, text, fresh=all((_when(each) or (0, 0))[0] <= written[0] for each in _run_files(runs)))


def _rounds(folder: Path) -> Rounds:
    try:
        rows = table_of(rounds_in(folder))
        for row in rows:
            cells_of(row)  # figures may be anything: a command printed them
    except (AgentrError, TypeError, ValueError, LookupError) as error:
        return Rounds(folder.name, error=str(error) or "not the record of rounds")
    return Rounds(folder.name, rows)


# -- as lines ----------------------------------------------------------------------------------------------


def notes_lines(found: Notes) -> list[Line]:
    """The tables of rounds, then the page."""
    lines = [each for rounds in found.rounds for each in _round_lines(rounds)]
    if found.page is None:
        return [*lines, *(line((text, "text")) for text in NO_PAGE.splitlines())]
    if found.error:
        return [*lines, line((found.error, "bad"))]
    return [*lines, *_page_lines(found, found.page)]


def _round_lines(rounds: Rounds) -> list[Line]:
    lines = [line(("rounds", "focus"), (f"  {rounds.name}", "strong"), ("  agentr round continues them", "muted"))]
    if rounds.error:
        return [*lines, line((rounds.error, "bad")), BLANK]
    rows: list[Sequence[str]] = [COLUMNS, *(cells_of(row) for row in rounds.rows)]
    told = [name for at, name in enumerate(COLUMNS) if any(row[at] != "–" for row in rows[1:])]
    columns = [COLUMNS.index(name) for name in told]
    wide = {at: max(len(row[at]) for row in rows) for at in columns}
    for place, row in enumerate(rows):
        role: Role = "text" if place else "muted"
        cells = [f"{row[at]:<{wide[at]}}" if COLUMNS[at] == "model" else f"{row[at]:>{wide[at]}}" for at in columns]
        lines.append(line((f"  {'  '.join(cells)}", role), indent=4))
    return [*lines, BLANK]


def _page_lines(found: Notes, page: Path) -> list[Line]:
    told = standing(found.text)
    parts: list[tuple[str, Role]] = [("notes", "focus"), (f"  {many(told.kinds, 'kind')} of wrong actions", "muted")]
    if told.edited or told.struck:
        parts.append((f"  {told.edited} edited and {told.struck} struck by people", "person"))
    lines = [line(*parts), line((HOW.format(file=page), "muted"))]
    if not found.fresh:
        lines.append(line(("! a run of revise is newer than this page: agentr notes takes its lessons up", "warn")))
    lines += [line((f"! {error}", "warn")) for error in _unfit(found.text)]
    left = MOST_LETTERS
    for piece in told.pieces:
        if left <= 0:
            break
        lines += [BLANK, line(("edited by a person", "person"))] if piece.edited else [BLANK]
        lines += text_lines(piece.text.strip()[:left])
        left -= len(piece.text)
    if left < 0:
        lines.append(line((f"and {-left:,} more letters", "muted")))
    return lines


def _unfit(page: str) -> list[str]:
    """Why no actor could take the page."""
    try:
        notes_for_actor(page)
    except AgentrError as error:
        return [f"{error} (of {MOST_NOTES:,})" if "at most" not in str(error) else str(error)]
    return []


def text_lines(text: str) -> list[Line]:
    """Lines of Markdown, of which headings, bold, struck and links to nodes are shown as such."""
    parts: list[tuple[str, Role]] = []
    at = 0
    for match in _SPAN.finditer(text):
        parts.append((text[at : match.start()], "text"))
        parts.append(_span(match.group()))
        at = match.end()
    parts.append((text[at:], "text"))
    rows: list[list[tuple[str, Role]]] = [[]]
    for said, role in parts:
        first, *more = said.split("\n")
        rows[-1].append((first, role))
        rows += [[(each, role)] for each in more]
    return [_row(row) for row in rows]


def _span(text: str) -> tuple[str, Role]:
    roles: dict[str, Role] = {"~~": "cut", "**": "strong"}
    role: Any = roles.get(text[:2])
    if role is not None:
        return text[2:-2], role
    return f"{text[: text.index('[')]}{text[text.index('[') + 1 : text.index(']')]})", "muted"


def _row(row: list[tuple[str, Role]]) -> Line:
    told = "".join(text for text, _ in row)
    if told.startswith("#"):
        return line((told.lstrip("# "), "focus"))
    return line(*(part for part in row if part[0]), indent=2)
