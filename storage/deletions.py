"""Accounts that are to be deleted: one document each, as long as work is left.

`{_id: <user>, since, v}`, `since` in milliseconds since the epoch. Written before anything else is
done, so that whoever finds it can complete what a crash left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pymongo.errors import AutoReconnect, DuplicateKeyError, ServerSelectionTimeoutError

from storage.mongo import Collection, Database, Index

COLLECTION: Final = "deletions"
FORMAT_VERSION: Final = 1
INDEXES: Final[tuple[Index, ...]] = ()
"""None but `_id`."""


@dataclass(frozen=True, slots=True)
class DeletionRecord:
    user: str
    since: int


class DeletionRecords:
    """The deletions under way. What the driver raises when the store is away passes through."""

    def __init__(self, database: Database) -> None:
        self._deletions: Collection = database.collection(COLLECTION)

    async def add(self, record: DeletionRecord) -> None:
        """Note that an account is to be deleted. Twice is as once, and the first stays.

        A lost answer is asked for once more.
        """
        try:
            await self._add_once(record)
        except ServerSelectionTimeoutError:
            raise  # nothing was sent
        except AutoReconnect:
            await self._add_once(record)

    async def all(self, limit: int) -> list[DeletionRecord]:
        """At most `limit` of them."""
        found = await self._deletions.find({}).to_list(limit)
        return [DeletionRecord(one["_id"], one["since"]) for one in found]

    async def remove(self, user: str) -> None:
        """Nothing is left to do of this one. Twice is fine."""
        await self._deletions.delete_one({"_id": user})

    async def _add_once(self, record: DeletionRecord) -> None:
        document = {"_id": record.user, "since": record.since, "v": FORMAT_VERSION}
        try:
            await self._deletions.insert_one(document)
        except DuplicateKeyError:
            return
