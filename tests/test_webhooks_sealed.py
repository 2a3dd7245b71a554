"""Webhooks' secrets lie sealed in the store, are opened to sign, and survive another key."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from commerce.webhooks.service import Webhooks
from server.settings import Settings
from server.webhooks import webhook_endpoints
from storage.mongo import Database
from storage.sealing import PREFIX, Sealing
from storage.webhook_deliveries import WebhookDeliveries
from storage.webhook_endpoints import Endpoint, WebhookEndpoints
from tests.client import running_server
from tests.helpers import eventually
from tests.post import Post, post
from tests.receiving import WAIT_S, receiving

OLD, NEW = b"o" * 32, b"n" * 32
PLAIN = "whsec_" + base64.b64encode(b"plain" * 6).decode()


async def dump(database: Database) -> str:
    """The whole collection, as a backup has it."""
    return str(await database.collection("webhook_endpoints").find({}).to_list(None))


async def stored(database: Database, endpoint: Endpoint) -> dict[str, Any]:
    found = await database.collection("webhook_endpoints").find_one({"_id": endpoint.id})
    assert found is not None
    return found


async def lay_open(database: Database, endpoint: Endpoint, old: str = PLAIN) -> None:
    """Have the secrets lie as an earlier version stored them."""
    values = {"secret": PLAIN, "old": [{"secret": old, "until": 4_000_000_000_000}]}
    await database.collection("webhook_endpoints").update_one(
        {"_id": endpoint.id}, {"$set": values}
    )


def under(database: Database, *keys: bytes) -> WebhookEndpoints:
    return WebhookEndpoints(database, Sealing(keys))


async def the_only(endpoints: WebhookEndpoints) -> Endpoint:
    (found,) = await endpoints.all()
    assert await endpoints.find(found.id) == found
    return found


async def test_a_copy_of_the_collection_holds_no_secret(database: Database) -> None:
    async with receiving() as receiver, post(database) as shop:
        endpoint = await shop.register(receiver)
        rotated = await shop.admin.rotate("usr_admin", endpoint.id)
        secrets = (endpoint.secret, rotated.endpoint.secret)
        assert (await the_only(shop.endpoints)).signing_secrets(0) == secrets[::-1]
        copy = await dump(database)
        for secret in secrets:
            assert secret is not None
            raw = base64.b64decode(secret.removeprefix("whsec_"))
            for shown in (secret, secret.removeprefix("whsec_"), raw.hex(), repr(raw)):
                assert shown not in copy
        assert copy.count(PREFIX) == 2
        await shop.happen("crt_a")
        await receiver.until(1)
    assert receiver.got[0].signed_by == (endpoint.secret,)


async def test_one_of_before_goes_on_and_is_sealed(database: Database) -> None:
    async with receiving() as receiver, post(database) as shop:
        receiver.secrets.append(PLAIN)
        endpoint = await shop.admin.register("usr_admin", url=receiver.url)
        await lay_open(database, endpoint)
        await shop.happen("crt_a")
        await receiver.until(1)
        assert await shop.endpoints.reseal() == []
        assert PLAIN not in await dump(database)
        sealed = await stored(database, endpoint)
        assert await shop.endpoints.reseal() == []
        assert await stored(database, endpoint) == sealed
        await shop.happen("crt_a")
        await receiver.until(2)
        # So is one that is replaced before it was sealed.
        await lay_open(database, endpoint)
        await shop.admin.rotate("usr_admin", endpoint.id)
        assert "whsec_" not in await dump(database)
        assert PLAIN in (await the_only(shop.endpoints)).signing_secrets(0)


async def test_another_key_takes_the_place_of_the_old_one(database: Database) -> None:
    before, both, after = under(database, OLD), under(database, NEW, OLD), under(database, NEW)
    async with post(database, deliver=False, sealing=Sealing([OLD])) as shop:
        made = await shop.register("http://127.0.0.1:9/")
        rotated = await shop.admin.rotate("usr_admin", made.id)
    secrets = (rotated.endpoint.secret, made.secret)
    assert (await the_only(after)).signing_secrets(0) == ()
    assert await after.reseal() == [made.id]  # and nothing is lost by that
    assert (await the_only(both)).signing_secrets(0) == secrets
    assert await both.reseal() == []
    assert (await the_only(after)).signing_secrets(0) == secrets
    assert (await the_only(before)).signing_secrets(0) == ()


async def test_a_worker_seals_anew_as_it_starts(settings: Settings, database: Database) -> None:
    endpoints, deliveries = webhook_endpoints(settings, database), WebhookDeliveries(database)
    before = Webhooks(endpoints, deliveries, private=True, give_up_s=600.0)
    made = [await before.register("usr_a", url="http://127.0.0.1:9/") for _ in range(2)]
    await lay_open(database, made[0])
    moved = replace(
        settings,
        workers=("webhooks",),
        webhooks_private=True,
        jwt_secret="another one, of more than 32 characters",
        jwt_secrets_old=(settings.jwt_secret or "",),
    )
    async with running_server(moved):
        pass
    assert "whsec_" not in await dump(database)
    only = webhook_endpoints(replace(moved, jwt_secrets_old=()), database)
    assert {one.secret for one in await only.all()} == {PLAIN, made[1].secret}


async def test_what_is_sealed_opens_nowhere_else_and_not_changed(database: Database) -> None:
    async with post(database, deliver=False) as shop:
        one, other = [await shop.register("http://127.0.0.1:9/") for _ in range(2)]
        sealed = (await stored(database, one))["secret"]
        collection = database.collection("webhook_endpoints")
        flipped = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
        await collection.update_one({"_id": one.id}, {"$set": {"secret": flipped}})
        for wrong in (sealed, f"{PREFIX}f.{sealed[16:]}", f"{PREFIX}x", sealed[:20]):
            await collection.update_one({"_id": other.id}, {"$set": {"secret": wrong}})
            found = await shop.endpoints.find(other.id)
            assert found is not None
            assert found.secret is None, wrong
        assert set(await shop.endpoints.reseal()) == {one.id, other.id}


async def test_without_a_secret_nothing_is_sent_until_there_is_one(database: Database) -> None:
    async with post(database, deliver=False, sealing=Sealing([OLD])) as shop:
        endpoint = await shop.register("http://127.0.0.1:9/")
    async with receiving() as receiver, post(database, sealing=Sealing([NEW])) as shop:
        await shop.admin.change("usr_admin", endpoint.id, {"url": receiver.url})
        await shop.happen("crt_a", 2)
        await tried(shop, endpoint)
        rotated = await shop.admin.rotate("usr_admin", endpoint.id)
        assert rotated.endpoint.old == ()
        receiver.secrets.append(rotated.endpoint.secret or "")
        await shop.settled(endpoint, delivered=2)
    assert receiver.refused == []
    assert [one.rev for one in receiver.got] == [1, 2]


async def tried(shop: Post, endpoint: Endpoint) -> None:
    """Wait until a delivery was tried, and see what kept it."""

    async def last() -> Any:
        return (await shop.all(endpoint))[0].last

    answer = await eventually(last, WAIT_S)
    assert (answer.status, answer.error) == (None, "secret")


async def test_who_has_looked_before_it_was_sealed_anew_replaces_nothing(
    database: Database,
) -> None:
    async with post(database, deliver=False) as shop:
        endpoint = await shop.register("http://127.0.0.1:9/")
        await lay_open(database, endpoint)
        looked = await the_only(shop.endpoints)
        await shop.endpoints.reseal()
        assert not await shop.endpoints.rotate(looked, "whsec_other", ())
        assert (await the_only(shop.endpoints)).secret == PLAIN
