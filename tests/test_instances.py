"""Several instances on one store and one Redis: one room for all, whatever dies."""

from __future__ import annotations

import asyncio
import secrets
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import bson
import pytest
from websockets.exceptions import ConnectionClosed

from handlers import keys
from realtime.limits import CLIENTS_PER_USER_MAX, RECENT_OPS_MAX
from realtime.state import FORMAT
from server.settings import Settings
from storage.mongo import Database
from tests.client import BREAD, Account, Client, Message, Server, cart_room, running_server
from tests.faults import FaultProxy, proxy_of, updates_of
from tests.helpers import eventually
from tests.serving import Service, serving
from tests.stage import set_commit_timeout
from tests.verdict import log_of


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[FaultProxy]:
    """The way to Redis."""
    async with proxy_of(redis_url, framed=False) as proxy:
        yield proxy


@asynccontextmanager
async def two_servers(settings: Settings) -> AsyncIterator[tuple[Server, Server]]:
    async with running_server(settings) as here, running_server(settings) as there:
        yield here, there


async def snapshot_of(database: Database, cart: str) -> Message | None:
    return await database.collection("carts").find_one({"_id": cart})


def rooms_of(server: Server) -> float:
    value = server.app[keys.REGISTRY].get_sample_value("cartroom_rooms")
    assert value is not None
    return value


# Two servers are one room


async def test_ops_go_both_ways_in_one_order(settings: Settings) -> None:
    async with two_servers(settings) as servers:
        await servers[0].products(BREAD)
        async with cart_room(*servers, roles=("editor", "viewer", "editor")) as room:
            line = await room.owner.add(room.cart, BREAD.sku, 2)
            for client in (room.clients[1], room.clients[3], room.clients[1], room.owner):
                await client.op(room.cart, "change_quantity", line=line, by=1)
            head = 1 + 3 + 1 + 4
            states = []
            for client in room.clients:
                revs = await client.reach(room.cart, head)
                assert revs == list(range(revs[0], head + 1))
                states.append(await client.state(room.cart))
            assert states[0]["lines"][0]["qty"] == 6
            assert all(state == states[0] for state in states)


async def test_presence_is_that_of_all_instances(settings: Settings) -> None:
    async with two_servers(settings) as servers, cart_room(*servers, roles=("editor",)) as room:
        owner, editor = room.clients

        async def members(client: Client) -> set[tuple[str, str]]:
            await client.join(room.cart)
            state = [frame for frame in client.frames if frame["type"] == "presence.state"][-1]
            return {(here["user"], str(here["data"].get("line"))) for here in state["members"]}

        await editor.request("presence.set", cart=room.cart, data={"line": "lin_1"})
        everybody = {(owner.user, "None"), (editor.user, "lin_1")}
        for client in room.clients:
            await eventually(lambda client=client: _equal(members(client), everybody))
        await editor.request("cart.leave", cart=room.cart)
        await eventually(lambda: _equal(members(owner), {(owner.user, "None")}))


async def _equal(asked: object, expected: object) -> bool:
    return await asked == expected  # type: ignore[misc]


async def test_a_role_change_on_one_is_a_state_on_the_other(settings: Settings) -> None:
    async with two_servers(settings) as servers, cart_room(*servers, roles=("editor",)) as room:
        owner, editor = room.clients
        await owner.share(room.cart, room.accounts[1], role="viewer")
        state = await editor.push("cart.state", room.cart)
        assert (state["role"], state["rev"]) == ("viewer", 3)
        await editor.op_refusal("forbidden", room.cart, "clear")


async def test_removal_and_deletion_on_one_end_the_room_on_the_other(settings: Settings) -> None:
    async with (
        two_servers(settings) as servers,
        cart_room(*servers, roles=("editor", "editor", "viewer")) as room,
    ):
        owner, removed, _, viewer = room.clients
        await owner.op(room.cart, "unshare", user=removed.user)
        assert (await removed.push("cart.gone"))["reason"] == "removed"
        await removed.refusal("not_found", "cart.join", cart=room.cart)
        await owner.op(room.cart, "delete")
        assert (await viewer.push("cart.gone"))["reason"] == "deleted"
        assert (await viewer.request("cart.list"))["carts"] == []


async def test_who_is_revoked_on_one_can_do_nothing_on_the_other(
    settings: Settings, redis: FaultProxy, database: Database
) -> None:
    """Also when the other has not heard of it: the log decides, and there is no Redis at all."""
    deaf = replace(settings, redis_url=redis.url, catch_up_every_s=3600.0)
    async with two_servers(deaf) as servers, cart_room(*servers, roles=("editor",)) as room:
        owner, editor = room.clients
        await redis.down()
        await owner.op(room.cart, "unshare", user=editor.user)
        await editor.op_refusal("not_found", room.cart, "rename", name="Mine")
        assert [op["op"]["kind"] for op in await log_of(database, room.cart)] == [
            *("create", "share", "unshare")
        ]


