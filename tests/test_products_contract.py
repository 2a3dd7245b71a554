"""What the repositories of products and search terms promise, and the catalog's cache over them.

On whatever MongoDB-compatible server is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from commerce.catalog import service
from commerce.catalog.documents import from_document, to_document
from commerce.catalog.product import Product, ProductFacts
from commerce.catalog.rows import SKU_MAX
from commerce.catalog.service import Catalog
from realtime import limits
from storage import products as products_module
from storage import search_terms
from storage.mongo import Database
from storage.products import FactsDocument, Products, UpsertResult, product_id
from tests.helpers import eventually

MUG = Product(
    sku="MUG/1 é\u0000",
    name='Mug "red" \\ 🫖',
    price=90_000_000_000,
    currency="EUR",
    available=0,
    handle="mug",
    title="Mug",
    description="Two\nlines\u0000",
    vendor="V",
    category="C",
    tags=("a", "b"),
    options={"a.b": "x", "$set": "y", "": "z"},
    images=("https://shop.example/1.jpg",),
    compare_at_price=1,
)


def test_options_of_earlier_versions_are_read() -> None:
    pairs: Any = [list(option) for option in MUG.options.items()]
    assert from_document({**to_document(MUG), "options": pairs}) == MUG


def plain(sku: str, available: int | None = None) -> Product:
    return Product(sku, f"Name of {sku}", 100, "EUR", available)


@pytest.fixture
def products(database: Database) -> Products:
    return Products(database)


async def test_a_product_comes_back_as_it_was_stored(products: Products) -> None:
    await products.upsert([to_document(MUG)])
    found = await products.find([MUG.sku, "other", "\ud800"])
    assert {sku: from_document(document) for sku, document in found.items()} == {MUG.sku: MUG}
    assert await products.find_facts([MUG.sku, "other"]) == {
        MUG.sku: {
            "sku": MUG.sku,
            "name": MUG.name,
            "price": 90_000_000_000,
            "currency": "EUR",
            "available": 0,
        }
    }
    assert list(await products.find_by_ids([product_id(MUG.sku), "prd_0"])) == [product_id(MUG.sku)]


async def test_upsert_says_what_it_did_and_repeating_it_does_nothing(products: Products) -> None:
    documents = [to_document(plain(f"s{i}")) for i in range(5)]
    assert await products.upsert(documents) == UpsertResult(5, 0, 0)
    assert await products.upsert(documents) == UpsertResult(0, 0, 5)
    documents[2] = to_document(replace(plain("s2"), price=7))
    documents.append(to_document(plain("s5")))
    assert await products.upsert(documents) == UpsertResult(1, 1, 4)
    assert (await products.find(["s2"]))["s2"]["price"] == 7
    assert await products.upsert([]) == UpsertResult(0, 0, 0)


async def test_of_a_sku_given_twice_the_last_counts(products: Products) -> None:
    twice = [plain("s"), replace(plain("s"), price=7)]
    assert await products.upsert([to_document(each) for each in twice]) == UpsertResult(1, 0, 0)
    assert (await products.find(["s"]))["s"]["price"] == 7


async def test_fields_of_others_stay(products: Products, database: Database) -> None:
    await products.upsert([to_document(plain("s", 5))])
    collection = database.collection(products_module.COLLECTION)
    await collection.update_one({"_id": product_id("s")}, {"$set": {"reserved": {"ord_1": 2}}})
    assert await products.upsert([to_document(plain("s", 5))]) == UpsertResult(0, 0, 1)
    await products.upsert([to_document(plain("s", 9))])
    stored = await collection.find_one({"_id": product_id("s")})
    assert stored is not None
    assert (stored["reserved"], stored["available"]) == ({"ord_1": 2}, 9)


async def test_more_than_one_query_or_batch_holds(
    products: Products, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products_module, "IDS_PER_QUERY_MAX", 3)
    monkeypatch.setattr(products_module, "WRITES_PER_BATCH_MAX", 2)
    skus = [f"s{i}" for i in range(10)]
    assert await products.upsert([to_document(plain(sku)) for sku in skus]) == UpsertResult(
        10, 0, 0
    )
    assert sorted(await products.find(skus)) == skus
    assert sorted(await products.find_facts(skus)) == skus


async def test_imports_at_the_same_time_all_succeed(products: Products) -> None:
    documents = [to_document(plain(f"s{i}")) for i in range(50)]
    await asyncio.gather(*(products.upsert(documents) for _ in range(8)))
    assert await products.upsert(documents) == UpsertResult(0, 0, 50)


async def test_sets_grow_by_what_is_new(products: Products) -> None:
    terms = products.terms
    assert await terms.add({"=a": {"1", "2"}, "=b": ["3"]}) == 0
    assert await terms.add({"=a": {"2", "3"}, "=c": set()}) == 0
    found = await terms.get(["=a", "=b", "=c", "=d"])
    assert {term: sorted(entries) for term, entries in found.items()} == {
        "=a": ["1", "2", "3"],
        "=b": ["3"],
    }


async def test_writers_of_one_set_lose_nothing_of_each_other(products: Products) -> None:
    await asyncio.gather(
        *(products.terms.add({"=new": [f"{i}"], f"={i}": ["x"]}) for i in range(20))
    )
    found = await products.terms.get(["=new", *(f"={i}" for i in range(20))])
    assert sorted(found.pop("=new")) == sorted(f"{i}" for i in range(20))
    assert found == {f"={i}": ["x"] for i in range(20)}


async def test_a_full_set_takes_no_more_and_says_so(
    products: Products, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_terms, "ENTRIES_MAX", 3)
    assert await products.terms.add({"=a": ["1", "2"]}) == 0
    assert await products.terms.add({"=a": ["1", "3", "4", "5"], "=b": ["1"]}) == 2
    assert len((await products.terms.get(["=a"]))["=a"]) == 3
    assert await products.terms.add({"=a": ["1"], "=c": ["1", "2", "3", "4"]}) == 1


class Watched(Products):
    """Counts the queries for facts; holds them up until told; fails when told."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.asked: list[set[str]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.error: Exception | None = None

    async def find_facts(self, skus: Collection[str]) -> dict[str, FactsDocument]:
        self.asked.append(set(skus))
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return await super().find_facts(skus)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def watched(database: Database) -> Watched:
    watched = Watched(database)
    await watched.upsert([to_document(plain(f"s{i}", i)) for i in range(10)])
    return watched


