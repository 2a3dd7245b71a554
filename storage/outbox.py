"""Which carts have events to relay, and how far each was relayed.

The log itself is the outbox. This collection says where to look: a cart is marked durably before
a room's first commit after loading, so that no commit can be overlooked, and whoever relays
follows each marked cart's chain by `_id` from `relayed` on.
"""

from __future__ import annotations

from typing import Final

from storage.mongo import Collection, Database, Index

COLLECTION: Final = "outbox"
INDEXES: Final = (Index(COLLECTION, "active"),)


class Outbox:
    """`{_id: cart, active, relayed}`. Methods raise PyMongoError when the store is away."""

    def __init__(self, database: Database) -> None:
        self._outbox: Collection = database.collection(COLLECTION)

    async def mark_active(self, cart: str) -> None:
        """Note durably that `cart` is about to get commits."""
        await self._outbox.update_one(
            {"_id": cart},
            {"$set": {"active": True}, "$setOnInsert": {"relayed": 0}},
            upsert=True,
        )
