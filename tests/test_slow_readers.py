"""Readers that don't keep up: they cost bounded memory, delay nobody and end up equal."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from realtime.limits import (
    COMMIT_BYTES_MAX,
    DEFAULT_LIMITS,
    HISTORY_BYTES_MAX,
    HISTORY_MAX,
    PUSH_BACKLOG_MAX_BYTES,
    READ_BACKLOG_MAX_BYTES,
    READS_AT_ONCE,
)
from server.settings import Settings
from storage.mongo import Database
from storage.oplog import first_rev
from tests.client import Account, Client, Door, Server
from tests.instances import Instance, running_instances
from tests.mirror import Mirror
from tests.slow import SlowReader
from tests.stage import Stage, turns

OPS = 10_000
WRITERS = OPS // DEFAULT_LIMITS.ops_burst
"""Sockets at once: as many as may send all of it without being told to slow down."""
WINDOW = 20
"""Ops that a writer has on their way; all together they are half of what a room holds."""
TEXT = "x" * 1_000
STOPPED = 16
TRICKLING = 4
TRICKLE_BYTES = 7
"""What a trickling reader reads at each answer to anybody's op, of some 1,200 bytes of push."""
FLOODING = 2
FLOOD_REQUESTS = 100
"""Histories that a flooding reader asks for and doesn't read, of some 600 KB each."""
ALLOWANCE_BYTES = 32 * 2**20
"""What the process may grow by for other reasons: three times what the ops alone cost it."""


def resident_bytes(pid: int) -> int:
    """The memory that a process takes."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found.group(1)) * 1024


async def write(
    door: Door, account: Account, cart: str, ops: int, on_answer: Callable[[], None]
) -> list[int]:
    """So many ops over one socket that hasn't joined, each answered `ok` in turn; their revs."""
    client = str(uuid.uuid4())
    revs: list[int] = []
    async with door.socket() as socket:
        hello = {"id": 0, "type": "hello", "client": client, "token": account.token}
        await socket.send(json.dumps(hello))
        assert json.loads(await socket.recv())["type"] == "welcome"
        sent = 0
        while len(revs) < ops:
            while sent < min(ops, len(revs) + WINDOW):
                sent += 1
                op = {"kind": "note", "text": f"{sent} {TEXT}"}
                request = {"id": sent, "type": "cart.op", "cart": cart, "op": op}
                await socket.send(json.dumps({**request, "op_id": f"{client}:{sent}"}))
            reply = json.loads(await socket.recv())
            assert (reply["type"], reply["id"]) == ("ok", len(revs) + 1), reply
            revs.append(reply["rev"])
            on_answer()
    return revs


async def truth(database: Database, cart: str) -> Mirror:
    """The cart as its log says."""
    documents = await database.collection("cart_ops").find({"cart": cart}).to_list(None)
    mirror = Mirror()
    for document in sorted(documents, key=first_rev):
        for index, op in enumerate(document["ops"]):
            mirror.apply(first_rev(document) + index, op["by"], op["op"])
    return mirror


@dataclass
class Crowd:
    """A cart's slow readers, by the way in which they are slow."""

    stopped: list[SlowReader]
    trickling: list[SlowReader]
    flooding: list[SlowReader]

    def everybody(self) -> list[SlowReader]:
        return [*self.stopped, *self.trickling, *self.flooding]

    def bytes_max(self) -> int:
        """What the server may hold for all of them, by its limits."""
        pushes = PUSH_BACKLOG_MAX_BYTES + COMMIT_BYTES_MAX
        replies = READ_BACKLOG_MAX_BYTES + HISTORY_BYTES_MAX
        return len(self.everybody()) * pushes + len(self.flooding) * replies

    async def flood(self, cart: str) -> None:
        for reader in self.flooding:
            for _ in range(FLOOD_REQUESTS):
                await reader.say("cart.history", cart=cart, limit=HISTORY_MAX)


@asynccontextmanager
async def crowd(door: Door, account: Account, cart: str) -> AsyncIterator[Crowd]:
    readers = [SlowReader(door, account, cart) for _ in range(STOPPED + TRICKLING + FLOODING)]
    try:
        for reader in readers:
            await reader.open()
        trickling = STOPPED + TRICKLING
        yield Crowd(readers[:STOPPED], readers[STOPPED:trickling], readers[trickling:])
    finally:
        for reader in readers:
            reader.close()


class Growth:
    """How much memory a process takes more than at first, at most."""

    def __init__(self, instance: Instance) -> None:
        self._pid = instance.pid
        self._before = self._peak = resident_bytes(self._pid)

    def look(self) -> None:
        self._peak = max(self._peak, resident_bytes(self._pid))

    @property
    def peak_bytes(self) -> int:
        return self._peak - self._before


