"""What the commands do; `agentr_tui.cli.main` names them. Each is loaded when it is called."""
