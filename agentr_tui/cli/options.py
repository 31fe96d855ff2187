"""Groups of options, options and exit codes that several commands share."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Group, Parameter

from agentr_tui.state.settings_files import DEFAULT_WORKSPACE as DEFAULT_WORKSPACE

INTERRUPTED = 130

# the groups of `--help`, in their order there
INPUT = Group.create_ordered("Input")
TASK = Group.create_ordered("Task")
SEARCH = Group.create_ordered("Search")
RECOVERY = Group.create_ordered("Recovery")
PAIRS = Group.create_ordered("Pairs")
SAMPLES = Group.create_ordered("Samples")
DECISION = Group.create_ordered("Decision")
JUDGE = Group.create_ordered("Judge")
REPAIR = Group.create_ordered("Repair")
DATASET = Group.create_ordered("Dataset")
RECORDS = Group.create_ordered("Records")
ACTOR = Group.create_ordered("Actor")
MODEL = Group.create_ordered("Model")
PROMPT = Group.create_ordered("Prompt")
BUDGETS = Group.create_ordered("Budgets")
SERVER = Group.create_ordered("Server")
OUTPUT = Group.create_ordered("Workspace and output")


def option_of(settings: type[msgspec.Struct], group: Group, field_name: str, help: str, /, **more: Any) -> Parameter:
    """Returns an option for one field of a settings struct.

    `settings`: the struct, whose default for the field `--help` shows. `group`: its heading in `--help`. `field_name`:
    its field. `help`: the sentence, which tells the default if the field's is None or empty. `more`: further arguments
    of `Parameter`.
    """
    field = _fields(settings)[field_name]
    shown = None if field.default in (None, "", msgspec.NODEFAULT) else str(field.default)
    return Parameter(group=group, help=help, **{"show_default": shown, **more})


@cache
def _fields(settings: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(settings)}


WorkspaceOption = Annotated[
    Path,
    Parameter(
        group=OUTPUT,
        env_var="AGENTR_WORKSPACE",
        show_env_var=False,
        help="Folder of traces, decisions, runs and exports (environment variable AGENTR_WORKSPACE).",
    ),
]


SplitOption = Annotated[
    str,
    Parameter(
        group=TASK,
        show_default=False,
        help="Parts into which the tasks fall by a digest, as in `agentr export --split`, for example"
        " train=0.9,dev=0.1. Needs --part.",
    ),
]
PartOption = Annotated[
    str, Parameter(group=TASK, show_default=False, help="Part of --split whose tasks are taken, for example dev.")
]

NotesOption = Annotated[
    Path | None,
    Parameter(
        group=PROMPT,
        help="File of notes (`agentr notes` writes one) that the actor reads below the environment's rules.",
    ),
]

JsonOption = Annotated[bool, Parameter(group=OUTPUT, name="--json", help="Print one JSON object.")]

EnvOption = Annotated[
    Literal["textcraft", "scienceworld", "webshop"] | str,
    Parameter(group=TASK, name="--env", show_choices=False, help="Environment (`agentr envs` lists them)."),
]
TasksOption = Annotated[
    str,
    Parameter(
        group=TASK,
        show_default=False,
        help="Task ids: ranges and lists such as 0-99,120, or @FILE with one id on each line.",
    ),
]
WorkersOption = Annotated[
    int | None, Parameter(group=SEARCH, help="Number of worker processes. The default is one for each processor.")
]
DelayOption = Annotated[float, Parameter(group=ACTOR, help="Seconds that the scripted actor takes for each answer.")]

RunOption = Annotated[
    str | None,
    Parameter(group=SAMPLES, help="Run of `agentr revise`. The default is the newest run of each trace."),
]
MaxPairsOption = Annotated[int | None, Parameter(group=PAIRS, help="Maximum pairs of each tree.")]
AlphaOption = Annotated[
    float | None,
    Parameter(
        group=PAIRS, help="Threshold that a good leaf's value (Q) exceeds. The default is half of the score range."
    ),
]
BetaOption = Annotated[
    float | None,
    Parameter(
        group=PAIRS,
        help="Gap by which a good leaf's value exceeds the bad one's. The default is a fifth of the score range.",
    ),
]
