"""How the interactive page of the REST contract is served; docs.test.mjs uses it in a browser."""

from __future__ import annotations

import pytest

from handlers.assets.asset import FOR_GOOD
from server.app import create_app
from tests.test_page import InlineFinder


@pytest.fixture
async def client(settings, aiohttp_client):
    return await aiohttp_client(create_app(settings))


async def test_the_page_and_its_files(client):
    page = await client.get("/docs")
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    finder = InlineFinder()
    finder.feed(await page.text())
    assert finder.inline == []
    kinds = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
    assert {"/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"} < set(finder.files)
    for name in finder.files:
        file = await client.get(name)
        assert file.status == 200, name
        kept = "no-cache" if name.startswith("/docs/") else FOR_GOOD
        assert file.headers["Cache-Control"] == kept
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        assert file.headers["Content-Type"] == kinds.get(name.rpartition(".")[2], "image/svg+xml")
        again = await client.get(name, headers={"If-None-Match": file.headers["ETag"]})
        assert again.status == 304


async def test_its_policy_is_as_strict_as_that_of_the_page(client):
    policies = [
        (await client.get(path)).headers["Content-Security-Policy"] for path in ("/", "/docs")
    ]
    assert policies[0] == policies[1]
    assert "script-src 'self'" in policies[1]
    assert "unsafe" not in policies[1]


async def test_what_it_starts_can_read_openapi_3_1(client):
    """Swagger UI does from version 5 on."""
    script = await (await client.get("/docs/swagger-ui-bundle.js")).text()
    version = script.partition('PACKAGE_VERSION:"')[2].partition('"')[0]
    assert int(version.split(".")[0]) >= 5


@pytest.mark.parametrize(
    "path",
    [
        "/docs/",
        "/docs/nothing.js",
        "/docs/LICENSE",
        "/docs/swagger-editor.js",
        "/docs/index.html",
        "/docs/../setup.cfg",
        "/docs/%2e%2e%2fcore.py",
        "/docs/%00.js",
    ],
)
async def test_there_is_nothing_else(client, path):
    response = await client.get(path)
    assert response.status == 404
    assert response.content_type == "application/problem+json"
