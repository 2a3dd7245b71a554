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

from storage.mongo import Database, Index, by_ids

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
            for document in await by_ids(self._terms, ids):
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
            new: dict[str, list[str]] = {}
            grown: dict[str, list[str]] = {}
            for term in terms:
                present = stored.get(term)
                missing = sorted(set(entries[term]).difference(present or ()))
                room = max(0, ENTRIES_MAX - len(present or ()))
                left_out += len(missing[room:])
                if missing[:room]:
                    (new if present is None else grown)[term] = missing[:room]
            await self._insert(new)
            await self._grow(grown)
        return left_out

    async def _insert(self, entries: Mapping[str, list[str]]) -> None:
        """Make these sets: several times as fast as growing them from nothing."""
        documents = [{"_id": term, "entries": added} for term, added in entries.items()]
        if not documents:
            return
        try:
            await self._terms.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            failed = error.details["writeErrors"]
            if any(each["code"] != DUPLICATE_KEY for each in failed):
                raise
            # Somebody made the same sets since we looked.
            terms = [documents[each["index"]]["_id"] for each in failed]
            await self._grow({term: entries[term] for term in terms})

    async def _grow(self, entries: Mapping[str, list[str]]) -> None:
        writes = [
            UpdateOne({"_id": term}, {"$addToSet": {"entries": {"$each": added}}})
            for term, added in entries.items()
        ]
        if writes:
            await self._terms.bulk_write(writes, ordered=False)


def _chunks(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
