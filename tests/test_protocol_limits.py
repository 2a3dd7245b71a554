"""Every limit that a client meets, shrunk, and what happens at it."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
import uuid
from dataclasses import replace

import pytest

from commerce.catalog.product import Product
from realtime.limits import PUSH_BACKLOG_LOW_BYTES, Limits
from tests.client import APPLE, BREAD, WAIT_S, cart_room, refused, running_server
from tests.helpers import eventually


@pytest.fixture
def limited(settings, monkeypatch):
    """Start a server under these limits; all others are as always."""

    def start(**bounds):
        monkeypatch.setattr("server.live.DEFAULT_LIMITS", Limits(**bounds))
        return running_server(settings)

    return start


async def test_lines_of_a_cart(limited):
    async with limited(lines=3) as server, cart_room(server, roles=("editor",)) as room:
        await server.products(APPLE, BREAD)
        owner, editor = room.clients
        assert owner.welcome["limits"]["lines"] == 3
        saved = await owner.add(room.cart, "BREAD")
        await owner.op(room.cart, "save_for_later", line=saved)
        await owner.add(room.cart, "BREAD")
        items = [{"sku": "APPLE", "qty": 1}, {"sku": "APPLE", "qty": 1, "for": editor.user}]
        error = await owner.op_refusal("limit_exceeded", room.cart, "add", items=items)
        assert error["results"][0] is None
        reply = await owner.op(room.cart, "add", items=items, partial=True)
        assert [result.get("code") for result in reply["results"]] == [None, "limit_exceeded"]
        await owner.op(room.cart, "add", items=items[:1])
        await owner.op_refusal("limit_exceeded", room.cart, "add", items=items[1:])
        await owner.op(room.cart, "remove", line=saved)
        await owner.op(room.cart, "add", items=items[1:])


async def test_pieces_of_a_line(limited):
    async with limited(pieces=5) as server, cart_room(server) as room:
        await server.products(BREAD)
        owner = room.owner
        await owner.op_refusal(
            "limit_exceeded", room.cart, "add", items=[{"sku": "BREAD", "qty": 6}]
        )
        line = await owner.add(room.cart, "BREAD", 5)
        items = [{"sku": "BREAD", "qty": 1}]
        await owner.op_refusal("limit_exceeded", room.cart, "add", items=items)
        await owner.op_refusal("limit_exceeded", room.cart, "change_quantity", line=line, by=1)
        await owner.op_refusal("limit_exceeded", room.cart, "set_quantity", line=line, qty=6)


async def test_members_of_a_cart(limited):
    async with limited(members=2) as server, cart_room(server, roles=("viewer",)) as room:
        extra = await server.account()
        users = [{"user": extra.user, "role": "viewer"}]
        await room.owner.op_refusal("limit_exceeded", room.cart, "share", users=users)
        await room.owner.share(room.cart, room.accounts[1], role="editor")
        await room.owner.op(room.cart, "unshare", user=room.accounts[1].user)
        await room.owner.share(room.cart, extra)


async def test_items_of_an_op(limited):
    async with limited(items=2) as server, cart_room(server) as room:
        await server.products(BREAD)
        others = [await server.account() for _ in range(3)]
        items = [{"sku": "BREAD", "qty": 1}] * 3
        await room.owner.op_refusal("limit_exceeded", room.cart, "add", items=items)
        await room.owner.op(room.cart, "add", items=items[:2])
        users = [{"user": account.user, "role": "viewer"} for account in others]
        await room.owner.op_refusal("limit_exceeded", room.cart, "share", users=users)
        await room.owner.op(room.cart, "share", users=users[:2])


async def test_carts_joined_by_a_socket(limited):
    async with limited(carts_joined=2) as server, cart_room(server) as room:
        owner = room.owner
        await owner.create()
        op_id = owner.next_op_id()
        error = await owner.refusal("limit_exceeded", "cart.create", op_id=op_id)
        assert "2" in error["message"]
        assert len((await owner.request("cart.list"))["carts"]) == 2
        await owner.join(room.cart)
        await owner.request("cart.leave", cart=room.cart)
        assert (await owner.request("cart.create", op_id=op_id))["rev"] == 1
        await owner.refusal("limit_exceeded", "cart.join", cart=room.cart)


async def test_carts_created_at_once_keep_to_the_limit(limited):
    async with (
        limited(carts_joined=3) as server,
        server.connect(await server.account()) as client,
    ):
        replies = await asyncio.gather(*(client.start("cart.create") for _ in range(8)))
        assert sorted(reply["type"] for reply in replies) == ["error"] * 5 + ["ok"] * 3
        assert len((await client.request("cart.list"))["carts"]) == 3


async def test_sockets_in_a_room(server, monkeypatch):
    monkeypatch.setattr("realtime.commands.ROOM_SOCKETS_MAX", 2)
    async with (
        cart_room(server, roles=("viewer",)) as room,
        server.connect(room.accounts[0]) as third,
    ):
        await third.refusal("limit_exceeded", "cart.join", cart=room.cart)
        await room.clients[1].request("cart.leave", cart=room.cart)
        await third.join(room.cart)


@pytest.fixture
def stopped(monkeypatch):
    """Stop the clock of a server, by which rates are measured; answers what moves it on."""

    def stop(server):
        clock = server.hub.services.clock
        times = [clock.monotonic()]
        monkeypatch.setattr(clock, "monotonic", lambda: sum(times))
        return times.append

    return stop


async def test_requests_a_second(limited, stopped):
    async with (
        limited(ops_per_s=1, ops_burst=10) as server,
        server.connect(await server.account()) as client,
    ):
        pass_s = stopped(server)
        replies = await asyncio.gather(*(client.start("ping") for _ in range(30)))
        passed = [reply for reply in replies if reply["type"] == "pong"]
        late = [refused(reply, "rate_limited") for reply in replies if reply not in passed]
        assert len(passed) == 10
        assert all(error["temporary"] and 0 < error["retry_after_s"] <= 1 for error in late)
        pass_s(2.0)
        replies = [await client.ask("ping") for _ in range(3)]
        assert [reply["type"] for reply in replies] == ["pong", "pong", "error"]


async def test_the_wait_that_a_rate_asks_for_is_never_nothing(limited, stopped):
    async with (
        limited(ops_per_s=10_000, ops_burst=1) as server,
        server.connect(await server.account()) as client,
    ):
        stopped(server)
        await client.request("ping")
        assert (await client.refusal("rate_limited", "ping"))["retry_after_s"] == 0.001


async def test_a_refused_rate_has_no_effect(limited):
    async with limited(ops_per_s=0.001, ops_burst=3) as server, cart_room(server) as room:
        await room.owner.op(room.cart, "rename", name="Feast")
        await room.owner.request("ping")
        await room.owner.op_refusal("rate_limited", room.cart, "rename", name="Banquet")
        async with server.connect(room.accounts[0]) as other:
            reply = await other.join(room.cart)
            assert (reply["rev"], reply["state"]["name"]) == (2, "Feast")


async def test_a_flood_is_closed(limited, monkeypatch, stopped):
    monkeypatch.setattr("realtime.session.FLOOD_REFUSALS_MAX", 50)
    async with limited(ops_per_s=1, ops_burst=10) as server, cart_room(server) as room:
        async with server.connect(await server.account()) as client:
            stopped(server)
            for _ in range(100):
                await client.send('{"id": 0, "type": "ping"}')
            assert await client.closed() == 4002
            codes = [error.get("code") for error in client.errors]
            assert codes.count("rate_limited") == 50
        await room.owner.request("ping")


async def test_a_flood_of_what_is_no_request_is_closed_too(limited, monkeypatch, stopped):
    monkeypatch.setattr("realtime.session.FLOOD_REFUSALS_MAX", 50)
    async with (
        limited(ops_per_s=1, ops_burst=10) as server,
        server.connect(await server.account()) as client,
    ):
        stopped(server)
        for _ in range(100):
            await client.send("{}")
        assert await client.closed() == 4002
        assert len(client.errors) < 100


async def test_requests_that_wait_for_an_answer(limited, held):
    async with limited(in_flight=3) as server, cart_room(server) as room:
        owner = room.owner
        held.clear()
        tasks = [owner.start_op(room.cart, "rename", name="x") for _ in range(3)]
        error = await owner.op_refusal("rate_limited", room.cart, "rename", name="x")
        assert error["retry_after_s"] > 0
        await owner.refusal("rate_limited", "cart.list")
        held.set()
        assert [(await task)["type"] for task in tasks] == ["ok"] * 3
        await owner.op(room.cart, "rename", name="x")


async def test_requests_that_a_room_holds(server, monkeypatch, held):
    monkeypatch.setattr("realtime.room.ROOM_INBOX_MAX", 3)
    async with cart_room(server) as room, server.connect(room.accounts[0]) as other:
        held.clear()
        tasks = [room.owner.start_op(room.cart, "rename", name="x") for _ in range(3)]
        await room.owner.request("ping")
        op_id = other.next_op_id()
        error = await other.op_refusal("unavailable", room.cart, "rename", op_id, name="y")
        assert error["temporary"] is True
        held.set()
        assert [(await task)["rev"] for task in tasks] == [2, 3, 4]
        assert (await other.op(room.cart, "rename", op_id, name="y"))["rev"] == 5


# Backpressure


class SlowReader:
    """A joined socket that reads only when it is asked to."""

    def __init__(self, socket):
        self.socket = socket

    async def say(self, **message):
        await self.socket.send(json.dumps({"id": 1, **message}))

    async def read(self):
        async with asyncio.timeout(WAIT_S):
            return json.loads(await self.socket.recv())

    async def until(self, type_):
        while (message := await self.read())["type"] != type_:
            assert message["type"] != "error", message
        return message


@pytest.fixture
def narrow(monkeypatch):
    """Less may be on its way to a socket than always, so that less must be sent to fill it.

    More than the low mark, below which a socket that fell behind counts as reading again, and
    more than a push or two, which a socket that does read may have on its way.
    """
    monkeypatch.setattr("realtime.audience.PUSH_BACKLOG_MAX_BYTES", 4 * PUSH_BACKLOG_LOW_BYTES)


async def fall_behind(server, room):
    """Change the cart until a socket is behind; returns the rev."""
    fell_behind = server.hub.services.metrics.fell_behind
    before, rev = fell_behind._value.get(), 0
    items = [{"sku": f"LONG {index}", "qty": 1} for index in range(10)]
    for _ in range(500):
        rev = (await room.owner.op(room.cart, "add", items=items))["rev"]
        if fell_behind._value.get() > before:
            return rev
    raise AssertionError("the slow reader did not fall behind")


@pytest.fixture
async def slow(limited, narrow):
    """(server, room, slow reader who has joined)"""
    async with (
        limited(ops_per_s=100_000, ops_burst=100_000) as server,
        cart_room(server, roles=("viewer",)) as room,
    ):
        await server.products(
            *(Product(f"LONG {index}", "x" * 5_000, 1, "EUR", None) for index in range(10))
        )
        raw = sockets.socket()
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
        raw.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(raw, server.runner.addresses[0][:2])
        async with server.socket(sock=raw, max_queue=1) as socket:
            slow = SlowReader(socket)
            await slow.say(type="hello", client=str(uuid.uuid4()), token=room.accounts[1].token)
            await slow.say(type="cart.join", cart=room.cart)
            await slow.until("presence.state")
            yield server, room, slow


async def test_a_slow_reader_gets_a_state_and_the_others_every_rev(slow):
    server, room, reader = slow
    head = await fall_behind(server, room)
    quick = room.clients[1]
    assert await quick.reach(room.cart, head) == list(range(3, head + 1))
    known, message = 2, {}
    while message.get("type") != "cart.state":
        message = await reader.read()
        if message["type"] == "cart.ops":
            revs = [op["rev"] for op in message["ops"]]
            assert revs == list(range(known + 1, known + 1 + len(revs)))
            known = revs[-1]
    assert set(message) == {"type", "cart", "rev", "role", "n", "state"}
    assert known < head <= message["rev"]
    assert message["state"]["totals"]["pieces"] == 10 * (head - 2)
    assert len((await reader.until("presence.state"))["members"]) == 3
    await room.owner.op(room.cart, "clear")
    push = await reader.until("cart.ops")
    assert [op["rev"] for op in push["ops"]] == [head + 1]


async def test_who_reads_nothing_for_long_is_cut_off(slow):
    server, room, _ = slow
    services = server.hub.services
    services.timing = replace(services.timing, slow_reader_s=0.2)
    before = len(server.hub.sessions)
    await fall_behind(server, room)
    await eventually(lambda: len(server.hub.sessions) == before - 1)
    assert services.metrics.closes.labels("slow_reader")._value.get() == 1
    await room.owner.op(room.cart, "clear")


async def test_requests_of_who_does_not_read_wait(slow, monkeypatch):
    """We read no more from a socket that leaves our answers unread: they can't pile up."""
    monkeypatch.setattr("realtime.session.READ_BACKLOG_MAX_BYTES", 16_384)
    server, room, reader = slow
    await fall_behind(server, room)
    requests = server.hub.services.metrics.requests.counts
    before = requests["Ping"]
    for _ in range(50):
        await reader.say(type="ping")
    for _ in range(10):  # long enough for all of them to arrive
        await room.owner.op(room.cart, "clear")
    assert requests["Ping"] - before <= 2
    for _ in range(50):
        await reader.until("pong")
