"""Which carts have events to hand over, and how far each was handed over.

The log itself is the outbox. This collection says where to look: a cart is marked durably before
a room's first commit after loading, and again before a commit when that mark has become old. Who
follows the log follows each marked cart's chain by `_id`, and lets the cart rest once the chain
has ended and the mark is old. A commit that its instance was held up with for longer than a mark
lives is found by a slow look at every cart that rests (`events/relay/sweep.py`).

A *place* is how far one follower has come. Places are apart: what is late at one doesn't hold up
the others. One that nobody follows stays where it is, and begins there when somebody does.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pymongo import UpdateOne

from storage.mongo import Collection, Database, Index

COLLECTION: Final = "outbox"
PLACES: Final = ("relay", "notify", "webhooks")
"""To Kafka; to notifications, where there is no Kafka; to webhooks."""
INDEXES: Final = tuple(Index(COLLECTION, f"{place}_active") for place in PLACES)
SHARDS: Final = 64
"""Of carts, so that several can share the work. It is part of what is stored."""
ADVANCED_AT_ONCE: Final = 32
"""Carts in one write: the embedded store lets commits wait meanwhile."""
MARK_LIFE_S: Final = 300.0
"""A cart whose last mark is older than this may come to rest."""
MARK_RENEWED_AT: Final = 0.4
"""Share of its life after which a room renews a mark. The rest is for clocks that differ."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """How far a place has come with one cart: up to `rev`. `mark` tells one mark from the next."""

    cart: str
    rev: int
    mark: int
    marked_ms: int


def shard_of(cart: str) -> int:
    return zlib.crc32(cart.encode()) % SHARDS


class Outbox:
    """One document a cart: `{_id: cart, mark, marked_ms, <place>_active, <place>_rev, …}`.

    `<place>_active` is the cart's shard + 1 while there may be something to hand over, and the
    same below zero while the cart rests. Methods raise PyMongoError when the store is away;
    repeating any has no further effect.
    """

    def __init__(self, database: Database) -> None:
        self._outbox: Collection = database.collection(COLLECTION)

    async def mark_active(self, cart: str, at_ms: int) -> None:
        """Note durably, for every place, that `cart` is about to get commits."""
        active = {f"{place}_active": _active(cart) for place in PLACES}
        await self._outbox.update_one(
            {"_id": cart},
            {
                "$set": {**active, "marked_ms": at_ms},
                "$inc": {"mark": 1},
                "$setOnInsert": {f"{place}_rev": 0 for place in PLACES},
            },
            upsert=True,
        )

    def active(
        self, place: str, shards: Sequence[int], page_max: int
    ) -> AsyncGenerator[list[Whereabouts], None]:
        """The carts of these shards that may have something to hand over, some at a time."""
        return self._pages(place, {"$in": [shard + 1 for shard in shards]}, page_max)

    def resting(
        self, place: str, shard: int, page_max: int
    ) -> AsyncGenerator[list[Whereabouts], None]:
        """The other carts of a shard."""
        return self._pages(place, -(shard + 1), page_max)

    def strangers(self, place: str, page_max: int) -> AsyncGenerator[list[Whereabouts], None]:
        """Carts that were last marked by a version that didn't know the place."""
        return self._pages(place, None, page_max)

    async def _pages(
        self, place: str, wanted: Any, page_max: int
    ) -> AsyncGenerator[list[Whereabouts], None]:
        rev = f"{place}_rev"
        found = self._outbox.find(
            {f"{place}_active": wanted},
            {rev: 1, "mark": 1, "marked_ms": 1},
            batch_size=page_max,
        )
        try:
            while page := await found.to_list(page_max):
                yield [
                    Whereabouts(
                        one["_id"], one.get(rev, 0), one.get("mark", 0), one.get("marked_ms", 0)
                    )
                    for one in page
                ]
        finally:
            await found.close()

    async def advance(self, place: str, revs: Mapping[str, int]) -> None:
        """All of each cart up to this rev has been handed over. A place never goes back."""
        rev_field = f"{place}_rev"
        updates = [
            UpdateOne({"_id": cart}, {"$max": {rev_field: rev}}) for cart, rev in revs.items()
        ]
        for start in range(0, len(updates), ADVANCED_AT_ONCE):
            await self._outbox.bulk_write(updates[start : start + ADVANCED_AT_ONCE], ordered=False)

    async def rest(self, place: str, at: Whereabouts) -> bool:
        """Let a cart rest, unless it has been marked, or has come further, since `at` was read."""
        rested = await self._outbox.update_one(
            {"_id": at.cart, "mark": at.mark, f"{place}_rev": at.rev},
            {"$set": {f"{place}_active": -_active(at.cart)}},
        )
        return rested.matched_count == 1

    async def wake(self, place: str, cart: str) -> None:
        """There is something to hand over after all."""
        await self._outbox.update_one(
            {"_id": cart},
            # What a mark of another version may lack.
            {
                "$set": {f"{place}_active": _active(cart)},
                "$max": {f"{place}_rev": 0},
                "$inc": {"mark": 0},
            },
        )


def _active(cart: str) -> int:
    return shard_of(cart) + 1
