"""Exactly one effect: what resent, reused and foreign op numbers are answered."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from realtime.limits import CLIENTS_PER_USER_MAX, Limits
from tests.client import BREAD, cart_room, refused, running_server

SAME = ("type", "cart", "rev", "at", "op", "results")


def answer(reply):
    assert reply["type"] == "ok", reply
    return {key: reply.get(key) for key in SAME}


@pytest.fixture
async def room(server):
    await server.products(BREAD)
    async with cart_room(server, roles=("editor",)) as room:
        yield room


def an_add(qty=1):
    return {"items": [{"sku": "BREAD", "qty": qty}]}


async def head(client, cart):
    return (await client.request("cart.history", cart=cart, limit=1))["ops"][0]["rev"]


async def test_the_same_op_again_is_answered_as_the_first_time(room):
    owner, editor = room.clients
    op_id = owner.next_op_id()
    first = await owner.op(room.cart, "add", op_id, **an_add(2))
    await owner.op(room.cart, "clear")
    again = await owner.op(room.cart, "add", op_id, **an_add(2))
    assert answer(again) == answer(first)
    assert again["results"] == [{"line": first["op"]["items"][0]["line"], "qty": 2}]
    assert await head(owner, room.cart) == 4
    await editor.reach(room.cart, 4)
    assert editor.revs[room.cart] == [3, 4]


async def test_the_same_op_in_other_words_is_the_same_op(room):
    owner = room.owner
    first = owner.next_op_id()
    await owner.op(room.cart, "add", first, items=[{"sku": "BREAD", "qty": 1}])
    for partial in (False, None):
        items = [{"qty": 1, "for": None, "sku": "BREAD"}]
        await owner.op(room.cart, "add", first, partial=partial, items=items)
    assert await head(owner, room.cart) == 3


async def test_other_content_under_a_used_op_id_is_a_conflict(room):
    owner = room.owner
    op_id = owner.next_op_id()
    await owner.op(room.cart, "add", op_id, **an_add(1))
    for kind, fields in [("add", an_add(2)), ("clear", {}), ("rename", {"name": "x"})]:
        error = await owner.op_refusal("conflict", room.cart, kind, op_id, **fields)
        assert error["temporary"] is False
    assert await head(owner, room.cart) == 3


async def test_a_number_below_the_last_that_was_not_used_is_a_conflict(room):
    owner, client = room.owner, uuid.uuid4()
    await owner.op(room.cart, "rename", f"{client}:5", name="x")
    await owner.op_refusal("conflict", room.cart, "rename", f"{client}:3", name="x")
    await owner.op(room.cart, "rename", f"{client}:{2**53 - 1}", name="y")
    await owner.op_refusal("conflict", room.cart, "rename", f"{client}:6", name="x")
    assert answer(await owner.op(room.cart, "rename", f"{client}:5", name="x"))["rev"] == 3
    assert await head(owner, room.cart) == 4


async def test_a_refused_op_uses_no_number(room):
    owner, op_id = room.owner, room.owner.next_op_id()
    await owner.op_refusal("not_found", room.cart, "remove", op_id, line="lin_9_9")
    await owner.op(room.cart, "rename", op_id, name="Feast")
    await owner.op_refusal("conflict", room.cart, "remove", op_id, line="lin_9_9")


async def test_numbers_count_for_each_cart_alone(room):
    owner = room.owner
    other = await owner.create()
    await owner.op(room.cart, "rename", f"{owner.client}:9", name="x")
    await owner.op(other, "rename", f"{owner.client}:1", name="y")
    assert (await owner.join(other))["n"] == 1


async def test_an_op_sent_again_while_it_is_on_its_way_has_one_effect(room):
    owner = room.owner
    op_id = owner.next_op_id()
    tasks = [owner.start_op(room.cart, "add", op_id, **an_add()) for _ in range(5)]
    other = owner.start_op(room.cart, "add", op_id, **an_add(7))
    answers = [answer(await task) for task in tasks]
    assert all(one == answers[0] for one in answers)
    refused(await other, "conflict")
    assert await head(owner, room.cart) == 3


async def test_an_op_sent_again_on_another_socket_has_one_effect(room, server):
    owner = room.owner
    async with server.connect(room.accounts[0]) as second:
        await second.join(room.cart)
        op_id = owner.next_op_id()
        tasks = [
            client.start_op(room.cart, "add", op_id, **an_add()) for client in (owner, second) * 3
        ]
        answers = [answer(await task) for task in tasks]
        assert all(one == answers[0] for one in answers)
        await owner.op(room.cart, "rename", name="Feast")
        await second.reach(room.cart, 4)
        assert list(dict.fromkeys(second.revs[room.cart])) == [3, 4]
        assert await head(owner, room.cart) == 4


async def test_an_op_sent_again_on_another_instance_has_one_effect(two_servers):
    one, two = two_servers
    await one.products(BREAD)
    async with cart_room(one) as room, two.connect(room.accounts[0]) as other:
        owner = room.owner
        await other.join(room.cart)
        for round_ in range(10):
            op_id = owner.next_op_id()
            tasks = [
                client.start_op(room.cart, "add", op_id, **an_add()) for client in (owner, other)
            ]
            answers = [answer(await task) for task in tasks]
            assert answers[0] == answers[1]
            assert answers[0]["rev"] == round_ + 2
        assert (await other.state(room.cart))["totals"]["pieces"] == 10


async def test_an_op_sent_again_after_the_room_has_forgotten_it(settings, monkeypatch):
    """Beyond the ops kept in memory, and in a new process, the log itself answers."""
    monkeypatch.setattr("server.live.DEFAULT_LIMITS", Limits(ops_per_s=100_000, ops_burst=100_000))
    async with running_server(settings) as server:
        await server.products(BREAD)
        async with cart_room(server) as room:
            owner, cart = room.owner, room.cart
            op_id = owner.next_op_id()
            first = await owner.op(cart, "add", op_id, **an_add(2))
            tasks = [owner.start_op(cart, "rename", name=f"Name {n}") for n in range(700)]
            await asyncio.gather(*tasks)
            assert answer(await owner.op(cart, "add", op_id, **an_add(2))) == answer(first)
            await owner.op_refusal("conflict", cart, "add", op_id, **an_add(3))
    async with running_server(settings) as server, server.connect(room.accounts[0]) as client:
        await client.op_refusal("conflict", cart, "clear", op_id)
        assert answer(await client.op(cart, "add", op_id, **an_add(2))) == answer(first)
        assert (await client.state(cart))["totals"]["pieces"] == 2


async def test_numbers_of_more_clients_than_a_cart_remembers(server, monkeypatch):
    """A client that was forgotten is looked up in the log, and goes on where it was."""
    monkeypatch.setattr("server.live.DEFAULT_LIMITS", Limits(ops_per_s=100_000, ops_burst=100_000))
    async with cart_room(server) as room:
        owner = room.owner
        clients = [uuid.uuid4() for _ in range(CLIENTS_PER_USER_MAX + 3)]
        first = []
        for index, client in enumerate(clients):
            first.append(await owner.op(room.cart, "rename", f"{client}:5", name=f"Name {index}"))
        again = await owner.op(room.cart, "rename", f"{clients[0]}:5", name="Name 0")
        assert answer(again) == answer(first[0])
        for number in (3, 5):
            await owner.op_refusal("conflict", room.cart, "clear", f"{clients[1]}:{number}")
        await owner.op(room.cart, "clear", f"{clients[2]}:6")
        await owner.op(room.cart, "clear", f"{uuid.uuid4()}:1")
        assert await head(owner, room.cart) == 1 + len(clients) + 2


async def test_a_tab_sends_what_a_closed_tab_left_behind(room, server):
    left_behind = f"{uuid.uuid4()}:12"
    async with server.connect(room.accounts[0]) as tab:
        first = await tab.op(room.cart, "rename", left_behind, name="Feast")
        assert answer(await tab.op(room.cart, "rename", left_behind, name="Feast")) == answer(first)


async def test_a_resend_is_answered_even_when_the_sender_may_no_longer(room):
    owner, editor = room.clients
    op_id = editor.next_op_id()
    first = await editor.op(room.cart, "rename", op_id, name="Feast")
    await owner.share(room.cart, room.accounts[1], role="viewer")
    assert answer(await editor.op(room.cart, "rename", op_id, name="Feast")) == answer(first)
    await owner.op(room.cart, "unshare", user=editor.user)
    assert answer(await editor.op(room.cart, "rename", op_id, name="Feast")) == answer(first)
    await editor.op_refusal("not_found", room.cart, "rename", name="Feast")


async def test_a_delete_sent_again_is_answered(room):
    owner, op_id = room.owner, room.owner.next_op_id()
    first = await owner.op(room.cart, "delete", op_id)
    assert answer(await owner.op(room.cart, "delete", op_id)) == answer(first)


async def test_anothers_client_id_is_a_namespace_of_its_own(room):
    """Numbers belong to user and client: using somebody else's id takes nothing from them."""
    owner, editor = room.clients
    stolen = f"{owner.client}:50"
    await editor.op(room.cart, "rename", stolen, name="thief")
    reply = await owner.op(room.cart, "rename", name="owner")
    assert reply["rev"] == 4
    await owner.op(room.cart, "rename", stolen, name="owner, too")
    history = (await owner.request("cart.history", cart=room.cart, limit=3))["ops"]
    assert [(op["op_id"], op["by"]) for op in history] == [
        (stolen, editor.user),
        (f"{owner.client}:2", owner.user),
        (stolen, owner.user),
    ]
    assert (await owner.join(room.cart))["n"] == 50


