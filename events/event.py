"""What has happened, as consumers are told: CloudEvents 1.0, before they are encoded.

Events hold ids and what members wrote into their carts, never an e-mail address or a person's
name: an account can be deleted, what was published can't.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

CART: Final = "cartroom.cart."
"""Types of what was done in carts: this and the kind of the effect."""

INVITATION: Final = "cartroom.invitation."
"""Types of what became of an invitation: this and `created`, `accepted` or `withdrawn`."""

PRODUCT_CHANGED: Final = "cartroom.product.changed"


@dataclass(frozen=True, slots=True)
class Event:
    """`id` is the event's own, unique within a service, and the same however often it comes.

    `key` says whose order it is part of: events of a key are published in the order of their
    `sequence`. That is an op's rev, or the version of the invitation or product. `data` is JSON.
    """

    id: str
    type: str
    subject: str
    """The cart, or the sku."""
    key: str
    sequence: int
    time_ms: int
    data: dict[str, Any]
