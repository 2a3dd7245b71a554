"""One seed's world: stores, instances, shoppers, misfortune; and how it comes to rest."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import replace
from typing import Any, Final

import bson

from commerce.catalog.documents import to_document
from realtime.acting import deed_id
from realtime.ops import Depart, Merge
from storage.ids import product_id
from tests.client import Account
from tests.history import History
from tests.shopping import PLENTY, SCARCE
from tests.simulation.driver import LATE_MAX_S, TIMEOUT_S
from tests.simulation.edge import Edge
from tests.simulation.faults import WORLD
from tests.simulation.instance import Instance, principal_of
from tests.simulation.loop import SimLoop
from tests.simulation.network import SimSocket
from tests.simulation.redis import RedisServer
from tests.simulation.shopping import SETUP_CLIENT, SimShopper, conduct
from tests.simulation.store import Store
from tests.simulation.trace import Trace
from tests.simulation.verdict import judge, log_of

USERS: Final = 4
DEEDS: Final = (0, 0, 1, 3)
"""How often the service does something of itself."""
REST_S: Final = LATE_MAX_S + TIMEOUT_S + 1.0
"""After this nothing is on its way to the store any more."""
WRITTEN_BEHIND_S: Final = 6.0


class World:
    """Everything that a seed decides."""

    def __init__(self, loop: SimLoop, seed: int, trace: Trace) -> None:
        rng = random.Random(seed)
        self.rng = rng
        self.edge = Edge(loop, random.Random(rng.random()), trace)
        self.store = Store(self.edge)
        self.redis = RedisServer(self.edge)
        loop.connector = self.redis.connect
        count = rng.choice([2, 2, 3])
        self.instances = [Instance(self.edge, self.store, n) for n in range(count)]
        self.accounts = [Account(f"usr_{n}", f"User {n}", f"usr_{n}") for n in range(USERS)]
        self.history = History()
        self.carts: list[str] = []
        self.shoppers: list[SimShopper] = []
        self.run_s = rng.uniform(3.0, 8.0)

    async def run(self) -> None:
        """Raises AssertionError when a promise was broken."""
        self._stock()
        for instance in self.instances:
            instance.start()
        while any(one.hub is None for one in self.instances):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        for owner in range(self.rng.choice([1, 1, 2, 3])):
            self.carts.append(await self._make_cart(self.accounts[owner], owner + 1))
        self.shoppers = self._send_shoppers()
        self.edge.faults.on = True
        until = self.edge.now + self.run_s
        lives = [
            shopper.live(
                conduct(random.Random(self.rng.random()), self.accounts, self.shoppers),
                lambda: self.edge.now >= until,
            )
            for shopper in self.shoppers
        ]
        await asyncio.gather(*lives, self._misfortune(until), self._deeds())
        await self._rest()
        judge(self.store, self.shoppers, self.history)

    def counts(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for shopper in self.shoppers:
            counts.update(shopper.counts)
        for instance in self.instances:
            counts.update(instance.counts)
        return counts

    # The beginning

    def _stock(self) -> None:
        for account in self.accounts:
            self.store.insert("users", bson.encode({"_id": account.user, "name": account.name}))
        for product in [SCARCE, *PLENTY]:
            document = {"_id": product_id(product.sku), **to_document(product)}
            self.store.insert("products", bson.encode(document))

    async def _make_cart(self, owner: Account, n: int) -> str:
        """A cart that all users share, made before anything goes wrong."""
        socket = await self.instances[0].connect("setup")
        hello = {"type": "hello", "client": SETUP_CLIENT, "token": owner.token}
        await _ask(socket, 1, hello)
        create = {"type": "cart.create", "op_id": f"{SETUP_CLIENT}:{2 * n}"}
        cart: str = (await _ask(socket, 2, create))["cart"]
        others = [one.user for one in self.accounts if one is not owner]
        share = {"kind": "share", "users": [{"user": user, "role": "editor"} for user in others]}
        op = {"type": "cart.op", "cart": cart, "op_id": f"{SETUP_CLIENT}:{2 * n + 1}", "op": share}
        await _ask(socket, 3, op)
        await socket.close()
        return cart

    def _send_shoppers(self) -> list[SimShopper]:
        urls = {instance.url: instance for instance in self.instances}

        async def open_socket(client: str, url: str) -> SimSocket:
            return await urls[url].connect(client)

        devices = [*self.accounts, *self.rng.choices(self.accounts, k=self.rng.choice([0, 2, 3]))]
        return [
            SimShopper(
                replace(account, token=f"{account.user}/{number}.0"),
                list(urls),
                self.carts,
                random.Random(self.rng.random()),
                self.history,
                open_socket,
            )
            for number, account in enumerate(devices)
        ]

    # What the service does of itself

    async def _deeds(self) -> None:
        """Merge users into each other, or let them depart; at times on two instances at once."""
        rng = random.Random(self.rng.random())
        for number in range(rng.choice(DEEDS)):
            await asyncio.sleep(rng.random() * self.run_s / 2)
            cart = rng.choice(self.carts)
            user, into = (one.user for one in rng.sample(self.accounts, 2))
            op = Merge(user, into) if rng.random() < 0.8 else Depart(user)
            by = into if isinstance(op, Merge) else user
            for instance in rng.choices(self.instances, k=rng.choice([1, 2])):
                instance.act(cart, by, deed_id(cart, user, str(number)), op)

    # What goes wrong at large

    async def _misfortune(self, until: float) -> None:
        rng = random.Random(self.rng.random())
        rates = {kind: self.edge.faults.rates[kind] for kind in WORLD}
        total = sum(rates.values())
        while total:
            pause_s = rng.expovariate(total)
            if self.edge.now + pause_s >= until:
                break
            await asyncio.sleep(pause_s)
            (kind,) = rng.choices(list(rates), list(rates.values()))
            self.edge.faults.struck[kind] += 1
            self.edge.trace.note("world", kind)
            self._strike(kind, rng)

    def _strike(self, kind: str, rng: random.Random) -> None:
        instance = rng.choice(self.instances)
        duration_s = 0.2 + 3 * rng.random() ** 2
        match kind:
            case "sign-in: ended":
                self._sign_out(rng, instance)
            case "instance: crash":
                instance.crash()
            case "instance: freeze":
                instance.freeze(duration_s * 2)
            case "instance: restart, drained":
                instance.drain()
            case "instance: wall clock jumps ahead":
                instance.jump(rng.randint(1, 5_000))
            case "instance: wall clock jumps back":
                instance.jump(-rng.randint(1, 5_000))
            case "redis: away":
                self.redis.away = True
                self.edge.later(duration_s, setattr, self.redis, "away", False)
            case "redis: emptied":
                self.redis.keys.clear()
            case "redis: inbox loses its end":
                self.redis.lose_ends()
            case "redis: inbox trimmed":
                self.redis.trim()
            case "store: away":
                self.store.away = True
                self.edge.later(duration_s, setattr, self.store, "away", False)
            case _:
                self._lose_majority(duration_s, keep=kind.endswith("kept"))

    def _sign_out(self, rng: random.Random, instance: Instance) -> None:
        """End a device's session on some instance; its user signs in again at once.

        Best one with ops on their way, and best where it is connected: that is told first.
        """
        busy = [shopper for shopper in self.shoppers if shopper.in_flight]
        shopper = rng.choice(busy or self.shoppers)
        if rng.random() < 0.5:
            instance = next((one for one in self.instances if one.url == shopper.url), instance)
        token = shopper.account.token
        self.store.signed_out[token] = None
        instance.sign_out(principal_of(token))
        device, _, number = token.rpartition(".")
        shopper.account = replace(shopper.account, token=f"{device}.{int(number) + 1}")

    def _lose_majority(self, duration_s: float, *, keep: bool) -> None:
        if not self.store.minority:
            self.store.minority = True
            self.edge.later(duration_s, self._end_minority, keep)

    def _end_minority(self, keep: bool) -> None:
        self.edge.trace.note("store", f"has a majority again, {keep=}")
        self.store.end_minority(keep=keep)

    # The end

    async def _rest(self) -> None:
        """No more faults; everybody gets their answers, and everything is written."""
        self.edge.trace.note("world", "faults end")
        self.edge.faults.on = False
        for instance in self.instances:
            instance.heal()
        await asyncio.sleep(REST_S)
        await self._settle(None)
        carts = [cart for shopper in self.shoppers for cart in shopper.carts]
        heads = {cart: len(log_of(self.store, cart)) for cart in dict.fromkeys(carts)}
        await self._settle(heads)
        await asyncio.sleep(1.0)  # an op's push may be followed by a `cart.gone`
        await asyncio.gather(*(shopper.close() for shopper in self.shoppers))
        await asyncio.sleep(WRITTEN_BEHIND_S)
        for instance in self.instances:
            instance.count()

    async def _settle(self, heads: dict[str, int] | None) -> None:
        await asyncio.gather(*(shopper.settle(heads) for shopper in self.shoppers))


async def _ask(socket: SimSocket, number: int, message: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request that must succeed."""
    await socket.send(json.dumps({"id": number, **message}))
    while True:
        reply: dict[str, Any] = json.loads(await socket.recv())
        if reply.get("id") == number:
            assert reply["type"] != "error", reply
            return reply
