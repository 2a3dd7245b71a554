"""Products, one document each, found by sku.

`{_id: "prd_…", sku, name, price, currency, available, …, v}`. The `_id` is computed from the
sku, so that many skus are one query by `_id`, the only bulk look-up that is quick everywhere.

Each change sets `changed_at`, in milliseconds since the epoch, raises `version`, and marks the
product as `unsent` until all who are to know were told: see `storage.unsent`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Collection as Some
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from storage.ids import product_id
from storage.mongo import Database, Index, by_ids
from storage.search_terms import SearchTerms
from storage.unsent import UNSENT, Place, Unsent, clear, find_unsent

COLLECTION: Final = "products"
FORMAT_VERSION: Final = 1
IDS_PER_QUERY_MAX: Final = 500
WRITES_PER_BATCH_MAX: Final = 500
DUPLICATE_KEY: Final = 11000  # MongoDB's code

INDEXES: Final = (Index(COLLECTION, UNSENT),)

_FACTS: Final = {"sku": 1, "name": 1, "price": 1, "currency": 1, "available": 1}


class FactsDocument(TypedDict):
    """What a cart needs of a product. `price` in minor units, `available` None: untracked."""

    sku: str
    name: str
    price: int
    currency: str
    available: int | None


class OptionDocument(TypedDict):
    name: str
    value: str


class ProductDocument(FactsDocument):
    """All that is stored of a product, without `_id` and `v`."""

    handle: str
    title: str
    description: str
    vendor: str
    category: str
    tags: list[str]
    options: list[OptionDocument]
    images: list[str]
    compare_at_price: int | None


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """How many products were new, differed, and were as given already."""

    inserted: int
    changed: int
    unchanged: int


class Products:
    """The products of a database, and in `terms` the sets by which words find them.

    What the driver raises when the store is away passes through.
    """

    def __init__(
        self,
        database: Database,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._products = database.collection(COLLECTION)
        self._now_ms = now_ms
        self.terms = SearchTerms(database)

    async def find(self, skus: Some[str]) -> dict[str, ProductDocument]:
        """Products by sku. Unknown skus are not in the answer."""
        found = await self.find_by_ids([product_id(sku) for sku in skus])
        return {document["sku"]: document for document in found.values()}

    async def find_facts(self, skus: Some[str]) -> dict[str, FactsDocument]:
        """As `find`, with only the fields that a cart needs."""
        found: dict[str, FactsDocument] = {}
        for ids in _chunks([product_id(sku) for sku in skus], IDS_PER_QUERY_MAX):
            for document in await by_ids(self._products, ids, _FACTS):
                found[document["sku"]] = _without_id(document)
        return found

    async def find_by_ids(self, ids: Sequence[str]) -> dict[str, ProductDocument]:
        """Products by `_id`. Unknown ids are not in the answer."""
        found: dict[str, ProductDocument] = {}
        for part in _chunks(ids, IDS_PER_QUERY_MAX):
            for document in await by_ids(self._products, part):
                found[document["_id"]] = _without_id(document)
        return found

    async def upsert(self, documents: Some[ProductDocument]) -> UpsertResult:
        """Make the store hold these products as given; of a sku given twice, the last one.

        Repeating it changes nothing, so after an error call it again. Fields of a product that
        are not ours are left alone.
        """
        by_sku = {document["sku"]: document for document in documents}
        stored = await self.find(by_sku)
        now_ms = self._now_ms()
        writes = [
            _update(document, now_ms)
            for sku, document in by_sku.items()
            if stored.get(sku) != document
        ]
        for part in _chunks(writes, WRITES_PER_BATCH_MAX):
            await self._write(part)
        inserted = len(by_sku) - len(stored)
        return UpsertResult(inserted, len(writes) - inserted, len(by_sku) - len(writes))

    async def change(self, sku: str, changes: Mapping[str, Any], *, currency: str) -> bool:
        """Set these fields of the product while it is sold in `currency`.

        False if there is no such product, or if it is sold in another currency. Repeating it
        changes nothing but its version.
        """
        result = await self._products.update_one(
            {"_id": product_id(sku), "currency": currency},
            _changed(dict(changes), self._now_ms()),
        )
        return bool(result.matched_count)

    async def unsent(self, limit: int, place: Place = Place.RELAY) -> list[Unsent]:
        """Some products of which a place is to be told, at most `limit`, in no order."""
        return await find_unsent(self._products, place, limit)

    async def sent(self, told: Sequence[Unsent], place: Place = Place.RELAY) -> None:
        """A place was told of these; of those that changed meanwhile it has to be once more."""
        await clear(self._products, place, told, remove=False)

    async def _write(self, writes: list[UpdateOne]) -> None:
        try:
            await self._products.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            # Somebody inserted the same product between our look and our insert: now it is there.
            if any(each["code"] != DUPLICATE_KEY for each in error.details["writeErrors"]):
                raise
            await self._products.bulk_write(writes, ordered=False)


def _update(document: ProductDocument, now_ms: int) -> UpdateOne:
    return UpdateOne(
        {"_id": product_id(document["sku"])},
        _changed({**document, "v": FORMAT_VERSION}, now_ms),
        upsert=True,
    )


def _changed(fields: dict[str, Any], now_ms: int) -> dict[str, Any]:
    return {
        "$set": {**fields, "changed_at": now_ms, UNSENT: int(Place.ALL)},
        "$inc": {"version": 1},
    }


def options_of(stored: Iterable[OptionDocument | list[str]]) -> dict[str, str]:
    """Values by name; they were pairs in what earlier versions stored."""
    return dict(
        (one[0], one[1]) if isinstance(one, list) else (one["name"], one["value"]) for one in stored
    )


def _without_id(document: Mapping[str, Any]) -> Any:
    return {key: document[key] for key in document if key in _FIELDS}


_FIELDS: Final = frozenset(ProductDocument.__annotations__)


def _chunks(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
