"""The app: its modes, keys, preferences and how it ends."""
