"""The terminal side of agentr: command line, app, screens, widgets."""
