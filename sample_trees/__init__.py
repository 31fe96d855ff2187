"""Real traces that ship with the package; `agentr open --shipped` lists them. README.md says how each was made."""
