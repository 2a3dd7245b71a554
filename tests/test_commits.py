"""Commits whose outcome the service can't know at first, and races between two instances.

The real service on real stores, with a proxy between that takes a commit's journey apart.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

import pytest

from server.settings import Settings
from storage.mongo import Database
from storage.oplog import OpLog, first_rev
from tests.client import (
    APPLE,
    Client,
    Message,
    Room,
    Server,
    cart_room,
    refused,
    running_server,
    succeeded,
)
from tests.document import section
from tests.faults import Fault, FaultProxy, is_commit, proxy_of, updates_of
from tests.helpers import PATIENCE_S, eventually
from tests.stage import set_commit_timeout
from tests.tiers import by_store

TIMEOUT_S = by_store(own=1.0, named=3.0)
"""For ops that are to meet it, and no others."""


@pytest.fixture
async def store(mongodb_url: str) -> AsyncIterator[FaultProxy]:
    """The way to the store."""
    async with proxy_of(mongodb_url) as proxy:
        yield proxy


@pytest.fixture
async def server(settings: Settings, store: FaultProxy) -> AsyncIterator[Server]:
    """A service that reaches its store through the proxy."""
    patient = replace(settings, mongodb_url=store.url, commit_timeout_s=PATIENCE_S)
    async with running_server(patient) as server:
        yield server


async def logged(database: Database, cart: str) -> list[Message]:
    """The cart's ops as the log has them, with revs; fails on a gap or an overlap."""
    documents = await database.collection("cart_ops").find({"cart": cart}).to_list(None)
    documents.sort(key=first_rev)
    ops = [
        {"rev": first_rev(document) + index, **op}
        for document in documents
        for index, op in enumerate(document["ops"])
    ]
    assert [op["rev"] for op in ops] == list(range(1, len(ops) + 1))
    assert await OpLog(database).tail(cart, 0) == documents
    return ops


def once_each(ops: Iterable[Message], op_ids: Iterable[str]) -> None:
    """Every op_id is in the log exactly once, and nothing else of their clients is."""
    counts = Counter(op["op_id"] for op in ops if op["op_id"])
    expected = Counter(op_ids)
    assert {op_id: counts[op_id] for op_id in expected} == dict(expected)
    clients = {op_id.partition(":")[0] for op_id in expected}
    ours = {op_id for op_id in counts if op_id.partition(":")[0] in clients}
    assert ours == set(expected)


# Unknown outcomes


@pytest.mark.parametrize("fault", Fault)
async def test_a_commit_cut_off_on_its_way_takes_effect_once(
    server: Server, store: FaultProxy, database: Database, fault: Fault
) -> None:
    async with cart_room(server, roles=("editor",)) as room:
        owner, editor = room.clients
        store.strike(fault)
        op_id = editor.next_op_id()
        reply = await editor.op(room.cart, "rename", op_id, name="Through")
        assert store.struck == {fault: 1}
        assert (await owner.reach(room.cart, reply["rev"]))[-1] == reply["rev"]
        once_each(await logged(database, room.cart), [op_id])
        assert server.hub.services.metrics.outcomes_unknown._value.get() >= 1


async def test_many_commits_cut_off_at_every_point_take_effect_once(
    server: Server, store: FaultProxy, database: Database
) -> None:
    """Every third insert of any room is cut, one point after the other, twice over."""
    account = await server.account()
    async with server.connect(account) as client:
        carts = [await client.create() for _ in range(6)]
        for _ in range(2):
            for fault in Fault:
                store.strike(fault, every=3)
        op_ids: dict[str, list[str]] = {cart: [] for cart in carts}
        for _ in range(12):
            for cart in carts:
                op_ids[cart].append(client.next_op_id())
            await asyncio.gather(*(insist(client, cart, ids[-1]) for cart, ids in op_ids.items()))
        assert store.struck == dict.fromkeys(Fault, 2)
        for cart in carts:
            once_each(await logged(database, cart), op_ids[cart])


