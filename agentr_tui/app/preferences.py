"""How a person wants the app: theme, own themes, keys (`agentr_tui.app.preferences_file` reads them)."""

from __future__ import annotations

from dataclasses import dataclass, field

from textual.theme import BUILTIN_THEMES

from agentr_tui.terminal.theme import DEFAULT_THEME, THEMES, Look


@dataclass(frozen=True)
class Preferences:
    """The settings of the app, and where each comes from."""

    theme: str = DEFAULT_THEME
    theme_from: str = "default"
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)  # binding id → keys, of those that were given
    keys_from: dict[str, str] = field(default_factory=dict)
    looks: tuple[Look, ...] = ()  # themes that the settings define

    @property
    def keymap(self) -> dict[str, str]:
        """The keys as Textual takes them."""
        return {id: ",".join(keys) for id, keys in self.keys.items()}

    @property
    def themes(self) -> list[str]:
        """Names of all themes that can be put on."""
        return [*(str(theme.name) for theme in THEMES), *(look.name for look in self.looks), *BUILTIN_THEMES]
