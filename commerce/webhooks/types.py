"""The types of events that a webhook can be told of, as it names them.

They are those of the schemas in `events/schemas`; a test compares.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

TYPES: Final = (
    *(
        f"cartroom.cart.{kind}"
        for kind in (
            "add",
            "change_quantity",
            "clear",
            "create",
            "delete",
            "depart",
            "merge",
            "move_to_cart",
            "note",
            "refuse",
            "remove",
            "rename",
            "save_for_later",
            "set_quantity",
            "share",
            "unshare",
        )
    ),
    *(f"cartroom.invitation.{what}" for what in ("accepted", "created", "withdrawn")),
    "cartroom.product.changed",
)
GROUPS: Final = ("cartroom.*", "cartroom.cart.*", "cartroom.invitation.*", "cartroom.product.*")
"""Each stands for all types that begin with what is before its asterisk."""
NAMES: Final = (*TYPES, *GROUPS)
"""All that a webhook can name."""

NEAREST_MAX: Final = 3


def unknown(names: Iterable[str]) -> list[str]:
    """Those of the names by which nothing will ever be sent."""
    return [name for name in names if name not in NAMES]


def nearest(name: str) -> list[str]:
    """What may have been meant, the likeliest first, at most `NEAREST_MAX`, or nothing."""
    return difflib.get_close_matches(name.lower(), NAMES, NEAREST_MAX, cutoff=0.8)