async def test_what_was_just_allowed_on_one_is_not_refused_by_the_other(
    settings: Settings, redis: FaultProxy
) -> None:
    deaf = replace(settings, redis_url=redis.url, catch_up_every_s=3600.0)
    async with two_servers(deaf) as servers, cart_room(*servers, roles=("viewer",)) as room:
        owner, viewer = room.clients
        await redis.down()
        await owner.share(room.cart, room.accounts[1], role="editor")
        assert (await viewer.op(room.cart, "rename", name="Allowed"))["rev"] == 4


# Without Redis


async def test_without_redis_each_goes_on_and_the_others_catch_up(
    settings: Settings, redis: FaultProxy
) -> None:
    """First by the regular look at the store; once Redis is back, at once again."""
    patched = replace(settings, redis_url=redis.url, catch_up_every_s=0.3, lease_s=3.0)
    async with (
        two_servers(patched) as servers,
        cart_room(*servers, roles=("editor", "viewer")) as room,
    ):
        owner, editor, beside = room.clients
        await redis.down()
        one = await owner.op(room.cart, "rename", name="Without")
        assert await beside.reach(room.cart, one["rev"])
        await editor.reach(room.cart, one["rev"])
        two = await editor.op(room.cart, "rename", name="Other way")
        await owner.reach(room.cart, two["rev"])
        await redis.up()
        buses = [server.hub.services.bus for server in servers]
        await eventually(lambda: all(bus.fresh for bus in buses), what="the buses to come back")
        # From here on no look at the store helps.
        for server in servers:
            object.__setattr__(server.hub.services.timing, "catch_up_every_s", 3600.0)
        for sender, reader in ((owner, editor), (editor, owner)) * 3:
            sent = await sender.op(room.cart, "rename", name="Live")
            await reader.reach(room.cart, sent["rev"])
        for client in room.clients:
            revs = client.revs[room.cart]
            assert revs == list(range(revs[0], revs[-1] + 1))


async def test_a_join_that_knows_more_than_the_room_gets_all_of_it(
    settings: Settings, redis: FaultProxy
) -> None:
    deaf = replace(settings, redis_url=redis.url, catch_up_every_s=3600.0)
    async with two_servers(deaf) as servers, cart_room(*servers, roles=("editor",)) as room:
        owner, editor = room.clients
        await redis.down()
        revs = [(await owner.op(room.cart, "rename", name=f"{n}"))["rev"] for n in range(5)]
        async with servers[1].connect(room.accounts[0]) as moved:
            reply = await moved.join(room.cart, rev=revs[2])
            assert [op["rev"] for op in reply["ops"]] == revs[3:]
            assert reply["rev"] == revs[-1]
            # Above everything that there is: not a part, but the state.
            reply = await moved.join(room.cart, rev=revs[-1] + 100)
            assert (reply["rev"], reply["state"]["name"]) == (revs[-1], "4")
        await editor.reach(room.cart, revs[-1])


# Crashes


@asynccontextmanager
async def own_process(settings: Settings, folder: Path) -> AsyncIterator[Service]:
    """A `cartroom serve` on the tests' stores, whose snapshots trail for long."""
    env = {
        "MONGODB_URL": settings.mongodb_url or "",
        "REDIS_URL": settings.redis_url or "",
        "CARTROOM_DATABASE": settings.mongodb_database,
        "CARTROOM_JWT_SECRET": settings.jwt_secret or "",
        "CARTROOM_SNAPSHOT_EVERY_S": "3600",
        "CARTROOM_COMMIT_TIMEOUT_S": "60",
        "CARTROOM_JOURNAL": "0",
        "CARTROOM_LOG_LEVEL": "WARNING",
    }
    async with serving(folder, env=env) as service:
        yield service


async def write_until_cut(client: Client, cart: str, acknowledged: list[int]) -> None:
    """Ops one after the other, until the socket is gone; notes the revs of their `ok`s."""
    with suppress(ConnectionError, ConnectionClosed):
        while True:
            acknowledged.append((await client.op(cart, "rename", name="Written"))["rev"])


