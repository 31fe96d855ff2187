"""`python -m agentr_tui` is `agentr`."""

from agentr_tui.cli import main

main()
