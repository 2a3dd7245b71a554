"""What answers tell browsers, and which other sites' pages may read them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiohttp.test_utils import TestClient, TestServer

from server.app import create_app
from server.settings import Settings, SettingsError

SHOP = "https://shop.example"
LOGIN = "/api/v1/auth/login"
PRODUCTS = "/api/v1/catalog/products"
EVIL = ["https://evil.example", "null", "http://shop.example", "https://shop.example.evil.example"]


@pytest.fixture(scope="module")
async def client(module_settings):
    async with TestClient(TestServer(create_app(module_settings))) as client:
        yield client


@pytest.fixture(scope="module")
async def open_to_shop(module_settings):
    """A service whose REST a shop's pages may use."""
    origins = frozenset({SHOP, "https://other.example"})
    app = create_app(replace(module_settings, allowed_origins=origins))
    async with TestClient(TestServer(app)) as client:
        yield client


def directives(headers):
    """The content security policy by directive."""
    parts = [one.split() for one in headers["Content-Security-Policy"].split(";")]
    return {part[0]: part[1:] for part in parts}


@pytest.mark.parametrize(
    "path",
    ["/", "/docs", "/static/js/app/app.js", "/healthz", "/metrics", PRODUCTS, "/nothing", LOGIN],
)
async def test_headers_of_every_answer(client, path):
    response = await client.get(path)
    headers = response.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Server"] == "cartroom", "no version of anything"
    assert "X-Powered-By" not in headers
    assert headers["Cache-Control"]
    policy = directives(headers)
    for name in ("default-src", "object-src", "base-uri", "frame-ancestors"):
        assert policy[name] == ["'none'"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    if response.content_type == "text/html":
        assert policy["script-src"] == ["'self'"]
        assert policy["form-action"] == ["'self'"]
        assert "camera=()" in headers["Permissions-Policy"]
    else:
        assert "sandbox" in policy


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/", "no-cache"),
        ("/static/js/app/app.js", "no-cache"),
        (PRODUCTS, "public, no-cache"),
        ("/api/openapi.json", "no-cache"),
        ("/api/v1/auth/me", "no-store"),
        ("/nothing", "no-store"),
        ("/metrics", "no-store"),
    ],
)
async def test_what_may_be_kept_says_so_and_nothing_else_is(client, path, kept):
    assert (await client.get(path)).headers["Cache-Control"] == kept


# Cross-origin requests


def cors(response):
    """The headers of an answer that let other pages in."""
    return {name for name in response.headers if name.startswith("Access-Control-")}


async def test_a_page_on_the_list_reads_answers_and_refusals(open_to_shop):
    for path, status in ((PRODUCTS, 200), ("/api/v1/auth/me", 401), ("/nothing", 404)):
        response = await open_to_shop.get(path, headers={"Origin": SHOP})
        assert response.status == status
        assert response.headers["Access-Control-Allow-Origin"] == SHOP
        assert "Access-Control-Allow-Credentials" not in response.headers
        shown = response.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"} <= set(shown)
        assert "Origin" in response.headers["Vary"]
    body = {"email": "nobody@shop.example", "password": "wrong"}
    response = await open_to_shop.post(LOGIN, json=body, headers={"Origin": SHOP})
    assert response.status == 401
    assert response.headers["Access-Control-Allow-Origin"] == SHOP


@pytest.mark.parametrize("origin", EVIL)
async def test_other_pages_read_nothing(open_to_shop, origin):
    for path in (PRODUCTS, "/nothing"):
        response = await open_to_shop.get(path, headers={"Origin": origin})
        assert not cors(response)
        assert "Origin" in response.headers["Vary"], "or a cache would give it to the shop"
    response = await open_to_shop.post(LOGIN, json={}, headers={"Origin": origin})
    assert response.status == 403
    assert not cors(response)


async def test_without_a_list_no_page_reads_anything(client):
    response = await client.get(PRODUCTS, headers={"Origin": SHOP})
    assert not cors(response)


def asked(origin, method="POST", headers="authorization,content-type,x-csrf-token"):
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }


async def test_a_page_on_the_list_is_told_what_it_may_send(open_to_shop):
    response = await open_to_shop.options(LOGIN, headers=asked(SHOP))
    assert response.status == 204
    headers = response.headers
    assert headers["Access-Control-Allow-Origin"] == SHOP
    assert headers["Access-Control-Allow-Methods"] == "POST"
    allowed = headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "content-type", "x-csrf-token"} <= set(allowed)
    assert int(headers["Access-Control-Max-Age"]) > 0
    assert {"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"} <= set(
        headers["Vary"].split(", ")
    )
    assert "Access-Control-Allow-Credentials" not in headers
    response = await open_to_shop.options(PRODUCTS, headers=asked(SHOP, "GET"))
    assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD"


@pytest.mark.parametrize("origin", EVIL)
async def test_other_pages_are_told_no(open_to_shop, origin):
    response = await open_to_shop.options(LOGIN, headers=asked(origin))
    assert response.status == 403
    assert (await response.json())["code"] == "forbidden"
    assert not cors(response)


async def test_options_that_are_no_preflight(open_to_shop):
    assert (await open_to_shop.options("/nothing", headers=asked(SHOP))).status == 404
    response = await open_to_shop.options(LOGIN)
    assert response.status == 405
    assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    ("value", "origins"),
    [
        ("https://shop.example", {SHOP}),
        (" https://Shop.example/ ,http://x.example:8080", {SHOP, "http://x.example:8080"}),
        ("https://shop.example:443,http://x.example:80", {SHOP, "http://x.example"}),
        ("http://[2001:DB8::1]:8080", {"http://[2001:db8::1]:8080"}),
    ],
)
def test_origins_are_compared_as_browsers_write_them(value, origins):
    settings = Settings.from_environ({"CARTROOM_ALLOWED_ORIGINS": value})
    assert settings.allowed_origins == origins


@pytest.mark.parametrize(
    "value",
    ["*", "null", "shop.example", "https://", "ftp://shop.example", "https://shop.example/cart",
     "https://ann@shop.example", "https://shop.example?q", "https://[", "https://x:port"],
)  # fmt: skip
def test_what_is_no_origin_is_no_setting(value):
    with pytest.raises(SettingsError, match="CARTROOM_ALLOWED_ORIGINS"):
        Settings.from_environ({"CARTROOM_ALLOWED_ORIGINS": value})
