"""Webhooks of products and invitations: told from the documents' own outbox, beside Kafka's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from commerce.catalog.documents import to_document
from commerce.catalog.product import Product
from events.documents import InvitationOutbox, Outbox, ProductOutbox, relay_some
from events.event import PRODUCT_CHANGED, Event
from events.sink import CartEvents
from events.webhooks import unhurried
from events.webhooks.unhurried import Unhurried
from storage.indexes import create_indexes
from storage.invitations import WEBHOOKS_MS, Invitation, Invitations, invitation_id
from storage.mongo import Database
from storage.products import Products
from storage.unsent import Place
from tests.event_schemas import check_data
from tests.post import QUICK, Post, TestClock, post
from tests.receiving import Got, receiving

TEA = Product("TEA", "Tea", 450, "EUR", 7)
MUG = Product("MUG", "Mug", 900, "EUR", None)
EMAIL = "bettina@shop.example"


def invitation(cart: str = "crt_1") -> Invitation:
    return Invitation(
        invitation_id(cart, EMAIL), cart, EMAIL, "editor", "usr_a", 1_000, 2_000, "hash"
    )


class Told:
    """A sink that takes everything."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def deliver(self, carts: Sequence[CartEvents]) -> Mapping[str, int]:
        for one in carts:
            self.events += one.events
        return {one.cart: one.last for one in carts}

    def taken(self) -> list[str]:
        """What came since this was asked, by the ends of ids and types."""
        came = [f"{one.type.rpartition('.')[2]} {one.sequence}" for one in self.events]
        self.events.clear()
        return came


@pytest.fixture
async def store(database: Database) -> Database:
    await create_indexes(database)
    return database


async def tell(outbox: Outbox, sink: Told) -> list[str]:
    while await relay_some(outbox, sink):
        pass
    return sink.taken()


def outboxes(documents: Products | Invitations) -> tuple[Outbox, Outbox]:
    """For Kafka and for webhooks."""
    kind = ProductOutbox if isinstance(documents, Products) else InvitationOutbox
    return kind(documents, Place.RELAY), kind(documents, Place.WEBHOOKS)


async def test_each_place_is_told_of_a_product_by_itself(store: Database) -> None:
    products, sink = Products(store), Told()
    relay, webhooks = outboxes(products)
    await products.upsert([to_document(TEA)])
    assert await tell(webhooks, sink) == ["changed 1"]
    await products.change("TEA", {"price": 475}, currency="EUR")
    assert await tell(relay, sink) == ["changed 2"]
    assert await tell(webhooks, sink) == ["changed 2"]
    assert [await tell(one, sink) for one in (relay, webhooks)] == [[], []]
    (left,) = await store.collection("products").find({}).to_list(None)
    assert "unsent" not in left


async def test_each_place_is_told_each_step_of_an_invitation_once(store: Database) -> None:
    invitations, sink = Invitations(store, places=Place.ALL), Told()
    relay, webhooks = outboxes(invitations)
    await invitations.put(invitation(), EMAIL)
    assert await tell(relay, sink) == ["created 1"]
    await invitations.put(invitation(), EMAIL)
    assert await tell(relay, sink) == ["created 2"]
    await invitations.remove(invitation())
    assert await tell(webhooks, sink) == ["created 1", "created 2", "withdrawn 3"]
    assert await tell(relay, sink) == ["withdrawn 3"]
    assert await store.collection("invitations").find({}).to_list(None) == []
    await invitations.put(invitation(), EMAIL)
    await invitations.accept(invitation(), "usr_b")
    for outbox in (webhooks, relay):
        assert await tell(outbox, sink) == ["created 1", "accepted 2"]
    (left,) = await store.collection("invitations").find({}).to_list(None)
    assert not {"unsent", "steps", "told_relay", "told_webhooks"} & left.keys()


@pytest.mark.parametrize("is_ended", [False, True])
async def test_both_places_are_told_at_the_same_moment(store: Database, is_ended: bool) -> None:
    invitations = Invitations(store, places=Place.ALL)
    await invitations.put(invitation(), EMAIL)
    if is_ended:
        await invitations.remove(invitation())
    relay, webhooks = Place.RELAY, Place.WEBHOOKS
    told = {place: await invitations.unsent(9, place) for place in (relay, webhooks)}
    await invitations.sent(told[relay], relay)
    assert len(await invitations.unsent(9, webhooks)) == 1
    await invitations.sent(told[webhooks], webhooks)  # which looked before the other was told
    assert await invitations.unsent(9, webhooks) == []
    left = await store.collection("invitations").find({}).to_list(None)
    assert [one.get("steps") for one in left] == ([] if is_ended else [None])


