"""Record a minute of the real app as an animated SVG: `make recording`.

The app runs on a sample tree and is driven by the keys of `STORY`. After each the screen is kept as lines of styled
text; a line that several frames show is written once. Browsers play it without a script, so that a README can show it.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from html import escape
from pathlib import Path

from make_pictures import PICTURES, SAMPLES
from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip

from agentr_tui.app.app import AgentrApp
from agentr_tui.state.session import Session
from engine.workspace.workspace import Workspace

TREE = "textcraft-many-pairs.trace.jsonl"
WIDTH, HEIGHT = 110, 30
CELL, ROW, SIZE = 8.4, 17.0, 14
"""Width of a cell, height of a row and of a letter, in pixels."""

INK, GROUND, KEY = "#c9d1d9", "#0d1117", "#58c4ff"

STORY: tuple[tuple[str, str, float], ...] = (
    ("", "agentr open textcraft-many-pairs.trace.jsonl: the tree of a search", 3.0),
    ("j j j", "j and k move: the node and why it was selected stand at the right", 2.5),
    ("j j j", "", 1.5),
    ("j j", "", 2.0),
    ("c", "c: what another exploration constant would have chosen", 3.0),
    ("less_than_sign", "< goes an iteration back in time", 2.0),
    ("less_than_sign", "", 1.5),
    ("less_than_sign", "what was not there yet is gone", 2.0),
    ("L", "L: back to the end", 1.5),
    ("slash", "/ finds nodes", 1.0),
    ("g o o d enter", "good: the leaves above alpha", 2.5),
    ("n", "n: the next one", 2.0),
    ("escape", "", 1.0),
    ("3", "3 Pairs: good and bad leaves, and where they part", 3.5),
    ("4", "4 Revision: the first wrong step, and what is trained instead", 4.5),
    ("K", "K and J move the mark", 2.5),
    ("J", "", 1.5),
    ("a", "a accepts, and shows the next", 2.5),
    ("a", "", 1.5),
    ("r", "r rejects, with a reason", 2.0),
    ("m", "", 2.0),
    ("a", "", 1.5),
    ("5", "5 Dataset: from samples to lines", 3.5),
    ("e", "e exports: the format, what is in it, the file", 3.5),
    ("right", "", 1.5),
    ("ctrl+s", "ctrl+s writes it, with a card and where every line came from", 4.5),
)
"""Keys, what the caption says after them (empty: as before), and seconds for which that is shown."""

SHOWN = {"4": "verified", "5": "e exports", "e": "Write at most", "ctrl+s": "trained turns", "3": "alpha"}
"""What is on the screen when the work that a key began is done."""

_CLOCK = re.compile(r"\b\d\d:\d\d\b")

Look = tuple[str, str, bool, bool, bool]  # ink, ground, bold, italic, underlined


def look_of(segment: Segment) -> Look:
    """Colours and styles of a segment."""
    style = segment.style
    if style is None:
        return INK, GROUND, False, False, False
    ink = style.color.get_truecolor().hex if style.color and not style.color.is_default else INK
    ground = style.bgcolor.get_truecolor().hex if style.bgcolor and not style.bgcolor.is_default else GROUND
    if style.reverse:
        ink, ground = ground, ink
    return ink, ground, bool(style.bold), bool(style.italic), bool(style.underline)


class Drawing:
    """The lines of all frames, each once, and the classes of their letters."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}  # drawn line → its number
        self.classes: dict[str, int] = {}  # style → its number

    def line(self, segments: Iterable[Segment]) -> int:
        """The number of a line; it is drawn where no frame had it."""
        runs: list[tuple[str, Look]] = []
        for segment in segments:
            look = look_of(segment)
            if runs and runs[-1][1] == look:
                runs[-1] = runs[-1][0] + segment.text, look
            else:
                runs.append((segment.text, look))
        grounds, parts, at = [], [], 0
        for text, (ink, ground, bold, italic, underlined) in runs:
            width = cell_len(text)
            if ground != GROUND:
                grounds.append(f'<rect x="{at * CELL:.1f}" width="{width * CELL:.1f}" height="{ROW}" fill="{ground}"/>')
            bare = text.strip()
            if bare:
                x = at + cell_len(text) - cell_len(text.lstrip())
                css = f"fill:{ink}" + ";font-weight:700" * bold + ";font-style:italic" * italic
                css += ";text-decoration:underline" * underlined
                name = self.classes.setdefault(css, len(self.classes))
                length = cell_len(bare) * CELL
                shown = escape(_CLOCK.sub("12:00", bare))
                parts.append(
                    f'<text class="c{name}" x="{x * CELL:.1f}" y="13" textLength="{length:.1f}">{shown}</text>'
                )
            at += width
        return self.lines.setdefault("".join(grounds + parts), len(self.lines))


