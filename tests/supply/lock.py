"""Writes `requirements.lock`: the versions that a fresh `pip install '.[dev]'` takes today, one a line.

python -m tests.supply.lock > requirements.lock
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

COMMAND = ["-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-", ".[dev]"]
HEAD = """\
# The versions with which the tests last ran, for Python {version}: PIP_CONSTRAINT=requirements.lock make test
# Made by: make lock
"""


def main() -> None:
    """Print the lock file."""
    told = subprocess.run([sys.executable, *COMMAND], capture_output=True, text=True, check=True).stdout
    report = json.loads(told[told.index("{") :])
    rows = {re.sub(r"[-_.]+", "-", each["metadata"]["name"]).lower(): each["metadata"] for each in report["install"]}
    version = report["environment"]["python_version"]
    print(HEAD.format(version=version), end="")
    for name in sorted(rows.keys() - {"agentr-tui"}):
        print(f"{name}=={rows[name]['version']}")


if __name__ == "__main__":
    main()
