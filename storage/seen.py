"""How far members have seen their carts live: one document a cart, `{_id: cart, <user>: rev}`.

Written behind by the instances that have their sockets, many carts in one round trip, and only ever
forward. Nothing but what members are told of depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from storage.batched import BatchedReads
from storage.mongo import Collection, Database, Index
from storage.oplog import DUPLICATE_KEY

COLLECTION: Final = "seen"
INDEXES: Final[tuple[Index, ...]] = ()
CARTS_PER_WRITE_MAX: Final = 500


class Seen:
    """Methods raise PyMongoError when the store is away."""

    def __init__(self, database: Database) -> None:
        self._seen: Collection = database.collection(COLLECTION)
        self._reads = BatchedReads(self._seen)

    async def note(self, seen: Mapping[str, Mapping[str, int]]) -> None:
        """Note, by cart and user, up to which rev; no lower than what is there."""
        carts = list(seen.items())
        for start in range(0, len(carts), CARTS_PER_WRITE_MAX):
            await self._write(dict(carts[start : start + CARTS_PER_WRITE_MAX]))

    async def _write(self, seen: Mapping[str, Mapping[str, int]]) -> None:
        # Users are fields of the document itself: the embedded store inserts no nested ones so.
        updates = [
            UpdateOne({"_id": cart}, {"$max": dict(users)}, upsert=True)
            for cart, users in seen.items()
        ]
        try:
            await self._seen.bulk_write(updates, ordered=False)
        except BulkWriteError as error:
            failed = error.details["writeErrors"]
            if not failed or any(one["code"] != DUPLICATE_KEY for one in failed):
                raise
            # Another instance inserted it at the same time; now it can be updated.
            again = [updates[one["index"]] for one in failed]
            await self._seen.bulk_write(again, ordered=False)

    async def of_cart(self, cart: str) -> dict[str, int]:
        """Up to which rev, by user, of whom that is known."""
        found = await self._reads.find(cart) or {}
        return {user: rev for user, rev in found.items() if user != "_id"}

    async def forget(self, cart: str, users: Iterable[str], up_to: int) -> None:
        """Drop what is noted of these, who left at that rev; but not of who was back after it."""
        updates = [
            UpdateOne({"_id": cart, user: {"$lte": up_to}}, {"$unset": {user: ""}})
            for user in users
        ]
        if updates:
            await self._seen.bulk_write(updates, ordered=False)

    async def forget_user(self, user: str, carts: Iterable[str]) -> None:
        """Drop what is noted of a user in these carts."""
        updates = [UpdateOne({"_id": cart}, {"$unset": {user: ""}}) for cart in carts]
        for start in range(0, len(updates), CARTS_PER_WRITE_MAX):
            part = updates[start : start + CARTS_PER_WRITE_MAX]
            await self._seen.bulk_write(part, ordered=False)