@pytest.mark.parametrize("stuck", ["on the way there", "on the way back"])
async def test_past_the_time_limit_an_op_is_unavailable_and_its_resend_counts_once(
    server: Server, store: FaultProxy, database: Database, stuck: str
) -> None:
    async with cart_room(server, roles=("editor",)) as room:
        owner, editor = room.clients
        if stuck == "on the way there":
            hold = store.hold()
        else:
            # The store has it; what is held is the second sending of what it didn't answer.
            store.strike(Fault.AFTER)
            hold = store.hold(lambda message: is_commit(message) and store.struck[Fault.AFTER] > 0)
        set_commit_timeout(server.hub, TIMEOUT_S)
        asked = editor.next_op_id()
        reply = editor.start_op(room.cart, "rename", asked, name="Stuck")
        first = refused(await reply, "unavailable")
        assert first["temporary"] is True
        # Still unknown, and so is the answer to the resend.
        again = refused(
            await editor.start_op(room.cart, "rename", asked, name="Stuck"), "unavailable"
        )
        assert again["temporary"] is True
        set_commit_timeout(server.hub, PATIENCE_S)
        hold.release()
        final = await editor.op(room.cart, "rename", asked, name="Stuck")
        assert (final["rev"], final["op"]["name"]) == (3, "Stuck")
        assert await owner.reach(room.cart, 3) == [2, 3]
        assert (await editor.op(room.cart, "rename", asked, name="Stuck"))["rev"] == 3
        await editor.op_refusal("conflict", room.cart, "rename", asked, name="Other")
        once_each(await logged(database, room.cart), [asked])


async def test_an_op_given_up_for_now_reaches_its_socket_as_a_push(
    server: Server, store: FaultProxy
) -> None:
    async with cart_room(server, roles=("editor",)) as room:
        editor = room.clients[1]
        hold = store.hold()
        set_commit_timeout(server.hub, TIMEOUT_S)
        await editor.op_refusal("unavailable", room.cart, "rename", name="Late")
        hold.release()
        assert await editor.reach(room.cart, 3) == [3]


async def test_refusals_are_final_only_when_the_store_confirms_them(
    server: Server, store: FaultProxy, database: Database
) -> None:
    """A refusal judged on an op that isn't durable yet depends on that op's outcome."""
    async with cart_room(server, roles=("editor",)) as room:
        owner, editor = room.clients
        hold = store.hold()
        set_commit_timeout(server.hub, TIMEOUT_S)
        removal = owner.start_op(room.cart, "unshare", user=editor.user)
        await hold.reached()
        asked = editor.next_op_id()
        reply = editor.start_op(room.cart, "rename", asked, name="After")
        assert refused(await reply, "unavailable")["temporary"] is True
        refused(await removal, "unavailable")
        set_commit_timeout(server.hub, PATIENCE_S)
        hold.release()
        await editor.op_refusal("not_found", room.cart, "rename", asked, name="After")
        assert [op["op"]["kind"] for op in await logged(database, room.cart)][2:] == ["unshare"]


async def test_what_was_refused_at_one_instance_takes_no_effect_at_another(
    settings: Settings, mongodb_url: str, database: Database
) -> None:
    """Its commit was on the way to the store when its client went elsewhere, where stock is short.

    What everybody else is pushed is the document's own example.
    """
    async with (
        proxy_of(mongodb_url) as store,
        running_server(
            replace(settings, mongodb_url=store.url, commit_timeout_s=PATIENCE_S)
        ) as here,
        running_server(settings) as there,
        cart_room(here, roles=("editor",)) as room,
    ):
        owner, editor = room.clients
        await here.products(replace(APPLE, available=12))
        hold = store.hold()
        asked, items = editor.next_op_id(), [{"sku": APPLE.sku, "qty": 12}]
        left = editor.start_op(room.cart, "add", asked, items=items)
        await hold.reached()
        await here.products(APPLE)
        async with there.connect(room.accounts[1], editor.client) as again:
            await again.join(room.cart)
            first = await again.op_refusal("out_of_stock", room.cart, "add", asked, items=items)
            assert await again.reach(room.cart, 3) == [3]
            hold.release()
            told = refused(await left, "out_of_stock")
            second = await again.op_refusal("out_of_stock", room.cart, "add", asked, items=items)
            assert [{**one, "id": 0} for one in (told, second)] == [{**first, "id": 0}] * 2
        assert (await owner.state(room.cart))["lines"] == []
        (entry,) = (await owner.request("cart.history", cart=room.cart, before=4, limit=1))["ops"]
        assert (entry["rev"], entry["op_id"]) == (3, asked)
        assert entry["op"] == section("Exactly one effect").examples()[0]
        assert len(await logged(database, room.cart)) == 3


