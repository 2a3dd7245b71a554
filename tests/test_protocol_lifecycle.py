"""The life of a socket: greeting, heartbeats, faults of the store, the server's end."""

from __future__ import annotations

import asyncio
import gc
import json
import socket as sockets
import struct
import time
import uuid
from dataclasses import replace
from functools import partial

import pytest
from aiohttp import web
from websockets.exceptions import InvalidStatus

from realtime import commands
from realtime.messages import CartHistory
from server.app import drain
from storage.mongo import Database
from tests.client import BREAD, Ahead, Client, cart_room, read_to_the_end, running_server
from tests.helpers import eventually
from tests.instances import running_instances
from tests.proxy import TcpProxy
from tests.stage import hurried


async def test_a_socket_without_hello_is_closed(settings):
    async with (
        running_server(replace(settings, hello_timeout_s=0.1)) as server,
        server.socket() as socket,
    ):
        assert await read_to_the_end(socket) == ([], 4003)


async def test_a_client_that_closes_is_answered(server):
    async with server.connect(await server.account()) as client:
        await client.close()
        assert client.socket.close_code == 1000
        await eventually(lambda: not server.hub.sessions)


async def test_a_socket_that_has_ended_leaves_memory_at_once(server):
    """Not only when garbage is collected, which is rare while many sockets are open."""

    def responses():
        return sum(type(one) is web.WebSocketResponse for one in gc.get_objects())

    account = await server.account()
    gc.collect()
    before = responses()
    gc.disable()
    try:
        async with server.connect(account):
            assert responses() == before + 1
        await eventually(lambda: responses() == before, what="the response gone")
    finally:
        gc.enable()


@pytest.mark.parametrize("reset", [True, False])
async def test_a_client_that_is_gone_before_its_upgrade_is_no_fault_of_ours(settings, reset):
    upgrade = (
        "GET /ws HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    async with running_instances(settings, 1) as (instance,):
        instance.freeze()
        for _ in range(10):
            with sockets.create_connection(("127.0.0.1", instance.settings.port)) as gone:
                gone.sendall(upgrade.encode())
                if reset:
                    now = struct.pack("ii", 1, 0)
                    gone.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, now)
        instance.thaw()
        await instance.account()
        assert instance.logged_errors() == []


HEARTBEAT_S = 100.0
"""So long that nobody's is late because the machine is slow; the tests move the clock."""


async def test_silence_for_two_heartbeats_is_closed(settings, monkeypatch):
    async with running_server(replace(settings, heartbeat_s=HEARTBEAT_S)) as server:
        ana, ahead = await server.account(), Ahead(server, monkeypatch)
        async with server.connect(ana) as silent, server.connect(ana) as lively:
            assert silent.welcome["heartbeat_s"] == HEARTBEAT_S
            for _ in range(2):
                ahead.monotonic_s += 1.4 * HEARTBEAT_S
                await lively.request("ping")
            assert await silent.closed() == 4000
            await lively.request("ping")


async def test_a_half_open_socket_is_cut_off_and_leaves_the_presence(settings, monkeypatch):
    """The peer's machine is gone: nobody answers, not even the closing handshake."""
    monkeypatch.setattr("handlers.socket.CLOSE_TIMEOUT_S", 0.1)
    async with (
        running_server(replace(settings, heartbeat_s=HEARTBEAT_S)) as server,
        cart_room(server, roles=("viewer",)) as room,
        server.socket() as socket,
    ):
        ahead = Ahead(server, monkeypatch)
        gone = Client(socket, room.accounts[1], str(uuid.uuid4()))
        await gone.greet(room.accounts[1])
        await gone.join(room.cart)
        sessions = len(server.hub.sessions)
        socket.transport.pause_reading()

        def told():
            diffs = [push for push in room.owner.pushes if push["type"] == "presence.diff"]
            return gone.client in [left["client"] for diff in diffs for left in diff["left"]]

        for _ in range(2):
            assert not told()
            ahead.monotonic_s += 1.4 * HEARTBEAT_S
            await asyncio.gather(*(client.request("ping") for client in room.clients))
        await eventually(told)
        assert len(server.hub.sessions) == sessions - 1
        socket.transport.abort()
        await gone.close()


