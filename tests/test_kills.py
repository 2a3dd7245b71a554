"""Kill -9 of whatever the embedded default consists of, in turn, with ops under way.

Whoever is killed: what was acknowledged is there at the next start, no old child process is left,
and clients come back by themselves and get an answer to everything that they asked.
"""

from __future__ import annotations

import asyncio
import enum
import itertools
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from commerce.catalog.documents import to_document
from server.embedded.processes import started
from storage.mongo import Database
from storage.products import Products
from tests.checker import keep
from tests.client import Door
from tests.helpers import eventually, steady_port
from tests.history import History
from tests.serving import Service, serving
from tests.shopper import Shopper
from tests.shopping import PLENTY, SCARCE, conduct, shared_cart
from tests.tiers import by_tier
from tests.verdict import check_all, check_durable, log_of

KILLS = by_tier(quick=4, ci=20, long=int(os.environ.get("CARTROOM_KILLS", "500")))
USERS = 2
DEVICES_A_USER = 2
OPS_AT_ONCE = 20
RETURN_S = 90.0
ENVIRONMENT = {
    "CARTROOM_COMMIT_TIMEOUT_S": "1",
    "CARTROOM_SNAPSHOT_EVERY_S": "0.5",
    "CARTROOM_ROOM_IDLE_S": "1",
    "CARTROOM_CATCH_UP_EVERY_S": "1",
    "CARTROOM_LEASE_S": "2",
    "CARTROOM_AUTH_ATTEMPTS_PER_MINUTE": "1000",
    "CARTROOM_SOCKETS_PER_MINUTE": "10000",
    "CARTROOM_ACCOUNT_SOCKETS_PER_MINUTE": "10000",
    "CARTROOM_LOG_LEVEL": "WARNING",
}


class Victim(enum.Enum):
    SERVER = "the server"
    STORE = "the store"
    REDIS = "Redis"
    GROUP = "the whole group"


class Machine:
    """One `cartroom serve` with stores of its own, at the same address life after life."""

    def __init__(self, folder: Path) -> None:
        self.port = steady_port()
        self.service: Service
        self._folder = folder
        self._exits = AsyncExitStack()

    async def start(self) -> None:
        arguments = ("--port", str(self.port))
        life = serving(self._folder, *arguments, env=ENVIRONMENT)
        self.service = await self._exits.enter_async_context(life)

    async def close(self) -> None:
        await self._exits.aclose()

    def pids(self, victim: Victim) -> list[int]:
        server = self.service.process.pid
        store, redis = self.service.child("store"), self.service.child("Redis")
        return {
            Victim.SERVER: [server],
            Victim.STORE: [store],
            Victim.REDIS: [redis],
            Victim.GROUP: [store, server, redis],
        }[victim]

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        database = Database(self.service.run["mongodb_url"], "cartroom", journal=False)
        try:
            yield database
        finally:
            database.close()


async def under_way(shoppers: list[Shopper], rng: random.Random) -> None:
    """Have ops in flight, at whatever point of their way."""
    numbers = itertools.count()

    async def some_in_flight() -> bool:
        for shopper in shoppers:
            cart = rng.choice(list(shopper.carts))
            for _ in range(OPS_AT_ONCE if shopper.connected else 0):
                text = f"under way {next(numbers)}"
                await shopper.start_op(cart, {"kind": "note", "text": text})
        await asyncio.sleep(rng.random() * 0.02)
        return sum(shopper.in_flight for shopper in shoppers) > 0

    await eventually(some_in_flight)


async def kill(machine: Machine, victim: Victim) -> None:
    """Kill, and see to it that what dies with it is gone and what is mended is new."""
    service = machine.service
    everything = {pid: started(pid) for pid in machine.pids(Victim.GROUP)}
    dying = machine.pids(victim)
    for pid in dying:
        os.kill(pid, signal.SIGKILL)
    if victim in (Victim.SERVER, Victim.GROUP):
        assert await service.end() == -signal.SIGKILL
        await machine.start()
        dying = list(everything)
    else:
        name = {Victim.STORE: "store", Victim.REDIS: "Redis"}[victim]
        await eventually(lambda: service.child(name) not in dying, what=f"a new {name}")
    await eventually(lambda: not any(started(pid) == everything[pid] for pid in dying))


async def check_acknowledged(machine: Machine, carts: list[str], shoppers: list[Shopper]) -> None:
    """What has been acknowledged by now is in the store."""
    acknowledged = {
        cart: {
            shopper.op_id(n): ok["rev"]
            for shopper in shoppers
            for n, ok in shopper.carts[cart].acknowledged.items()
        }
        for cart in carts
    }
    async with machine.database() as database:
        for cart in carts:
            check_durable(cart, await log_of(database, cart), acknowledged[cart])


async def all_return(shoppers: list[Shopper]) -> None:
    """Wait until everybody has got an answer to an op again."""
    before = [shopper.counts["answers"] for shopper in shoppers]

    def returned() -> bool:
        now = [shopper.counts["answers"] for shopper in shoppers]
        return all(n > old for n, old in zip(now, before, strict=True))

    await eventually(returned, RETURN_S, "everybody's return")


async def kill_in_turn(
    machine: Machine, carts: list[str], shoppers: list[Shopper], rng: random.Random
) -> Counter[str]:
    counts: Counter[str] = Counter()
    for victim in itertools.islice(itertools.cycle(Victim), KILLS):
        await under_way(shoppers, rng)
        counts["in flight"] += sum(shopper.in_flight for shopper in shoppers)
        await kill(machine, victim)
        if victim in (Victim.SERVER, Victim.GROUP):
            await check_acknowledged(machine, carts, shoppers)
        await all_return(shoppers)
        await check_acknowledged(machine, carts, shoppers)
        counts[victim.value] += 1
    return counts


async def live_through(machine: Machine, rng: random.Random) -> Counter[str]:
    """Shop while everything gets killed in turn; judge it; returns what happened, counted."""
    async with aiohttp.ClientSession() as http:
        door = Door(machine.service.url, http)
        accounts = [await door.account(f"User {n}") for n in range(USERS)]
        carts = [await shared_cart(door, accounts, n) for n in range(USERS)]
    history = History()
    shoppers = [
        Shopper(account, [door.ws_url], carts, random.Random(rng.random()), history)
        for account in accounts
        for _ in range(DEVICES_A_USER)
    ]
    enough = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            for shopper in shoppers:
                act = conduct(random.Random(rng.random()), accounts, shoppers)
                tasks.create_task(shopper.live(act, enough.is_set))
            counts = await kill_in_turn(machine, carts, shoppers, rng)
            enough.set()
        async with machine.database() as database:
            await check_all(database, carts, shoppers, history)
    except Exception as error:
        error.add_note(f"The history is in {keep(history)}")
        raise
    finally:
        for shopper in shoppers:
            await shopper.close()
    return sum((shopper.counts for shopper in shoppers), counts)


async def test_whoever_is_killed_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    seed = int(os.environ.get("CARTROOM_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print(f"\nCARTROOM_SEED={seed}")
    machine = Machine(tmp_path)
    try:
        await machine.start()
        async with machine.database() as database:
            await Products(database).upsert([to_document(one) for one in (SCARCE, *PLENTY)])
        counts = await live_through(machine, random.Random(seed))
        last = {pid: started(pid) for pid in machine.pids(Victim.GROUP)}
    finally:
        await machine.close()
    print(dict(sorted(counts.items())))
    assert all(counts[victim.value] for victim in Victim)
    assert counts["resends"]
    assert counts["resumes"]
    assert not any(started(pid) == life for pid, life in last.items())