async def test_ten_thousand_ops_pass_by_who_does_not_read(
    settings: Settings, database: Database
) -> None:
    # Who reads says nothing; on a slow machine that takes long.
    async with running_instances(replace(settings, heartbeat_s=600.0), 1) as (instance,):
        owner = await instance.account("Owner")
        guest = await instance.account("Guest")
        async with instance.connect(owner) as quick, instance.connect(guest) as other:
            cart = await quick.create()
            await quick.share(cart, guest, role="viewer")
            await other.join(cart)
            async with crowd(instance, guest, cart) as slow:
                growth = Growth(instance)
                had_read = [reader.bytes_read for reader in slow.stopped + slow.flooding]
                await everybody_else_goes_on(instance, owner, [quick, other], slow, growth)
                assert had_read == [reader.bytes_read for reader in slow.stopped + slow.flooding]
                assert await instance.metric("cartroom_fell_behind_total") >= STOPPED
                print(f"grew by {growth.peak_bytes / 2**20:.1f} MiB")
                assert growth.peak_bytes < slow.bytes_max() + ALLOWANCE_BYTES
                await all_end_up_equal(slow, await truth(database, cart))
                cut = sum(reader.connections > 1 for reader in slow.everybody())
                print(f"cut off in the meantime: {cut}")


async def everybody_else_goes_on(
    instance: Instance, account: Account, quick: list[Client], slow: Crowd, growth: Growth
) -> None:
    """All ops are answered, and come to who reads, before the slow ones have read anything."""
    cart = slow.stopped[0].cart
    answers = 0

    def on_answer() -> None:
        nonlocal answers
        answers += 1
        for reader in slow.trickling:
            reader.read(TRICKLE_BYTES)
        if answers % 100 == 0:
            growth.look()

    for part in range(2):
        ops = OPS // WRITERS // 2
        own = await asyncio.gather(
            *(write(instance, account, cart, ops, on_answer) for _ in range(WRITERS))
        )
        assert all(revs == sorted(revs) for revs in own)
        if part == 0:
            await slow.flood(cart)
    head = 2 + OPS
    assert answers == OPS
    for client in quick:
        seen = await client.reach(cart, head)
        assert seen == list(range(seen[0], head + 1))


async def all_end_up_equal(slow: Crowd, expected: Mirror) -> None:
    """They read again, by and by: they get all replies, and a state in place of the pushes."""
    for reader in slow.everybody():
        await reader.catch_up(expected.rev)
        assert reader.mirror is not None
        assert reader.mirror.content() == expected.content()
        assert reader.states or reader.connections > 1
    for reader in slow.flooding:
        if reader.connections == 1:
            await reader.read_until(lambda reader=reader: reader.count("more") == FLOOD_REQUESTS)


async def test_who_is_cut_off_resumes_when_it_reads_again(
    server: Server, database: Database
) -> None:
    services = server.hub.services
    services.timing = replace(services.timing, slow_reader_s=0.2)
    owner = await server.account()
    async with server.connect(owner) as quick:
        cart = await quick.create()
        reader = SlowReader(server, owner, cart)
        await reader.open()
        cut = services.metrics.closes.labels("slow_reader")._value
        for _ in range(50):
            await write(server, owner, cart, 100, lambda: None)
            if cut.get():
                break
        expected = await truth(database, cart)
        await reader.catch_up(expected.rev)
        assert reader.connections == 2
        assert reader.mirror is not None
        assert reader.mirror.content() == expected.content()
        await quick.op(cart, "clear")
        await reader.catch_up(expected.rev + 1)
        assert reader.connections == 2
        reader.close()


# Large answers


async def test_large_answers_wait_until_the_earlier_ones_are_read() -> None:
    async with Stage() as stage:
        socket = await stage.connect()
        cart = await socket.create()
        socket.unread = READ_BACKLOG_MAX_BYTES + 1
        waiting = [socket.say("cart.history", cart=cart), socket.say("cart.join", cart=cart)]
        assert (await socket.ask("ping"))["type"] == "pong"
        await turns()
        assert [socket.answered(id_) for id_ in waiting] == [None, None]
        socket.unread = READ_BACKLOG_MAX_BYTES
        for id_ in waiting:
            assert (await socket.reply(id_))["type"] == "ok"


async def test_only_so_many_large_answers_are_made_at_once() -> None:
    async with Stage() as stage:
        socket = await stage.connect()
        carts = [await socket.create() for _ in range(READS_AT_ONCE + 5)]
        stage.log.reading.shut()
        asked = [socket.say("cart.history", cart=cart) for cart in carts]
        await stage.log.reading.has(READS_AT_ONCE)
        await turns()
        assert stage.log.reading.waiting == READS_AT_ONCE
        stage.log.reading.open()
        for id_ in asked:
            assert (await socket.reply(id_))["type"] == "ok"
