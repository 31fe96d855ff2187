"""A hint over the key bar, for people who use the app for the first time."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class HintLine(Static):
    """Shown while it has a text."""

    DEFAULT_CSS = """
    HintLine { display: none; width: 100%; height: auto; max-height: 3; padding: 0 1; background: $panel;
               color: $agentr-person; }
    HintLine.-shown, ModeScreen.-nothing > HintLine.-shown { display: block; }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._hint = ""

    def show(self, hint: str) -> None:
        """Another hint, or none."""
        if hint != self._hint:
            self._hint = hint
            self.update(Content(f"{hint}  (esc: no more hints)" if hint else ""))
            self.set_class(bool(hint), "-shown")
