"""Holding events against the schemas in docs/events/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from events.event import Event

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "events"


def schema_of(type_: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{type_}.json").read_text())


def closed(schema: Any) -> Any:
    """The schema, refusing what it doesn't name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    whole = {name: closed(each) for name, each in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        whole.setdefault("additionalProperties", False)
    return whole


def check_data(type_: str, data: Any) -> None:
    """Fail unless the data is just what the schema of its type says."""
    validator = Draft202012Validator(
        closed(schema_of(type_)), format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    validator.validate(data)


def check_event(event: Event) -> None:
    check_data(event.type, event.data)
