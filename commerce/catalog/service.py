"""The catalog: products by sku, and found by words."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final, TypedDict

from commerce.catalog import indexing, words
from commerce.catalog.categories import Category, counted
from commerce.catalog.documents import from_document
from commerce.catalog.product import Product, ProductFacts
from commerce.catalog.rows import check_product
from commerce.catalog.search import InvalidSearchError, Page, search
from storage.products import Products

__all__ = ["Catalog", "Changes", "InvalidSearchError", "OtherCurrencyError", "Page"]

FACTS_CACHE_MAX: Final = 20_000
FACTS_TTL_S: Final = 2.0
CATEGORIES_TTL_S: Final = 60.0


class Changes(TypedDict, total=False):
    """What is to be different about a product. `price` in minor units; `available` None: untracked.

    Without `currency` the price is in that of the product.
    """

    name: str
    price: int
    currency: str
    available: int | None


class OtherCurrencyError(ValueError):
    """The product is sold in another currency, which stays: carts hold it at prices in it."""

    def __init__(self, currency: str) -> None:
        super().__init__(f"This product is sold in {currency}.")


class Catalog:
    """The catalog of one instance. Its only state is what it remembers of the store."""

    def __init__(self, products: Products, clock: Callable[[], float] = time.monotonic) -> None:
        self._products = products
        self._facts = _FactsCache(FACTS_CACHE_MAX, FACTS_TTL_S, clock)
        self._loading: dict[str, asyncio.Task[dict[str, ProductFacts]]] = {}
        self._counted: tuple[float, list[Category]] | None = None
        """Until when they are good, and the categories."""
        self._counting: asyncio.Task[list[Category]] | None = None
        self._is_indexed = False

    async def facts(self, skus: Collection[str]) -> dict[str, ProductFacts]:
        """What carts need of these products, up to 2 s old. Unknown skus are not in the answer.

        Look-ups of one sku at the same time are one query. What the driver raises passes through.
        """
        known, missing = self._facts.get(skus)
        if not missing:
            return known
        unasked = [sku for sku in missing if sku not in self._loading]
        if unasked:
            self._start_loading(unasked)
        for task in dict.fromkeys(self._loading[sku] for sku in missing):
            # Others wait for the same task: one that is cancelled must not take it along.
            found = await asyncio.shield(task)
            known.update((sku, found[sku]) for sku in missing if sku in found)
        return known

    def cached(self, skus: Collection[str]) -> dict[str, ProductFacts] | None:
        """As `facts` from memory alone, or None unless all that is asked for is there and young."""
        known, missing = self._facts.get(skus)
        return None if missing else known

    async def get(self, sku: str) -> Product | None:
        """The product as stored now, or None."""
        found = await self._products.find([sku])
        return from_document(found[sku]) if sku in found else None

    async def search(
        self,
        q: str,
        limit: int,
        cursor: str | None,
        category: str | None = None,
        handle: str | None = None,
    ) -> Page:
        """A page of the products that `q` means, all if it is blank; in order of name.

        With `category` or `handle` only those that have just these: the variants of one product.
        Raises InvalidSearchError for a limit outside 1 to 100, a `q` above 200 characters and a
        cursor that isn't ours.
        """
        return await search(self._products, q, limit, cursor, category=category, handle=handle)

    async def categories(self) -> list[Category]:
        """The categories and how many products are in each, by name; up to a minute old.

        At most 200: those with the most products.
        """
        now = self._facts.now()
        if self._counted is not None and now < self._counted[0]:
            return self._counted[1]
        if self._counting is None:
            self._counting = asyncio.create_task(self._count(), name="count categories")
            self._counting.add_done_callback(self._count_ended)
        # Others wait for the same task: one that is cancelled must not take it along.
        return await asyncio.shield(self._counting)

    async def index(self) -> None:
        """Have products of earlier versions be found by category and handle, if they aren't."""
        if not self._is_indexed:
            await indexing.complete(self._products)
            self._is_indexed = True

    async def _count(self) -> list[Category]:
        asked_at = self._facts.now()
        found = await counted(self._products)
        self._counted = (asked_at + CATEGORIES_TTL_S, found)
        return found

    def _count_ended(self, task: asyncio.Task[list[Category]]) -> None:
        self._counting = None
        if not task.cancelled():
            task.exception()  # whoever waits has it; if nobody does, it is of no interest

    async def change(self, sku: str, changes: Changes) -> Product | None:
        """Change a product; the product as it is then, or None if there is none.

        Carts of this instance meet the new price and stock from then on, those of others 2 s
        later at most. Raises OtherCurrencyError, and RowError for what no product can be.
        """
        product = await self.get(sku)
        if product is None:
            return None
        if changes.get("currency", product.currency) != product.currency:
            raise OtherCurrencyError(product.currency)
        wanted = check_product(replace(product, **changes))
        # Words first, as in an import: without them nobody would find it by its new name.
        await self._products.terms.add(words.terms([wanted]))
        fields = {name: value for name, value in changes.items() if name != "currency"}
        if fields and not await self._products.change(sku, fields, currency=product.currency):
            return await self.change(sku, changes)  # an import was between our look and our change
        asked_at = self._facts.now()
        changed = await self.get(sku)
        if changed is None:
            return None
        if changed != wanted:  # somebody else changed it, too: together they may have new words
            await self._products.terms.add(words.terms([changed]))
        self._facts.put({sku: changed.facts()}, asked_at)
        return changed

    def _start_loading(self, skus: list[str]) -> None:
        task = asyncio.create_task(self._load(skus))
        self._loading.update(dict.fromkeys(skus, task))

        def done(task: asyncio.Task[dict[str, ProductFacts]]) -> None:
            for sku in skus:
                del self._loading[sku]
            # Whoever waits gets the error; marked as seen for the case that nobody does any more.
            if not task.cancelled():
                task.exception()

        task.add_done_callback(done)

    async def _load(self, skus: list[str]) -> dict[str, ProductFacts]:
        asked_at = self._facts.now()
        documents = await self._products.find_facts(skus)
        found = {sku: ProductFacts(**document) for sku, document in documents.items()}
        self._facts.put({sku: found.get(sku) for sku in skus}, asked_at)
        return found


class _FactsCache:
    """Facts by sku, None for a sku of no product; the oldest are forgotten first."""

    def __init__(self, size_max: int, ttl_s: float, clock: Callable[[], float]) -> None:
        self._size_max = size_max
        self._ttl_s = ttl_s
        self.now = clock
        self._entries: OrderedDict[str, tuple[ProductFacts | None, float]] = OrderedDict()
        """The facts, and until when they are good."""

    def get(self, skus: Collection[str]) -> tuple[dict[str, ProductFacts], list[str]]:
        """What is known and young, and the skus to ask for."""
        now = self.now()
        known: dict[str, ProductFacts] = {}
        missing: list[str] = []
        for sku in dict.fromkeys(skus):
            entry = self._entries.get(sku)
            if entry is None or now >= entry[1]:
                missing.append(sku)
            elif entry[0] is not None:
                known[sku] = entry[0]
        if missing:
            missing.sort()  # the same question whatever a set's order is in this process
        return known, missing

    def put(self, facts: dict[str, ProductFacts | None], asked_at: float) -> None:
        """Keep what the store was asked at that time, unless it was asked later meanwhile."""
        good_until = asked_at + self._ttl_s
        for sku, entry in facts.items():
            if sku in self._entries and self._entries[sku][1] > good_until:
                continue
            self._entries[sku] = (entry, good_until)
            self._entries.move_to_end(sku)
        while len(self._entries) > self._size_max:
            self._entries.popitem(last=False)
