"""Random shoppers on two instances, over a network that fails: what must hold afterwards, holds.

Every client's state, the stored snapshot and a replay of the log are equal; revs have no gap;
what was acknowledged is in the log once, what was refused for good is not. The seed is printed,
and `CARTROOM_SEED` sets it; what came between whom is for the machine to decide.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from commerce.catalog.product import Product
from server.settings import Settings
from storage.mongo import Database
from storage.oplog import first_rev
from tests.client import Account, Message, Server, running_server
from tests.faults import Fault, FaultProxy, proxy_of
from tests.mirror import Mirror
from tests.shopper import Act, Shopper

RUN_S = 8.0
MUST_HAPPEN = ("drops", "resends", "duplicates", "resumes", "races lost", "outcomes unknown")
USERS = 4
DEVICES_A_USER = 2
CARTS = 3
SCARCE = Product("SCARCE", "Scarce", 250, "EUR", 12)
PLENTY = [Product(f"PLENTY-{n}", f"Plenty {n}", 100 + n, "EUR", None) for n in range(5)]


@dataclass
class World:
    servers: list[Server]
    stores: list[FaultProxy]
    redis: FaultProxy
    accounts: list[Account]
    carts: list[str]

    def metric(self, name: str) -> float:
        return sum(getattr(s.hub.services.metrics, name)._value.get() for s in self.servers)


@asynccontextmanager
async def world(settings: Settings, mongodb_url: str, redis_url: str) -> AsyncIterator[World]:
    """Two instances, each with its own unsafe way to the store; carts that all users share."""
    async with AsyncExitStack() as exits:
        redis = await exits.enter_async_context(proxy_of(redis_url, framed=False))
        servers, stores = [], []
        for _ in range(2):
            store = await exits.enter_async_context(proxy_of(mongodb_url))
            stores.append(store)
            unsafe = replace(
                settings,
                mongodb_url=store.url,
                redis_url=redis.url,
                commit_timeout_s=0.8,
                catch_up_every_s=0.5,
                snapshot_every_s=0.5,
                room_idle_s=0.3,
                lease_s=3.0,
            )
            servers.append(await exits.enter_async_context(running_server(unsafe)))
        await servers[0].products(SCARCE, *PLENTY)
        accounts = [await servers[0].account(f"User {n}") for n in range(USERS)]
        carts = [await shared_cart(servers[0], accounts, n) for n in range(CARTS)]
        yield World(servers, stores, redis, accounts, carts)


async def shared_cart(server: Server, accounts: list[Account], owner: int) -> str:
    async with server.connect(accounts[owner]) as client:
        cart = await client.create()
        await client.share(cart, *(one for one in accounts if one is not accounts[owner]))
        return cart


# What shoppers do


def some_op(shopper: Shopper, cart: str, rng: random.Random, accounts: list[Account]) -> Message:
    """An op that makes sense on what the shopper sees, most of the time."""
    mirror = shopper.carts[cart].mirror or Mirror()
    line = rng.choice([*mirror.lines, *mirror.saved, "lin_never"])
    sku = rng.choice([SCARCE, *PLENTY]).sku
    kinds = {
        "add": lambda: {"items": some_items(sku, rng), "partial": rng.random() < 0.5},
        "change_quantity": lambda: {"line": line, "by": rng.choice([-2, -1, 1, 2, 5])},
        "set_quantity": lambda: {"line": line, "qty": rng.randint(1, 9)},
        "remove": lambda: {"line": line},
        "rename": lambda: {"name": f"Name {rng.random()}"},
        "note": lambda: {"line": line, "text": f"{rng.random()}"},
        "save_for_later": lambda: {"line": line},
        "move_to_cart": lambda: {"line": line},
        "clear": dict,
        "share": lambda: some_grant(rng, accounts),
        "unshare": lambda: {"user": rng.choice(accounts).user},
    }
    weights = [40, 15, 8, 8, 8, 6, 6, 6, 1, 5, 2]
    (kind,) = rng.choices(list(kinds), weights)
    return {"kind": kind, **kinds[kind]()}


def some_items(sku: str, rng: random.Random) -> list[Message]:
    items = [{"sku": sku, "qty": rng.randint(1, 3)}]
    if rng.random() < 0.3:
        items.append({"sku": rng.choice(PLENTY).sku, "qty": 1})
    return items


def some_grant(rng: random.Random, accounts: list[Account]) -> Message:
    role = rng.choice(["editor", "editor", "viewer"])
    return {"users": [{"user": rng.choice(accounts).user, "role": role}]}


def conduct(rng: random.Random, accounts: list[Account]) -> Act:
    """What a shopper does at each step."""

    async def act(shopper: Shopper) -> None:
        draw = rng.random()
        if draw < 0.6:
            cart = rng.choice(list(shopper.carts))
            await shopper.start_op(cart, some_op(shopper, cart, rng, accounts))
        elif draw < 0.68:
            await shopper.duplicate()
        elif draw < 0.7:
            shopper.drop()

    return act


async def misfortune(here: World, rng: random.Random, until: float) -> Counter[str]:
    """Strike commits on their way; take stores and Redis away for a while."""
    loop = asyncio.get_running_loop()
    struck: Counter[str] = Counter()
    while (left := until - loop.time()) > 1.5:
        await wait_until(loop.time() + min(left, 0.3 + rng.random() * 0.5))
        draw = rng.random()
        if draw < 0.7:
            rng.choice(here.stores).strike(rng.choice(list(Fault)))
        elif draw < 0.85:
            await away(here.redis, loop.time() + rng.random())
            struck["Redis away"] += 1
        else:
            await away(rng.choice(here.stores), loop.time() + rng.random())
            struck["store away"] += 1
    for store in here.stores:
        struck.update({f"commits cut {fault.value}": n for fault, n in store.struck.items()})
    return struck


async def away(proxy: FaultProxy, until: float) -> None:
    await proxy.down()
    await wait_until(until)
    await proxy.up()


async def wait_until(when: float) -> None:
    """Until a time of the loop's clock, for those who are the clock of a test."""
    loop = asyncio.get_running_loop()
    due = loop.create_future()
    loop.call_at(when, due.set_result, None)
    await due


