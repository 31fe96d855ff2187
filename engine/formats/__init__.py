"""Dataset formats: one module each, in a registry."""

from __future__ import annotations

from engine.formats import agent_r, agent_r_rewrite
from engine.formats.base import DATA_TYPES, FORMATS, DataType, Format, data_type_of, format_named, register

__all__ = [
    "DATA_TYPES",
    "FORMATS",
    "DataType",
    "Format",
    "agent_r",
    "agent_r_rewrite",
    "data_type_of",
    "format_named",
    "register",
]