def facts(i: int) -> ProductFacts:
    return ProductFacts(f"s{i}", f"Name of s{i}", 100, "EUR", i)


async def test_facts_are_remembered_for_two_seconds_absence_too(watched: Watched) -> None:
    clock = Clock()
    catalog = Catalog(watched, clock)
    assert catalog.cached(["s1"]) is None
    assert await catalog.facts(["s1", "none"]) == {"s1": facts(1)}
    assert catalog.cached(["s1", "none"]) == {"s1": facts(1)}
    assert catalog.cached(["s1", "s2"]) is None
    clock.now += 1.9
    assert await catalog.facts(["s1", "none", "s2"]) == {"s1": facts(1), "s2": facts(2)}
    assert watched.asked == [{"s1", "none"}, {"s2"}]

    await watched.upsert([to_document(plain("s1", 77)), to_document(plain("none"))])
    clock.now += 0.1
    assert catalog.cached(["s1"]) is None
    assert (await catalog.facts(["s1", "none", "s2"])).keys() == {"s1", "none", "s2"}
    assert watched.asked[2:] == [{"s1", "none"}]
    assert (await catalog.facts(["s1"]))["s1"].available == 77
    assert await catalog.facts([]) == {}


async def test_look_ups_at_the_same_time_are_one_query(watched: Watched) -> None:
    catalog = Catalog(watched, Clock())
    watched.go.clear()
    one = asyncio.create_task(catalog.facts(["s1", "s2"]))
    two = asyncio.create_task(catalog.facts(["s2", "s3", "none"]))
    three = asyncio.create_task(catalog.facts(["s1", "s3"]))
    await eventually(lambda: len(watched.asked) == 2)
    one.cancel()
    watched.go.set()
    assert await two == {"s2": facts(2), "s3": facts(3)}
    assert await three == {"s1": facts(1), "s3": facts(3)}
    assert watched.asked == [{"s1", "s2"}, {"s3", "none"}]
    assert one.cancelled()


async def test_a_failed_look_up_is_told_to_all_and_not_remembered(watched: Watched) -> None:
    catalog = Catalog(watched, Clock())
    watched.error = ConnectionError("away")
    outcomes = await asyncio.gather(
        catalog.facts(["s1"]), catalog.facts(["s1"]), return_exceptions=True
    )
    assert outcomes == [watched.error, watched.error]
    assert len(watched.asked) == 1
    watched.error = None
    assert await catalog.facts(["s1"]) == {"s1": facts(1)}


async def test_the_cache_has_a_bound(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "FACTS_CACHE_MAX", 3)
    catalog = Catalog(watched, Clock())
    asked = [f"s{i}" for i in range(10)]
    assert (await catalog.facts(asked)).keys() == set(asked)
    assert sum(catalog.cached([sku]) is not None for sku in asked) == 3


def test_every_stored_sku_fits_an_op() -> None:
    assert SKU_MAX == limits.SKU_MAX
