"""docs/webhooks.md: its example receives, and what it promises is what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from commerce.catalog.documents import to_document
from commerce.catalog.product import Product
from commerce.webhooks import addresses
from commerce.webhooks.service import OLD_SECRET_S, OLD_SECRETS_MAX
from commerce.webhooks.types import GROUPS, TYPES
from events.documents import ProductOutbox, relay_some
from events.schemas import SCHEMAS
from events.webhooks.pace import Pace
from events.webhooks.unhurried import HELD_S
from storage.indexes import create_indexes
from storage.invitations import WEBHOOKS_MS
from storage.mongo import Database
from storage.products import Products
from storage.unsent import Place
from storage.webhook_endpoints import ENDPOINTS_MAX
from tests.post import post

DOCUMENT = (Path(__file__).parents[1] / "docs" / "webhooks.md").read_text()


async def test_the_example_takes_each_once_and_nothing_forged(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    shown: dict[str, Any] = {"__name__": "example"}
    async with post(database, deliver=True) as shop:
        endpoint = await shop.register("http://127.0.0.1:9/")
        monkeypatch.setenv("CARTROOM_WEBHOOK_SECRET", endpoint.secret)
        exec(compile(example, "docs/webhooks.md", "exec"), shown)
        runner = web.AppRunner(shown["app"], shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/cartroom"
            await shop.admin.change("usr_admin", endpoint.id, {"url": url})
            await shop.happen("crt_a", 3)
            await shop.settled(endpoint, delivered=3)
            await create_indexes(database)
            products = Products(database)
            await products.upsert([to_document(Product("TEA", "Tea", 450, "EUR", 7))])
            await relay_some(ProductOutbox(products, Place.WEBHOOKS), shop.sink)
            await shop.settled(endpoint, delivered=4)
            await shop.admin.replay_all("usr_admin", endpoint.id, failed_only=False)
            await shop.admin.test(endpoint.id)
            found = await shop.settled(endpoint, delivered=5)
            assert sorted(one.attempts for one in found) == [1, 2, 2, 2, 2]
            forged = {"webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
            async with (
                ClientSession() as http,
                http.post(url, data=b"{}", headers=forged) as response,
            ):
                assert response.status == 400
        finally:
            await runner.cleanup()
    lines = capsys.readouterr().out.split("\n")
    assert [line for line in lines if line.startswith("crt_a")] == [
        f"crt_a {rev} cartroom.cart.add" for rev in (1, 2, 3)
    ]
    assert [line for line in lines if line.startswith("TEA")] == ["TEA 1 Tea"]


def test_the_types_are_those_of_the_schemas() -> None:
    assert set(TYPES) == set(SCHEMAS)
    beginnings = [type_.split(".") for type_ in TYPES]
    groups = {".".join([*parts[:end], "*"]) for parts in beginnings for end in range(1, len(parts))}
    assert set(GROUPS) == groups


def test_its_numbers_are_those_of_the_code() -> None:
    pace = Pace()
    for sentence in (
        f"There are {ENDPOINTS_MAX} at most",
        f"more than {pace.waiting_max:,} deliveries wait",
        f"kept for {pace.kept_s / 86_400:.0f} days, of those that are done the newest"
        f" {pace.kept_max:,} of an endpoint",
        f"There are {pace.timeout_s:.0f} s for all",
        "after {:.0f} s, {:.0f} s, {:.0f} s,".format(*(pace.wait_s(n, 0, 0.5) for n in (1, 2, 3))),
        f"more than {pace.much:,} deliveries wait at an endpoint that wants products",
    ):
        assert sentence in DOCUMENT, sentence
    said = {
        "four hours apart": pace.wait_s(50, 0, 0.5) == 4 * 3_600,
        "for a day": pace.give_up_s == 86_400,
        "five days": pace.disable_s == 5 * 86_400,
        "four at a time": pace.at_once_max == 4,
        "on port 443 or 8443": {443, 8443} == addresses.PORTS,
        "For a day everything is signed with the one of before": OLD_SECRET_S == 86_400,
        "four of before at most": OLD_SECRETS_MAX == 4,
        "isn't done within ten minutes": HELD_S == 600,
        "that have ended for a week": WEBHOOKS_MS == 7 * 86_400_000,
    }
    assert {words: words in DOCUMENT and true for words, true in said.items()} == dict.fromkeys(
        said, True
    )
