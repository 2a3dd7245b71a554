"""Who is in which cart: one document a user and cart, derived from the log.

For lists only; access is judged on the cart's state. Written forward only by rev; a removal is a
tombstone, so that a late write can't bring a member back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pymongo.errors import DuplicateKeyError

from storage.mongo import Collection, Database, Index, by_ids, check_reached

COLLECTION: Final = "memberships"
INDEXES: Final = (Index(COLLECTION, "user"),)


@dataclass(frozen=True, slots=True)
class Membership:
    """`role` is None for one who was removed; `rev` is that of the op which decided it."""

    user: str
    cart: str
    role: str | None
    rev: int


class Memberships:
    """Methods raise PyMongoError when the store is away."""

    def __init__(self, database: Database) -> None:
        self._memberships: Collection = database.collection(COLLECTION)

    async def put(self, membership: Membership) -> None:
        """Store a membership unless a newer one of that user and cart is there."""
        identity = f"{membership.user}:{membership.cart}"
        try:
            await self._memberships.update_one(
                {"_id": identity, "rev": {"$lt": membership.rev}},
                {
                    "$set": {
                        "user": membership.user,
                        "cart": membership.cart,
                        "role": membership.role,
                        "rev": membership.rev,
                    }
                },
                upsert=True,
            )
        except DuplicateKeyError:
            # This one or a newer one is there.
            await check_reached(self._memberships, identity, membership.rev)

    async def carts_ever_of(self, user: str) -> list[str]:
        """The carts that a user is in, or was."""
        found = await self._memberships.find({"user": user}, {"cart": 1}).to_list(None)
        return [one["cart"] for one in found]

    async def former_of(self, user: str, limit: int) -> list[Membership]:
        """The carts that a user is in no more, at most `limit`; `rev` is that of the end there."""
        return await self._of(user, limit, is_in=False)

    async def still_in(self, user: str, carts: Sequence[str]) -> set[str]:
        """Those of these carts that the user is in."""
        found = await by_ids(self._memberships, [f"{user}:{cart}" for cart in carts])
        return {one["cart"] for one in found if one["role"] is not None}

    async def of_user(self, user: str, limit: int) -> list[Membership]:
        """The carts that a user is in, at most `limit`, without the removed."""
        return await self._of(user, limit, is_in=True)

    async def _of(self, user: str, limit: int, *, is_in: bool) -> list[Membership]:
        # In one answer: see `mongo.by_ids`.
        cursor = self._memberships.find({"user": user}, batch_size=2 * limit)
        found: list[Membership] = []
        async for doc in cursor:
            if (doc["role"] is not None) is is_in:
                found.append(Membership(doc["user"], doc["cart"], doc["role"], doc["rev"]))
            if len(found) >= limit:
                break
        return found
