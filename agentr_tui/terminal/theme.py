"""The shared look: themes, roles of colours, glyphs, and how a value of Q is written, coloured and drawn.

Widgets ask for a *role* (`good`, `muted`, `person`, …), never for a colour: `palette(theme)` gives the role's
style in the theme at hand. A colour is never the only sign: each has a glyph or a word beside it, which is why
`agentr-mono` (attributes only) and `NO_COLOR` lose nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from textual.app import App
from textual.color import Color
from textual.theme import Theme

from agentr_tui.terminal.glyphs import Glyphs as Glyphs
from agentr_tui.terminal.glyphs import glyphs as glyphs

# -- roles ---------------------------------------------------------------------------------------------

Role = Literal[
    "text",  # ordinary text
    "strong",  # the selected, the important
    "muted",  # labels, what was never visited
    "faint",  # guides, rules
    "good",  # good leaves, trained turns; also the greatest values of Q
    "fair",
    "middle",  # amber: in between
    "poor",
    "bad",  # bad leaves; also the least values of Q
    "warn",  # warnings
    "focus",  # focus and the current search path
    "person",  # what a person or a revision thought did
    "cut",  # what was taken out: dimmed and struck through
]

VALUE_ROLES: tuple[Role, ...] = ("bad", "poor", "middle", "fair", "good")
"""Roles of Q from the least to the greatest return."""

GOOD_SHARE = 0.5
"""A leaf whose return reaches this share of the score range is shown as good."""

_BOUNDS = (0.3, 0.45, 0.6, 0.75)  # shares of the score range at which the next of VALUE_ROLES begins


@dataclass(frozen=True, slots=True)
class Palette:
    """A style definition for each role; Rich (`Style.parse`) and Textual (`Content`) both read them."""

    text: str
    strong: str
    muted: str
    faint: str
    good: str
    fair: str
    middle: str
    poor: str
    bad: str
    warn: str
    focus: str
    person: str
    cut: str
    cursor: str  # laid over the row under the cursor of the focused widget
    cursor_blurred: str  # the same where the widget has no focus

    def __getitem__(self, role: Role) -> str:
        """The style of a role."""
        style: str = getattr(self, role)
        return style


_DARK = Palette(
    text="#e6edf3",
    strong="bold #ffffff",
    muted="#8a94a0",
    faint="#3b434d",
    good="#66e07a",
    fair="#a0e040",
    middle="#ffd166",
    poor="#ff9f40",
    bad="#ff6b6b",
    warn="#ffd166",
    focus="#58c4ff",
    person="#c77dff",
    cut="strike #6b7580",
    cursor="on #1f4468",
    cursor_blurred="on #2a323c",
)
_LIGHT = Palette(
    text="#1f2328",
    strong="bold #000000",
    muted="#57606a",
    faint="#afb8c1",
    good="#0a7a2f",
    fair="#5f7d0a",
    middle="#8a5d00",
    poor="#b84a00",
    bad="#cf222e",
    warn="#8a5d00",
    focus="#0969da",
    person="#8250df",
    cut="strike #6e7781",
    cursor="on #9ccaff",
    cursor_blurred="on #c8d0d9",
)
_OKABE_ITO = Palette(
    text="#e6edf3",
    strong="bold #ffffff",
    muted="#8a94a0",
    faint="#3b434d",
    good="#56b4e9",
    fair="#009e73",
    middle="#f0e442",
    poor="#e69f00",
    bad="#d55e00",
    warn="#e69f00",
    focus="#9fb8ff",
    person="#cc79a7",
    cut="strike #6b7580",
    cursor="on #1f4468",
    cursor_blurred="on #2a323c",
)
"""Colours that are told apart with any kind of colour vision (Okabe & Ito 2008): blue is good, vermilion bad."""
_MONO = Palette(
    text="none",
    strong="bold",
    muted="dim",
    faint="dim",
    good="bold",
    fair="none",
    middle="none",
    poor="none",
    bad="none",
    warn="bold",
    focus="bold",
    person="italic",
    cut="dim strike",
    cursor="reverse",
    cursor_blurred="underline",
)

# -- themes --------------------------------------------------------------------------------------------

DEFAULT_THEME = "agentr-dark"
MONO_THEME = "agentr-mono"


def _variables(palette: Palette, ground: str) -> dict[str, str]:
    """CSS variables (`$agentr-good`, `$agentr-muted`, …) of a palette with colours."""
    roles = ("text", "muted", "faint", "good", "fair", "middle", "poor", "bad", "warn", "focus", "person")
    names = {f"agentr-{role}": getattr(palette, role) for role in roles}
    return names | {
        "agentr-cursor": palette.cursor.removeprefix("on "),
        "border": palette.focus,
        "border-blurred": palette.faint,
        "scrollbar": palette.faint,
        "scrollbar-hover": palette.muted,
        "scrollbar-active": palette.focus,
        "scrollbar-background": ground,
        "scrollbar-background-hover": ground,
        "scrollbar-background-active": ground,
        "scrollbar-corner-color": ground,
        "footer-key-foreground": palette.focus,
        "block-cursor-background": palette.cursor.removeprefix("on "),
        "block-cursor-foreground": palette.text,
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": palette.cursor_blurred.removeprefix("on "),
        "block-cursor-blurred-foreground": palette.text,
    }


_MONO_VARIABLES = dict.fromkeys(
    (name for name in _variables(_DARK, "") if "text-style" not in name), "ansi_default"
) | {
    "block-cursor-text-style": "reverse",
    "block-cursor-blurred-text-style": "underline",
    "block-hover-background": "ansi_default",
    "input-cursor-text-style": "reverse",
    "input-cursor-background": "ansi_default",
    "input-cursor-foreground": "ansi_default",
    "ansi-background": "ansi_default",
    "ansi-foreground": "ansi_default",
    "link-color": "ansi_default",
    "link-style": "underline",
    "button-focus-text-style": "reverse",
}

THEME_VARIABLE_DEFAULTS = {name: value for name, value in _variables(_DARK, "").items() if name.startswith("agentr-")}
"""For `App.get_theme_variable_defaults`: our CSS variables also under themes that are not ours."""


@dataclass(frozen=True, slots=True)
class Look:
    """A palette on its ground: what a theme of ours, or of a person's settings, is made of."""

    name: str
    colors: Palette
    ground: str  # of the whole screen
    panel: str  # of bars and dialogs
    boost: str
    dark: bool = True

    def theme(self) -> Theme:
        """The same for Textual."""
        ground, focus = Color.parse(self.ground), Color.parse(self.colors.focus)
        return Theme(
            name=self.name,
            primary=self.colors.focus,
            secondary=ground.blend(focus, 0.65).hex6,
            accent=self.colors.person,
            warning=self.colors.warn,
            error=self.colors.bad,
            success=self.colors.good,
            foreground=self.colors.text,
            background=self.ground,
            surface=self.ground,
            panel=self.panel,
            boost=self.boost,
            dark=self.dark,
            variables=_variables(self.colors, self.ground),
        )


