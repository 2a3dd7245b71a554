"""Snapshots of carts: written behind the log, only ever forward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pymongo.errors import DuplicateKeyError

from storage.mongo import Collection, Database, Index, by_ids, check_reached

COLLECTION: Final = "carts"
INDEXES: Final[tuple[Index, ...]] = ()
SUMMARY: Final = {"name": 1, "rev": 1, "at": 1, "line_count": 1, "status": 1}

Snapshot = dict[str, Any]


class Carts:
    """One document a cart, `{_id: cart, rev, …}`. Raises PyMongoError when the store is away."""

    def __init__(self, database: Database) -> None:
        self._carts: Collection = database.collection(COLLECTION)

    async def load(self, cart: str) -> Snapshot | None:
        """The stored snapshot; it may trail the log. None when there is none yet."""
        return await self._carts.find_one({"_id": cart})

    async def save(self, snapshot: Snapshot) -> bool:
        """Store `snapshot` unless a newer one is there. True when it was stored."""
        values = {key: value for key, value in snapshot.items() if key != "_id"}
        try:
            result = await self._carts.update_one(
                {"_id": snapshot["_id"], "rev": {"$lt": snapshot["rev"]}},
                {"$set": values},
                upsert=True,
            )
        except DuplicateKeyError:
            # The upsert found the cart at this rev or above.
            await check_reached(self._carts, snapshot["_id"], snapshot["rev"])
            return False
        return result.matched_count == 1 or result.upserted_id is not None

    async def summaries(self, carts: Sequence[str]) -> dict[str, Snapshot]:
        """Name, rev, at, line_count and status of the snapshots there are, by cart."""
        found = await by_ids(self._carts, carts, SUMMARY)
        return {document["_id"]: document for document in found}
