"""Take the README's pictures of the real app: `make pictures`.

Each is the app itself, run on a sample tree or a live search, exported as SVG.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

from planted_fault import planted

from agentr_tui.app.app import AgentrApp
from agentr_tui.cli.revising import revise_paths
from agentr_tui.state.session import Session
from engine.samples.settings import ReviseSettings
from engine.trace.trace_file import write_trace
from engine.workspace.workspace import Workspace
from sample_trees import __file__ as samples_file

PICTURES = Path(__file__).parent / "pictures"
SAMPLES = Path(samples_file).parent
SIZE = (120, 34)
PLANTED = "planted.trace.jsonl"


async def take(name: str, sample: str, mode: str, keys: list[str], verifier: str = "") -> None:
    """Open a sample tree in a mode, press keys, keep the screen; with a verifier, after it judged the pairs."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder) / "agentr-workspace", create=True)
        for path in SAMPLES.glob("*.trace.jsonl"):
            shutil.copy(path, workspace.traces)
        if sample == PLANTED:
            write_trace(workspace.traces / sample, planted())
        if verifier:
            settings = ReviseSettings(verifier=verifier)
            traces = [workspace.traces / sample]  # in a thread, since judging has an event loop of its own
            await asyncio.to_thread(revise_paths, workspace, traces, settings, quiet=True)
        session = Session(workspace)
        session.open(workspace.traces / sample)
        app = AgentrApp(session, mode)
        async with app.run_test(size=SIZE) as pilot:
            await settled(app)
            for key in keys:
                await pilot.press(key)
                await settled(app)
            svg = app.export_screenshot(title="agentr")
        PICTURES.mkdir(exist_ok=True)
        svg = svg.replace(folder, "").replace("<text class=", '<text xml:space="preserve" class=')  # spaces stand
        lines = [line.rstrip() for line in svg.splitlines()]
        (PICTURES / f"{name}.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


async def settled(app: AgentrApp) -> None:
    """Wait until workers are done and the screen is drawn."""
    for _ in range(100):
        await asyncio.sleep(0.1)
        if not any(worker.is_running for worker in app.workers):
            break
    await asyncio.sleep(0.5)


async def main() -> None:
    """All pictures."""
    os.environ["AGENTR_REVIEWER"] = "you"
    many = "textcraft-many-pairs.trace.jsonl"
    await take("search", "webshop-synthetic.trace.jsonl", "search", ["j"] * 18)
    await take("past", many, "search", ["less_than_sign"] * 3 + ["comma"] * 3 + ["j"] * 5)
    await take("find", many, "search", ["slash", *"good", "enter"])
    await take("planted", PLANTED, "revision", [])
    await take("revision", many, "revision", ["a", "a", "left_curly_bracket"], "progress")
    await take("pairs", many, "pairs", ["j"], "progress")
    await take("dataset", many, "revision", ["a", "a", "r", "m", "a", "5"], "progress")
    await take("library", many, "library", [])


if __name__ == "__main__":
    asyncio.run(main())
