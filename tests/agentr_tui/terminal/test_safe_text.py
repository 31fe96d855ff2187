"""Hostile text is shown, never obeyed, and costs what is visible."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import SupportsIndex

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from agentr_tui.terminal.safe_text import clip, escape, fit, pad

FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}

any_text = st.text(st.characters(exclude_categories=()), max_size=200)
PIECES = (
    *("\x1b[31m", "\x1b]0;title\x07", "\x00", "\r", "\n", "\t", "\x9b", "\u202e", "\u2066", "\u200b", "\ufeff"),
    *("\u2028", "\ud800", "[red]", "日本", "e\u0301", "\u0301", "👩\u200d🚀", "❤\ufe0f", "\U000e0041", "plain "),
)
hostile = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def categories(text: str) -> set[str]:
    return {unicodedata.category(character) for character in text}


@given(any_text | hostile)
def test_no_control_character_survives(text: str) -> None:
    assert not categories(escape(text)) & FORBIDDEN
    assert not categories(clip(text, 40)) & FORBIDDEN


@given(any_text | hostile)
def test_with_multiline_only_newlines_survive_and_all_of_them(text: str) -> None:
    shown = escape(text, multiline=True)
    assert not categories(shown.replace("\n", "")) & FORBIDDEN
    assert shown.count("\n") == text.count("\n")


@given(any_text | hostile)
def test_escaping_twice_changes_nothing_more(text: str) -> None:
    assert escape(escape(text)) == escape(text)


@given(any_text | hostile, st.integers(-1, 60))
@example("日本語" * 40, 5)
@example("a" + "\u0301" * 500, 3)
@example("\x1b" * 50, 1)
def test_a_clipped_text_never_exceeds_its_cells(text: str, width: int) -> None:
    assert cell_len(clip(text, width)) <= max(0, width)
    assert cell_len(fit(escape(text), width)) <= max(0, width)
    assert cell_len(pad(escape(text), max(0, width))) == max(0, width)


@given(any_text | hostile, st.integers(1, 60))
def test_a_text_that_fits_is_whole_and_a_cut_one_says_so(text: str, width: int) -> None:
    shown = escape(text)
    if len(text) <= width and cell_len(shown) <= width:
        assert clip(text, width) == shown
    elif cell_len(shown) > width:
        assert clip(text, width).endswith("…")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "␛[2J"),
        ("a\x00b\x7f", "a␀b␡"),
        ("a\r\nb", "a␍⏎b"),
        ("\x9b31m", "⟨U+009B⟩31m"),
        ("abc\u202egnp", "abc⟨U+202E⟩gnp"),
        ("in\u200bvisible", "in⟨U+200B⟩visible"),
        ("a\u2028b", "a⟨U+2028⟩b"),
        ("a\tb", "a    b"),
        ("\udc80", "\ufffd"),
        ("\u0301x", "◌\u0301x"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
    ],
)
def test_each_kind_has_its_visible_form(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_the_cut_never_splits_a_wide_or_combined_character() -> None:
    assert clip("日本語", 4) == "日…"
    assert clip("日本語", 5) == "日本…"
    assert clip("e\u0301e\u0301e\u0301", 2) == "e\u0301…"


def test_clipping_a_megabyte_reads_what_is_visible() -> None:
    class Text(str):
        """Tells how much of it was asked for."""

        asked = 0

        def __getitem__(self, key: SupportsIndex | slice) -> str:
            part = super().__getitem__(key)
            Text.asked += len(part)
            return part

        def __iter__(self) -> Iterator[str]:
            raise AssertionError("read as a whole")

    assert clip(Text("\x1b[31mred \u202e" * 100_000), 80).startswith("␛[31mred")
    assert 0 < Text.asked <= 1000
