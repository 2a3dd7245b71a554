"""JSON Schemas of what events hold, one a type; `python -m events.schemas` writes docs/events/.

They say what is there. More may be there in later versions, and consumers ignore what they don't
know.
"""

from __future__ import annotations

from typing import Any, Final

from events.event import CART
from events.schemas.documents import INVITATIONS, PRODUCTS
from events.schemas.ops import OPS, cart_event
from events.schemas.parts import DIALECT, Schema

__all__ = ["SCHEMAS", "Schema"]


def _whole(type_: str, schema: Schema) -> dict[str, Any]:
    return {"$schema": DIALECT, "title": type_, **schema}


SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    type_: _whole(type_, schema)
    for type_, schema in {
        **{f"{CART}{kind}": cart_event(kind, op) for kind, op in OPS.items()},
        **INVITATIONS,
        **PRODUCTS,
    }.items()
}
"""By type."""
