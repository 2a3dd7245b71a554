"""A profile: changing it, and reading out everything that is stored about an account."""

from __future__ import annotations

import asyncio

import pytest
from pymongo.errors import AutoReconnect

from handlers import keys
from storage.seen import Seen
from storage.users import Users
from tests.client import APPLE, running_server
from tests.inboxes import notified
from tests.people import PASSWORD, Person, person


@pytest.fixture(scope="module")
async def server(module_settings):
    """One for all tests here: each has people of its own."""
    async with running_server(module_settings) as server:
        yield server


async def confirmed(server, name, **fields):
    someone = await person(server, name, **fields)
    await someone.done("POST", "confirm", {"token": await someone.mailed("confirm")})
    return someone


async def change(someone, **changes):
    return await someone.ask("PATCH", "me", changes)


async def test_what_is_given_is_changed_and_the_rest_stays(server):
    ada = await person(server)
    before = await ada.me()
    for changes in (
        {"locale": "de-AT", "currency": "CHF"},
        {"notifications": {"shared": False}},
        {"name": " Countess "},
        {"notifications": {"changes": "at_once"}, "time_zone": "Europe/Vienna"},
        {"quiet_hours": {"from": "22:00", "to": "07:30"}, "digest_at": "18:05"},
        {"notifications": {}},
        {},
    ):
        status, user = await change(ada, **changes)
        assert status == 200
        assert user == await ada.me()
    assert user == {
        **before,
        "name": "Countess",
        "locale": "de-AT",
        "currency": "CHF",
        "notifications": {"shared": False, "changes": "at_once"},
        "time_zone": "Europe/Vienna",
        "quiet_hours": {"from": "22:00", "to": "07:30"},
        "digest_at": "18:05",
    }
    nothing = dict.fromkeys(("locale", "currency", "time_zone", "quiet_hours"))
    status, user = await change(ada, **nothing, notifications={"shared": True, "changes": "none"})
    assert {name: user[name] for name in nothing} == nothing
    assert user["notifications"] == {"shared": True, "changes": "none"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("name", "A\u202eda"),
        ("name", None),
        ("locale", "deutsch bitte"),
        ("locale", "de\n"),
        ("locale", ""),
        ("currency", "eur"),
        ("currency", "XYZ"),
        ("notifications", {"everything": True}),
        ("notifications", {"shared": "yes"}),
        ("notifications", {"shared": 1}),
        ("notifications", {"changes": "hourly"}),
        ("notifications", {"changes": True}),
        ("notifications", {"changes": None}),
        ("time_zone", "Vienna"),
        ("time_zone", "europe/vienna"),
        ("time_zone", "../../etc/passwd"),
        ("time_zone", ""),
        ("time_zone", "+02:00"),
        ("quiet_hours", {}),
        ("quiet_hours", {"from": "22:00"}),
        ("quiet_hours", {"from": "22:00", "to": "22:00"}),
        ("quiet_hours", {"from": "22:00", "to": "24:00"}),
        ("quiet_hours", {"from": "22:00", "to": "07:00", "tz": "UTC"}),
        ("quiet_hours", "22:00-07:00"),
        ("digest_at", "8:00"),
        ("digest_at", "08:00\n"),
        ("digest_at", "\u0660\u0668:00"),
        ("digest_at", 8),
        ("digest_at", None),
        ("email", "eve@shop.example"),
        ("role", "admin"),
        ("confirmed", True),
        ("guest", False),
    ],
)
async def test_a_bad_field_is_named_and_nothing_changes(server, field, value):
    ada = await person(server)
    before = await ada.me()
    status, problem = await change(ada, **{"name": "Eve", "locale": "fr", field: value})
    assert (status, list(problem["errors"])) == (400, [field])
    assert await ada.me() == before


async def test_open_carts_show_a_new_name_at_once_on_every_instance(two_servers):
    first, second = two_servers
    ada, bea = await person(first), await person(second, "Bea")
    async with first.connect(ada.account) as a, second.connect(bea.account) as b:
        cart = await a.create()
        await a.share(cart, bea.account)
        await b.join(cart)
        assert (await change(ada, name="Countess"))[0] == 200
        for client in (a, b):
            state = (await client.push("cart.state", cart))["state"]
            names = {member["user"]: member["name"] for member in state["members"]}
            assert names == {ada.id: "Countess", bea.id: "Bea"}


# Reading out


