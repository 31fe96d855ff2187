"""The app: its modes, keys, preferences and how it ends."""

import os

# Frames a second. Textual draws a frame up to two of these steps after the one before: at its own 60, a key that comes
# just after a change of the search is shown 33 ms later. It reads this when it is imported, below this package.
os.environ.setdefault("TEXTUAL_FPS", "240")
