"""Schemas as files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from events.schemas.parts import Schema


def encode(schema: Schema) -> bytes:
    return json.dumps(schema, indent=2).encode() + b"\n"


def write(schemas: Mapping[str, Schema], folder: Path) -> None:
    """Make the folder hold these schemas, and no others."""
    for path in folder.glob("*.json"):
        if path.stem not in schemas:
            path.unlink()
    for type_, schema in schemas.items():
        (folder / f"{type_}.json").write_bytes(encode(schema))
