"""The page: how its files are served, and people using it in a real browser."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from commerce.catalog.importing import import_products
from commerce.catalog.product import Product
from server.app import create_app
from server.settings import Settings
from storage.indexes import create_indexes
from storage.mongo import Database
from storage.products import Products
from tests.conftest import fresh_settings
from tests.node import ROOT, node, run_tests, service_environment
from tests.tiers import tier

STATIC = ROOT / "static"
BROWSER_TESTS = sorted((ROOT / "tests" / "browser").glob("*.test.mjs"))
BROWSER_TESTS_S = 3_600.0
AT_ONCE = 2
"""Files of browser tests that are under way."""
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
PRODUCTS = (
    Product("MUG", "Stoneware mug", 1290, "EUR", 500),
    Product("BUNTING", "Party bunting", 799, "EUR", None),
    Product("BOWL", "Hand-painted bowl", 2450, "EUR", 3),
    *(
        Product(
            f"SHIRT/{size[0]} {colour.upper()}",
            f"Linen shirt - {size} {colour}",
            price,
            "EUR",
            available,
            handle="linen-shirt",
            title="Linen shirt",
            description="Washed linen, cut wide.",
            vendor="Harbour Mill",
            category="Clothing",
            options={"Size": size, "Colour": colour},
            compare_at_price=5900 if price < 5900 else None,
        )
        for size, colour, price, available in (
            ("Small", "Blue", 5900, 2),
            ("Small", "White", 4400, 4),
            ("Large", "Blue", 5900, 7),
            ("Large", "White", 4400, 9),
        )
    ),
    Product("SOCKS", "Wool socks", 1490, "EUR", None, category="Clothing"),
    *(Product(f"CARD-{n}", f"Greeting card {n}", 250 + n, "EUR", n) for n in range(40)),
)


@pytest.fixture
async def client(settings, aiohttp_client):
    return await aiohttp_client(create_app(settings))


async def test_the_page(client):
    response = await client.get("/")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


async def test_what_has_not_changed_is_not_sent_again(client):
    first = await client.get("/static/js/main.js")
    assert first.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert first.headers["ETag"]
    condition = {"If-None-Match": first.headers["ETag"]}
    again = await client.get("/static/js/main.js", headers=condition)
    assert again.status == 304


async def test_password_managers_are_led_to_the_form(client):
    response = await client.get("/.well-known/change-password", allow_redirects=False)
    assert response.status == 302
    assert response.headers["Location"] == "/#/account/password"


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/js",
        "/static/js/",
        "/static/__init__.py",
        "/static/nothing.js",
        "/static/../setup.cfg",
        "/static/%2e%2e/setup.cfg",
        "/static/js/%00.js",
        "/static/index.html",
        "/static/sw.js",
        "/static/~",
        "/static/~0/",
        "/static/~0/nothing.js",
        "/static//js/main.js",
    ],
)
async def test_there_is_nothing_else(client, path):
    response = await client.get(path)
    assert response.status == 404
    assert response.content_type == "application/problem+json"


class InlineFinder(HTMLParser):
    """Collects what a strict policy would refuse, and the files that a page asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.files: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in names):
            self.inline.append(tag)
        self.inline += [name for name in names if name == "style" or name.startswith("on")]
        if tag in ("script", "link"):
            self.files.append(names.get("src") or names["href"] or "")


def test_the_page_holds_nothing_inline():
    finder = InlineFinder()
    finder.feed((STATIC / "index.html").read_text())
    assert finder.inline == []
    assert finder.files
    for name in finder.files:
        assert (ROOT / name.removeprefix("/")).is_file(), name


def test_modules_import_what_is_there():
    modules = list(STATIC.rglob("*.js"))
    assert modules
    for module in modules:
        for name in re.findall(r'\b(?:from |import |import\()"([^"]+)"', module.read_text()):
            assert name.startswith("."), f"{module.name} imports {name} from elsewhere"
            assert (module.parent / name).is_file(), f"{module.name} imports {name}"


def test_the_library_knows_nothing_of_the_page():
    for module in (STATIC / "sdk").rglob("*.js"):
        text = module.read_text()
        assert "../js/" not in text, module.name
        assert not re.search(r"\b(document|window)\b\.", text), module.name


def test_every_element_is_in_the_style_guide():
    guide = STATIC / "styleguide"
    listed = re.findall(r'^  "([a-z-]+)",$', (guide / "examples.js").read_text(), re.MULTILINE)
    defined = {
        name
        for module in (STATIC / "js" / "elements").glob("*.js")
        for name in re.findall(r'^define\("([a-z-]+)"', module.read_text(), re.MULTILINE)
    }
    assert len(defined) > 10
    assert defined - set(listed) == set(), "elements without examples"
    examples = {path.stem for path in (guide / "examples").glob("*.js")} - {"pretend"}
    assert sorted(listed) == sorted(examples)


def chromium() -> str:
    named = os.environ.get("CARTROOM_TEST_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found is None:
        pytest.skip("no Chromium: install it, or set CARTROOM_TEST_CHROMIUM to its program")
    return found


async def run_in_a_browser(tests: Path, settings: Settings, program: str, browser: str) -> None:
    """One file of browser tests, with an empty database of its own."""
    database = Database(settings.mongodb_url, settings.mongodb_database, journal=False)
    # Chromium puts a socket into its temporary folder, and a socket's path has 107 bytes.
    # Its last processes may still be at their files when it is emptied.
    with tempfile.TemporaryDirectory(prefix="page-", ignore_cleanup_errors=True) as short_folder:
        environment = {
            **service_environment(settings),
            "CARTROOM_TEST_CHROMIUM": browser,
            "CARTROOM_TEST_TIER": tier(),
            "TMPDIR": short_folder,
        }
        try:
            await create_indexes(database)
            await import_products(Products(database), PRODUCTS)
            await run_tests(program, tests, environment, within_s=BROWSER_TESTS_S)
        finally:
            await database.drop()
            database.close()


@pytest.fixture(scope="module")
async def browser_runs(
    request: pytest.FixtureRequest,
    mongodb_url: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[dict[Path, asyncio.Task[None]]]:
    """The files of browser tests that were chosen, under way: they wait more than they work."""
    program, browser = node("playwright-core", "ws"), chromium()
    places = asyncio.Semaphore(AT_ONCE)

    async def run(tests: Path) -> None:
        name = f"test_{secrets.token_hex(6)}"
        data = tmp_path_factory.mktemp("page") / "var"
        settings = fresh_settings(mongodb_url, redis_url, name, data)
        async with places:
            await run_in_a_browser(tests, settings, program, browser)

    chosen = [
        item.callspec.params["tests"]
        for item in request.session.items
        if getattr(item, "originalname", "") == test_in_a_browser.__name__
    ]
    runs = {tests: asyncio.create_task(run(tests)) for tests in chosen}
    yield runs
    for task in runs.values():
        task.cancel()
    await asyncio.gather(*runs.values(), return_exceptions=True)


@pytest.mark.parametrize("tests", BROWSER_TESTS, ids=lambda path: path.stem)
async def test_in_a_browser(tests, browser_runs):
    await browser_runs[tests]
