"""What befalls instances, stores and clients in a run, as a plan that can be printed.

A plan counts in steps of its shoppers and not in seconds, so that the same plan is much the same
run on a slower machine; what comes between whom is for the machine to decide.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import itertools
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from tests.faults import Fault
from tests.helpers import eventually
from tests.instances import Instance
from tests.shopper import Shopper
from tests.shopping import LONG_NOTE

NAP_S = 10.0
"""Longest time that a client doesn't read; it wakes when the server gives up pushing."""
STEP_S = 1_200.0
"""Longest time until as many steps are made as lie before a misfortune."""
UNANSWERED_MAX = 40
"""Who waits for so many answers in a cart says no more there: a slow machine is not to be heaped
with what all have to send again and again.
"""
NAPS_MAX = 5
FLOOD = 900
"""Requests at once: more than the rate allows, and more refusals than the server puts up with."""
FLOODS_MAX = 4
CLOSED_S = 15.0
ALL = -1
FELL_BEHIND = "cartroom_fell_behind_total"


class Kind(enum.Enum):
    CUT_BEFORE = "commits cut before"
    CUT_MIDDLE = "commits cut in the middle"
    CUT_AFTER = "commits cut after"
    COMMITS_HELD = "commits held"
    STORE_AWAY = "store away"
    REDIS_AWAY = "Redis away"
    FREEZE = "instances frozen"
    CRASH = "instances killed"
    NAP = "naps"
    FLOOD = "floods"

    def __repr__(self) -> str:
        return str(self)


CUTS = {
    Kind.CUT_BEFORE: Fault.BEFORE,
    Kind.CUT_MIDDLE: Fault.MIDDLE,
    Kind.CUT_AFTER: Fault.AFTER,
}


@dataclass(frozen=True)
class Misfortune:
    """Begins `after` steps of all shoppers since the one before, at instance `where` (modulo).

    At `ALL`, whichever instances commit next have their commit cut.
    """

    kind: Kind
    after: int
    where: int = 0
    for_s: float = 0.5


@dataclass(frozen=True)
class Plan:
    """A run: `seed` draws what shoppers do, in `steps` steps each."""

    seed: int
    steps: int
    misfortunes: tuple[Misfortune, ...]


