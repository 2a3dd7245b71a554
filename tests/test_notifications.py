"""What members are told of what happened while they were away, over real sockets."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from events.notifications.sink import NotifierSink
from events.sink import CartEvents
from handlers import keys
from server.settings import Settings
from storage.notifications import Notifications
from storage.seen import Seen
from storage.times import now_ms
from tests.client import APPLE, BREAD, Account, Client, Message, Server, running_server
from tests.helpers import eventually
from tests.instances import environment
from tests.people import Person, person
from tests.serving import launch

PATIENCE_S = 60.0


@pytest.fixture
def hasty(settings: Settings) -> Settings:
    """A service that tells at once, so nobody can be there in time."""
    return replace(
        settings,
        workers=("notify",),
        notify_after_s=0.05,
        seen_every_s=1_000.0,
        follow_every_s=0.05,
    )


@pytest.fixture
async def service(hasty: Settings) -> AsyncIterator[Server]:
    async with running_server(hasty) as server:
        await server.products(APPLE, BREAD)
        yield server


@dataclass
class Telling:
    """Who away members are told by. While `go` is cleared, it waits, whatever is to be told."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    ages_ms: list[int] = field(default_factory=list)
    """How old what it was given was then."""


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> Telling:
    deliver, telling = NotifierSink.deliver, Telling()

    async def when_let(self: NotifierSink, carts: Sequence[CartEvents]) -> Mapping[str, int]:
        events = [event for one in carts for event in one.events]
        telling.ages_ms += [now_ms() - event.time_ms for event in events]
        await telling.go.wait()
        return await deliver(self, carts)

    monkeypatch.setattr(NotifierSink, "deliver", when_let)
    return telling


async def noted(server: Server, cart: str, rev: int, *users: Account) -> None:
    """Wait until the store knows that these have seen the cart up to there."""
    seen = Seen(server.app[keys.DATABASE])

    async def stored() -> bool:
        known = await seen.of_cart(cart)
        return all(known.get(one.user, 0) >= rev for one in users)

    await eventually(stored, PATIENCE_S, f"rev {rev} to be noted as seen")


async def listed(client: Client, **fields: Any) -> list[Message]:
    return list((await client.request("notifications.list", **fields))["notifications"])


async def told(client: Client, kind: str, count: int = 1) -> Message:
    """The user's latest notification of a kind, once it tells of so many ops."""

    async def found() -> Message | None:
        for one in await listed(client):
            if one["kind"] == kind and one["count"] >= count:
                return one
        return None

    return await eventually(found, PATIENCE_S, f"{kind} of {count}")


async def pushed(client: Client, unread: int, *, read: bool = False) -> Message:
    """The next push about the inbox that says so many are unread, or so many are left so."""

    def found() -> Message | None:
        for one in client.pushes:
            if one["type"] == "notification" and one["kind"] == "inbox":
                client.pushes.remove(one)
                return one if one["unread"] == unread and bool(one["read"]) == read else None
        return None

    return await eventually(found, PATIENCE_S, f"a push with {unread} unread")


@asynccontextmanager
async def shared(server: Server, *others: Account) -> AsyncIterator[tuple[Account, Client, str]]:
    """Ana, and a cart that she shares with these; they haven't opened it."""
    ana = await server.account("Ana")
    async with server.connect(ana) as client:
        cart = await client.create(name="Picnic")
        if others:
            await client.share(cart, *others)
        yield ana, client, cart


