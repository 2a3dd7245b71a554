"""Who follows the log at a place, so that they can share the carts.

`{_id: "<place> <worker>", place, worker, beat}`: `beat` rises as long as the worker lives. Nothing
that is right or wrong depends on it: two that follow the same carts do the same work twice.
"""

from __future__ import annotations

from typing import Final

from storage.mongo import Collection, Database, Index

COLLECTION: Final = "followers"
INDEXES: Final = (Index(COLLECTION, "place"),)
WORKERS_MAX: Final = 1_000
"""Of a place, that are looked at."""


class FollowerRecords:
    """Methods raise PyMongoError when the store is away. Repeating any has no further effect."""

    def __init__(self, database: Database) -> None:
        self._followers: Collection = database.collection(COLLECTION)

    async def beat(self, place: str, worker: str, beat: int) -> None:
        """The worker lives."""
        await self._followers.update_one(
            {"_id": _id(place, worker)},
            {"$set": {"place": place, "worker": worker, "beat": beat}},
            upsert=True,
        )

    async def beats(self, place: str) -> dict[str, int]:
        """The last beat of each worker of the place."""
        found = await self._followers.find({"place": place}).to_list(WORKERS_MAX)
        return {one["worker"]: one["beat"] for one in found}

    async def remove(self, place: str, worker: str, beat: int) -> None:
        """The worker is gone, unless it has a beat after this one."""
        await self._followers.delete_one({"_id": _id(place, worker), "beat": beat})


def _id(place: str, worker: str) -> str:
    return f"{place} {worker}"
