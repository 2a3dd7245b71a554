"""Sets of short strings, each under its `_id`: what the catalog's search is made of.

`{_id: term, entries: […]}`. Sets only grow; an entry that nothing stands behind any more is for
the reader to skip. That way no order of writes, crash or race can lose an entry.
"""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Iterator, Mapping
from typing import Final

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from storage.mongo import Database, Index

COLLECTION: Final = "catalog_terms"
ENTRIES_MAX: Final = 20_000
IDS_PER_QUERY_MAX: Final = 500
WRITES_PER_BATCH_MAX: Final = 500
DUPLICATE_KEY: Final = 11000  # MongoDB's code

INDEXES: Final[tuple[Index, ...]] = ()


class SearchTerms:
    """The sets of a database. What the driver raises when the store is away passes through."""

    def __init__(self, database: Database) -> None:
        self._terms = database.collection(COLLECTION)

    async def get(self, terms: Some[str]) -> dict[str, list[str]]:
        """Entries by term, in no order. Terms without a set are not in the answer."""
        found: dict[str, list[str]] = {}
        for ids in _chunks(list(terms), IDS_PER_QUERY_MAX):
            async for document in self._terms.find({"_id": {"$in": ids}}):
                found[document["_id"]] = document["entries"]
        return found

    async def add(self, entries: Mapping[str, Some[str]]) -> int:
        """Put entries into the sets of their terms; repeating it changes nothing.

        A set holds about 20,000 entries at most (writers at the same time may pass that by what
        they add). Returns how many entries found no place.
        """
        left_out = 0
        for terms in _chunks(list(entries), WRITES_PER_BATCH_MAX):
            stored = await self.get(terms)
            writes: list[UpdateOne] = []
            for term in terms:
                present = stored.get(term, [])
                missing = sorted(set(entries[term]).difference(present))
                room = max(0, ENTRIES_MAX - len(present))
                left_out += len(missing[room:])
                if missing[:room]:
                    writes.append(_addition(term, missing[:room]))
            if writes:
                await self._write(writes)
        return left_out

    async def _write(self, writes: list[UpdateOne]) -> None:
        try:
            await self._terms.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            # Somebody made the same set between our look and our insert: now it is there.
            if any(each["code"] != DUPLICATE_KEY for each in error.details["writeErrors"]):
                raise
            await self._terms.bulk_write(writes, ordered=False)


def _addition(term: str, entries: list[str]) -> UpdateOne:
    return UpdateOne({"_id": term}, {"$addToSet": {"entries": {"$each": entries}}}, upsert=True)


def _chunks(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
