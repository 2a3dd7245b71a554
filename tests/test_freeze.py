"""An instance that is stopped while others go on, then woken: nothing stale, nobody revoked.

Frames wait in its sockets when it wakes, so that it is asked before it can have heard of what it
missed. Its regular comparison with the store is as good as off: it is the lease that counts.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import pytest
from redis.asyncio import Redis

from server.settings import Settings
from storage.mongo import Database
from tests.client import Account, Client, Message, refused, succeeded
from tests.helpers import eventually
from tests.instances import Instance, running_instances
from tests.mirror import Broken, Mirror
from tests.stage import turns
from tests.tiers import by_tier
from tests.verdict import log_of

LEASE_S = by_tier(quick=1.0, ci=1.0, long=10.0)
STOPPED_S = 30.0
"""So long at least in the first of the rounds; in all of them until the others have given it up."""
LONG_ROUNDS = by_tier(quick=0, ci=1, long=20)
PATIENCE_S = 240.0
ROUNDS = by_tier(quick=2, ci=6, long=20)
GUESTS = ("keeper", "revoked", "lowered", "newcomer")


@dataclass
class World:
    """Two instances, one owner on the one that stays awake, guests on the other."""

    awake: Instance
    sleeper: Instance
    accounts: dict[str, Account]
    redis: Redis
    prefix: str
    """Of our keys in Redis."""

    async def forgot_the_sleeper(self) -> bool:
        return len(await self.redis.keys(f"{self.prefix}:inbox:*")) == 1


@pytest.fixture
async def world(
    settings: Settings, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setattr("tests.client.WAIT_S", PATIENCE_S)
    settings = replace(
        settings,
        lease_s=LEASE_S,
        catch_up_every_s=3_600.0,
        # After a sleep of twice this everybody was silent for too long, and has to come back.
        heartbeat_s=PATIENCE_S,
    )
    async with (
        running_instances(settings, 2) as (awake, sleeper),
        Redis.from_url(redis_url) as redis,
    ):
        accounts = {name: await awake.account(name.title()) for name in ("owner", *GUESTS)}
        prefix = f"cartroom:{settings.mongodb_database}"
        yield World(awake, sleeper, accounts, redis, prefix)
        assert awake.logged_errors() == []
        assert sleeper.logged_errors() == []


@dataclass
class Asked:
    """A request on its way to the sleeper."""

    who: str
    what: str
    reply: asyncio.Task[Message]


@dataclass
class Round:
    """One sleep. `head` is the cart's rev when the sleeper was woken."""

    world: World
    rng: random.Random
    cart: str = ""
    doomed: str = ""
    owner: Client = field(init=False)
    guests: dict[str, Client] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    under_way: list[tuple[str, asyncio.Task[Message]]] = field(default_factory=list)
    head: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    # Before

    async def open(self, exits: AsyncExitStack) -> None:
        """Everybody but the newcomer is in the cart; the keeper is in the doomed one, too."""
        world, accounts = self.world, self.world.accounts
        self.owner = await exits.enter_async_context(world.awake.connect(accounts["owner"]))
        self.cart, self.doomed = await self.owner.create(), await self.owner.create()
        members = [accounts[name] for name in GUESTS[:3]]
        await self.owner.share(self.cart, *members)
        await self.owner.share(self.doomed, *members)
        for name in GUESTS[:3]:
            guest = await exits.enter_async_context(world.sleeper.connect(accounts[name]))
            self.guests[name] = guest
            await guest.join(self.cart)
            await guest.join(self.doomed)
        for _ in range(self.rng.randint(0, 5)):
            await self.rng.choice([self.owner, *self.guests.values()]).op(
                self.cart, "rename", name="Before"
            )
        await eventually(lambda: len(here(self.owner, self.cart)) == 4)

    async def fall_asleep(self) -> None:
        """Stop the sleeper, with some ops anywhere on their way."""
        for _ in range(self.rng.randint(0, 4)):
            self.ask("keeper", "op")
        await turns(self.rng.randint(0, 5))
        if self.under_way and self.rng.random() < 0.3:
            await self.under_way[0][1]
        self.world.sleeper.freeze()

    # Meanwhile

    async def go_on(self, stopped_s: float, *, until_forgotten: bool) -> None:
        """Change everything while it sleeps, before and after the others have noticed."""
        until = asyncio.get_running_loop().time() + stopped_s
        accounts, owner = self.world.accounts, self.owner
        changes = [
            (self.cart, "unshare", {"user": accounts["revoked"].user}),
            (self.cart, "share", {"users": grants(accounts["lowered"], "viewer")}),
            (self.cart, "share", {"users": grants(accounts["newcomer"], "editor")}),
            (self.doomed, "delete", {}),
        ]
        changes += [(self.cart, "note", {"text": f"{n}"}) for n in range(self.rng.randint(1, 6))]
        self.rng.shuffle(changes)
        before = self.rng.randint(0, len(changes))
        for number, (cart, kind, fields) in enumerate(changes):
            if number == before:
                await self._noticed(until_forgotten)
            self.ask(self.rng.choice(GUESTS[:3]))
            await owner.op(cart, kind, **fields)
        await self._noticed(until_forgotten)
        await passed(until)
        self.head = max(owner.revs[self.cart])

    async def _noticed(self, until_forgotten: bool) -> None:
        """Until the sleeper's lease is gone for the others; or all it had in Redis."""
        guest = self.guests["keeper"].client
        await eventually(lambda: guest not in here(self.owner, self.cart), PATIENCE_S)
        if until_forgotten:
            await eventually(self.world.forgot_the_sleeper, PATIENCE_S)

    def ask(self, who: str, what: str | None = None) -> None:
        """Have a guest ask the sleeper for something; the answer may take until it wakes."""
        guest = self.guests[who]
        what = what or self.rng.choice(
            ["join", "resume", "history", "op", "list", "join doomed", "op doomed"]
        )
        cart = self.doomed if "doomed" in what else self.cart
        match what.split()[0]:
            case "join":
                reply = guest.start("cart.join", cart=cart)
            case "resume":
                rev = self.rng.randint(1, 3)
                reply = guest.start("cart.join", cart=cart, rev=rev)
            case "history":
                reply = guest.start("cart.history", cart=cart)
            case "op":
                op_id = guest.next_op_id()
                reply = guest.start_op(cart, "rename", op_id, name="From sleep")
                if (who, what) == ("keeper", "op"):
                    self.under_way.append((op_id, reply))
                    return
            case _:
                reply = guest.start("cart.list")
        self.asked.append(Asked(who, what, reply))

    # Afterwards

    async def wake(self, exits: AsyncExitStack) -> None:
        """Ask everything, wake it, ask again; and knock at its door as the newcomer."""
        newcomer = self.world.sleeper.connect(self.world.accounts["newcomer"])
        knocking = asyncio.create_task(exits.enter_async_context(newcomer))
        for who in GUESTS[:3]:
            for what in self.rng.sample(["join", "resume", "history", "op", "list"], 5):
                self.ask(who, what)
        await turns()
        self.world.sleeper.thaw()
        for _ in range(self.rng.randint(3, 10)):
            self.ask(self.rng.choice(GUESTS[:3]))
        self.guests["newcomer"] = await knocking
        for what in ("join", "history", "op"):
            self.ask("newcomer", what)

    async def judge(self, asked: Asked) -> None:
        """The answer shows the cart as it was when the sleeper woke, or later; or it is put off."""
        who, what, reply = asked.who, asked.what, await asked.reply
        if reply["type"] == "error" and reply["temporary"]:
            self.counts["put off"] += 1
            return
        self.counts[f"{who} {what}"] += 1
        if what == "list":
            carts = {row["cart"] for row in succeeded(reply)["carts"]}
            assert self.doomed not in carts
            assert (self.cart in carts) == (who != "revoked")
        elif who == "revoked" or "doomed" in what:
            refused(reply, "not_found")
        elif what == "op" and who == "lowered":
            refused(reply, "forbidden")
        elif what == "history":
            assert succeeded(reply)["ops"][-1]["rev"] >= self.head
        else:
            assert succeeded(reply)["rev"] >= self.head
            role = "viewer" if who == "lowered" else "editor"
            assert what == "op" or reply["role"] == role

    async def settle(self, database: Database) -> None:
        """Every question is answered, every op's fate known, and all see the same again."""
        await asyncio.gather(*map(self.judge, self.asked))
        taken, dropped = [], []
        for op_id, reply in self.under_way:
            answer = await self._final(op_id, reply)
            (taken if answer["type"] == "ok" else dropped).append(op_id)
        owner, keeper = self.owner, self.guests["keeper"]
        await keeper.reach(self.cart, (await owner.op(self.cart, "note", text="Awake"))["rev"])
        head = (await keeper.op(self.cart, "note", text="Awake, too"))["rev"]
        await owner.reach(self.cart, head)
        ops = await log_of(database, self.cart)
        logged = Counter(op["op_id"] for op in ops)
        assert [logged[op_id] for op_id in taken + dropped] == [1] * len(taken) + [0] * len(dropped)
        self.counts.update({"ops kept": len(taken), "ops dropped": len(dropped)})
        await self._equal(replayed(ops))

    async def _final(self, op_id: str, reply: asyncio.Task[Message]) -> Message:
        """The op's last answer; sent again until it has one. Overtaken ones have no effect."""
        answer = await reply
        while answer["type"] == "error" and answer["temporary"]:
            self.counts["resends"] += 1
            answer = await self.guests["keeper"].start_op(
                self.cart, "rename", op_id, name="From sleep"
            )
        return answer if answer["type"] == "ok" else refused(answer, "conflict")

    async def _equal(self, truth: Mirror) -> None:
        for client in (self.owner, *self.guests.values()):
            if client is self.guests["revoked"]:
                continue
            await client.reach(self.cart, truth.rev)
            view = view_of(client, self.cart)
            assert view is not None
            assert view.content() == truth.content()
        revoked = self.guests["revoked"]
        for cart, reason in ((self.cart, "removed"), (self.doomed, "deleted")):
            assert (await revoked.push("cart.gone", cart))["reason"] == reason
        assert not [push for push in revoked.pushes if push["type"] == "cart.gone"]
        assert view_of(revoked, self.cart) is None
        assert max(revoked.revs[self.cart]) <= self.head


