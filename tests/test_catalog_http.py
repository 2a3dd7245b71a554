"""The catalog over HTTP: search as one types, pages, one product, answers that caches may keep."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from yarl import URL

from commerce.accounts import policy
from commerce.catalog import search as search_module
from commerce.catalog import words
from commerce.catalog.importing import import_products
from commerce.catalog.product import Product
from handlers import keys
from server.app import create_app
from server.settings import Settings
from storage import search_terms
from storage.mongo import Database
from storage.products import Products
from tests.cast import Cast, Somebody
from tests.client import Server

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

MONEY = {"amount": 990, "currency": "EUR"}

Client = TestClient[Request, Application]


@dataclass
class Shop:
    """A service with products, and who may change them."""

    server: Server
    seller: Somebody

    async def change(self, changes: dict[str, Any], sku: str = MUG.sku) -> tuple[int, Any]:
        url = f"{self.server.url}{PRODUCTS}/{quote(sku, safe='')}"
        headers = {**self.seller.headers, "Content-Type": "application/json"}
        body = json.dumps(changes)
        async with self.server.http.patch(
            URL(url, encoded=True), data=body, headers=headers
        ) as response:
            return response.status, await response.json(content_type=None)

    async def see(self) -> Any:
        url = f"{self.server.url}{PRODUCTS}/{quote(MUG.sku, safe='')}"
        async with self.server.http.get(URL(url, encoded=True)) as response:
            return await response.json()

    async def found(self, q: str) -> list[str]:
        url = f"{self.server.url}{PRODUCTS}"
        async with self.server.http.get(url, params={"q": q}) as response:
            return [item["sku"] for item in (await response.json())["items"]]


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


@pytest.fixture
async def shop(server: Server, database: Database) -> Shop:
    await import_products(Products(database), [MUG, plain("other", "Something else")])
    cast = Cast(server)
    return Shop(server, await cast.one(policy.SELLER))


async def test_a_seller_changes_name_price_and_stock(shop: Shop) -> None:
    before = await shop.see()
    changes = {"name": " Copper Jug ", "price": {"amount": 0, "currency": "EUR"}, "available": None}
    status, answer = await shop.change(changes)
    assert status == 200
    expected = {**before, **changes, "name": "Copper Jug"}
    assert answer == expected == await shop.see()
    assert await shop.found("copper jug") == ["MUG 1/red"]
    assert await shop.found("enamel") == ["MUG 1/red"]  # its title has that, too
    assert await shop.change({}) == (200, expected)
    assert (await shop.change({"available": 7}))[1] == {**expected, "available": 7}


async def test_carts_of_the_same_instance_see_the_change_at_once(shop: Shop) -> None:
    async with shop.server.connect(shop.seller.account) as client:
        cart = await client.create()
        await client.add(cart, "MUG 1/red", 3)
        await client.op_refusal("out_of_stock", cart, "add", items=[{"sku": "MUG 1/red", "qty": 1}])
        changes = {"price": {"amount": 990, "currency": "EUR"}, "available": 4}
        assert (await shop.change(changes))[0] == 200
        another = await client.create()
        await client.add(another, "MUG 1/red", 4)
        assert (await client.state(another))["lines"][0]["unit_price"] == 990


async def test_a_change_while_stock_is_looked_up_is_what_counts(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = shop.server.app[keys.CATALOG]
    find, asked, go = Products.find_facts, asyncio.Event(), asyncio.Event()

    async def slow(self: Products, skus: Any) -> Any:
        found = await find(self, skus)
        asked.set()
        await go.wait()
        return found

    monkeypatch.setattr(Products, "find_facts", slow)
    old = asyncio.create_task(catalog.facts(["MUG 1/red"]))
    await asked.wait()
    await shop.change({"available": 9})
    go.set()
    await old
    assert (await catalog.facts(["MUG 1/red"]))["MUG 1/red"].available == 9


async def test_two_who_change_one_product_at_once_both_do(shop: Shop) -> None:
    changes = [{"name": "Copper Jug"}, {"available": 11}, {"price": MONEY}]
    answers = await asyncio.gather(*map(shop.change, changes))
    assert [status for status, _ in answers] == [200, 200, 200]
    seen = await shop.see()
    assert (seen["name"], seen["available"], seen["price"]) == ("Copper Jug", 11, MONEY)
    assert await shop.found("jug") == ["MUG 1/red"]


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"name": " "}, 400, "name"),
        ({"name": "x" * 301}, 400, "name"),
        ({"name": "a\u0000b"}, 400, "name"),
        ({"name": "\ud800"}, 400, None),
        ({"name": None}, 400, "name"),
        ({"price": 1290}, 400, "price"),
        ({"price": {"amount": -1, "currency": "EUR"}}, 400, "price"),
        ({"price": {"amount": 12.5, "currency": "EUR"}}, 400, "price"),
        ({"price": {"amount": "12", "currency": "EUR"}}, 400, "price"),
        ({"price": {"amount": 90_000_000_001, "currency": "EUR"}}, 400, "price"),
        ({"price": {"amount": 12}}, 400, "price"),
        ({"price": {"amount": 12, "currency": "USD"}}, 409, "price"),
        ({"available": -1}, 400, "available"),
        ({"available": True}, 400, "available"),
        ({"available": "7"}, 400, "available"),
        ({"available": 1_000_000_001}, 400, "available"),
        ({"sku": "another"}, 400, "sku"),
        ({"description": "<b>"}, 400, "description"),
    ],
)
async def test_what_no_product_can_be_is_refused(
    shop: Shop, changes: dict[str, Any], status: int, field: str | None
) -> None:
    before = await shop.see()
    answered, problem = await shop.change(changes)
    assert answered == status, problem
    assert field is None or list(problem["errors"]) == [field]
    assert await shop.see() == before


async def test_what_there_is_not_can_not_be_changed(shop: Shop) -> None:
    status, problem = await shop.change({"available": 1}, "nothing")
    assert (status, problem["code"]) == (404, "not_found")
