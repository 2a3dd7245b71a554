"""What a mail about changes says: the facts that its templates are given. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from storage.notifications import CHANGES, DELETED, REMOVED, Notification

CARTS_MAX: Final = 20
"""Carts in a mail."""
ENTRIES_MAX: Final = 10
"""Of a cart: what so many members have done."""

MAILED: Final = frozenset({CHANGES, REMOVED, DELETED})
"""The kinds that are mailed. Who is let in to a cart has a mail of its own."""


def facts_of(
    told: Sequence[Notification], names: Mapping[str, str], mute: Callable[[str], str]
) -> dict[str, Any]:
    """`carts`, the latest first, each with what was done there, and how many more there are.

    `names` are those of members by id; who isn't there is nobody any more. `mute` makes the token
    that mutes a cart.
    """
    by_cart: dict[str, list[Notification]] = {}
    for one in sorted(told, key=lambda one: one.at, reverse=True):
        by_cart.setdefault(one.cart, []).append(one)
    carts = [
        {
            "cart": cart,
            "name": entries[0].cart_name,
            "is_in": entries[0].kind == CHANGES,
            "mute": mute(cart),
            "entries": [_entry(one, names) for one in entries[:ENTRIES_MAX]],
            "more": max(0, len(entries) - ENTRIES_MAX),
        }
        for cart, entries in list(by_cart.items())[:CARTS_MAX]
    ]
    return {"carts": carts, "more": max(0, len(by_cart) - CARTS_MAX)}


def mail_id(user: str, told: Sequence[Notification]) -> str:
    """The same for the same news: a mail that comes twice after a crash can be told to be one."""
    words = sorted(f"{one.id}:{one.last_rev}" for one in told)
    return hashlib.sha256(" ".join((user, *words)).encode()).hexdigest()[:32]


def _entry(one: Notification, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "by": names.get(one.actor),
        "kind": one.kind,
        "what": sorted(one.kinds.items(), key=lambda kind: -kind[1]),
        "lines": [(line["qty"], line["name"]) for line in one.lines],
    }
