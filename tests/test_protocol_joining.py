"""Sessions and rooms: hello, create, join, leave, and what a socket is told of them."""

from __future__ import annotations

import re
import uuid

import msgspec
import pytest

from realtime.limits import DEFAULT_LIMITS
from storage.times import rfc3339
from tests.client import APPLE, cart_room
from tests.forging import claims_of

ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")


async def test_welcome_says_who_one_is_and_what_the_limits_are(server, settings):
    ana = await server.account("Ana")
    async with server.connect(ana) as client:
        assert client.welcome == {
            "id": 1,
            "type": "welcome",
            "user": {"id": ana.user, "name": "Ana"},
            "expires_at": rfc3339(1_000 * claims_of(ana.token)["exp"]),
            "heartbeat_s": settings.heartbeat_s,
            "limits": msgspec.to_builtins(DEFAULT_LIMITS),
        }
        assert client.socket.subprotocol == "cartroom.v1"


async def test_ping_is_answered(server):
    async with server.connect(await server.account()) as client:
        assert await client.request("ping") == {"id": 2, "type": "pong"}


async def test_hello_is_said_once(server):
    ana = await server.account()
    async with server.connect(ana) as client:
        await client.refusal("bad_request", "hello", client=client.client, token=ana.token)
        await client.request("ping")


async def test_whoever_creates_a_cart_owns_and_has_joined_it(server):
    ana = await server.account("Ana")
    async with server.connect(ana) as client:
        reply = await client.request("cart.create", name="Picnic", currency="GBP")
        cart = reply["cart"]
        assert cart.startswith("crt_")
        assert reply == {
            "id": 2,
            "type": "ok",
            "cart": cart,
            "rev": 1,
            "role": "owner",
            "n": 0,
            "state": {
                "name": "Picnic",
                "note": "",
                "currency": "GBP",
                "status": "open",
                "lines": [],
                "saved": [],
                "members": [{"user": ana.user, "name": "Ana", "role": "owner"}],
                "totals": {"lines": 0, "pieces": 0, "subtotal": 0, "total": 0},
            },
        }
        here = {"user": ana.user, "client": client.client, "data": {}}
        assert (await client.push("presence.state", cart))["members"] == [here]
        async with server.connect(ana) as second:
            await second.op(cart, "rename", name="Feast")
        assert (await client.push("cart.ops", cart))["ops"][0]["op"]["name"] == "Feast"


async def test_a_cart_without_name_and_currency_gets_the_defaults(server, settings):
    async with server.connect(await server.account()) as client:
        state = (await client.request("cart.create"))["state"]
        assert (state["name"], state["currency"]) == ("Cart", settings.currency)


async def test_create_sent_again_finds_the_same_cart(server):
    ana = await server.account()
    async with server.connect(ana) as client, server.connect(ana) as other:
        op_id = client.next_op_id()
        first = await client.request("cart.create", name="Picnic", op_id=op_id)
        await client.op(first["cart"], "rename", name="Feast")
        again = await other.request("cart.create", name="Picnic", op_id=op_id)
        assert (again["cart"], again["rev"], again["role"]) == (first["cart"], 2, "owner")
        await client.op(first["cart"], "note", text="x")
        await other.push("cart.ops", first["cart"])


async def test_create_sent_twice_at_once_makes_one_cart(two_servers):
    one, two = two_servers
    ana = await one.account()
    async with one.connect(ana) as client, two.connect(ana) as other:
        op_id = client.next_op_id()
        replies = [
            await task
            for task in [
                sender.start("cart.create", name="Picnic", op_id=op_id)
                for sender in (client, client, other, other)
            ]
        ]
        assert len({reply["cart"] for reply in replies}) == 1
        assert {reply["rev"] for reply in replies} == {1}
        assert len((await client.request("cart.list"))["carts"]) == 1


async def test_create_sent_again_with_other_content_is_a_conflict(server):
    async with server.connect(await server.account()) as client:
        op_id = client.next_op_id()
        await client.create(name="Picnic", op_id=op_id)
        error = await client.refusal("conflict", "cart.create", name="Feast", op_id=op_id)
        assert error["temporary"] is False
        assert len((await client.request("cart.list"))["carts"]) == 1


