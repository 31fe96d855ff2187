"""What the commands do; `agentr_tui.cli` names them. Each is loaded when it is called."""
