"""Writes the table of bindings in docs/keys.md, from the bindings themselves: python docs/make_keys.py"""

from pathlib import Path

from textual.keys import format_key

from agentr_tui.app.keymap import bindings

PAGE = Path(__file__).parent / "keys.md"
START = "| id | keys | does |\n"


def table() -> str:
    """A row a binding."""
    rows = [START, "| --- | --- | --- |\n"]
    for id, bound in bindings().items():
        keys = " ".join(f"`{format_key(key)}`" for key in bound.keys).replace("|", "\\|")
        rows.append(f"| `{id}` | {keys} | {bound.told.replace('|', chr(92) + '|')} |\n")
    return "".join(rows)


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(text[: text.index(START)] + table(), encoding="utf-8")
