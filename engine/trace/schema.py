"""The JSON Schema of trace files."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.tree.events import FORMAT_VERSION, AnyEvent


def json_schema() -> dict[str, Any]:
    """The JSON Schema of one line of a trace, as in `engine/tree/trace.schema.json`."""
    schema = msgspec.json.schema(AnyEvent)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of an agentr trace, format version {FORMAT_VERSION}",
        **schema,
    }


if __name__ == "__main__":  # python -m engine.trace.schema > engine/tree/trace.schema.json
    print(msgspec.json.format(msgspec.json.encode(json_schema()), indent=2).decode())