async def test_who_wakes_up_serves_nothing_stale_and_nobody_revoked(
    world: World, database: Database
) -> None:
    seed = int(os.environ.get("CARTROOM_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print(f"\nCARTROOM_SEED={seed}")
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    for number in range(ROUNDS):
        async with AsyncExitStack() as exits:
            sleep = Round(world, rng)
            await sleep.open(exits)
            await sleep.fall_asleep()
            stopped_s = STOPPED_S if number < LONG_ROUNDS else 0.0
            await sleep.go_on(stopped_s, until_forgotten=number % 2 == 1)
            await sleep.wake(exits)
            await sleep.settle(database)
            counts += sleep.counts
    print({name: counts[name] for name in sorted(counts)})


# What they see


def grants(account: Account, role: str) -> list[Message]:
    return [{"user": account.user, "role": role}]


async def passed(when: float) -> None:
    """Until a time of the loop's clock: a sleep is as long as it says."""
    loop = asyncio.get_running_loop()
    due = loop.create_future()
    loop.call_at(when, due.set_result, None)
    await due


def here(client: Client, cart: str) -> set[str]:
    """The clients that are in the cart as far as this one was told."""
    present: set[str] = set()
    for frame in client.frames:
        if frame.get("cart") != cart:
            continue
        if frame["type"] == "presence.state":
            present = {one["client"] for one in frame["members"]}
        elif frame["type"] == "presence.diff":
            present |= {one["client"] for one in frame["joined"]}
            present -= {one["client"] for one in frame["left"]}
    return present


def view_of(client: Client, cart: str) -> Mirror | None:
    """The cart as the client has it by all that it received; None without a join.

    Raises Broken where a rev comes twice, or not in its turn.
    """
    mirror: Mirror | None = None
    for frame in client.frames:
        if frame.get("cart") != cart:
            continue
        if frame["type"] == "cart.gone":
            mirror = None
        elif "state" in frame:
            if mirror is not None and frame["rev"] < mirror.rev:
                raise Broken(f"a state of rev {frame['rev']} after rev {mirror.rev}")
            mirror = Mirror.of_state(frame["rev"], frame["state"])
        elif frame["type"] == "cart.ops":
            if mirror is None:
                raise Broken(f"pushed without a join: {frame}")
            for op in frame["ops"]:
                mirror.apply(op["rev"], op["by"], op["op"])
        elif frame["type"] == "ok" and mirror is not None:
            own = {"rev": frame["rev"], "by": client.user, "op": frame.get("op")}
            for op in frame.get("ops", [own]):
                if op["rev"] > mirror.rev:
                    mirror.apply(op["rev"], op["by"], op["op"])
    return mirror


def replayed(ops: list[Message]) -> Mirror:
    mirror = Mirror()
    for op in ops:
        mirror.apply(op["rev"], op["by"], op["op"])
    return mirror