LOOKS = (
    Look(DEFAULT_THEME, _DARK, "#0d1218", "#161d26", "#1c2530"),
    Look("agentr-light", _LIGHT, "#ffffff", "#f0f3f6", "#e6eaef", dark=False),
    Look("agentr-okabe-ito", _OKABE_ITO, "#0d1218", "#161d26", "#1c2530"),
)
"""Our themes with colours."""

THEMES = (
    *(look.theme() for look in LOOKS),
    Theme(
        name=MONO_THEME,
        ansi=True,
        variables=_MONO_VARIABLES,
        primary="ansi_default",
        secondary="ansi_default",
        accent="ansi_default",
        warning="ansi_default",
        error="ansi_default",
        success="ansi_default",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
    ),
)

_PALETTES = {look.name: look.colors for look in LOOKS} | {MONO_THEME: _MONO}


def no_color() -> bool:
    """Whether the environment asks for no colour (https://no-color.org), read as Textual reads it."""
    return "NO_COLOR" in os.environ


def app_options() -> dict[str, Any]:
    """Keyword arguments for `App(...)`.

    Under `NO_COLOR` Textual picks its filter while the App is made: with colours of the terminal's own it sends
    none at all, else it sends greys.
    """
    return {"ansi_color": True} if no_color() else {}


def install(app: App[Any], theme: str | None = None, looks: Iterable[Look] = ()) -> None:
    """Register the themes with the app, and put one on. With `NO_COLOR` that is the theme without colours.

    `app`: the app. `theme`: name of the theme; None, or a name that is not registered: the default. `looks`: a person's
    own themes.
    """
    for known in THEMES:
        app.register_theme(known)
    for look in looks:
        _PALETTES[look.name] = look.colors
        app.register_theme(look.theme())
    if no_color():
        theme = MONO_THEME
    app.theme = theme if theme in app.available_themes else DEFAULT_THEME


def palette(theme: Theme) -> Palette:
    """The roles' styles under a theme; under one that is not ours they come from its own colours."""
    return _PALETTES.get(theme.name) or _derived(theme)