async def test_who_was_away_is_told_and_who_was_there_is_not(
    hasty: Settings, telling: Telling
) -> None:
    """On whichever instance they are."""
    patient = replace(hasty, notify_after_s=1.0, seen_every_s=0.2)
    async with running_server(patient) as first, running_server(patient) as second:
        await first.products(APPLE, BREAD)
        bea, cem = await first.account("Bea"), await first.account("Cem")
        async with (
            second.connect(bea) as there,
            second.connect(cem) as away,
            shared(first, bea, cem) as (ana, owner, cart),
        ):
            await there.join(cart)
            await owner.add(cart, "APPLE", 2)
            await owner.add(cart, "APPLE", 1)
            await owner.add(cart, "BREAD")
            reply = await owner.op(cart, "rename", name="Feast")
            await there.reach(cart, reply["rev"])

            async def stay() -> None:
                while True:  # as a client does that lives
                    await there.ask("ping")
                    await asyncio.sleep(0.05)

            staying = asyncio.create_task(stay())
            await noted(first, cart, reply["rev"], bea)
            staying.cancel()
            telling.go.set()
            one = await told(away, "changes", 4)
            assert min(telling.ages_ms) >= 1_000
            push = await pushed(away, 2)
            assert push["notification"]["cart"] == cart
            assert one["by"] == {"user": ana.user, "name": "Ana"}
            assert (one["cart_name"], one["count"], one["read"]) == ("Feast", 4, False)
            assert one["kinds"] == {"add": 3, "rename": 1}
            assert [(line["sku"], line["qty"]) for line in one["lines"]] == [
                ("APPLE", 3),
                ("BREAD", 1),
            ]
            assert (one["first_rev"], one["last_rev"]) == (3, reply["rev"])
            assert [found["kind"] for found in await listed(away)] == ["changes", "shared"]
            assert await listed(there) == []
            assert await listed(owner) == []


async def test_a_connection_that_nobody_is_at_has_seen_nothing(hasty: Settings) -> None:
    """What is written to a dead connection is taken by the network for most of a minute."""
    async with running_server(replace(hasty, seen_every_s=0.05)) as server:
        bea = await server.account("Bea")
        async with (
            shared(server, bea) as (_, owner, cart),
            server.connect(bea) as dead,
            server.connect(bea) as alive,
        ):
            await dead.join(cart)
            # So that what she said last is some time ago.
            await owner.op(cart, "rename", name="Feast")
            await told(alive, "changes")
            assert (await owner.op(cart, "note", text="Here?"))["rev"] == 4
            assert (await told(alive, "changes", 2))["last_rev"] == 4


async def test_who_leaves_has_seen_it_to_the_end(hasty: Settings, telling: Telling) -> None:
    """By leaving the cart, or by closing the page."""
    patient = replace(hasty, seen_every_s=0.2)
    async with running_server(patient) as server:
        bea, cem, dora = [await server.account(name) for name in ("Bea", "Cem", "Dora")]
        async with (
            server.connect(bea) as closing,
            server.connect(cem) as leaving,
            server.connect(dora) as away,
            shared(server, bea, cem, dora) as (_, owner, cart),
        ):
            for one in (closing, leaving):
                await one.join(cart)
            rev = (await owner.op(cart, "rename", name="Feast"))["rev"]
            for one in (closing, leaving):
                await one.reach(cart, rev)
            await leaving.request("cart.leave", cart=cart)
            await closing.close()
            await noted(server, cart, rev, bea, cem)
            telling.go.set()
            assert (await told(away, "changes"))["last_rev"] == rev
            async with server.connect(bea) as again:
                assert await listed(again) == []
            assert await listed(leaving) == []


async def test_all_devices_know_what_is_unread(service: Server) -> None:
    bea = await service.account("Bea")
    async with (
        shared(service, bea) as (_, owner, cart),
        service.connect(bea) as phone,
        service.connect(bea) as laptop,
    ):
        (first,) = [await told(phone, "shared")]
        await owner.add(cart, "APPLE")
        one = await told(phone, "changes")
        for device in (phone, laptop):
            push = await pushed(device, 2)
            assert push["notification"]["id"] == one["id"]
        assert await listed(laptop) == [one, first]

        reply = await laptop.request("notifications.read", ids=[one["id"], "ntf_none"])
        assert reply["unread"] == 1
        for device in (phone, laptop):
            push = await pushed(device, 1, read=True)
            assert push == {
                "type": "notification",
                "kind": "inbox",
                "version": reply["version"],
                "unread": 1,
                "notification": None,
                "read": [one["id"]],
            }
        assert await listed(phone) == [{**one, "read": True}, first]

        await owner.add(cart, "BREAD")
        more = await told(phone, "changes", 2)
        assert (more["id"], more["read"]) == (one["id"], False)
        assert (more["first_rev"], more["last_rev"]) == (3, 4)
        assert (await phone.request("notifications.read"))["unread"] == 0
        assert (await laptop.request("notifications.read"))["unread"] == 0


