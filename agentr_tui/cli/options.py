"""Options and exit codes that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from agentr_tui.state.settings_files import DEFAULT_WORKSPACE as DEFAULT_WORKSPACE

INTERRUPTED = 130


WorkspaceOption = Annotated[
    Path, Parameter(env_var="AGENTR_WORKSPACE", help="Folder of traces, decisions, runs and exports.")
]


JsonOption = Annotated[bool, Parameter(name="--json", help="Print one JSON object.")]
