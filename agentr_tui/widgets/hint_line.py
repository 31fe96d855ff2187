"""A hint over the key bar, for people who use the app for the first time."""

from __future__ import annotations

from agentr_tui.widgets.partial_repaint import FrugalStatic


class HintLine(FrugalStatic):
    """Shown while it has a text."""

    DEFAULT_CSS = """
    HintLine { display: none; width: 100%; height: auto; max-height: 3; padding: 0 1; background: $panel;
               color: $agentr-person; }
    HintLine.-shown, ModeScreen.-nothing > HintLine.-shown { display: block; }
    """

    def show(self, hint: str) -> None:
        """Another hint, or none."""
        if self.say(f"{hint}  (esc: no more hints)" if hint else ""):
            self.set_class(bool(hint), "-shown")
