"""The catalog over HTTP: search as one types, pages, one product, answers that caches may keep."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from yarl import URL

from commerce.catalog import search as search_module
from commerce.catalog import words
from commerce.catalog.importing import import_products
from commerce.catalog.product import Product
from server.app import create_app
from server.settings import Settings
from storage import search_terms
from storage.mongo import Database
from storage.products import Products

PRODUCTS = "/api/v1/catalog/products"

MUG = Product(
    sku="MUG 1/red",
    name="Enamel Mug - Red",
    price=1290,
    currency="EUR",
    available=3,
    handle="enamel-mug",
    title="Enamel Mug",
    description="Holds 300 ml.",
    vendor="Clay & Sôns",
    category="Kitchen",
    tags=("gift", "camping"),
    options={"Colour": "Red", "a.b $c": "x"},
    images=("https://shop.example/mug.jpg",),
    compare_at_price=1590,
)

Client = TestClient[Request, Application]


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Client]:
    async with TestClient(TestServer(create_app(settings))) as client:
        yield client


def plain(sku: str, name: str, **more: Any) -> Product:
    return Product(sku, name, 100, "EUR", None, **more)


async def found(client: Client, q: str, **more: Any) -> list[str]:
    async with client.get(PRODUCTS, params={"q": q, **more}) as response:
        assert response.status == 200, await response.text()
        return [item["sku"] for item in (await response.json())["items"]]


async def all_pages(client: Client, q: str, limit: int) -> list[str]:
    skus: list[str] = []
    params = {"q": q, "limit": str(limit)}
    for _ in range(200):
        async with client.get(PRODUCTS, params=params) as response:
            page = await response.json()
        assert len(page["items"]) <= limit
        skus += [item["sku"] for item in page["items"]]
        if page["next_cursor"] is None:
            return skus
        params["cursor"] = page["next_cursor"]
    raise AssertionError("the pages don't end")


async def test_a_product_is_shown_whole(client: Client, database: Database) -> None:
    await import_products(Products(database), [MUG])
    expected = {
        "sku": "MUG 1/red",
        "name": "Enamel Mug - Red",
        "price": {"amount": 1290, "currency": "EUR"},
        "compare_at_price": {"amount": 1590, "currency": "EUR"},
        "available": 3,
        "handle": "enamel-mug",
        "title": "Enamel Mug",
        "description": "Holds 300 ml.",
        "vendor": "Clay & Sôns",
        "category": "Kitchen",
        "tags": ["gift", "camping"],
        "options": {"Colour": "Red", "a.b $c": "x"},
        "images": ["https://shop.example/mug.jpg"],
    }
    async with client.get(PRODUCTS) as response:
        assert await response.json() == {"items": [expected], "next_cursor": None}
    url = client.make_url(PRODUCTS)
    async with ClientSession() as session:
        for spelling in ("MUG%201%2Fred", "MUG%201/red"):
            async with session.get(URL(f"{url}/{spelling}", encoded=True)) as response:
                assert response.status == 200
                assert await response.json() == expected


@pytest.mark.parametrize("sku", ["nothing", "a/b c", "mug 1/red", "\x00", "%ff", "é" * 300])
async def test_an_unknown_sku_is_not_found(client: Client, database: Database, sku: str) -> None:
    await import_products(Products(database), [MUG])
    async with client.get(f"{PRODUCTS}/{quote(sku, safe='')}") as response:
        assert response.status == 404
        assert response.content_type == "application/problem+json"
        assert (await response.json())["code"] == "not_found"


@pytest.mark.parametrize(
    "q",
    [
        *("enamel", "ENAMEL red", "red mug", "mug 1", "1 red", "en", "ename", "kitchen", "sôns"),
        *("clay so", "camp", "gift mu", "  mug  ", "mug-red", "MUG 1/red", "e\u0301namel", "x"),
    ],
)
async def test_words_find_it(client: Client, database: Database, q: str) -> None:
    await import_products(Products(database), [MUG, plain("other", "Something else")])
    assert await found(client, q) == ["MUG 1/red"]


@pytest.mark.parametrize(
    "q", ["ena mug", "r", "mugs", "enamelled", "red blue", "---", "holds", "m"]
)
async def test_words_that_do_not_find_it(client: Client, database: Database, q: str) -> None:
    await import_products(Products(database), [MUG])
    assert await found(client, q) == []


async def test_case_and_accents_do_not_matter(client: Client, database: Database) -> None:
    products = [
        plain("a", "Crème Brûlée"),
        plain("b", "Große Straße"),
        plain("c", "ΣΊΣΥΦΟΣ"),
        plain("d", "Men’s ﬁne shirt"),
    ]
    await import_products(Products(database), products)
    assert await found(client, "creme BRU") == ["a"]
    assert await found(client, "GROSSE strasse") == ["b"]
    assert await found(client, "σισυφος") == ["c"]
    assert await found(client, "mens fine") == ["d"]
    assert await found(client, "men's FI") == ["d"]


@pytest.mark.parametrize("limit", [1, 7, 100])
@pytest.mark.parametrize("q", ["", "   ", "set", "se", "blue set", "set numb", "numbered 1"])
async def test_pages_hold_each_match_once_in_order_of_name(
    client: Client, database: Database, q: str, limit: int
) -> None:
    colours = ("red", "blue", "green")
    products = [plain(f"s{i}", f"{colours[i % 3]} set numbered {i // 9}") for i in range(90)]
    products += [plain("y", "Ab"), plain("z", "a"), plain("é", "***")]
    await import_products(Products(database), products)
    asked = words.words(q)
    matching = [p for p in products if not asked or words.matches(p, asked)]
    expected = [product.sku for product in sorted(matching, key=words.place)]
    assert len(expected) > 5
    assert await all_pages(client, q, limit) == expected


async def test_a_renamed_product_is_found_by_its_new_name_alone(
    client: Client, database: Database
) -> None:
    repository = Products(database)
    others = [plain(f"o{i}", f"Lamp {i}") for i in range(3)]
    await import_products(repository, [*others, plain("x", "Lamp 0 old")])
    await import_products(repository, [plain("x", "Table new")])
    assert await found(client, "old") == []
    assert await found(client, "lamp") == ["o0", "o1", "o2"]
    assert await found(client, "table") == ["x"]
    assert await all_pages(client, "", 2) == ["o0", "o1", "o2", "x"]


async def test_a_word_that_a_product_lost_does_not_find_it(
    client: Client, database: Database
) -> None:
    await import_products(Products(database), [plain("x", "Lamp", tags=("sale", "light"))])
    assert await found(client, "sale") == ["x"]
    await import_products(Products(database), [plain("x", "Lamp", tags=("light",))])
    assert await found(client, "sale") == []
    assert await found(client, "light") == ["x"]


async def test_an_import_cut_off_halfway_shows_nothing_half(
    client: Client, database: Database
) -> None:
    repository = Products(database)
    ghosts = [plain(f"g{i}", f"Lamp {i}") for i in range(60)]
    await repository.terms.add(words.terms(ghosts))  # and then the power went
    await import_products(repository, [plain("x", "Lamp 99")])
    assert await all_pages(client, "lamp", 3) == ["x"]
    assert await all_pages(client, "", 3) == ["x"]
    await import_products(repository, ghosts)
    assert len(await all_pages(client, "lamp", 10)) == 61


async def test_a_page_stops_looking_and_is_short_rather_than_slow(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "ROUNDS_MAX", 1)
    repository = Products(database)
    await repository.terms.add(words.terms([plain(f"g{i}", f"Lamp {i}") for i in range(9)]))
    await import_products(repository, [plain("x", "Lamp 99")])
    async with client.get(PRODUCTS, params={"q": "lamp", "limit": "1"}) as response:
        page = await response.json()
    assert page["items"] == []
    assert page["next_cursor"] is not None
    assert await all_pages(client, "lamp", 1) == ["x"]


async def test_a_full_term_leaves_the_rest_findable_otherwise(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_terms, "ENTRIES_MAX", 5)
    products = [plain(f"number{i}", f"{chr(97 + i)} common") for i in range(8)]
    await import_products(Products(database), products)
    assert len(await found(client, "common")) == 5
    for i in range(8):
        assert await found(client, f"number{i}") == [f"number{i}"]
        assert await found(client, chr(97 + i)) == [f"number{i}"]


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "-1"},
        {"limit": "ten"},
        {"limit": ""},
        {"limit": "9" * 5000},
        {"q": "x" * 201},
        {"cursor": ""},
        {"cursor": "x"},
        {"cursor": "é"},
        {"cursor": "!" * 20},
        {"cursor": "MWFiYw"},
        {"cursor": "A" * 601},
        {"page": "2"},
    ],
)
async def test_a_bad_query_is_refused(client: Client, params: dict[str, str]) -> None:
    async with client.get(PRODUCTS, params=params) as response:
        assert response.status == 400
        assert (await response.json())["code"] == "bad_request"


async def test_caches_ask_and_are_told_that_nothing_changed(
    client: Client, database: Database
) -> None:
    await import_products(Products(database), [MUG])
    async with client.get(PRODUCTS) as response:
        etag = response.headers["ETag"]
        assert response.headers["Cache-Control"] == "public, no-cache"
    async with client.get(PRODUCTS, headers={"If-None-Match": f'"other", {etag}'}) as response:
        assert response.status == 304
        assert await response.read() == b""
    await import_products(Products(database), [plain("b", "B")])
    async with client.get(PRODUCTS, headers={"If-None-Match": etag}) as response:
        assert response.status == 200
        assert response.headers["ETag"] != etag
