"""Snapshots of carts: written behind the log, only ever forward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pymongo.errors import DuplicateKeyError

from storage.mongo import Collection, Database, Index, by_ids, check_reached

COLLECTION: Final = "carts"
INDEXES: Final[tuple[Index, ...]] = ()
PLACE: Final = {"rev": 1, "at": 1, "status": 1}
SUMMARY: Final = PLACE | {"name": 1, "line_count": 1, "currency": 1, "summary": 1}

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

    async def places(self, carts: Sequence[str]) -> dict[str, Snapshot]:
        """Rev, at and status of the snapshots there are, by cart: what puts a list in order."""
        return await self._parts(carts, PLACE)

    async def summaries(self, carts: Sequence[str]) -> dict[str, Snapshot]:
        """As `places`, with name, line_count, currency and `summary`.

        That is missing, or has another rev, where a version that knows of none wrote the snapshot.
        """
        return await self._parts(carts, SUMMARY)

    async def add_summary(self, cart: str, summary: Snapshot) -> None:
        """Store `summary` with the snapshot that it is of, if that is still there."""
        await self._carts.update_one(
            {"_id": cart, "rev": summary["rev"]}, {"$set": {"summary": summary}}
        )

    async def _parts(self, carts: Sequence[str], fields: dict[str, int]) -> dict[str, Snapshot]:
        found = await by_ids(self._carts, carts, fields)
        return {document["_id"]: document for document in found}
