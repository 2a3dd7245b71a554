"""Webhooks through all doors: registered over REST, ops over sockets, received and verified."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from commerce.accounts import policy
from commerce.webhooks import service
from commerce.webhooks.service import OLD_SECRETS_MAX
from commerce.webhooks.types import NAMES
from handlers import keys
from server.logs import JsonFormatter
from server.settings import Settings
from storage.products import Products
from storage.unsent import Place
from storage.webhook_endpoints import ENDPOINTS_MAX, Endpoint, WebhookEndpoints
from tests.cast import Cast, Somebody
from tests.client import APPLE, BREAD, Server, running_server
from tests.event_schemas import check_data
from tests.helpers import eventually
from tests.receiving import WAIT_S, Receiver, receiving

HOOKS = "/api/v1/webhooks"
EVENTS = Path(__file__).parents[1] / "docs" / "events"


@dataclass
class Shop:
    """A service that sends webhooks, and an administrator."""

    server: Server
    admin: Somebody

    async def ask(self, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        async with self.server.http.request(
            method, f"{self.server.url}{HOOKS}{path}", json=body, headers=self.admin.headers
        ) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None

    async def done(self, method: str, path: str = "", body: Any = None) -> Any:
        status, answer = await self.ask(method, path, body)
        assert status < 300, answer
        return answer

    async def refused(self, status: int, method: str, path: str = "", body: Any = None) -> Any:
        got, answer = await self.ask(method, path, body)
        assert got == status, answer
        return answer

    async def register(self, receiver: Receiver, **fields: Any) -> dict[str, Any]:
        made: dict[str, Any] = await self.done("POST", "", {"url": receiver.url, **fields})
        receiver.secrets.append(made["secret"])
        return made

    async def settled(self, hook: str, **statuses: int) -> list[dict[str, Any]]:
        """Wait until so many deliveries are of each status; answers all, the newest first."""

        async def look() -> list[dict[str, Any]]:
            items: list[dict[str, Any]] = (await self.done("GET", f"/{hook}/deliveries?limit=100"))[
                "items"
            ]
            counts = [sum(one["status"] == name for one in items) for name in statuses]
            return items if counts == list(statuses.values()) else []

        return await eventually(look, WAIT_S, f"{statuses}")


@pytest.fixture(scope="module")
async def sending(module_settings: Settings) -> AsyncIterator[Server]:
    settings = replace(
        module_settings,
        workers=("webhooks",),
        webhooks_private=True,
        webhooks_retry_s=0.1,
        webhooks_give_up_s=120.0,
        follow_every_s=0.05,
    )
    async with running_server(settings) as server:
        await server.products(APPLE, BREAD)
        products = Products(server.app[keys.DATABASE])

        async def all_told() -> bool:
            return not await products.unsent(9, Place.WEBHOOKS)

        await eventually(all_told, WAIT_S)
        yield server


@pytest.fixture
async def shop(sending: Server) -> Shop:
    """A service without webhooks as yet."""
    webhooks = sending.app[keys.WEBHOOKS]
    for one in await webhooks.all():
        await webhooks.remove("usr_admin", one.id)
    return Shop(sending, await Cast(sending).one(policy.ADMIN))


async def test_what_happens_in_a_cart_reaches_who_has_registered(shop: Shop) -> None:
    async with receiving() as receiver, receiving() as sharing:
        hook = await shop.register(receiver, description="Back office")
        shares = await shop.register(sharing, types=["cartroom.cart.share"])
        ana, ben = await shop.server.account("Ana"), await shop.server.account("Ben")
        async with shop.server.connect(ana) as client:
            cart = await client.create(name="Picnic")
            await client.add(cart, "APPLE")
            await client.share(cart, ben)
            await client.refusal(
                "out_of_stock",
                "cart.op",
                cart=cart,
                op_id=client.next_op_id(),
                op={"kind": "add", "items": [{"sku": "APPLE", "qty": 100}]},
            )
            await client.op(cart, "rename", name="Our picnic")
            history = (await client.request("cart.history", cart=cart))["ops"]
        await receiver.until(len(history))
        await sharing.until(1)
        assert [one.rev for one in receiver.got] == [one["rev"] for one in history]
        for got, op in zip(receiver.got, history, strict=True):
            schema = json.loads((EVENTS / f"{got.body['type']}.json").read_text())
            Draft202012Validator(schema).validate(got.body["data"])
            assert got.body["type"] == f"cartroom.cart.{op['op']['kind']}"
            assert got.body["timestamp"] == got.body["data"]["at"] == op["at"]
            assert got.body["data"]["cart"] == cart
            assert got.body["data"]["op_id"] == op["op_id"]
            assert b"Ana" not in got.raw
            assert b"@" not in got.raw
        assert [one.body["type"] for one in sharing.got] == ["cartroom.cart.share"]
        found = await shop.settled(hook["id"], delivered=len(history))
        assert [one["id"] for one in found] == [one.id for one in receiver.got][::-1]
        assert found[0]["key"] == cart
        assert found[0]["at"] == history[-1]["at"]
        assert found[0]["last"]["status"] == 204
        assert len(await shop.settled(shares["id"], delivered=1)) == 1


async def test_what_becomes_of_invitations_and_products_reaches_them_too(shop: Shop) -> None:
    cast = Cast(shop.server)
    ana, seller = await cast.one(policy.CUSTOMER), await cast.one(policy.SELLER)
    async with receiving() as receiver, shop.server.connect(ana.account) as client:
        hook = await shop.register(receiver, types=["cartroom.invitation.*", "cartroom.product.*"])
        cart = await client.create()
        await client.request("cart.invite", cart=cart, email="cem@shop.example", role="viewer")
        await client.op(cart, "delete")
        path = f"{shop.server.url}/api/v1/catalog/products/BREAD"
        async with shop.server.http.patch(
            path, json={"name": "Rye bread"}, headers=seller.headers
        ) as response:
            assert response.status == 200, await response.text()
        await receiver.until(3)
        found = await shop.settled(hook["id"], delivered=3)
    for got in receiver.got:
        check_data(got.body["type"], got.body["data"])
        assert b"cem" not in got.raw
    types = [one.body["type"] for one in receiver.got]
    assert [one for one in types if "invitation" in one] == [
        "cartroom.invitation.created",
        "cartroom.invitation.withdrawn",
    ]
    (bread,) = [one.body["data"] for one in receiver.got if "sku" in one.body["data"]]
    assert (bread["sku"], bread["name"]) == ("BREAD", "Rye bread")
    assert {one["key"] for one in found} == {cart, "BREAD"}


async def test_a_test_event_arrives_and_is_sent_again(shop: Shop) -> None:
    async with receiving() as receiver:
        hook = await shop.register(receiver, types=["cartroom.product.*"])
        sent = await shop.done("POST", f"/{hook['id']}/test")
        assert (sent["type"], sent["attempts"], sent["last"]) == ("cartroom.webhook.test", 0, None)
        await shop.settled(hook["id"], delivered=1)
        again = await shop.done("POST", f"/{hook['id']}/deliveries/{sent['id']}/replay")
        assert again["id"] == sent["id"]
        await receiver.until(2)
        (found,) = await shop.settled(hook["id"], delivered=1)
        assert found["attempts"] == 2
    assert {one.id for one in receiver.got} == {sent["id"]}
    assert receiver.got[0].body["data"] == {"webhook": hook["id"]}


async def test_a_type_that_there_isn_t_is_refused_by_name(shop: Shop) -> None:
    url = "http://127.0.0.1:9/"
    hook = await shop.done("POST", "", {"url": url, "types": [*NAMES]})
    assert hook["unknown_types"] == []
    for wrong, told in {
        "cartroom.cart.ad": "Did you mean cartroom.cart.add or ",
        "cartroom.product.change": "Did you mean cartroom.product.changed or ",
        "cartroom.cart": "Did you mean cartroom.cart.* or ",
        "orders.created": "Known: cartroom.cart.add, ",
    }.items():
        body = {"types": ["cartroom.cart.*", wrong]}
        for method, path in (("POST", ""), ("PATCH", f"/{hook['id']}")):
            fields = {**body, "url": url} if method == "POST" else body
            problem = await shop.refused(400, method, path, fields)
            assert problem["code"] == "bad_request"
            ((index, (text,)),) = problem["errors"]["types"].items()
            assert index == "1"
            assert text.startswith(f"There is no type {wrong}. {told}"), text
    for wrong in ("", "Grüße \x00", "x" * 101):
        body = {"types": [wrong]}
        problem = await shop.refused(400, "PATCH", f"/{hook['id']}", body)
        assert problem["errors"]["types"]["0"][0].startswith("There is no type. Known: ")
    assert (await shop.done("GET", f"/{hook['id']}"))["types"] == [*NAMES]


async def test_one_of_before_with_a_type_that_there_isn_t_goes_on(shop: Shop) -> None:
    types = ["cartroom.cart.ad", "cartroom.cart.create"]
    async with receiving() as receiver, shop.server.connect(await shop.server.account()) as client:
        webhooks = shop.server.app[keys.WEBHOOKS]
        made = await webhooks.register("usr_admin", url=receiver.url, types=types)
        receiver.secrets.append(made.secret)
        found = await shop.done("PATCH", f"/{made.id}", {"description": "Old"})
        assert (found["types"], found["unknown_types"]) == (types, types[:1])
        assert (await shop.done("GET"))["items"] == [found]
        await client.create()
        await receiver.until(1)


async def test_a_secret_is_told_once_and_replaced(shop: Shop) -> None:
    async with receiving() as receiver:
        hook = await shop.register(receiver)
        path = f"/{hook['id']}"
        listed = await shop.done("GET")
        seen = await shop.done("GET", path)
        changed = await shop.done("PATCH", path, {"description": "New"})
        assert "whsec_" not in json.dumps([listed, seen, changed])
        rotated = await shop.done("POST", f"{path}/rotate-secret")
        assert rotated["secret"] != hook["secret"]
        assert len(rotated["old_secrets_until"]) == 1
        receiver.secrets.append(rotated["secret"])
        await shop.done("POST", f"{path}/test")
        await receiver.until(1)
        assert set(receiver.got[0].signed_by) == {hook["secret"], rotated["secret"]}
        for _ in range(OLD_SECRETS_MAX - 1):
            await shop.done("POST", f"{path}/rotate-secret")
        problem = await shop.refused(409, "POST", f"{path}/rotate-secret")
        assert problem["code"] == "conflict"
        await shop.done("POST", f"{path}/test")
        await receiver.until(2)  # nobody has had to know the newer ones yet


async def test_switched_off_on_and_removed(shop: Shop) -> None:
    async with receiving() as receiver:
        receiver.answer = lambda got: 410
        hook = await shop.register(receiver)
        path = f"/{hook['id']}"
        await shop.done("POST", f"{path}/test")
        await shop.settled(hook["id"], failed=1)

        async def off() -> Any:
            found = await shop.done("GET", path)
            return None if found["enabled"] else found

        found = await eventually(off, WAIT_S)
        assert found["reason"] == "gone"
        assert found["disabled_at"].endswith("Z")
        for action in ("test", "replay"):
            body = {} if action == "replay" else None
            assert (await shop.refused(409, "POST", f"{path}/{action}", body))["code"] == "conflict"

        receiver.answer = lambda got: 200
        found = await shop.done("PATCH", path, {"enabled": True})
        assert (found["enabled"], found["reason"], found["disabled_at"]) == (True, None, None)
        replayed = await shop.done("POST", f"{path}/replay", {})
        assert replayed == {"replayed": 1, "next_cursor": None}
        await shop.settled(hook["id"], delivered=1)
        since = {"since": "2026-01-01T00:00:00+02:00", "failed_only": False}
        assert (await shop.done("POST", f"{path}/replay", since))["replayed"] == 1
        late = {"since": "2999-01-01T00:00:00Z", "failed_only": False}
        assert (await shop.done("POST", f"{path}/replay", late))["replayed"] == 0
        for since in ("yesterday", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00"):
            problem = await shop.refused(400, "POST", f"{path}/replay", {"since": since})
            assert list(problem["errors"]) == ["since"]

        found = await shop.done("PATCH", path, {"enabled": False})
        assert found["reason"] == "admin"
        await shop.done("DELETE", path)
        assert (await shop.done("GET"))["items"] == []
        for method, sub in (("GET", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", "/test")):
            assert (await shop.refused(404, method, path + sub))["code"] == "not_found"
        await shop.refused(404, "POST", f"{path}/deliveries/msg_none/replay")


async def test_pages(shop: Shop) -> None:
    async with receiving() as receiver:
        hooks = [await shop.register(receiver) for _ in range(3)]
        page = await shop.done("GET", "?limit=2")
        rest = await shop.done("GET", f"?limit=2&cursor={page['next_cursor']}")
        ids = [one["id"] for one in page["items"] + rest["items"]]
        assert ids == [one["id"] for one in hooks]
        assert rest["next_cursor"] is None

        path = f"/{hooks[0]['id']}"
        sent = [(await shop.done("POST", f"{path}/test"))["id"] for _ in range(5)]
        await shop.settled(hooks[0]["id"], delivered=5)
        found: list[str] = []
        query = "?limit=2&status=delivered"
        while True:
            page = await shop.done("GET", f"{path}/deliveries{query}")
            found += [one["id"] for one in page["items"]]
            if page["next_cursor"] is None:
                break
            query = f"?limit=2&status=delivered&cursor={page['next_cursor']}"
        assert sorted(found) == sorted(sent)
        assert (await shop.done("GET", f"{path}/deliveries?status=failed"))["items"] == []


async def test_there_are_so_many_at_most(shop: Shop) -> None:
    webhooks = shop.server.app[keys.WEBHOOKS]
    for _ in range(ENDPOINTS_MAX):
        await webhooks.register("usr_admin", url="http://127.0.0.1:9/", types=["cartroom.none"])
    problem = await shop.refused(409, "POST", "", {"url": "http://127.0.0.1:9/"})
    assert str(ENDPOINTS_MAX) in problem["detail"]
    assert len((await shop.done("GET", "?limit=100"))["items"]) == ENDPOINTS_MAX


async def test_those_registered_at_once_are_no_more_than_that(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "ENDPOINTS_MAX", 1)
    body = {"url": "http://127.0.0.1:9/", "types": ["cartroom.product.changed"]}
    add, made = WebhookEndpoints.add, []

    async def after_another(self: WebhookEndpoints, endpoint: Endpoint) -> None:
        if not made:
            made.append(endpoint.id)
            await shop.done("POST", "", body)
        await add(self, endpoint)

    monkeypatch.setattr(WebhookEndpoints, "add", after_another)
    await shop.refused(409, "POST", "", body)
    (left,) = (await shop.done("GET"))["items"]
    assert left["id"] not in made


async def test_who_changes_them_is_noted_and_no_secret(shop: Shop) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("commerce.security")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        hook = await shop.done("POST", "", {"url": "http://127.0.0.1:9/x?key=hidden"})
        await shop.done("PATCH", f"/{hook['id']}", {"types": ["cartroom.cart.add"]})
        rotated = await shop.done("POST", f"/{hook['id']}/rotate-secret")
        await shop.done("POST", f"/{hook['id']}/replay", {})
        await shop.done("DELETE", f"/{hook['id']}")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(one["event"], one["by"], one["webhook"]) for one in lines] == [
        (f"webhook_{event}", shop.admin.user, hook["id"])
        for event in ("created", "changed", "secret_rotated", "replayed", "deleted")
    ]
    for secret in (hook["secret"], rotated["secret"], "hidden", "127.0.0.1"):
        assert secret not in stream.getvalue()


async def test_without_the_setting_only_public_addresses(server: Server) -> None:
    shop = Shop(server, await Cast(server).one(policy.ADMIN))
    for url in ("http://127.0.0.1:9/", "https://127.0.0.1/", "https://shop.example:22/"):
        problem = await shop.refused(400, "POST", "", {"url": url})
        assert list(problem["errors"]) == ["url"]
    assert (await shop.done("POST", "", {"url": "https://hooks.shop.example/"}))["enabled"]
