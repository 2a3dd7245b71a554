"""Lists of carts: who is in them, and what is in them, from memory and from what is stored."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from realtime.state import FORMAT
from storage.carts import Carts
from tests.client import APPLE, BREAD, running_server, until_equal
from tests.people import PASSWORD, Person, person


async def row_of(client, cart):
    (row,) = [row for row in (await client.request("cart.list"))["carts"] if row["cart"] == cart]
    return row


def names(row):
    return [member["name"] for member in row["members"]]


@asynccontextmanager
async def seen_from(here, there, watcher):
    """Reads rows of `watcher`'s carts: on the instance that has them open, and the other."""
    async with here.connect(watcher) as near, there.connect(watcher) as far:

        async def told(cart, expected, read=names):
            for client in (near, far):

                async def now(client=client):
                    return read(await row_of(client, cart))

                await until_equal(now, expected)

        yield near, told


async def test_a_row_tells_the_owner_first_then_who_is_in_the_longest(two_servers):
    here, there = two_servers
    zoe = await person(here, "Zoe")
    roles = {"Ana": "viewer", "Bea": "viewer", "Cem": "viewer", "Dag": "editor", "Eve": "viewer"}
    people = {name: await here.account(name) for name in roles}
    async with seen_from(here, there, people["Ana"]) as (_, told):
        async with here.connect(zoe.account) as owner:
            cart = await owner.create()
            for name, role in roles.items():
                await owner.share(cart, people[name], role=role)
        await told(cart, ["Zoe", "Ana", "Bea", "Cem", "Dag"])
        await told(cart, 6, lambda row: row["member_count"])
        await zoe.done("DELETE", "me", {"password": PASSWORD})  # the cart is its editor's now
        roles = {"Dag": "owner"} | dict.fromkeys(("Ana", "Bea", "Cem", "Eve"), "viewer")
        expected = [
            {"user": people[name].user, "name": name, "role": role} for name, role in roles.items()
        ]
        await told(cart, expected, lambda row: row["members"])
        await told(cart, 5, lambda row: row["member_count"])


async def test_rows_follow_who_leaves_is_removed_and_gets_another_name(two_servers):
    here, there = two_servers
    ana = await here.account("Ana")
    bea, cem, dag = [await person(here, name) for name in ("Bea", "Cem", "Dag")]
    async with seen_from(here, there, ana) as (owner, told), here.connect(bea.account) as leaver:
        cart = await owner.create()
        await owner.share(cart, bea.account, cem.account, dag.account)
        await told(cart, ["Ana", "Bea", "Cem", "Dag"])
        await leaver.op(cart, "unshare", user=bea.id)
        await told(cart, ["Ana", "Cem", "Dag"])
        await owner.op(cart, "unshare", user=cem.id)
        await told(cart, ["Ana", "Dag"])
        await dag.done("PATCH", "me", {"name": "Dagny"})
        await told(cart, ["Ana", "Dagny"])
        await told(cart, 2, lambda row: row["member_count"])


async def test_rows_follow_a_guest_into_an_account_and_accounts_that_are_deleted(two_servers):
    here, there = two_servers
    ana, bea = await here.account("Ana"), await person(here, "Bea")
    guest = Person(here, bea.email)
    answer = await guest.done("POST", "guest", {"name": "Guest"})
    guest.id, guest.token = answer["user"]["id"], answer["access_token"]
    async with seen_from(here, there, ana) as (owner, told):
        cart = await owner.create()
        await owner.share(cart, guest.account)
        await told(cart, ["Ana", "Guest"])
        await guest.done("POST", "login", {"email": bea.email, "password": PASSWORD})
        await told(cart, ["Ana", "Bea"])
        await told(cart, bea.id, lambda row: row["members"][1]["user"])
        bea = await bea.again()
        await bea.done("DELETE", "me", {"password": PASSWORD})
        await told(cart, ["Ana"])


async def test_a_member_without_an_account_is_a_former_member(settings, database):
    """As one is whose account's end has come as far as the account, and not to this cart yet."""
    async with running_server(settings) as server:
        ana, bea = await server.account("Ana"), await server.account("Bea")
        async with server.connect(ana) as client:
            cart = await client.create()
            await client.share(cart, bea)
    await database.collection("users").update_one({"_id": bea.user}, {"$set": {"deleted_at": 1}})
    async with running_server(settings) as server, server.connect(ana) as client:
        assert names(await row_of(client, cart)) == ["Ana", "Former member"]


@pytest.fixture
async def filled(settings):
    """A cart that no instance has open, its owner, and the row that tells of it."""
    async with running_server(settings) as server:
        await server.products(APPLE, BREAD)
        ana, bea = await server.account("Ana"), await server.account("Bea")
        async with server.connect(ana) as client:
            cart = await client.create(name="Feast")
            await client.share(cart, bea)
            await client.add(cart, APPLE.sku, 3)
            saved = await client.add(cart, BREAD.sku, 2)
            await client.op(cart, "save_for_later", line=saved)
            row = await row_of(client, cart)
    return cart, ana, row


async def test_a_row_counts_pieces_and_what_they_cost_without_what_is_saved(filled):
    _, _, row = filled
    assert (row["pieces"], row["total"], row["currency"]) == (3, 3 * APPLE.price, "EUR")
    assert (row["line_count"], row["member_count"], names(row)) == (2, 2, ["Ana", "Bea"])


async def test_a_cart_that_is_not_open_is_told_from_its_snapshot_alone(
    settings, filled, monkeypatch
):
    cart, ana, row = filled
    monkeypatch.setattr(Carts, "load", None)  # whole states
    async with running_server(settings) as server, server.connect(ana) as client:
        assert await row_of(client, cart) == row
        assert server.hub.room(cart) is None


@pytest.mark.parametrize(
    "change", [{"$unset": {"summary": ""}}, {"$set": {"summary.rev": 4, "summary.pieces": 77}}]
)
async def test_a_snapshot_of_an_earlier_version_gets_its_summary(
    settings, filled, database, change, monkeypatch
):
    """Without one, or with one that was left standing when an earlier version went on."""
    cart, ana, row = filled
    carts = database.collection("carts")
    written = await carts.find_one({"_id": cart})
    await carts.update_one({"_id": cart}, change)
    async with running_server(settings) as server, server.connect(ana) as client:
        assert await row_of(client, cart) == row
        assert await carts.find_one({"_id": cart}) == written
        monkeypatch.setattr(Carts, "load", None)
        assert await row_of(client, cart) == row


async def test_a_snapshot_that_cannot_be_read_does_not_keep_others_from_view(
    settings, filled, database
):
    cart, ana, _ = filled
    change = {"$unset": {"summary": ""}, "$set": {"v": FORMAT + 1}}
    await database.collection("carts").update_one({"_id": cart}, change)
    async with running_server(settings) as server, server.connect(ana) as client:
        other = await client.create()
        assert [row["cart"] for row in (await client.request("cart.list"))["carts"]] == [other]