async def test_a_socket_ends_with_its_token(settings, monkeypatch):
    async with running_server(settings) as server:
        ahead = Ahead(server, monkeypatch)
        async with server.connect(await server.account()) as client:
            await client.request("ping")
            ahead.wall_s = settings.token_ttl_s
            assert await client.closed() == 4502


async def test_a_draining_server_answers_says_goodbye_and_closes(settings, held):
    async with (
        running_server(settings) as server,
        cart_room(server) as room,
        server.socket() as silent,
    ):
        owner = room.owner
        held.clear()
        tasks = [owner.start_op(room.cart, "rename", name=f"Name {n}") for n in range(3)]
        await owner.request("ping")
        stopping = asyncio.create_task(drain(server.app))
        await eventually(lambda: server.hub.draining)
        error = await owner.op_refusal("unavailable", room.cart, "clear")
        assert error["temporary"] is True
        await owner.request("ping")
        with pytest.raises(InvalidStatus) as refused:
            async with server.socket():
                pass
        assert refused.value.response.status_code == 503
        held.set()
        assert [(await task)["rev"] for task in tasks] == [2, 3, 4]
        goodbye = await owner.push("goodbye")
        assert 0 <= goodbye.pop("retry_after_s") <= 5
        assert goodbye == {"type": "goodbye", "code": 1001, "reason": "draining"}
        assert owner.frames[-1]["type"] == "goodbye"
        assert await owner.closed() == 1001
        messages, code = await read_to_the_end(silent)
        assert ([message["type"] for message in messages], code) == (["goodbye"], 1001)
        await stopping
        assert not server.hub.sessions
    async with running_server(settings) as server, server.connect(room.accounts[0]) as client:
        reply = await client.join(room.cart)
        assert (reply["rev"], reply["state"]["name"]) == (4, "Name 2")


async def test_an_op_whose_commit_stays_unknown_is_temporary_and_counts_once(settings, held):
    """It is told to try again, takes effect all the same, and everybody gets its rev once."""
    async with running_server(settings) as server, cart_room(server, roles=("viewer",)) as room:
        await server.products(BREAD)
        owner, op_id = room.owner, room.owner.next_op_id()
        items = [{"sku": "BREAD", "qty": 1}]
        held.clear()
        with hurried(server.hub, room.cart):
            error = await owner.op_refusal("unavailable", room.cart, "add", op_id, items=items)
        assert error["temporary"] is True
        again = owner.start_op(room.cart, "add", op_id, items=items)
        await owner.request("ping")
        held.set()
        assert (await again)["rev"] == 3
        assert (await owner.op(room.cart, "clear"))["rev"] == 4
        assert owner.revs[room.cart] == [2, 3, 4]
        assert await room.clients[1].reach(room.cart, 4) == [3, 4]


async def test_an_op_that_was_given_up_comes_as_a_push_when_it_took_effect(settings, held):
    async with running_server(settings) as server, cart_room(server) as room:
        owner, op_id = room.owner, room.owner.next_op_id()
        held.clear()
        with hurried(server.hub, room.cart):
            await owner.op_refusal("unavailable", room.cart, "rename", op_id, name="Feast")
        held.set()
        assert await owner.reach(room.cart, 2) == [2]
        assert (await owner.push("cart.ops"))["ops"][0]["op_id"] == op_id
        assert (await owner.op(room.cart, "rename", op_id, name="Feast"))["rev"] == 2
        assert (await owner.op(room.cart, "clear"))["rev"] == 3


@pytest.fixture
def impatient(monkeypatch):
    """Give up on an operation of the store sooner than always."""
    monkeypatch.setattr("server.app.Database", partial(Database, timeout_s=2.0))


