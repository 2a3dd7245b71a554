"""What the schemas of several types share."""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

TEXT: Final[Schema] = {"type": "string"}
CURRENCY: Final[Schema] = {
    "type": "string",
    "pattern": "^[A-Z]{3}$",
    "description": "An ISO 4217 code.",
}
MINOR: Final[Schema] = {
    "type": "integer",
    "minimum": 0,
    "description": "In minor units of the currency.",
}
MOMENT: Final[Schema] = {
    "type": "string",
    "format": "date-time",
    "description": "RFC 3339, UTC, with milliseconds.",
}
ROLE: Final[Schema] = {"enum": ["viewer", "editor"]}
QUANTITY: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 100_000}


def identity(prefix: str, description: str) -> Schema:
    return {"type": "string", "pattern": f"^{prefix}_", "description": description}


CART_ID: Final = identity("crt", "The cart.")
LINE_ID: Final = identity("lin", "A line of the cart.")


def user(description: str) -> Schema:
    return identity("usr", description)


def record(
    description: str, properties: Schema, optional: tuple[str, ...] = (), **more: Any
) -> Schema:
    """An object with these properties, of which all but the optional are there."""
    schema: Schema = {"type": "object"}
    if description:
        schema["description"] = description
    return {
        **schema,
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        **more,
    }


def many(item: Schema, description: str = "", least: int = 0) -> Schema:
    schema: Schema = {"type": "array", "items": item}
    if least:
        schema["minItems"] = least
    if description:
        schema["description"] = description
    return schema


def or_null(schema: Schema, description: str) -> Schema:
    return {"anyOf": [schema, {"type": "null"}], "description": description}