async def test_pages(service: Server) -> None:
    bea = await service.account("Bea")
    async with service.connect(bea) as client, shared(service) as (_, owner, cart):
        carts = [cart, *[await owner.create() for _ in range(4)]]
        for each in carts:
            await owner.share(each, bea)
        await eventually(lambda: has(client, 5), PATIENCE_S)
        whole = await listed(client)
        assert {one["cart"] for one in whole} == set(carts)
        found, cursor = [], None
        for _ in range(3):
            page = await client.request("notifications.list", limit=2, cursor=cursor)
            found += page["notifications"]
            cursor = page.get("cursor")
        assert found == whole
        assert cursor is None
        await client.refusal("bad_request", "notifications.list", cursor="no cursor")
        await client.refusal("bad_request", "notifications.list", limit=0)
        await client.refusal("bad_request", "notifications.read", ids=[""])


async def test_a_worker_reaches_sockets_that_it_has_not(hasty: Settings) -> None:
    """`cartroom worker notify` beside two instances without a notifier."""
    alone = replace(hasty, workers=("none",))
    async with running_server(alone) as first, running_server(alone) as second:
        bea = await first.account("Bea")
        env = environment(replace(alone, workers=None))
        worker = await launch("worker", "notify", env=env, stdout=DEVNULL, stderr=DEVNULL)
        try:
            async with shared(first, bea) as (ana, _, cart), second.connect(bea) as client:
                await told(client, "shared")
                one = (await pushed(client, 1))["notification"]
                assert (one["kind"], one["cart"], one["cart_name"]) == ("shared", cart, "Picnic")
                assert one["by"] == {"user": ana.user, "name": "Ana"}
        finally:
            worker.terminate()
            assert await worker.wait() == 0


async def has(client: Client, count: int) -> bool:
    return len(await listed(client)) == count


async def test_muting_a_cart(service: Server) -> None:
    bea, stranger = await service.account("Bea"), await service.account("Cem")
    async with shared(service, bea) as (_, owner, cart), service.connect(bea) as client:
        await told(client, "shared")
        reply = await client.request("cart.mute", cart=cart, muted=True)
        assert (reply["cart"], reply["muted"]) == (cart, True)
        assert [row["muted"] for row in (await client.request("cart.list"))["carts"]] == [True]
        assert [row["muted"] for row in (await owner.request("cart.list"))["carts"]] == [False]
        await owner.add(cart, "APPLE")
        # What comes later is told, so what came before has been passed over.
        other = await owner.create()
        await owner.share(other, bea)
        await eventually(lambda: has(client, 2), PATIENCE_S)
        assert {one["kind"] for one in await listed(client)} == {"shared"}
        await client.request("cart.mute", cart=cart, muted=False)
        await owner.add(cart, "BREAD")
        one = await told(client, "changes")
        assert one["kinds"] == {"add": 1}
        await client.request("cart.mute", cart=cart, muted=True)
        await owner.op(cart, "unshare", user=bea.user)
        assert (await told(client, "removed"))["by"]["name"] == "Ana"
        await client.refusal("not_found", "cart.mute", cart=cart, muted=True)
        async with service.connect(stranger) as intruder:
            await intruder.refusal("not_found", "cart.mute", cart=cart, muted=True)
            await intruder.refusal("bad_request", "cart.mute", cart=cart)


async def muted(device: Client) -> bool:
    """What the device is told next of a cart that was muted."""

    def found() -> Message | None:
        for one in device.pushes:
            if one["type"] == "notification" and one["kind"] == "cart.muted":
                device.pushes.remove(one)
                return one
        return None

    told = await eventually(found, PATIENCE_S, "a push that a cart was muted")
    assert set(told) == {"type", "kind", "cart", "muted"}
    return bool(told["muted"])


async def test_all_devices_know_what_is_muted_and_nobody_else(hasty: Settings) -> None:
    """On whichever instance they are."""
    quiet = replace(hasty, workers=("none",))
    async with running_server(quiet) as first, running_server(quiet) as second:
        bea = await first.account("Bea")
        async with (
            shared(first, bea) as (_, owner, cart),
            first.connect(bea) as phone,
            second.connect(bea) as laptop,
        ):
            for device, wanted in ((phone, True), (laptop, False), (laptop, True)):
                await device.request("cart.mute", cart=cart, muted=wanted)
                for each in (phone, laptop):
                    assert await muted(each) is wanted
            await phone.refusal("not_found", "cart.mute", cart="crt_none", muted=True)
            # The refusal came over the same way, so there is nothing behind it.
            assert [one for one in phone.pushes if one.get("kind") == "cart.muted"] == []
            await owner.request("ping")
            assert [one for one in owner.frames if one.get("kind") == "cart.muted"] == []