async def test_what_ended_doesn_t_wait_for_webhooks_that_nobody_sends(store: Database) -> None:
    now = 10 * WEBHOOKS_MS
    invitations = Invitations(store, places=Place.ALL, now_ms=lambda: now)
    relay, _ = outboxes(invitations)
    lasting = replace(invitation("crt_2"), expires_at=2 * now)
    for one in (invitation(), lasting):
        await invitations.put(one, EMAIL)
    await invitations.remove_cart("crt_1")
    await invitations.remove_ended(now + WEBHOOKS_MS)  # Kafka is still to be told
    assert await store.collection("invitations").count_documents({}) == 2
    assert sorted(await tell(relay, Told())) == ["created 1", "created 1", "withdrawn 2"]
    await invitations.remove_ended(now + WEBHOOKS_MS - 1)
    assert await store.collection("invitations").count_documents({}) == 2
    await invitations.remove_ended(now + WEBHOOKS_MS)
    assert await invitations.of_cart("crt_2", 9) == [lasting]
    assert await store.collection("invitations").count_documents({}) == 1


# All the way


async def test_they_are_sent_once_and_in_order_whatever_dies(store: Database) -> None:
    """Whoever dies between putting in line and noting it has it put in line again."""
    products, invitations = Products(store), Invitations(store, places=Place.WEBHOOKS)
    _, of_products = outboxes(products)
    _, of_invitations = outboxes(invitations)
    async with receiving() as receiver, receiving() as some, post(store) as shop:
        endpoint = await shop.register(receiver)
        only = await shop.register(some, types=["cartroom.invitation.accepted"])
        failing = {"cartroom.invitation.created", PRODUCT_CHANGED}

        def answer(got: Got) -> int:
            fails = got.body["type"] in failing
            failing.discard(got.body["type"])
            return 500 if fails else 204

        receiver.answer = answer
        await products.upsert([to_document(TEA), to_document(MUG)])
        await invitations.put(invitation(), EMAIL)
        for outbox in (of_products, of_invitations):
            unsent = await outbox.documents.unsent(9, Place.WEBHOOKS)
            for one in unsent:
                events = tuple(outbox.events_of(one))
                await shop.sink.deliver([CartEvents(one.id, events, 1)])
            # Here somebody dies; who comes next knows nothing of it.
        await products.change("TEA", {"price": 475}, currency="EUR")
        await invitations.accept(invitation(), "usr_b")
        for outbox in (of_products, of_invitations):
            while await relay_some(outbox, shop.sink):
                pass
        await shop.settled(endpoint, delivered=5)
        await shop.settled(only, delivered=1)
    first = {one.id: one for one in reversed(receiver.got)}
    came = [one for one in receiver.got if first[one.id] is one]
    for got in came:
        check_data(got.body["type"], got.body["data"])
        assert b"bettina" not in got.raw
    of_tea = [one.body["data"] for one in came if one.body["data"].get("sku") == "TEA"]
    assert [(one["version"], one["price"]["amount"]) for one in of_tea] == [(1, 450), (2, 475)]
    assert [one.body["type"] for one in came if "invitation" in one.body["data"]] == [
        "cartroom.invitation.created",
        "cartroom.invitation.accepted",
    ]
    assert len(came) == 5
    assert [one.body["type"] for one in some.got] == ["cartroom.invitation.accepted"]


class Waited(TestClock):
    """Its monotonic side can be moved on, too."""

    waited_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.waited_s


async def imported(shop: Post, products: Products, sink: Unhurried, limit: int) -> int:
    """Tell of products three at a time, until that is held back or `limit` are told."""
    outbox, told = ProductOutbox(products, Place.WEBHOOKS), 0
    while told < limit and (count := await relay_some(outbox, sink, 3)):
        told += count
    return told


async def test_a_catalog_waits_where_it_is_for_receivers(store: Database) -> None:
    pace, clock, products = replace(QUICK, waiting_max=100), Waited(), Products(store)
    many = [Product(f"P{number}", f"Product {number}", 1, "EUR", None) for number in range(60)]
    async with post(store, pace, clock=clock, deliver=False) as shop:
        endpoint = await shop.register("http://127.0.0.1:9/")
        await shop.register("http://127.0.0.1:9/", types=["cartroom.cart.*"])
        sink = Unhurried(
            PRODUCT_CHANGED, shop.sink, shop.endpoints, shop.deliveries, pace, clock=clock
        )
        await products.upsert([to_document(one) for one in many])
        assert await imported(shop, products, sink, 60) == 12  # as soon as more than ten wait
        await shop.deliveries.forget(endpoint.id)
        assert await imported(shop, products, sink, 60) == 12
        # An endpoint that is never done isn't waited for any longer.
        clock.waited_s += unhurried.LULL_S / 2
        assert await imported(shop, products, sink, 3) == 0
        while not (told := await imported(shop, products, sink, 3)):
            assert clock.waited_s <= unhurried.HELD_S
            clock.waited_s += unhurried.LULL_S / 2
        assert told == 3
        assert clock.waited_s >= unhurried.HELD_S
        # What was meanwhile, nobody knows after a long time without anything to tell.
        clock.waited_s += unhurried.LULL_S + 1
        assert await imported(shop, products, sink, 3) == 0
        assert all(one.enabled for one in await shop.endpoints.all())
