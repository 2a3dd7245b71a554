"""What becomes of products and invitations is told, once each in effect, and without addresses."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from confluent_kafka import KafkaException

from commerce.catalog.documents import to_document
from commerce.catalog.importing import import_products
from commerce.catalog.product import Product
from commerce.mail import mailer as mailer_module
from events import documents
from events.documents import InvitationOutbox, ProductOutbox, relay_some
from events.sink import SinkAwayError
from storage.indexes import create_indexes
from storage.invitations import Invitation, Invitations, invitation_id
from storage.products import Products
from storage.unsent import Place
from tests.event_schemas import check_data, check_event
from tests.helpers import eventually
from tests.inviting import staged
from tests.published import first_deliveries, published

LONG_S = 120.0
TEA = Product("TEA", "Tea", 450, "EUR", 7, options={"Leaf": "green"}, tags=("hot",))
MUG = Product("MUG", "Mug", 900, "EUR", None, compare_at_price=1_200)


class Told:
    """A sink that takes events, unless it is away or `refuse` names the group."""

    def __init__(self):
        self.events = []
        self.away = False
        self.refuse = set()

    async def deliver(self, carts):
        if self.away:
            raise SinkAwayError
        taken = [one for one in carts if one.cart not in self.refuse]
        for one in taken:
            self.events += one.events
        return {one.cart: one.last for one in taken}


@pytest.fixture
def sink():
    return Told()


@pytest.fixture
async def store(database):
    await create_indexes(database)
    return database


# Products


async def test_a_product_is_told_as_it_is_after_its_changes(store, sink):
    products = Products(store, now_ms=lambda: 1_763_000_000_000)
    await import_products(products, [TEA, MUG])
    await products.change("TEA", {"price": 475}, currency="EUR")
    assert await relay_some(ProductOutbox(products), sink) == 2
    tea, mug = sorted(sink.events, key=lambda event: event.key, reverse=True)
    for event in (tea, mug):
        check_event(event)
    assert (tea.subject, tea.key, tea.sequence, tea.type) == (
        *("TEA", "TEA", 2),
        "cartroom.product.changed",
    )
    assert tea.data["price"] == {"amount": 475, "currency": "EUR"}
    assert (tea.data["options"], tea.data["tags"]) == ({"Leaf": "green"}, ["hot"])
    assert mug.data["compare_at_price"] == {"amount": 1_200, "currency": "EUR"}
    assert mug.data["available"] is None
    # What is imported again as it was is no change.
    await import_products(products, [replace(TEA, price=475), MUG])
    assert await relay_some(ProductOutbox(products), sink) == 0


async def test_what_changes_while_it_is_told_is_told_again(store, sink):
    products = Products(store)
    await products.upsert([to_document(TEA)])
    deliver = sink.deliver

    async def and_change(carts):
        sink.deliver = deliver
        await products.change("TEA", {"price": 1}, currency="EUR")
        return await deliver(carts)

    sink.deliver = and_change
    assert await relay_some(ProductOutbox(products), sink) == 1
    assert await relay_some(ProductOutbox(products), sink) == 1
    assert await relay_some(ProductOutbox(products), sink) == 0
    assert [event.data["price"]["amount"] for event in sink.events] == [450, 1]
    assert [event.sequence for event in sink.events] == [1, 2]


async def test_what_is_not_taken_is_told_later(store, sink):
    products = Products(store)
    await products.upsert([to_document(TEA), to_document(MUG)])
    outbox = ProductOutbox(products)
    sink.away = True
    with pytest.raises(SinkAwayError):
        await relay_some(outbox, sink)
    sink.away = False
    (refused,) = [one.id for one in await products.unsent(10) if one.document["sku"] == "TEA"]
    sink.refuse = {refused}
    assert await relay_some(outbox, sink) == 1
    assert [event.key for event in sink.events] == ["MUG"]
    sink.refuse = set()
    assert await relay_some(outbox, sink) == 1
    assert [event.key for event in sink.events] == ["MUG", "TEA"]


async def test_many_products_are_told_a_page_at_a_time(store, sink, monkeypatch):
    monkeypatch.setattr(documents, "PAGE", 7)
    products = Products(store)
    many = [Product(f"P{number}", f"Product {number}", 1, "EUR", None) for number in range(20)]
    await products.upsert([to_document(one) for one in many])
    told = [await relay_some(ProductOutbox(products), sink) for _ in range(4)]
    assert told == [7, 7, 6, 0]
    assert {event.key for event in sink.events} == {one.sku for one in many}


# Invitations


def invitation(secret_hash="h", by="usr_a", cart="crt_1", email="bettina@shop.example"):
    identity = invitation_id(cart, email)
    return Invitation(identity, cart, email, "editor", by, 1_000, 2_000, secret_hash)


async def tell(store, sink):
    """Tell of all invitations, and again until there is nothing to tell."""
    outbox = InvitationOutbox(Invitations(store, places=Place.RELAY))
    while await relay_some(outbox, sink):
        pass
    for event in sink.events:
        check_event(event)
    whats = [event.type.rpartition(".")[2] for event in sink.events]
    assert len({event.id for event in sink.events}) == len(whats)
    return whats


async def left(store):
    return await store.collection("invitations").find({}).to_list(None)


async def test_an_invitation_is_told_of_step_by_step(store, sink):
    invitations = Invitations(store, places=Place.RELAY, now_ms=lambda: 1_763_000_000_000)
    await invitations.put(invitation(), "bettina@shop.example")
    await invitations.accept(invitation(), "usr_b")
    await invitations.accept(invitation(), "usr_b")
    assert await tell(store, sink) == ["created", "accepted"]
    created, accepted = sink.events
    assert [event.sequence for event in sink.events] == [1, 2]
    assert {event.key for event in sink.events} == {"crt_1"}
    assert created.data["expires_at"] == "1970-01-01T00:00:02.000Z"
    assert (accepted.data["user"], accepted.data["by"]) == ("usr_b", "usr_a")
    assert created.data["invitation"] == accepted.data["invitation"]
    # Whose id can be computed from an address isn't told.
    assert created.data["invitation"] != invitation().id
    assert "bettina" not in json.dumps([event.data for event in sink.events])
    await invitations.remove_ended(3_000)
    assert await left(store) == []
    assert await tell(store, sink) == ["created", "accepted"]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda store: store.remove(invitation()), "void"),
        (lambda store: store.remove_from("crt_1", invitation().id), "taken_back"),
        (lambda store: store.remove_cart("crt_1"), "cart_deleted"),
        (lambda store: store.remove_user("usr_a", None), "account_deleted"),
        (lambda store: store.remove_user("usr_z", "BETTINA@shop.example"), "account_deleted"),
        (lambda store: store.remove_ended(2_000), "ended"),
    ],
)
@pytest.mark.parametrize("is_told_before", [True, False])
async def test_one_that_ends_forgets_its_address_at_once_and_goes_when_it_was_told(
    store, sink, end, reason, is_told_before
):
    invitations = Invitations(store, places=Place.RELAY)
    await invitations.put(invitation(), "bettina@shop.example")
    if is_told_before:
        await tell(store, sink)
    await end(invitations)
    assert await invitations.find(invitation().id) is None
    assert await invitations.of_cart("crt_1", 9) == []
    assert await invitations.of_inviter("usr_a", 9) == []
    assert await invitations.to_address("bettina@shop.example", 9) == []
    (rest,) = await left(store)
    assert "bettina@" not in str(rest)
    await end(invitations)  # once more has no effect
    assert await tell(store, sink) == ["created", "withdrawn"]
    assert sink.events[-1].data["reason"] == reason
    assert await left(store) == []


async def test_an_accepted_one_ends_without_being_withdrawn(store, sink):
    invitations = Invitations(store, places=Place.RELAY)
    await invitations.put(invitation(), "bettina@shop.example")
    await invitations.accept(invitation(), "usr_b")
    await invitations.remove_cart("crt_1")
    assert await invitations.of_cart("crt_1", 9) == []
    assert await tell(store, sink) == ["created", "accepted"]
    assert await left(store) == []


async def test_an_address_that_is_invited_again_is_the_same_invitation(store, sink):
    invitations = Invitations(store, places=Place.RELAY)
    await invitations.put(invitation("one"), "bettina@shop.example")
    await invitations.put(invitation("two"), "bettina@shop.example")
    await invitations.remove(invitation("two"))
    await invitations.put(invitation("three"), "bettina@shop.example")
    assert await tell(store, sink) == ["created", "created", "withdrawn", "created"]
    assert len({event.data["invitation"] for event in sink.events}) == 1
    assert [event.sequence for event in sink.events] == [1, 2, 3, 4]
    assert (await invitations.find(invitation().id)).hash == "three"


async def test_one_of_an_earlier_version_is_told_of_from_now_on(store, sink):
    await Invitations(store).put(invitation(), "bettina@shop.example")
    assert await tell(store, sink) == []
    invitations = Invitations(store, places=Place.RELAY)
    await invitations.accept(invitation(), "usr_b")
    await invitations.remove_ended(3_000)
    assert await tell(store, sink) == ["accepted"]
    assert await left(store) == []


@pytest.mark.parametrize("is_accepted_before", [True, False])
async def test_what_ends_while_it_is_told_is_told_whole(store, sink, is_accepted_before):
    invitations = Invitations(store, places=Place.RELAY)
    await invitations.put(invitation(), "bettina@shop.example")
    if is_accepted_before:
        await invitations.accept(invitation(), "usr_b")
    (told,) = await invitations.unsent(9)
    await invitations.accept(invitation(), "usr_b")
    await invitations.remove_cart("crt_1")
    await invitations.sent([told])
    assert await tell(store, sink) == ["created", "accepted"]
    assert await left(store) == []


async def test_nothing_is_kept_where_nothing_is_published(store):
    invitations = Invitations(store)
    await invitations.put(invitation(), "bettina@shop.example")
    assert await invitations.unsent(9) == []
    await invitations.remove_cart("crt_1")
    assert await left(store) == []


# All the way


async def test_the_relay_publishes_them(settings, kafka, topic_prefix, monkeypatch):
    monkeypatch.setattr(mailer_module, "START_S", (0.0, 0.001))
    publishing = replace(
        settings,
        workers=("relay",),
        kafka_bootstrap=(kafka,),
        kafka_topic_prefix=topic_prefix,
        follow_every_s=0.05,
        public_url="https://shop.example/",
    )
    async with staged(publishing, 1) as scene:
        await scene.servers[0].products(TEA, MUG)
        bea, client = await scene.somebody(name="Bettina")
        token = await scene.invite(bea.email)
        await scene.invite("cem@shop.example")
        await client.request("invitation.accept", token=token)
        await scene.ana.op(scene.cart, "delete")

        async def all_there():
            try:
                records = await published(kafka, f"{topic_prefix}carts")
                products = await published(kafka, f"{topic_prefix}products")
            except (KafkaException, KeyError):
                return None  # the topics are being made
            found = sorted({record.event.get_type() for record in records})
            wanted = [
                *("cartroom.cart.create", "cartroom.cart.delete", "cartroom.cart.share"),
                *(f"cartroom.invitation.{what}" for what in ("accepted", "created", "withdrawn")),
            ]
            return (records, products) if found == wanted and len(products) >= 2 else None

        records, products = await eventually(all_there, LONG_S)
        documents_left = await scene.documents(rests=True)
    for record in (*records, *products):
        event = record.event
        check_data(event.get_type(), event.get_data())
        schema = f"https://shop.example/api/events/{event.get_type()}.json"
        assert event.get_dataschema() == schema
        everything = str((record.key, record.value, record.headers)).lower()
        for address in (bea.email, "cem@shop.example", "bettina", "ana"):
            assert address.lower() not in everything
    ops = [record for record in records if b"cartroom.cart." in record.headers["ce_type"]]
    assert first_deliveries(ops) == {scene.cart: [1, 2, 3]}
    assert {record.key for record in records} == {scene.cart.encode()}
    assert {record.key for record in products} == {b"TEA", b"MUG"}
    assert "cem@" not in str(documents_left)
