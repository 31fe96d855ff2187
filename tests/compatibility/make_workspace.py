"""Makes a workspace that holds every kind of file once, as the program of today writes it, and packs it.

python -m tests.compatibility.make_workspace FOLDER PACKED.tar.gz

Made once a version of the format, and kept as `tests/compatibility/version-N/all.tar.gz` (see `test_versions`).
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tarfile
from pathlib import Path

from agentr_tui.cli.main import run
from agentr_tui.state.bookmarks import Bookmarks
from engine.review.decisions import Decisions
from engine.search.control import Control
from engine.search.interventions import Intervention
from engine.search.job import new_job, resume_job
from engine.tree.events import SearchSettings
from engine.tree.node import ROOT
from engine.workspace.workspace import Workspace
from tests.engine.verifiers.test_openai_verifier import judges
from tests.servers.llm_server import LLMServer

MESSAGES: list[dict[str, object]] = [
    {"role": "system", "content": "You mend programs."},
    {"role": "user", "content": "The test fails."},
]
ROUNDS = """
rounds = 1
model = "base"
[actor]
env = "textcraft"
error-rate = [0.6, 0.1]
[collect]
tasks = "2"
iterations = 8
[learn]
command = "python3 trainer.py {dataset} {model} {out}"
[eval]
tasks = "20-21"
max-steps = 12
"""


def agentr(words: str, *more: str) -> None:
    """One command; its words have no blanks within."""
    argv = [*words.split(), *more, "--workspace", "."]
    if code := run(argv):
        raise SystemExit(f"agentr {' '.join(argv)}: exit code {code}")


def attempt(calls: list[tuple[str, str]], reward: float) -> dict[str, object]:
    """An attempt of a harness that is not ours, as chat messages with calls."""
    messages: list[dict[str, object]] = [*MESSAGES]
    for number, (command, answer) in enumerate(calls):
        call = {"name": "bash", "arguments": json.dumps({"command": command})}
        messages.append(
            {
                "role": "assistant",
                "content": f"I run {command}.",
                "tool_calls": [{"id": f"c{number}", "type": "function", "function": call}],
            }
        )
        messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": answer})
    return {"messages": messages, "reward": reward, "task_id": "mend-1"}


def steered(path: Path) -> None:
    """A search that a person steered: every kind of intervention and a change of settings."""
    new_job("textcraft", "2", SearchSettings(iterations=2, error_rate=0.5, seed=3), path).run_blocking()
    control = Control()
    for each in (
        Intervention("edited", ROOT, "Thought: I look.\nAction: inventory"),
        Intervention("forced", 2),
        Intervention("pruned", 3),
        Intervention("restored", 3),
        Intervention("note", 1, "why this one?"),
        Intervention("mark", 1, "good"),
        Intervention("breakpoint", ROOT, "depth>=90"),
        Intervention("breakpoint removed", ROOT, "depth>=90"),
    ):
        control.intervene("ann", each)
    resume_job(path, control=control, changes={"iterations": 3}).run_blocking()


def attempts() -> None:
    """Attempts of another harness, as a trace."""
    rows = [
        attempt([("ls", "a.py"), ("sed -i s/1/2/ a.py", ""), ("pytest", "1 passed")], 1.0),
        attempt([("ls", "a.py"), ("rm a.py", ""), ("pytest", "1 failed")], 0.0),
    ]
    Path("attempts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if code := run(["convert", "attempts.jsonl", "traces/attempts.trace.jsonl"]):
        raise SystemExit(f"convert: {code}")


def owned_by_nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A member of the archive without the names of this machine's users."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def main(folder: Path, packed: Path) -> None:
    """Make it and pack it; `folder` may not exist."""
    folder.mkdir(parents=True)
    packed = packed.absolute()
    socket.gethostname = lambda: "here"  # stands in names of files
    os.chdir(folder)  # so that the paths in the files are relative
    for name in ("CONFIG", "STATE", "CACHE"):
        os.environ[f"XDG_{name}_HOME"] = str(Path("people", name.lower()).absolute())
    os.environ["AGENTR_REVIEWER"] = "ann"
    workspace = Workspace.open(".", create=True)
    agentr("search --task 2 --iterations 3 --error-rate 0.5 --seed 0 --out traces/plain.trace.jsonl")
    agentr("search --env textcraft:tools --task 3 --iterations 4 --error-rate 0.5 --out traces/tools.trace.jsonl.zst")
    agentr("search --algorithm puct --task 2 --iterations 4 --parallel-nodes 2 --out traces/puct.trace.jsonl")
    agentr("search --from traces/plain.trace.jsonl:2 --iterations 1 --out traces/branch.trace.jsonl")
    steered(Path("traces/steered.trace.jsonl"))
    attempts()
    with LLMServer() as server:
        told = ("--model", "m", "--base-url", server.url)
        agentr("search --task 2 --iterations 2 --actor openai --out traces/model.trace.jsonl", *told)
        agentr("revise traces --per-tree 3")
        agentr("recover --continuations 1 --actor openai --yes", *told, "verdict:verified steps<=12")
    with LLMServer(answer=judges) as server:
        told = ("--model", "m", "--base-url", server.url)
        agentr("revise traces/model.trace.jsonl --verifier openai --max-pairs 2", *told)
    samples = workspace.select().samples
    decisions = Decisions(workspace.decisions, "ann")
    marked = next(each for each in samples if each.mark is not None)
    decisions.decide_all([each.id for each in samples[:3]], "accepted")
    decisions.decide(samples[3].id, "rejected", reason="the mark is too early", note="see the plan", tags=["late"])
    decisions.decide(marked.id, mark=marked.mark, thought="I was wrong there: I have no planks yet.")
    decisions.undo()
    agentr("review plant --share 0.2")
    marks = Bookmarks(Path("bookmarks"), "ann")
    marks.set(samples[0].trace, 1, "good", "a start", "traces/plain.trace.jsonl")
    agentr("collect --tasks 2,3 --iterations 2 --error-rate 0.5 --out collected")
    agentr("eval --tasks 20-21 --max-steps 12 --out episodes")
    agentr("export --format sharegpt --out exports/lines.jsonl")
    agentr("notes")
    Path("rounds.toml").write_text(ROUNDS)
    Path("trainer.py").write_text("import pathlib, sys\npathlib.Path(sys.argv[3], 'weights.txt').write_text('1')\n")
    agentr("round rounds.toml --yes")
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(".", "all", filter=owned_by_nobody)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