@pytest.mark.parametrize(
    "op_id",
    ["", "1", ":1", "{}:0", "{}:-1", "{}:01", "{}:1.5", "{}:x", "{}:", "{}:9007199254740992",
     "{}:1 ", "{}:1\n", "x{}:1", "{}:99999999999999999", 7, None],
)  # fmt: skip
async def test_an_op_id_has_one_form(room, op_id):
    if isinstance(op_id, str):
        op_id = op_id.format(uuid.uuid4())
    fields = {"cart": room.cart, "op": {"kind": "clear"}, "op_id": op_id}
    await room.owner.refusal("bad_request", "cart.op", **fields)
    if op_id is not None:
        await room.owner.refusal("bad_request", "cart.create", op_id=op_id)


async def test_a_share_found_in_the_log_again_is_told_with_the_names_of_the_first_time(settings):
    async with running_server(settings) as server, cart_room(server, roles=("editor",)) as room:
        bea = await server.account("Bea")
        op_id = room.owner.next_op_id()
        users = [{"user": bea.user, "role": "viewer"}]
        first = await room.owner.op(room.cart, "share", op_id, users=users)
        await room.owner.op(room.cart, "unshare", user=bea.user)
        owner, client = room.accounts[0], room.owner.client
    async with running_server(settings) as server, server.connect(owner, client) as again:
        second = await again.op(room.cart, "share", op_id, users=users)
    assert second["op"]["users"] == [{**users[0], "name": "Bea"}]
    assert {**second, "id": 0} == {**first, "id": 0}