def _derived(theme: Theme) -> Palette:
    """A palette of the colours that a foreign theme names."""
    if theme.ansi:  # the terminal's own colours can't be blended
        return replace(
            _MONO, good="green", fair="green", middle="yellow", poor="red", bad="red", warn="yellow", focus="bold blue"
        )
    colors = theme.to_color_system().generate()
    ground, ink, primary, accent, success, warning, error = (
        Color.parse(colors[name])
        for name in ("background", "foreground", "primary", "accent", "success", "warning", "error")
    )
    return Palette(
        text=ink.hex6,
        strong=f"bold {ink.hex6}",
        muted=ground.blend(ink, 0.6).hex6,
        faint=ground.blend(ink, 0.22).hex6,
        good=success.hex6,
        fair=warning.blend(success, 0.5).hex6,
        middle=warning.hex6,
        poor=error.blend(warning, 0.5).hex6,
        bad=error.hex6,
        warn=warning.hex6,
        focus=primary.hex6,
        person=accent.hex6,
        cut=f"strike {ground.blend(ink, 0.5).hex6}",
        cursor=f"on {ground.blend(primary, 0.3).hex6}",
        cursor_blurred=f"on {ground.blend(ink, 0.14).hex6}",
    )


# -- values --------------------------------------------------------------------------------------------


def share(value: float, low: float = 0.0, high: float = 1.0) -> float:
    """Returns where a value lies in the score range, 0 to 1; a value outside counts as the nearest end.

    `value`: a return or Q. `low` and `high`: least and greatest return.
    """
    if high <= low:
        return 1.0 if value >= high else 0.0
    return min(1.0, max(0.0, (value - low) / (high - low)))


def is_good(value: float, low: float = 0.0, high: float = 1.0) -> bool:
    """Whether a return is shown as good: at least `GOOD_SHARE` of the score range.

    `value`: the return. `low` and `high`: least and greatest return.
    """
    return share(value, low, high) >= GOOD_SHARE


def value_role(q: float | None, low: float = 0.0, high: float = 1.0) -> Role:
    """Returns the role that a value is shown in: one of `VALUE_ROLES`, or `muted` where there is no value.

    `q`: the value; None: there is none. `low` and `high`: least and greatest return.
    """
    if q is None:
        return "muted"
    place = share(q, low, high)
    return VALUE_ROLES[sum(place >= bound for bound in _BOUNDS)]


def value_style(q: float | None, low: float = 0.0, high: float = 1.0, colors: Palette = _DARK) -> str:
    """Returns the style definition that a value is shown in.

    `q`: the value; None: there is none. `low` and `high`: least and greatest return. `colors`: the palette of the
    theme.
    """
    return colors[value_role(q, low, high)]


_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


def bar(q: float | None, width: int, low: float = 0.0, high: float = 1.0, *, ascii: bool = False) -> str:
    """A bar of at most `width` cells, as long as the value's share of the score range; not padded.

    Any value above the least shows, if only as an eighth of a cell.

    `q`: the value; None gives none. `low` and `high`: least and greatest return. `ascii`: without block
    characters.
    """
    if q is None or width <= 0:
        return ""
    place = share(q, low, high)
    if ascii:
        return "=" * round(place * width)
    eighths = round(place * width * 8) or (place > 0)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8]


def format_value(q: float | None, low: float = 0.0, high: float = 1.0, *, ascii: bool = False) -> str:
    """Returns a value of Q in at most four cells: `.42`, `1.0` on a scale up to 1, else `8.3`, `42`; `–` for none.

    `q`: the value; None: there is none. `low` and `high`: least and greatest return. `ascii`: without characters beyond
    ASCII.
    """
    if q is None:
        return "-" if ascii else "–"
    if max(abs(low), abs(high)) <= 1 and abs(q) <= 1:
        if abs(q) >= 0.995:
            return f"{q:.1f}"
        text = f"{abs(q):.2f}"[1:]
        return f"-{text}" if q < 0 and text != ".00" else text
    text = f"{q:.1f}" if abs(q) < 9.95 else f"{q:.0f}"
    return text if len(text) <= 4 else f"{q:.0e}".replace("e+0", "e").replace("e+", "e")


def format_count(n: int) -> str:
    """A count in at most five cells: `999`, `12345`, `123k`, `12M`."""
    if n < 100_000:
        return str(n)
    return f"{n // 1000}k" if n < 10_000_000 else f"{n // 1_000_000}M"