async def test_while_the_store_is_away_everything_is_temporary(settings, impatient):
    port = int(settings.mongodb_url.rpartition(":")[2].partition("/")[0])
    async with TcpProxy(port) as proxy:
        url = settings.mongodb_url.replace(f":{port}", f":{proxy.port}")
        away = replace(settings, mongodb_url=url, commit_timeout_s=2.0)
        async with running_server(away) as server, cart_room(server) as room:
            owner = room.owner
            other = await owner.create()
            await owner.request("cart.leave", cart=other)
            op_id = owner.next_op_id()
            await proxy.cut()
            for type_, fields in [
                ("cart.op", {"op_id": op_id, "op": {"kind": "rename", "name": "Feast"}}),
                ("cart.history", {}),
            ]:
                error = await owner.refusal("unavailable", type_, cart=room.cart, **fields)
                assert error["temporary"] is True
            await owner.refusal("unavailable", "cart.list")
            await owner.request("ping")
            await proxy.restore()

            async def accepted():
                reply = await owner.start_op(room.cart, "rename", op_id, name="Feast")
                assert reply["type"] == "ok" or reply["temporary"], reply
                return reply["type"] == "ok" and reply

            assert (await eventually(accepted))["rev"] == 2
            assert (await owner.state(room.cart))["name"] == "Feast"


async def test_without_the_store_nobody_is_greeted(settings, impatient):
    port = int(settings.mongodb_url.rpartition(":")[2].partition("/")[0])
    async with TcpProxy(port) as proxy:
        url = settings.mongodb_url.replace(f":{port}", f":{proxy.port}")
        async with running_server(replace(settings, mongodb_url=url)) as server:
            ana = await server.account()
            await proxy.cut()
            async with server.socket() as socket:
                hello = {"id": 1, "type": "hello", "client": str(uuid.uuid4()), "token": ana.token}
                await socket.send(json.dumps(hello))
                messages, code = await read_to_the_end(socket)
                assert [message["code"] for message in messages] == ["unavailable"]
                assert code == 4004


async def test_a_fault_of_ours_is_internal_and_harms_only_its_request(settings, monkeypatch):
    async def fail(*_):
        raise ZeroDivisionError("something secret")

    monkeypatch.setitem(commands.COMMANDS, CartHistory, fail)
    async with running_server(settings, may_log_errors=True) as server, cart_room(server) as room:
        error = await room.owner.refusal("internal", "cart.history", cart=room.cart)
        assert "secret" not in json.dumps(error)
        assert error["temporary"] is False
        await room.owner.op(room.cart, "clear")


async def test_times_in_a_cart_never_go_back(server, monkeypatch):
    async with cart_room(server) as room:
        first = await room.owner.op(room.cart, "clear")
        clock = type(server.hub.services.clock)
        monkeypatch.setattr(clock, "wall_ms", lambda self: int(time.time() * 1000) - 3_600_000)
        second = await room.owner.op(room.cart, "clear")
        assert second["at"] == first["at"]


async def test_a_draining_server_waits_until_its_goodbye_is_answered(server):
    async with cart_room(server) as room, server.socket() as slow:
        slow.transport.pause_reading()
        stopping = asyncio.create_task(drain(server.app))
        assert await room.owner.closed() == 1001
        await eventually(lambda: len(server.hub.sessions) == 1)
        assert not stopping.done()
        slow.transport.resume_reading()
        await stopping
        assert not server.hub.sessions


async def test_serve_reads_its_sockets_until_they_are_closed(settings, held):
    async with running_server(settings) as server, cart_room(server) as room:
        held.clear()
        task = room.owner.start_op(room.cart, "rename", name="Feast")
        await room.owner.request("ping")
        stopping = asyncio.create_task(server.stop())
        await eventually(lambda: server.hub.draining)
        await room.owner.request("ping")
        held.set()
        assert (await task)["rev"] == 2
        assert await room.owner.closed() == 1001
        await stopping
