"""Schemas of what became of invitations and products."""

from __future__ import annotations

from typing import Final

from events.event import INVITATION, PRODUCT_CHANGED
from events.schemas.parts import (
    CART_ID,
    CURRENCY,
    MINOR,
    MOMENT,
    ROLE,
    TEXT,
    Schema,
    identity,
    many,
    or_null,
    record,
    user,
)

_VERSION: Final[Schema] = {"type": "integer", "minimum": 1}

_INVITATION: Final[Schema] = {
    "invitation": identity("inv", "The invitation; it doesn't tell of whom."),
    "cart": CART_ID,
    "role": {**ROLE, "description": "What it lets the addressee be."},
    "by": user("Who invited."),
    "at": MOMENT,
}

INVITATIONS: Final[dict[str, Schema]] = {
    f"{INVITATION}created": record(
        "Somebody was invited to a cart by e-mail; or again, and the mail of before is void.",
        {**_INVITATION, "expires_at": {**MOMENT, "description": "Until when it is good."}},
    ),
    f"{INVITATION}accepted": record(
        "The addressee is in.", {**_INVITATION, "user": user("The addressee.")}
    ),
    f"{INVITATION}withdrawn": record(
        "Nobody can accept it any more.",
        {
            **_INVITATION,
            "reason": {
                "enum": ["taken_back", "ended", "void", "cart_deleted", "account_deleted"],
                "description": "`void`: its inviter may not let anybody in any more.",
            },
        },
    ),
}

_MONEY: Final = record("", {"amount": MINOR, "currency": CURRENCY})

PRODUCTS: Final[dict[str, Schema]] = {
    PRODUCT_CHANGED: record(
        "A product as it is now. Between two of these it may have changed more than once.",
        {
            "sku": TEXT,
            "version": {**_VERSION, "description": "Rises with each change."},
            "at": {**MOMENT, "description": "When it was changed last."},
            "name": TEXT,
            "price": _MONEY,
            "compare_at_price": or_null(_MONEY, "What it cost before, where it is reduced."),
            "available": or_null(
                {"type": "integer", "minimum": 0}, "Pieces in stock; null where it isn't tracked."
            ),
            "handle": {**TEXT, "description": "Shared by the variants of one product."},
            "title": TEXT,
            "description": TEXT,
            "vendor": TEXT,
            "category": TEXT,
            "tags": many(TEXT),
            "options": {"type": "object", "additionalProperties": TEXT},
            "images": many(TEXT, "Addresses."),
        },
    )
}