# What must hold


async def log_of(database: Database, cart: str) -> list[Message]:
    documents = await database.collection("cart_ops").find({"cart": cart}).to_list(None)
    documents.sort(key=first_rev)
    for document in documents:
        assert document["_id"] == f"{cart}:{first_rev(document)}"
    return [
        {"rev": first_rev(document) + index, **op}
        for document in documents
        for index, op in enumerate(document["ops"])
    ]


def replayed(ops: list[Message]) -> Mirror:
    """The log played by the test's own code, which holds stock against every step."""
    mirror = Mirror()
    for op in ops:
        mirror.apply(op["rev"], op["by"], op["op"])
        assert mirror.pieces(SCARCE.sku) <= (SCARCE.available or 0), op
        assert all(line["qty"] > 0 for line in mirror.lines.values()), op
    return mirror


def check_ops(cart: str, ops: list[Message], shoppers: list[Shopper]) -> None:
    """Acknowledged: once, as told. Refused: never. In the log: sent by somebody."""
    assert [op["rev"] for op in ops] == list(range(1, len(ops) + 1))
    revs: dict[str, list[int]] = {}
    for op in ops:
        revs.setdefault(op["op_id"], []).append(op["rev"])
    for shopper in shoppers:
        seen = shopper.carts[cart]
        for n in seen.sent:
            found = revs.pop(f"{shopper.client}:{n}", [])
            if n in seen.acknowledged:
                assert found == [seen.acknowledged[n]["rev"]], (n, found)
            else:
                assert n in seen.refused
                assert found == [], (n, seen.refused[n])
    assert sum(op_id is not None for op_id in revs) == 1, "more than the share at the start"


def check_roles(ops: list[Message]) -> None:
    """Nobody did what their role at that rev didn't allow."""
    mirror = Mirror()
    for op in ops:
        kind, role = op["op"]["kind"], mirror.members.get(op["by"])
        leaves = kind == "unshare" and op["op"]["user"] == op["by"]
        if kind != "create" and not leaves:
            allowed = ("owner",) if kind in ("share", "unshare", "delete") else ("owner", "editor")
            assert role in allowed, (op, role)
        mirror.apply(op["rev"], op["by"], op["op"])


async def check_all(here: World, database: Database, shoppers: list[Shopper]) -> dict[str, Mirror]:
    """Let everybody come to rest and compare; returns what the log says of each cart."""
    await asyncio.gather(*(shopper.settle() for shopper in shoppers))
    logs = {cart: await log_of(database, cart) for cart in here.carts}
    heads = {cart: len(ops) for cart, ops in logs.items()}
    await asyncio.gather(*(shopper.settle(heads) for shopper in shoppers))
    truth: dict[str, Mirror] = {}
    for cart, ops in logs.items():
        check_ops(cart, ops, shoppers)
        check_roles(ops)
        truth[cart] = replayed(ops)
        for shopper in shoppers:
            mirror = shopper.carts[cart].mirror
            may_see = shopper.account.user in truth[cart].members
            assert (mirror is not None) == may_see
            assert mirror is None or mirror.content() == truth[cart].content()
    return truth


async def check_snapshots(database: Database, truth: dict[str, Mirror]) -> None:
    for cart, mirror in truth.items():
        stored = await database.collection("carts").find_one({"_id": cart})
        assert stored is not None
        assert Mirror.of_state(stored["rev"], stored).content() == mirror.content()


@pytest.mark.parametrize("run", range(3))
async def test_whatever_happens_all_agree_in_the_end(
    settings: Settings, mongodb_url: str, redis_url: str, database: Database, run: int
) -> None:
    seed = int(os.environ.get("CARTROOM_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print(f"\nrun {run}, CARTROOM_SEED={seed}")
    rng = random.Random(seed)
    async with world(settings, mongodb_url, redis_url) as here:
        urls = [server.ws_url for server in here.servers]
        shoppers = [
            Shopper(account, urls, here.carts, random.Random(rng.random()))
            for account in here.accounts
            for _ in range(DEVICES_A_USER)
        ]
        until = asyncio.get_running_loop().time() + RUN_S
        *_, faults = await asyncio.gather(
            *(
                shopper.live(until, conduct(random.Random(rng.random()), here.accounts))
                for shopper in shoppers
            ),
            misfortune(here, random.Random(rng.random()), until),
        )
        truth = await check_all(here, database, shoppers)
        counts = sum((shopper.counts for shopper in shoppers), faults)
        counts["races lost"] = int(here.metric("races_lost"))
        counts["outcomes unknown"] = int(here.metric("outcomes_unknown"))
        for shopper in shoppers:
            await shopper.close()
    await check_snapshots(database, truth)
    print({name: counts[name] for name in sorted(counts)}, {c: m.rev for c, m in truth.items()})
    assert all(counts[name] for name in MUST_HAPPEN), counts