class Fate:
    """Brings a plan's misfortunes about, one at a time an instance, and mends what it broke."""

    def __init__(
        self, instances: list[Instance], shoppers: list[Shopper], sleepers: list[Shopper]
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._instances = instances
        self._shoppers = shoppers
        self._sleepers = sleepers
        self._locks = {id(one): asyncio.Lock() for one in instances}
        self._all_begun = False
        self._to_cut: set[Fault] = set()

    @property
    def is_through(self) -> bool:
        """Everything has befallen; commits were cut in each of the ways that was planned."""
        struck = sum((one.store.struck for one in self._instances), Counter[Fault]())
        return self._all_begun and self._to_cut <= struck.keys()

    async def run(self, plan: Plan, done: Callable[[], bool]) -> None:
        """Until the plan is through, or the shoppers are."""
        due = 0
        async with asyncio.TaskGroup() as tasks:
            for misfortune in plan.misfortunes:
                due += misfortune.after
                await eventually(
                    lambda due=due: done() or self._steps() >= due,
                    timeout_s=STEP_S,
                    what=f"step {due}",
                )
                if done():
                    return
                tasks.create_task(self._befall(misfortune))
        self._all_begun = True

    def _steps(self) -> int:
        return sum(shopper.steps for shopper in self._shoppers)

    async def _befall(self, misfortune: Misfortune) -> None:
        kind, where = misfortune.kind, misfortune.where
        # Redis is one for all, and may be away for all; for a nap instances must stay up.
        all_of_them = kind is Kind.NAP or where == ALL or (kind is Kind.REDIS_AWAY and where % 2)
        affected = self._instances if all_of_them else [self._instance(where)]
        async with AsyncExitStack() as locks:
            for instance in affected:
                await locks.enter_async_context(self._locks[id(instance)])
            if kind in CUTS:
                self._to_cut.add(CUTS[kind])
                for instance in affected:
                    instance.store.strike(CUTS[kind])
                return
            self.counts[kind.value] += 1
            if kind is Kind.NAP:
                await self._nap(where)
            elif kind is Kind.FLOOD:
                await self._flood(where)
            else:
                await asyncio.gather(
                    *(self._trouble(one, kind, misfortune.for_s) for one in affected)
                )

    def _instance(self, where: int) -> Instance:
        """The one with the most clients for 0, and so on, so that every misfortune meets some."""
        clients = Counter(one.url for one in self._shoppers if one.connected)
        by_clients = sorted(self._instances, key=lambda one: -clients[one.ws_url])
        return by_clients[where % len(by_clients)]

    async def _trouble(self, instance: Instance, kind: Kind, for_s: float) -> None:
        match kind:
            case Kind.COMMITS_HELD:
                hold = instance.store.hold()
                await asyncio.sleep(for_s)
                hold.release()
            case Kind.STORE_AWAY | Kind.REDIS_AWAY:
                proxy = instance.store if kind is Kind.STORE_AWAY else instance.redis
                await proxy.down()
                await asyncio.sleep(for_s)
                await proxy.up()
            case Kind.FREEZE:
                instance.freeze()
                await asyncio.sleep(for_s)
                instance.thaw()
            case Kind.CRASH:
                await instance.counters()
                await instance.kill()
                await asyncio.sleep(for_s)
                await instance.start()

    async def _nap(self, where: int) -> None:
        """A client stops reading while much is said in a cart that it has open."""

        def open_carts() -> list[tuple[Shopper, str]]:
            return [
                (shopper, cart)
                for shopper in self._sleepers
                for cart, seen in shopper.carts.items()
                if seen.joined
            ]

        for attempt in range(NAPS_MAX):
            choices = await eventually(open_carts)
            if await self._nap_of(*choices[(where + attempt) % len(choices)]):
                return

    async def _nap_of(self, sleeper: Shopper, cart: str) -> bool:
        """Whether the server gave up pushing to it. It may have been shut out of the cart, say."""
        behind = await self._fell_behind()
        sleeper.nap()
        numbers = itertools.count()
        try:
            async with asyncio.timeout(NAP_S):
                while await self._fell_behind() <= behind:
                    if sleeper.reads or not self._is_in(sleeper, cart):
                        return False  # its connection has ended, or it has nothing to read
                    await self._chat(cart, [f"{next(numbers)} {LONG_NOTE[10:]}" for _ in range(10)])
                    await asyncio.sleep(0.1)
            return True
        except TimeoutError:
            return False
        finally:
            sleeper.wake()

    def _is_in(self, sleeper: Shopper, cart: str) -> bool:
        """Whether it is a member, as far as those know who read on."""
        seen = [one.carts[cart].mirror for one in self._shoppers if one.reads]
        mirrors = [mirror for mirror in seen if mirror is not None]
        latest = max(mirrors, key=lambda mirror: mirror.rev, default=None)
        return latest is None or sleeper.account.user in latest.members

    async def _chat(self, cart: str, notes: list[str]) -> None:
        """Who may write there says something in turn."""
        writers = [one for one in self._shoppers if one.reads and may_write(one, cart)]
        for writer, text in zip(itertools.cycle(writers), notes, strict=False):
            await writer.start_op(cart, {"kind": "note", "text": text})

    async def _fell_behind(self) -> float:
        return sum([await one.metric(FELL_BEHIND) for one in self._instances])

    async def _flood(self, where: int) -> None:
        """A client sends far too much at once, until it is closed for it."""

        def connected() -> list[Shopper]:
            return [one for one in self._shoppers if one.connected and one.reads]

        for attempt in range(FLOODS_MAX):
            choices = await eventually(connected)
            flooder = choices[(where + attempt) % len(choices)]
            before = flooder.counts.copy()
            await flooder.burst(FLOOD)
            # It may drop the connection itself before that.
            with contextlib.suppress(AssertionError):
                await eventually(partial(has_lost_its_connection, flooder, before), CLOSED_S)
            if flooder.counts["closed with 4002"] > before["closed with 4002"]:
                return


def has_lost_its_connection(shopper: Shopper, before: Counter[str]) -> bool:
    """Since its counts were as they were before."""
    return not shopper.connected or shopper.counts["connections"] > before["connections"]


def may_write(shopper: Shopper, cart: str) -> bool:
    seen = shopper.carts[cart]
    if len(seen.unanswered) >= UNANSWERED_MAX:
        return False
    role = seen.mirror.members.get(shopper.account.user) if seen.mirror else None
    return seen.joined and role in ("editor", "owner")


def rng_of(plan: Plan, who: int) -> random.Random:
    """The dice of a shopper, the same whatever the others do."""
    return random.Random(plan.seed * 1_000 + who)
