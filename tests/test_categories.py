"""Categories and variants over HTTP: what a shop's home page and a product's page ask for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from commerce.catalog import categories, indexing, words
from commerce.catalog.importing import import_products
from commerce.catalog.product import Product
from commerce.catalog.service import CATEGORIES_TTL_S, Catalog
from server.app import create_app
from server.settings import Settings
from storage.mongo import Database
from storage.products import Products
from storage.search_terms import SearchTerms
from tests.client import until_equal

PRODUCTS = "/api/v1/catalog/products"
CATEGORIES = "/api/v1/catalog/categories"

Client = TestClient[Request, Application]


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Client]:
    async with TestClient(TestServer(create_app(settings))) as client:
        yield client


def lamp(number: int, category: str = "Lamps", handle: str = "lamp", **more: Any) -> Product:
    name = more.pop("name", f"Lamp {number}")
    return Product(f"L{number}", name, 100, "EUR", None, handle=handle, category=category, **more)


async def page(client: Client, path: str = PRODUCTS, **params: str) -> Any:
    async with client.get(path, params=params) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def skus(client: Client, **params: str) -> list[str]:
    found = await page(client, **params)
    assert found["next_cursor"] is None
    return [item["sku"] for item in found["items"]]


async def counts(client: Client) -> dict[str, int]:
    return {one["name"]: one["count"] for one in (await page(client, CATEGORIES))["items"]}


async def counts_now(database: Database) -> dict[str, int]:
    return {one.name: one.count for one in await categories.counted(Products(database))}


async def test_products_of_a_category_and_variants_of_a_product(
    client: Client, database: Database
) -> None:
    odd = "Nuts & bolts / $.a ü"
    await import_products(
        Products(database),
        [
            lamp(1, handle="a"),
            lamp(2, handle="a", name="Lamp 2 red"),
            lamp(3, handle="b", name="Lamp 3 red"),
            lamp(4, odd, handle="c", name="Bolt red"),
            lamp(5, "", handle="", name="Thing red"),
        ],
    )
    assert await skus(client, category="Lamps") == ["L1", "L2", "L3"]
    assert await skus(client, category=odd) == ["L4"]
    assert await skus(client, category="lamps") == await skus(client, category="None") == []
    assert await skus(client, handle="a") == ["L1", "L2"]
    assert await skus(client, handle="none") == []
    assert await skus(client, q="red") == ["L4", "L2", "L3", "L5"]
    assert await skus(client, q="red", category="Lamps") == ["L2", "L3"]
    assert await skus(client, q="re", category="Lamps", handle="a") == ["L2"]
    assert await skus(client, category=odd, handle="a") == []


async def test_a_category_comes_in_pages(client: Client, database: Database) -> None:
    await import_products(
        Products(database), [lamp(number, "ABC"[number % 3]) for number in range(50)]
    )
    found, params = [], {"category": "B", "limit": "7"}
    while True:
        answer = await page(client, **params)
        found += [item["sku"] for item in answer["items"]]
        if answer["next_cursor"] is None:
            break
        params["cursor"] = answer["next_cursor"]
    expected = [lamp(number) for number in range(50) if number % 3 == 1]
    assert found == [one.sku for one in sorted(expected, key=words.place)]


@pytest.mark.parametrize("field", ["category", "handle"])
async def test_a_filter_that_names_nothing_is_refused(client: Client, field: str) -> None:
    for value in ("", "x" * 301):
        async with client.get(PRODUCTS, params={field: value}) as response:
            assert response.status == 400
            assert list((await response.json())["errors"]) == [field]


async def test_categories_are_counted(client: Client, database: Database) -> None:
    kinds = {"éclairs": 1, "Zebras": 2, "Apples": 4, "": 3}
    products = [
        lamp(10 * index + number, kind)
        for index, (kind, count) in enumerate(kinds.items())
        for number in range(count)
    ]
    await import_products(Products(database), products)
    assert list((await counts(client)).items()) == [("Apples", 4), ("éclairs", 1), ("Zebras", 2)]
    async with client.get(CATEGORIES) as response:
        etag = response.headers["ETag"]
        assert response.headers["Cache-Control"] == "public, no-cache"
    async with client.get(CATEGORIES, headers={"If-None-Match": etag}) as response:
        assert response.status == 304


async def test_a_product_counts_where_it_is_now(client: Client, database: Database) -> None:
    repository = Products(database)
    await import_products(repository, [lamp(number) for number in range(5)])
    await import_products(
        repository, [lamp(0, name="Renamed"), lamp(1, "Tables"), lamp(2, ""), lamp(3, handle="b")]
    )
    assert await skus(client, category="Tables") == ["L1"]
    assert await skus(client, category="Lamps") == ["L3", "L4", "L0"]
    assert await skus(client, handle="b") == ["L3"]
    assert (await counts(client))["Tables"] == 1
    await import_products(repository, [lamp(1)])
    # That of no category any more is still taken for one.
    assert await counts_now(database) == {"Lamps": 5}


async def test_of_too_many_categories_those_with_the_most_are_listed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(categories, "CATEGORIES_MAX", 2)
    monkeypatch.setattr(categories, "SETS_PER_READ", 2)
    kinds = "A", "B", "B", "C", "C", "C", "D", "E", "E"
    await import_products(Products(database), [lamp(*one) for one in enumerate(kinds)])
    assert await counts_now(database) == {"B": 2, "C": 3}


async def test_categories_are_counted_once_a_minute(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, now = Products(database), 100.0
    catalog = Catalog(repository, lambda: now)
    reads = []
    get = SearchTerms.get

    async def watched(self: SearchTerms, terms: Any) -> Any:
        reads.append(terms)
        return await get(self, terms)

    monkeypatch.setattr(SearchTerms, "get", watched)
    assert await asyncio.gather(*(catalog.categories() for _ in range(5))) == [[]] * 5
    assert len(reads) == 1
    await import_products(repository, [lamp(1)])
    assert await catalog.categories() == []
    now += CATEGORIES_TTL_S
    assert await catalog.categories() == [categories.Category("Lamps", 1)]


async def test_a_catalog_of_an_earlier_version_is_indexed(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "BATCH", 3)
    with monkeypatch.context() as earlier:
        earlier.setattr(words, "shelf_terms", lambda products: {})
        await import_products(Products(database), [lamp(number) for number in range(8)])
        await Products(database).terms.add(words.terms([lamp(99)]))  # never written
    assert await counts_now(database) == {}
    async with TestClient(TestServer(create_app(settings))) as client:
        for params in ({"handle": "lamp"}, {"category": "Lamps"}):

            async def found(params: dict[str, str] = params) -> int:
                return len(await skus(client, **params))

            await until_equal(found, 8)
        assert await counts(client) == {"Lamps": 8}