async def test_being_let_in_taken_out_and_the_end_of_a_cart(service: Server) -> None:
    bea, cem = await service.account("Bea"), await service.account("Cem")
    async with (
        shared(service, bea, cem) as (ana, owner, cart),
        service.connect(bea) as b,
        service.connect(cem) as c,
    ):
        one = await told(b, "shared")
        assert (one["cart"], one["cart_name"], one["count"]) == (cart, "Picnic", 1)
        await owner.op(cart, "rename", name="Feast")
        await owner.op(cart, "unshare", user=bea.user)
        assert (await told(b, "removed"))["cart_name"] == "Feast"
        await owner.op(cart, "rename", name="A surprise for Bea")
        await owner.op(cart, "delete")
        assert (await told(c, "deleted"))["by"] == {"user": ana.user, "name": "Ana"}
        # She isn't told what it was called after she was out.
        assert {one["cart_name"] for one in await listed(b)} == {"Feast", "Picnic"}
        changes = await told(c, "changes")
        assert changes["kinds"] == {"rename": 2, "unshare": 1}
        assert await listed(owner) == []


async def test_opening_a_cart_marks_what_tells_of_it_as_read(service: Server) -> None:
    bea = await service.account("Bea")
    async with (
        shared(service, bea) as (_, owner, cart),
        service.connect(bea) as phone,
        service.connect(bea) as laptop,
    ):
        other = await owner.create()
        await owner.share(other, bea)
        await owner.add(cart, "APPLE")
        await told(phone, "changes")
        await eventually(lambda: has(phone, 3), PATIENCE_S)
        await phone.join(cart)
        push = await pushed(laptop, 1, read=True)
        assert len(push["read"]) == 2
        assert [one["cart"] for one in await listed(laptop) if not one["read"]] == [other]


async def test_the_oldest_make_room(service: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.notifications.NOTIFICATIONS_MAX", 3)
    bea = await service.account("Bea")
    async with shared(service) as (_, owner, cart), service.connect(bea) as client:
        carts = [cart, *[await owner.create() for _ in range(4)]]
        for each in carts:
            await owner.share(each, bea)
            await eventually(lambda each=each: tells_of(client, each), PATIENCE_S)
        assert [one["cart"] for one in await listed(client)] == carts[:1:-1]


async def test_what_a_guest_was_told_goes_to_the_account(service: Server) -> None:
    """Also what is told later of what happened before."""
    bea, guest = await person(service, "Bea"), Person(service, "")
    answer = await guest.done("POST", "guest", {"name": "Gus"})
    guest.id, guest.token = answer["user"]["id"], answer["access_token"]
    async with shared(service, guest.account) as (_, owner, cart):
        async with service.connect(guest.account) as client:
            await told(client, "shared")
            await client.request("cart.mute", cart=cart, muted=True)
        other = await owner.create()
        await owner.share(other, guest.account)
        credentials = {"email": bea.email, "password": bea.password}
        answer = await guest.done("POST", "login", credentials)
        account = replace(bea.account, token=answer["access_token"])
        async with service.connect(account) as client:
            carts = (await client.request("cart.list"))["carts"]
            assert {one["cart"]: one["muted"] for one in carts} == {cart: True, other: False}
            await eventually(lambda: has(client, 2), PATIENCE_S)
            found = await listed(client)
            assert {(one["kind"], one["cart"]) for one in found} == {
                ("shared", cart),
                ("shared", other),
            }
            await owner.add(other, "APPLE")
            assert (await told(client, "changes"))["cart"] == other
            changes = [one["kinds"] for one in await listed(owner)]
            assert changes == [{"merge": 1}] * 2
        kept = Notifications(service.app[keys.DATABASE])
        assert (await kept.inbox(guest.id)).items == ()


async def tells_of(client: Client, cart: str) -> bool:
    return cart in {one["cart"] for one in await listed(client)}