async def test_the_store_goes_and_comes_back_and_rooms_recover_by_themselves(
    server: Server, store: FaultProxy, database: Database
) -> None:
    async with cart_room(server, roles=("editor",)) as room:
        owner, editor = room.clients
        second = await owner.create()
        await store.down()
        set_commit_timeout(server.hub, TIMEOUT_S)
        asked = {room.cart: owner.next_op_id(), second: owner.next_op_id()}
        for cart, op_id in asked.items():
            await owner.op_refusal("unavailable", cart, "rename", op_id, name="Insisted")
        await editor.op_refusal("unavailable", room.cart, "clear")
        await editor.request("ping")
        set_commit_timeout(server.hub, PATIENCE_S)
        await store.up()
        for cart, op_id in asked.items():
            await insist(owner, cart, op_id)
            assert [op["op_id"] for op in await logged(database, cart)].count(op_id) == 1
        succeeded(await editor.start_op(room.cart, "rename", name="Back"))
        revs = await owner.reach(room.cart, len(await logged(database, room.cart)))
        assert sorted(set(revs)) == list(range(2, revs[-1] + 1))


async def insist(client: Client, cart: str, op_id: str) -> Message:
    """Send an op until it is no longer refused for now."""

    async def attempt() -> Message | None:
        reply = await client.start_op(cart, "rename", op_id, name="Insisted")
        return None if reply["type"] == "error" and reply["temporary"] else succeeded(reply)

    return await eventually(attempt)


async def test_an_ok_waits_for_the_memberships(
    server: Server, store: FaultProxy, database: Database
) -> None:
    """Who is told of a share finds the cart in their list: the memberships are written before."""
    async with cart_room(server) as room:
        other = await server.account("Ben")
        hold = store.hold(updates_of("memberships"))
        shared = room.owner.start_op(
            room.cart, "share", users=[{"user": other.user, "role": "editor"}]
        )
        await hold.reached()
        assert (await logged(database, room.cart))[-1]["op"]["kind"] == "share"
        assert not shared.done()
        hold.release()
        succeeded(await shared)
        async with server.connect(other) as client:
            (row,) = (await client.request("cart.list"))["carts"]
            assert (row["cart"], row["role"]) == (room.cart, "editor")


# Group commit


async def test_ops_that_come_while_a_commit_is_under_way_share_the_next(
    server: Server, store: FaultProxy, database: Database
) -> None:
    async with cart_room(server) as room:
        hold = store.hold()
        first = room.owner.start_op(room.cart, "rename", name="0")
        await hold.reached()
        others = [room.owner.start_op(room.cart, "rename", name=f"{n}") for n in range(1, 21)]
        await room.owner.request("ping")
        hold.release()
        revs = [succeeded(await reply)["rev"] for reply in (first, *others)]
        assert revs == list(range(2, 23))
        stored = await database.collection("cart_ops").find({"cart": room.cart}).to_list(None)
        assert sorted(len(document["ops"]) for document in stored) == [1, 1, 20]


async def test_the_commits_of_many_rooms_share_inserts(server: Server, store: FaultProxy) -> None:
    account = await server.account()
    async with server.connect(account) as client:
        carts = [await client.create() for _ in range(40)]
        inserts: list[bytes] = []

        def count(message: bytes) -> bool:
            if is_commit(message):
                inserts.append(message)
            return False

        store.hold(count)
        blocked = store.hold()
        first = client.start_op(carts[0], "rename", name="x")
        await blocked.reached()
        replies = [client.start_op(cart, "rename", name="x") for cart in carts[1:]]
        await client.request("ping")
        blocked.release()
        for reply in (first, *replies):
            succeeded(await reply)
        assert len(inserts) <= 6