async def test_what_a_killed_server_acknowledged_is_there_at_the_next(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    async with running_server(settings) as after:
        account = await after.account()
        async with own_process(settings, tmp_path) as service:
            doomed = Server(service.url, after.http, after.app, after.runner)
            acknowledged: list[int] = []
            async with doomed.connect(account) as client:
                cart = await client.create()
                writers = [write_until_cut(client, cart, acknowledged) for _ in range(8)]
                writing = asyncio.gather(*writers)
                await eventually(lambda: len(acknowledged) >= 60)
                service.process.send_signal(signal.SIGKILL)
                await writing
            await service.process.wait()
        assert len(acknowledged) >= 60
        assert await snapshot_of(database, cart) is None
        async with after.connect(account) as client:
            reply = await client.join(cart)
            ops = await log_of(database, cart)
            assert reply["rev"] == len(ops) >= max(acknowledged)
            assert [op["rev"] for op in ops] == list(range(1, len(ops) + 1))
            assert reply["state"]["name"] == "Written"
            op_ids = [op["op_id"] for op in ops[1:]]
            assert len(set(op_ids)) == len(op_ids)
            (row,) = (await client.request("cart.list"))["carts"]
            assert row["rev"] == reply["rev"]


async def test_memberships_missing_after_a_crash_are_repaired_when_the_cart_is_opened(
    settings: Settings, mongodb_url: str, database: Database
) -> None:
    """The instance dies between the commit of a share and the writing of what follows from it."""
    # The doomed one says in the log that it could not settle everything.
    async with (
        running_server(settings, may_log_errors=True) as after,
        proxy_of(mongodb_url) as store,
    ):
        ana, ben = await after.account("Ana"), await after.account("Ben")
        quick = replace(settings, mongodb_url=store.url, drain_s=0.1)
        async with (
            running_server(quick, may_log_errors=True) as doomed,
            doomed.connect(ana) as owner,
        ):
            cart = await owner.create()
            hold = store.hold(updates_of("memberships"))
            share = {"users": [{"user": ben.user, "role": "editor"}]}
            op_id = owner.next_op_id()
            set_commit_timeout(doomed.hub, 1.5)
            reply = owner.start_op(cart, "share", op_id, **share)
            await hold.reached()
            assert (await reply)["code"] == "unavailable"
            await store.down()
        async with after.connect(ben) as editor, after.connect(ana) as owner:
            assert (await editor.request("cart.list"))["carts"] == []
            assert (await owner.op(cart, "share", op_id, **share))["rev"] == 2
            (row,) = (await editor.request("cart.list"))["carts"]
            assert (row["cart"], row["role"], row["rev"]) == (cart, "editor", 2)


async def test_a_cart_whose_creation_was_cut_short_is_in_the_list_after_the_resend(
    settings: Settings, mongodb_url: str
) -> None:
    # The doomed one says in the log that it could not settle everything.
    async with (
        running_server(settings, may_log_errors=True) as after,
        proxy_of(mongodb_url) as store,
    ):
        account = await after.account()
        client = str(uuid.uuid4())
        create = {"op_id": f"{client}:1", "name": "Cut short"}
        quick = replace(settings, mongodb_url=store.url, drain_s=0.1)
        async with (
            running_server(quick, may_log_errors=True) as doomed,
            doomed.connect(account, client) as owner,
        ):
            hold = store.hold(updates_of("memberships"))
            set_commit_timeout(doomed.hub, 1.5)
            reply = owner.start("cart.create", **create)
            await hold.reached()
            assert (await reply)["code"] == "unavailable"
            await store.down()
        async with after.connect(account, client) as owner:
            again = await owner.request("cart.create", **create)
            assert (again["rev"], again["state"]["name"]) == (1, "Cut short")
            (row,) = (await owner.request("cart.list"))["carts"]
            assert (row["cart"], row["role"]) == (again["cart"], "owner")


# Coming back


async def test_unused_rooms_leave_memory_with_their_snapshot_stored(
    settings: Settings, database: Database
) -> None:
    brief = replace(settings, room_idle_s=0.1, snapshot_every_s=3600.0)
    async with running_server(brief) as server:
        account = await server.account()
        async with server.connect(account) as client:
            carts = [await client.create() for _ in range(5)]
            for cart in carts:
                await client.op(cart, "rename", name="Stored")
            assert rooms_of(server) == 5
            assert await snapshot_of(database, carts[0]) is None
        await eventually(lambda: rooms_of(server) == 0, what="the rooms to leave")
        for cart in carts:
            stored = await snapshot_of(database, cart)
            assert stored is not None
            assert (stored["rev"], stored["name"]) == (2, "Stored")
        async with server.connect(account) as client:
            assert (await client.state(carts[0]))["name"] == "Stored"
            # One that doesn't exist takes no place at all.
            await client.refusal("not_found", "cart.join", cart="crt_nowhere")
            await client.request("cart.leave", cart=carts[0])
            await eventually(lambda: rooms_of(server) == 0, what="the rooms to leave again")


async def write_much(server: Server, account: Account, cart: str, count: int) -> None:
    """So many ops, over as many sockets as the rate limit takes."""
    while count:
        portion = min(count, 190)
        async with server.connect(account) as client:
            asked = [client.start_op(cart, "rename", name=f"{n}") for n in range(portion)]
            for reply in asked:
                assert (await reply)["type"] == "ok"
        count -= portion


@pytest.mark.parametrize("missed", [1, RECENT_OPS_MAX + 50, 1_000])
async def test_a_long_absence_is_resumed_with_every_missed_op(
    settings: Settings, missed: int
) -> None:
    async with running_server(settings) as server, cart_room(server) as room:
        cart, account = room.cart, room.accounts[0]
        await write_much(server, account, cart, missed)
        async with server.connect(account) as client:
            reply = await client.join(cart, rev=1)
            assert [op["rev"] for op in reply["ops"]] == list(range(2, missed + 2))
            assert "state" not in reply


async def test_a_longer_absence_is_answered_with_the_state(settings: Settings) -> None:
    async with running_server(settings) as server, cart_room(server) as room:
        await write_much(server, room.accounts[0], room.cart, 1_001)
        async with server.connect(room.accounts[0]) as client:
            reply = await client.join(room.cart, rev=1)
            assert reply["rev"] == 1_002
            assert "ops" not in reply
            assert reply["state"]["name"]


async def test_ops_of_a_forgotten_client_are_told_apart(
    settings: Settings, database: Database
) -> None:
    """A cart remembers 64 clients a user; of the rest the log knows, here and at the next start."""
    forgotten = str(uuid.uuid4())
    async with running_server(settings) as server:
        account = await server.account()
        async with server.connect(account) as client:
            cart = await client.create()
            firsts = {
                n: await client.op(cart, "rename", f"{forgotten}:{n}", name=f"{n}") for n in (3, 7)
            }
            for _ in range(CLIENTS_PER_USER_MAX + 1):
                await client.op(cart, "rename", f"{uuid.uuid4()}:1", name="Others")
            await check_forgotten(client, cart, forgotten, firsts)
    async with running_server(settings) as server, server.connect(account) as client:
        await check_forgotten(client, cart, forgotten, firsts)
        new = await client.op(cart, "rename", f"{forgotten}:8", name="New")
        assert new["op"]["name"] == "New"
        again = await client.op(cart, "rename", f"{forgotten}:7", name="7")
        assert again["rev"] == firsts[7]["rev"]
    ops = [op for op in await log_of(database, cart) if (op["op_id"] or "").startswith(forgotten)]
    assert [op["op_id"].rpartition(":")[2] for op in ops] == ["3", "7", "8"]


async def check_forgotten(
    client: Client, cart: str, forgotten: str, firsts: dict[int, Message]
) -> None:
    for n, first in firsts.items():
        again = await client.op(cart, "rename", f"{forgotten}:{n}", name=f"{n}")
        assert (again["rev"], again["at"], again["op"]) == (first["rev"], first["at"], first["op"])
        await client.op_refusal("conflict", cart, "rename", f"{forgotten}:{n}", name="Other")
    await client.op_refusal("conflict", cart, "rename", f"{forgotten}:5", name="Never sent")


async def insert_newer(database: Database, cart: str, rev: int, user: str) -> None:
    """What an instance of a later version commits."""
    op = {"op_id": None, "by": user, "at": 0, "hash": "", "op": {"kind": "unheard-of"}}
    commit = {"_id": f"{cart}:{rev}", "cart": cart, "last": rev, "v": FORMAT + 1, "ops": [op]}
    await database.collection("cart_ops").insert_one({**commit, "commit": secrets.token_hex(16)})


async def test_a_newer_format_closes_the_room_and_no_other(
    settings: Settings, database: Database
) -> None:
    async with (
        running_server(settings, may_log_errors=True) as server,
        cart_room(server, roles=("viewer",)) as room,
    ):
        owner, viewer = room.clients
        other = await owner.create()
        await insert_newer(database, room.cart, 3, owner.user)
        await owner.op_refusal("unavailable", room.cart, "rename", name="Old hat")
        assert (await viewer.push("cart.gone"))["reason"] == "unavailable"
        await viewer.refusal("unavailable", "cart.join", cart=room.cart)
        await owner.op_refusal("unavailable", room.cart, "rename", name="Still")
        await owner.op(other, "rename", name="As ever")
        listed = (await owner.request("cart.list"))["carts"]
        assert other in {row["cart"] for row in listed}
        stored = await snapshot_of(database, room.cart)
        assert stored is None or stored["rev"] <= 2


async def test_a_newer_snapshot_is_not_read(settings: Settings, database: Database) -> None:
    async with running_server(settings) as server:
        account = await server.account()
        async with server.connect(account) as client:
            cart = await client.create()
    stored = await snapshot_of(database, cart)
    assert stored is not None
    assert bson.encode(stored)
    await database.collection("carts").update_one({"_id": cart}, {"$set": {"v": FORMAT + 1}})
    async with running_server(settings) as server, server.connect(account) as client:
        await client.refusal("unavailable", "cart.join", cart=cart)
