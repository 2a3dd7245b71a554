"""The client library, under Node: by itself (tests/sdk/), and on a service (tests/sdk/live/)."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from commerce.catalog.importing import import_products
from commerce.catalog.product import Product
from server.app import create_app
from storage.indexes import create_indexes
from storage.products import Products
from tests.node import ROOT, node, run_tests, service_environment
from tests.tiers import by_tier, tier

SDK_TESTS = sorted((ROOT / "tests" / "sdk").glob("*.test.mjs"))
LIVE_TESTS = sorted((ROOT / "tests" / "sdk" / "live").glob("*.test.mjs"))
SDK_TESTS_S = 600.0
LIVE_TESTS_S = by_tier(quick=900.0, ci=3_600.0, long=14_400.0)
PRODUCTS = (
    Product("MUG", "Stoneware mug", 1290, "EUR", 500),
    Product("BUNTING", "Party bunting", 799, "EUR", None),
    Product("BOWL", "Hand-painted bowl", 2450, "EUR", 3),
    Product("CARD", "Greeting card", 250, "EUR", 12),
    Product("DOLLAR", "Silver dollar", 3200, "USD", 12),
)


def short_name(path):
    return path.name.removesuffix(".test.mjs")


@pytest.mark.parametrize("tests", SDK_TESTS, ids=short_name)
async def test_under_node(tests):
    await run_tests(node(), tests, {}, within_s=SDK_TESTS_S)


@pytest.mark.parametrize("tests", LIVE_TESTS, ids=short_name)
async def test_on_a_service(tests, settings, database):
    program = node("ws")
    await create_indexes(database)
    await import_products(Products(database), PRODUCTS)
    wanted = {
        name: os.environ[name]
        for name in ("CARTROOM_SEED", "CARTROOM_EXAMPLES")
        if name in os.environ
    }
    environment = {**service_environment(settings), "CARTROOM_TEST_TIER": tier(), **wanted}
    await run_tests(program, tests, environment, within_s=LIVE_TESTS_S)


async def test_pages_elsewhere_can_import_it(settings, aiohttp_client):
    """Modules of another site are fetched by CORS, for pages whose origin is allowed."""
    allowed = replace(settings, allowed_origins=("https://shop.example",))
    client = await aiohttp_client(create_app(allowed))
    for origin, answer in (
        ("https://shop.example", "https://shop.example"),
        ("https://other.example", None),
    ):
        module = await client.get("/static/sdk/cartroom.js", headers={"Origin": origin})
        assert module.status == 200
        assert module.content_type == "text/javascript"
        assert module.headers.get("Access-Control-Allow-Origin") == answer
        assert "Origin" in module.headers["Vary"]
