"""Roles, values and glyphs can be told apart with many colours, sixteen, or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style
from textual.app import App
from textual.theme import BUILTIN_THEMES, Theme

from agentr_tui.terminal.theme import (
    DEFAULT_THEME,
    MONO_THEME,
    THEMES,
    VALUE_ROLES,
    Glyphs,
    Palette,
    Role,
    app_options,
    bar,
    format_count,
    format_value,
    glyphs,
    install,
    is_good,
    palette,
    share,
    value_role,
    value_style,
)

ROLES: tuple[Role, ...] = (
    *("text", "strong", "muted", "faint", "good", "fair", "middle", "poor", "bad", "warn", "focus", "person"),
)


def sixteen(definition: str, *, ground: bool = False) -> int | None:
    """Which of the sixteen colours a terminal shows that style in."""
    style = Style.parse(definition)
    color = style.bgcolor if ground else style.color
    assert color is not None
    return color.downgrade(ColorSystem.STANDARD).number


@pytest.mark.parametrize("theme", THEMES[:-1], ids=lambda theme: str(theme.name))
def test_sixteen_colours_keep_the_signs_apart(theme: Theme) -> None:
    colors = palette(theme)
    ground = sixteen(f"on {theme.background}", ground=True)
    assert ground not in {sixteen(colors[role]) for role in ROLES}, "nothing vanishes in the ground"
    assert len({sixteen(colors[role]) for role in ("good", "bad", "focus", "text")}) == 4
    for cursor in (colors.cursor, colors.cursor_blurred):
        under = sixteen(cursor, ground=True)
        assert under != ground
        assert under not in {sixteen(colors[role]) for role in ROLES if role != "faint"}


@pytest.mark.parametrize("theme", [*BUILTIN_THEMES.values(), *THEMES], ids=lambda theme: str(theme.name))
def test_every_theme_gives_every_role_a_style(theme: Theme) -> None:
    colors = palette(theme)
    for name in Palette.__slots__:
        Style.parse(getattr(colors, name))
    assert colors["good"] == colors.good


def test_the_mono_palette_has_no_colour() -> None:
    mono = palette(next(theme for theme in THEMES if theme.name == MONO_THEME))
    for name in Palette.__slots__:
        style = Style.parse(getattr(mono, name))
        assert style.color is None
        assert style.bgcolor is None


async def test_the_environment_chooses_the_theme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    chosen = {}
    for name, wanted in (("default", None), ("asked", "agentr-light"), ("unknown", "no such theme")):
        app: App[None] = App(**app_options())
        async with app.run_test():
            install(app, wanted)
            chosen[name] = app.theme
    monkeypatch.setenv("NO_COLOR", "1")
    app = App(**app_options())
    async with app.run_test():
        install(app, "agentr-light")
        chosen["no colour"] = app.theme
    assert chosen == {
        "default": DEFAULT_THEME,
        "asked": "agentr-light",
        "unknown": DEFAULT_THEME,
        "no colour": MONO_THEME,
    }


scores = st.floats(-1e6, 1e6, allow_nan=False)


@given(scores, scores, scores)
def test_shares_and_bars_stay_within_bounds(q: float, low: float, high: float) -> None:
    assert 0.0 <= share(q, low, high) <= 1.0
    for width in (0, 1, 7):
        assert cell_len(bar(q, width, low, high)) <= width
        assert bar(q, width, low, high, ascii=True).isascii()


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_greater_value_never_looks_worse(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert VALUE_ROLES.index(value_role(low)) <= VALUE_ROLES.index(value_role(high))
    assert len(bar(low, 40)) <= len(bar(high, 40))
    assert is_good(low) <= is_good(high)


@given(scores | st.floats(-1, 1), st.sampled_from([(0.0, 1.0), (0.0, 100.0), (-1.0, 1.0), (0.0, 1e5)]))
def test_a_value_takes_at_most_four_cells(q: float, bounds: tuple[float, float]) -> None:
    low, high = bounds
    text = format_value(min(max(q, low), high), low, high)
    assert len(text) <= 4
    assert text


@pytest.mark.parametrize(
    ("q", "bounds", "text"),
    [
        (None, (0.0, 1.0), "–"),
        (0.0, (0.0, 1.0), ".00"),
        (0.42, (0.0, 1.0), ".42"),
        (1.0, (0.0, 1.0), "1.0"),
        (-0.3, (-1.0, 1.0), "-.30"),
        (42.0, (0.0, 100.0), "42"),
        (8.33, (0.0, 100.0), "8.3"),
        (100.0, (0.0, 100.0), "100"),
    ],
)
def test_values_are_written_on_the_scale_of_the_environment(
    q: float | None, bounds: tuple[float, float], text: str
) -> None:
    assert format_value(q, *bounds) == text


def test_a_bar_shows_any_value_above_the_least() -> None:
    assert bar(0.0, 6) == ""
    assert bar(None, 6) == ""
    assert bar(0.001, 6) == "▏"
    assert bar(0.5, 6) == "███"
    assert bar(1.0, 6) == "██████"
    assert bar(50.0, 4, 0.0, 100.0, ascii=True) == "=="


def test_no_value_is_muted_and_extremes_are_good_and_bad() -> None:
    assert value_role(None) == "muted"
    assert value_role(0.0) == "bad"
    assert value_role(1.0) == "good"
    assert value_role(50.0, 0.0, 100.0) == "middle"
    assert value_style(1.0) == palette(THEMES[0]).good


@pytest.mark.parametrize(("n", "text"), [(0, "0"), (99_999, "99999"), (100_000, "100k"), (12_345_678, "12M")])
def test_counts_take_at_most_five_cells(n: int, text: str) -> None:
    assert format_count(n) == text


@pytest.mark.parametrize("ascii", [False, True])
def test_glyphs_are_one_cell_and_what_must_differ_differs(ascii: bool) -> None:
    signs = glyphs(ascii)
    values = {name: str(getattr(signs, name)) for name in Glyphs.__slots__}
    assert all(cell_len(value) == 1 for name, value in values.items() if name != "joined")
    assert all(value.isascii() for value in values.values()) or not ascii
    leaves = [values[name] for name in ("good", "bad", "disaster", "dead_end", "unseen", "seen", "folded", "open")]
    assert len(set(leaves)) == len(leaves)


def test_an_encoding_without_the_glyphs_gets_the_ascii_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getpreferredencoding", lambda do_setlocale=True: "ANSI_X3.4-1968")
    assert glyphs() == glyphs(True)
    monkeypatch.setattr("locale.getpreferredencoding", lambda do_setlocale=True: "UTF-8")
    assert glyphs() == glyphs(False)