# Lost races


async def write(client: Client, cart: str, count: int) -> list[int]:
    """So many ops one after the other, as fast as answers come; their revs. None is refused."""
    return [(await client.op(cart, "rename", name=f"{n}"))["rev"] for n in range(count)]


def ops_of(client: Client, ops: Iterable[Message]) -> list[Message]:
    return [op for op in ops if (op["op_id"] or "").startswith(client.client)]


async def check_race(room: Room, database: Database, one: list[int], other: list[int]) -> None:
    """All ops are in the log once, every client saw them in order, and neither writer starved."""
    ops = await logged(database, room.cart)
    ours = sorted(one + other)
    assert ours == list(range(ours[0], len(ops) + 1))
    assert (one, other) == (sorted(one), sorted(other))
    for client in room.clients:
        numbers = [int(op["op_id"].rpartition(":")[2]) for op in ops_of(client, ops)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        seen = await client.reach(room.cart, len(ops))
        assert seen == list(range(seen[0], len(ops) + 1))
    # Each has some tenth of the first half of the race; by fair turns it would be half of it.
    first_half = set(ours[: len(ours) // 2])
    for revs in (one, other):
        assert len(first_half.intersection(revs)) >= len(first_half) / 10


async def test_two_instances_that_write_one_cart_both_get_on(
    settings: Settings, database: Database
) -> None:
    async with (
        running_server(settings) as here,
        running_server(settings) as there,
        cart_room(here, there, roles=("editor",)) as room,
    ):
        one, other = await asyncio.gather(*(write(peer, room.cart, 120) for peer in room.clients))
        await check_race(room, database, one, other)
        lost = [server.hub.services.metrics.races_lost._value.get() for server in (here, there)]
        print(f"races lost: {lost}")
        assert sum(lost) > 0


async def test_without_redis_they_lose_nothing_either(
    settings: Settings, redis_url: str, database: Database
) -> None:
    """Who loses can't ask the other to wait, so turns are not fair; and a reader sees all of it."""
    async with proxy_of(redis_url, framed=False) as redis:
        alone = replace(settings, redis_url=redis.url, catch_up_every_s=0.3)
        async with (
            running_server(alone) as here,
            running_server(alone) as there,
            cart_room(here, there, roles=("editor",)) as room,
        ):
            await redis.down()

            async def write_on(client: Client) -> list[str]:
                op_ids = [client.next_op_id() for _ in range(60)]
                for op_id in op_ids:
                    await insist(client, room.cart, op_id)
                return op_ids

            op_ids = await asyncio.gather(*(write_on(client) for client in room.clients))
            ops = await logged(database, room.cart)
            assert len(ops) == 2 + 120
            for client, expected in zip(room.clients, op_ids, strict=True):
                assert [op["op_id"] for op in ops_of(client, ops)][-60:] == expected
                seen = await client.reach(room.cart, len(ops))
                assert seen == list(range(seen[0], len(ops) + 1))


async def test_bursts_from_two_instances_lose_nothing(
    settings: Settings, database: Database
) -> None:
    """What waits on one side goes together once it has its turn."""
    async with (
        running_server(settings) as here,
        running_server(settings) as there,
        cart_room(here, there, roles=("editor",)) as room,
    ):
        for burst in range(3):
            asked = [
                peer.start_op(room.cart, "rename", name=f"{burst}:{number}")
                for number in range(25)
                for peer in room.clients
            ]
            for reply in asked:
                succeeded(await reply)
        ops = await logged(database, room.cart)
        assert len(ops) == 2 + 150
        assert max(Counter(op["op_id"] for op in ops if op["op_id"]).values()) == 1
        for peer in room.clients:
            numbers = [int(op["op_id"].rpartition(":")[2]) for op in ops_of(peer, ops)]
            assert numbers == sorted(numbers)
