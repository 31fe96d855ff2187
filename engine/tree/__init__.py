"""The tree of a search: its events, the fold that makes it of them, and its past."""