def animated(frames: list[tuple[list[int], str, float]], drawing: Drawing) -> str:
    """The SVG: lines as symbols, a group a frame, each shown in its time, over and over."""
    total = sum(seconds for _, _, seconds in frames)
    width, height = WIDTH * CELL + 20, (HEIGHT + 1) * ROW + 26
    rules = [
        f"text{{font:{SIZE}px 'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre}}",
        *(f".c{number}{{{css}}}" for css, number in drawing.classes.items()),
    ]
    groups, start = [], 0.0
    for place, (lines, caption, seconds) in enumerate(frames):
        low, high = 100 * start / total, 100 * (start + seconds) / total
        rules.append(f".f{place}{{opacity:0;animation:k{place} {total:.1f}s step-end infinite}}")
        first = "" if low == 0 else "0%{opacity:0}"
        rules.append(f"@keyframes k{place}{{{first}{low:.3f}%{{opacity:1}}{min(high, 99.999):.3f}%{{opacity:0}}}}")
        used = "".join(f'<use href="#l{number}" y="{row * ROW:.0f}"/>' for row, number in enumerate(lines) if number)
        told = f'<text x="0" y="{(HEIGHT + 1) * ROW:.0f}" style="fill:{KEY};font-weight:700">{escape(caption)}</text>'
        groups.append(f'<g class="f{place}">{used}{told}</g>')
        start += seconds
    symbols = "".join(f'<g id="l{number}">{drawn}</g>' for drawn, number in drawing.lines.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}">\n<style>'
        + "\n".join(rules)
        + f'</style>\n<rect width="100%" height="100%" rx="8" fill="{GROUND}"/>\n<defs>{symbols}</defs>\n'
        + '<g transform="translate(10,10)">\n'
        + "\n".join(groups)
        + "\n</g></svg>\n"
    )


async def drawn(app: AgentrApp, wanted: str) -> list[Strip]:
    """The screen when it holds a text and stands still: so a busy machine records the same frames."""
    before: list[str] = []
    for _ in range(600):
        await asyncio.sleep(0.1)
        strips: list[Strip] = app.screen._compositor.render_strips()
        now = [strip.text for strip in strips]
        busy = any(worker.is_running and worker.group != "search" for worker in app.workers)
        if now == before and not busy and wanted in "\n".join(now):
            return strips
        before = now
    raise SystemExit(f"the screen never showed {wanted!r}, or never stood still")


async def record() -> str:
    """Play the story; the frames as one SVG."""
    os.environ["AGENTR_REVIEWER"] = "you"
    drawing = Drawing()
    drawing.line([])  # number 0: an empty line
    frames: list[tuple[list[int], str, float]] = []
    caption = ""
    home = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # so that paths on the screen are short, and the same every time
        try:
            workspace = Workspace.open(Path("agentr-workspace"), create=True)
            shutil.copy(SAMPLES / TREE, workspace.traces)
            session = Session(workspace)
            session.open(workspace.traces / TREE)
            app = AgentrApp(session, "search")
            async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
                for keys, told, seconds in STORY:
                    for key in keys.split():
                        await pilot.press(key)
                    strips = await drawn(app, SHOWN.get(keys, ""))
                    caption = told or caption
                    frames.append(([drawing.line(strip) for strip in strips], caption, seconds))
        finally:
            os.chdir(home)
    return animated(frames, drawing)


if __name__ == "__main__":
    (PICTURES / "minute.svg").write_text(asyncio.run(record()), encoding="utf-8")
