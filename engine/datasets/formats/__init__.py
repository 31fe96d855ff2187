"""Dataset formats: one module each, in a registry."""

from __future__ import annotations

from engine.datasets.formats import (
    agent_r,
    agent_r_rewrite,
    atif,
    axolotl,
    openai,
    sharegpt,
    trl_dpo,
    trl_sft,
    trl_stepwise,
    verl,
    xtuner,
)
from engine.datasets.formats.base import (
    DATA_TYPES,
    FORMATS,
    DataType,
    Format,
    Item,
    broken_entry_points,
    data_type_of,
    format_named,
    register,
)
from engine.datasets.formats.options import DEFAULT_OPTIONS, FormatOptions

__all__ = [
    "DATA_TYPES",
    "DEFAULT_OPTIONS",
    "FORMATS",
    "DataType",
    "Format",
    "FormatOptions",
    "Item",
    "agent_r",
    "agent_r_rewrite",
    "atif",
    "axolotl",
    "broken_entry_points",
    "data_type_of",
    "format_named",
    "openai",
    "register",
    "sharegpt",
    "trl_dpo",
    "trl_sft",
    "trl_stepwise",
    "verl",
    "xtuner",
]