async def test_one_op_id_of_two_users_makes_two_carts(server):
    async with (
        server.connect(await server.account()) as ana,
        server.connect(await server.account()) as bob,
    ):
        op_id = ana.next_op_id()
        assert await ana.create(op_id=op_id) != await bob.create(op_id=op_id)


async def test_join_answers_the_state_and_then_pushes_come(server):
    await server.products(APPLE)
    async with cart_room(server, roles=("editor",)) as room:
        owner, editor = room.clients
        line = await owner.add(room.cart, "APPLE", 3)
        await editor.reach(room.cart, 3)
        reply = await editor.join(room.cart)
        assert (reply["rev"], reply["role"], reply["n"]) == (3, "editor", 0)
        state = reply["state"]
        assert state["lines"] == [
            {
                "line": line,
                "sku": "APPLE",
                "name": "Apple",
                "unit_price": 50,
                "qty": 3,
                "for": owner.user,
                "note": "",
            }
        ]
        assert state["totals"] == {"lines": 1, "pieces": 3, "subtotal": 150, "total": 150}
        assert state["members"] == [
            {"user": owner.user, "name": "Member 0", "role": "owner"},
            {"user": editor.user, "name": "Member 1", "role": "editor"},
        ]
        reply = await owner.op(room.cart, "rename", name="Feast")
        push = await editor.push("cart.ops", room.cart)
        while push["ops"][-1]["rev"] < 4:
            push = await editor.push("cart.ops", room.cart)
        assert push["ops"] == [
            {
                "rev": 4,
                "op_id": f"{owner.client}:3",
                "by": owner.user,
                "at": reply["at"],
                "op": {"kind": "rename", "name": "Feast"},
            }
        ]
        assert ISO_TIME.match(reply["at"])


async def test_n_is_the_last_number_of_the_clients_own_ops(server):
    ana = await server.account()
    async with server.connect(ana) as client, server.connect(ana) as other:
        cart = await client.create()
        await client.op(cart, "rename", op_id=f"{client.client}:7", name="x")
        await client.op(cart, "rename", op_id=f"{uuid.uuid4()}:40", name="y")
        assert (await client.join(cart))["n"] == 7
        assert (await other.join(cart))["n"] == 0


async def test_after_leaving_no_pushes_come_and_ops_still_work(server):
    async with cart_room(server, roles=("editor",)) as room:
        owner, editor = room.clients
        await editor.request("cart.leave", cart=room.cart)
        await editor.request("cart.leave", cart=room.cart)
        await owner.op(room.cart, "rename", name="Feast")
        await editor.op(room.cart, "rename", name="Banquet")
        await editor.request("ping")
        assert editor.revs[room.cart] == [4]
        ops = (await editor.request("cart.history", cart=room.cart))["ops"]
        assert [op["rev"] for op in ops] == [1, 2, 3, 4]


async def test_a_socket_joins_many_carts_and_gets_each_ones_pushes(server):
    ana = await server.account()
    async with server.connect(ana) as client, server.connect(ana) as other:
        carts = [await client.create(name=f"Cart {index}") for index in range(5)]
        for cart in carts:
            await other.op(cart, "note", text=cart)
        for cart in reversed(carts):
            push = await client.push("cart.ops", cart)
            assert push["ops"][0]["op"] == {"kind": "note", "text": cart}


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "cart.join"},
        {"type": "cart.join", "rev": 3},
        {"type": "cart.history"},
        {"type": "presence.set", "data": {}},
        {"type": "cart.op", "op": {"kind": "clear"}},
    ],
    ids=lambda fields: fields["type"],
)
async def test_a_cart_that_is_not_there_and_one_that_is_not_ones_own_look_alike(server, fields):
    async with cart_room(server) as room, server.connect(await server.account()) as stranger:
        if fields["type"] == "cart.op":
            fields = {**fields, "op_id": stranger.next_op_id()}
        answers = []
        for cart in (room.cart, "crt_0123456789abcdef01234567", 'no "such" cart\\ \0 ü'):
            error = await stranger.refusal(
                "not_found",
                cart=cart,
                type_=fields["type"],
                **{key: value for key, value in fields.items() if key != "type"},
            )
            del error["id"]
            answers.append(error)
        assert answers[0] == answers[1] == answers[2]
        assert (await room.owner.join(room.cart))["rev"] == 1
