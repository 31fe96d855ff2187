"""Prompts and revision thoughts as text files, each of which a person may replace.

`--prompts DIR` names a folder: a file in it takes the place of the shipped one of that name; what it lacks is taken
from here. `example_ENVIRONMENT.txt` may also be there for environments that ship without one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from engine.base.errors import InputError
from engine.base.untrusted_files import is_file, is_folder, names_in, read_text, what_is

NAMES = (
    "json.txt",
    "judge.txt",
    "judge_json.txt",
    "judge_system.txt",
    "reasons.txt",
    "revision_thoughts.txt",
    "seam.txt",
    "seam_system.txt",
    "stop.txt",
    "thought.txt",
    "thought_action.gbnf",
)
"""Files that may be replaced, besides the examples."""

_EXAMPLE = re.compile(r"example_[\w-]+\.txt")
_PLACE = re.compile(r"\{([a-z]+)\}")


def prompt(name: str, folder: str = "") -> str:
    """The text of a prompt file, without blank lines around it: the folder's where it has one, else the shipped.

    Raises `InputError` where the folder is missing or the file is empty or unreadable; `KeyError` for an unknown name.
    """
    if folder:
        place = Path(folder)
        if not is_folder(place):
            raise InputError(f"{folder}: no such folder of prompts")
        if what_is(place / name) is not None:
            return _read(place / name)
    text = _shipped(name)
    if text is None:
        raise KeyError(name)
    return text


def has_prompt(name: str, folder: str = "") -> bool:
    """Whether there is such a file, in the folder or shipped."""
    return bool(folder and is_file(Path(folder) / name)) or _shipped(name) is not None


def prompt_lines(name: str, folder: str = "") -> tuple[str, ...]:
    """The lines of a prompt file that are not blank. Raises as `prompt`."""
    return tuple(line.strip() for line in prompt(name, folder).splitlines() if line.strip())


def check_prompts(folder: str) -> None:
    """Raises `InputError` where a folder of prompts replaces nothing, or holds a file that is not read."""
    if not folder:
        return
    place = Path(folder)
    if not is_folder(place):
        raise InputError(f"{folder}: no such folder of prompts")
    found = [name for name in names_in(place) if name.endswith((".txt", ".gbnf"))]
    unknown = [name for name in found if name not in NAMES and not _EXAMPLE.fullmatch(name)]
    if unknown or not found:
        why = f"{unknown[0]} is not the name of a prompt" if unknown else "contains no prompts"
        raise InputError(f"{folder}: {why}: they are {', '.join(NAMES)} and example_ENVIRONMENT.txt")
    for name in found:
        _read(place / name)


def fill(template: str, values: Mapping[str, str], source: str) -> str:
    """Returns the template with each `{name}` replaced. Braces in a value are not replaced.

    `template`: the text. `values`: name → text. `source`: where the template is from, for the message.

    Raises `InputError` where the template lacks one of the names: the model would not see it.
    """
    missing = [name for name in values if f"{{{name}}}" not in template]
    if missing:
        raise InputError(f"{source}: holds no {{{missing[0]}}}, so the model would not see it")
    return _PLACE.sub(lambda match: values.get(match[1], match[0]), template)


@cache
def _shipped(name: str) -> str | None:
    file = files("engine.models.prompts").joinpath(name)
    return file.read_text(encoding="utf-8").strip("\n") if file.is_file() else None


def _read(path: Path) -> str:
    text = read_text(path).strip("\n")
    if not text.strip():
        raise InputError(f"{path}: is empty: fill it, or delete it to use the shipped one")
    return text
