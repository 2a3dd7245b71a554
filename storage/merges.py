"""Guests that are to become part of an account: one document each, as long as work is left.

`{_id: <guest>, into: <account>, since, v}`, `since` in milliseconds since the epoch. Written before
anything else is done, so that whoever finds it can complete what a crash left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pymongo.errors import AutoReconnect, DuplicateKeyError, ServerSelectionTimeoutError

from storage.mongo import Collection, Database, Index

COLLECTION: Final = "merges"
FORMAT_VERSION: Final = 1
INDEXES: Final = (Index(COLLECTION, "into"),)


@dataclass(frozen=True, slots=True)
class MergeRecord:
    guest: str
    into: str
    since: int


class MergeRecords:
    """The merges under way. What the driver raises when the store is away passes through."""

    def __init__(self, database: Database) -> None:
        self._merges: Collection = database.collection(COLLECTION)

    async def add(self, record: MergeRecord) -> MergeRecord:
        """Note that a guest is to be merged; what was noted before of the same guest stays.

        Returns what is noted. A lost answer is asked for once more.
        """
        document = {
            "_id": record.guest,
            "into": record.into,
            "since": record.since,
            "v": FORMAT_VERSION,
        }
        try:
            return await self._add_once(dict(document))
        except ServerSelectionTimeoutError:
            raise  # nothing was sent
        except AutoReconnect:
            return await self._add_once(dict(document))

    async def of_account(self, into: str) -> list[MergeRecord]:
        return [_record(one) for one in await self._merges.find({"into": into}).to_list(None)]

    async def all(self, limit: int) -> list[MergeRecord]:
        """At most `limit` of them."""
        # In one answer: see `mongo.by_ids`.
        cursor = self._merges.find({}, limit=limit, batch_size=limit + 1)
        return [_record(one) for one in await cursor.to_list(None)]

    async def remove(self, guest: str) -> None:
        """Nothing is left to do of this one. Twice is fine."""
        await self._merges.delete_one({"_id": guest})

    async def _add_once(self, document: dict[str, Any]) -> MergeRecord:
        try:
            await self._merges.insert_one(document)
        except DuplicateKeyError:
            found = await self._merges.find_one({"_id": document["_id"]})
            return _record(found or document)
        return _record(document)


def _record(document: dict[str, Any]) -> MergeRecord:
    return MergeRecord(document["_id"], document["into"], document["since"])