async def test_an_export_holds_what_is_stored_about_the_account_and_of_nobody_else(server):
    await server.products(APPLE)
    ada, bea = await confirmed(server, "Ada"), await confirmed(server, "Beatrice")
    async with server.connect(ada.account) as a, server.connect(bea.account) as b:
        cart, theirs = await a.create(name="Ours"), await b.create(name="Theirs")
        await a.share(cart, bea.account)
        await a.add(cart, "APPLE", 2)
        await b.add(cart, "APPLE", 5)
        await a.op(cart, "note", text="for Sunday")
        await a.request("cart.invite", cart=cart, email="else@where.example", role="viewer")
        await b.request("cart.invite", cart=theirs, email=ada.email.upper(), role="editor")
        await a.request("cart.mute", cart=cart, muted=True)
    one = await notified(server, ada.account, bea.account, cart)
    url = f"{server.url}/api/v1/auth/me/export"
    headers = {"Authorization": f"Bearer {ada.token}"}
    async with server.http.get(url, headers=headers) as response:
        assert response.status == 200
        assert response.headers["Content-Disposition"].startswith("attachment; filename=")
        assert response.headers["Cache-Control"] == "no-store"
        exported, text = await response.json(), await response.text()

    assert exported["profile"]["email"] == ada.email
    assert exported["profile"]["confirmed_at"] > exported["profile"]["created_at"]
    assert [one["kind"] for one in exported["devices"]] == ["token"]
    (sent,), (received,) = exported["invitations"]["sent"], exported["invitations"]["received"]
    assert (sent["cart"], sent["email"], sent["role"]) == (cart, "else@where.example", "viewer")
    assert (received["cart"], received["role"]) == (theirs, "editor")
    assert exported["muted"] == [cart]
    (told,) = exported["notifications"]
    assert (told["id"], told["by"], told["kinds"]) == (one.id, bea.id, one.kinds)
    (ours,) = exported["carts"]
    assert (ours["cart"], ours["name"], ours["role"]) == (cart, "Ours", "owner")
    assert [(line["sku"], line["qty"], line["for"]) for line in ours["lines"]] == [
        ("APPLE", 2, ada.id)
    ]
    kinds = [entry["op"]["kind"] for entry in ours["history"]]
    assert kinds == ["create", "share", "add", "note"]
    assert [entry["rev"] for entry in ours["history"]] == [1, 2, 3, 5]
    for secret in (bea.email, "Beatrice", "$2b$", ada.token, ada.refresh_token):
        assert secret not in text


async def test_an_export_holds_what_one_did_where_one_is_no_more(server):
    ada, bea = await person(server, "Ada"), await person(server, "Bea")
    async with server.connect(ada.account) as a, server.connect(bea.account) as b:
        left, deleted = await b.create(), await a.create()
        await b.share(left, ada.account)
        await a.op(left, "rename", name="Ada's")
        await b.op(left, "rename", name="Bea's")
        await a.op(left, "unshare", user=ada.id)
        await b.op(left, "note", text="that she has gone")
        await a.op(deleted, "delete")
        here = await a.create()
    await Seen(server.app[keys.DATABASE]).note({here: {ada.id: 1, bea.id: 1}})
    exported = await ada.done("GET", "me/export")
    assert [(one["cart"], one["seen"]) for one in exported["carts"]] == [(here, 1)]
    former = {one["cart"]: one["history"] for one in exported["former_carts"]}
    kinds = {cart: [entry["op"]["kind"] for entry in ops] for cart, ops in former.items()}
    assert kinds == {left: ["rename", "unshare"], deleted: ["create", "delete"]}
    assert former[left][0]["op"]["name"] == "Ada's"


async def test_who_has_not_confirmed_the_address_learns_nothing_of_its_invitations(server):
    bea = await confirmed(server, "Bea")
    async with server.connect(bea.account) as b:
        cart = await b.create()
        await b.request("cart.invite", cart=cart, email="lea@shop.example", role="editor")
    eve = await person(server, "Eve", email="lea@shop.example")
    assert (await eve.done("GET", "me/export"))["invitations"] == {"sent": [], "received": []}


async def test_a_guest_can_read_out_and_change_what_there_is(server):
    guest = Person(server, "")
    answer = await guest.done("POST", "guest", {"name": "Gus"})
    guest.token = answer["access_token"]
    assert (await change(guest, name="Gustav"))[0] == 200
    exported = await guest.done("GET", "me/export")
    assert (exported["profile"]["name"], exported["carts"]) == ("Gustav", [])


async def test_many_carts_and_long_histories_come_whole(settings, monkeypatch):
    monkeypatch.setattr("realtime.archive.REVS_AT_ONCE", 7)
    async with running_server(settings) as server:
        ada = await person(server)
        async with server.connect(ada.account) as a:
            carts = [await a.create() for _ in range(20)]
            names = [f"name {number}" for number in range(50)]
            await asyncio.gather(*(a.start_op(carts[0], "rename", name=name) for name in names))
        exported = await ada.done("GET", "me/export")
    by_cart = {one["cart"]: one["history"] for one in exported["carts"]}
    assert set(by_cart) == set(carts)
    assert [entry["rev"] for entry in by_cart[carts[0]]] == list(range(1, 52))
    assert [entry["op"].get("name") for entry in by_cart[carts[0]]][1:] == names


async def test_exports_are_counted(server):
    ada = await person(server)
    statuses = [(await ada.get("me/export"))[0] for _ in range(11)]
    assert statuses == [200] * 10 + [429]


async def test_what_cannot_be_read_at_all_is_refused_as_a_whole(server, monkeypatch):
    ada = await person(server)

    async def away(self, user_id):
        raise AutoReconnect

    monkeypatch.setattr(Users, "times", away)
    status, problem = await ada.get("me/export")
    assert (status, problem["code"]) == (503, "unavailable")
    assert await ada.can_log_in(PASSWORD)
