"""Schemas of what was done in carts: `op` is what took effect, as clients see it in `cart.ops`."""

from __future__ import annotations

from typing import Final

from events.schemas.parts import (
    CART_ID,
    CURRENCY,
    LINE_ID,
    MINOR,
    MOMENT,
    QUANTITY,
    ROLE,
    TEXT,
    Schema,
    many,
    or_null,
    record,
    user,
)

_ADDED: Final = record(
    "What was added to a line, which may be new.",
    {
        "line": LINE_ID,
        "sku": TEXT,
        "qty": {**QUANTITY, "description": "Pieces that were added."},
        "for": user("Whose line it is."),
        "name": {**TEXT, "description": "The product's, at that moment."},
        "unit_price": {**MINOR, "description": "In minor units of the cart's currency."},
    },
)
_MOVED: Final = record(
    "",
    {
        "line": LINE_ID,
        "into": {**LINE_ID, "description": "The line that it became part of."},
    },
    optional=("into",),
)

_FIELDS: Final[dict[str, tuple[str, Schema, tuple[str, ...]]]] = {
    "create": ("A cart was created.", {"name": TEXT, "currency": CURRENCY}, ()),
    "add": ("Products were added.", {"items": many(_ADDED, least=1)}, ()),
    "change_quantity": (
        "A line's quantity was raised or lowered.",
        {"line": LINE_ID, "by": {"type": "integer", "not": {"const": 0}}},
        (),
    ),
    "set_quantity": ("A line's quantity was set.", {"line": LINE_ID, "qty": QUANTITY}, ()),
    "remove": ("A line was removed.", {"line": LINE_ID}, ()),
    "clear": ("All lines were removed, but not those saved for later.", {}, ()),
    "rename": ("The cart got another name.", {"name": TEXT}, ()),
    "note": (
        "The note of a line, or of the cart, was changed.",
        {"text": TEXT, "line": {**LINE_ID, "description": "Absent: it is the cart's note."}},
        ("line",),
    ),
    "save_for_later": ("A line was saved for later.", _MOVED["properties"], ("into",)),
    "move_to_cart": ("A saved line was moved back.", _MOVED["properties"], ("into",)),
    "share": (
        "Users were let in, or got another role.",
        {"users": many(record("", {"user": user("A member from now on."), "role": ROLE}), least=1)},
        (),
    ),
    "unshare": ("A member was removed, or left.", {"user": user("No member any more.")}, ()),
    "delete": ("The cart was deleted.", {}, ()),
    "merge": (
        "A guest turned out to be an account, which takes over what they had in the cart.",
        {
            "user": user("The guest, no member any more."),
            "into": user("The account, a member from now on."),
            "role": {"enum": ["viewer", "editor", "owner"], "description": "The account's."},
            "lines": many(_MOVED, "The guest's lines, which are the account's now."),
        },
        (),
    ),
    "depart": (
        "A member is gone for good: the account was deleted.",
        {
            "user": user("No member any more."),
            "successor": user("Who owns the cart from now on, if the member did."),
        },
        ("successor",),
    ),
    "refuse": (
        "An op was refused, and its number is used up. Nothing took effect.",
        {
            "code": {**TEXT, "description": "Of the table of errors in protocol.md."},
            "message": {**TEXT, "description": "For a person to read."},
            "sku": TEXT,
            "available": or_null({"type": "integer"}, "Pieces that can be had."),
            "user": user("Whom it was about."),
        },
        ("sku", "available", "user"),
    ),
}


def _op(kind: str) -> Schema:
    description, fields, optional = _FIELDS[kind]
    return record(description, {"kind": {"const": kind}, **fields}, optional)


OPS: Final[dict[str, Schema]] = {kind: _op(kind) for kind in _FIELDS}
"""By kind."""


def cart_event(kind: str, op: Schema) -> Schema:
    """The schema of the data of an event of this kind."""
    return record(
        _FIELDS[kind][0],
        {
            "cart": CART_ID,
            "rev": {
                "type": "integer",
                "minimum": 1,
                "description": "The cart's revision that this made; each has one event.",
            },
            "op_id": or_null(TEXT, "How its client calls it, `<client>:<n>`; null for none."),
            "by": user("Who did it."),
            "at": MOMENT,
            "op": op,
        },
    )
