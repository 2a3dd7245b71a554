"""Bugs that are planted into the service, one after the other: the checker finds each.

Random clients on one server, which crashes and comes back; the checker judges from what they sent
and received alone. The same run on the service as it is must be clean. The seed is printed, and
`CARTROOM_SEED` sets it.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from commerce.catalog.documents import to_document
from server.settings import Settings
from storage.mongo import Database
from storage.products import Products
from tests.checker import check, keep
from tests.checker.violation import (
    BACK,
    DISAGREEMENT,
    GAP,
    NOT_ALLOWED,
    REORDER,
    STALE,
    TWICE,
    Violation,
)
from tests.client import Account, Message
from tests.helpers import eventually
from tests.history import History
from tests.instances import Instance, running_instances
from tests.mirror import Broken
from tests.planting import BUGS
from tests.shopper import Act, Shopper
from tests.shopping import PLENTY, SCARCE, conduct, shared_cart, some_grant
from tests.tiers import by_tier
from tests.verdict import log_of

FOUND_AS = {
    # Who comes back knows more than the server; or revs are given again.
    "acknowledge-before-commit": {BACK, STALE, DISAGREEMENT},
    "skip-a-rev": {GAP},
    "apply-twice": {TWICE},
    "judge-a-stale-role": {NOT_ALLOWED},
    "lose-the-tail-on-load": {STALE},
    "reorder-pushes": {REORDER},
}
BUGS_PLANTED = by_tier(
    quick=["acknowledge-before-commit", "apply-twice", "reorder-pushes"],
    ci=list(BUGS),
    long=list(BUGS),
)
SEEDS = by_tier(quick=1, ci=2, long=20)
ROUNDS_MAX = 8
ROUNDS_CLEAN = 2
STEPS = 35
ROUND_S = 300.0
USERS = 3
DEVICES_A_USER = 2
PRODUCTS = (SCARCE, *PLENTY)


class Witness(Shopper):
    """A client that only tells what it saw: what breaks the contract is not for it to judge."""

    def _take(self, message: Message) -> None:
        try:
            super()._take(message)
        except Broken:
            self.counts["broken"] += 1
            for seen in self.carts.values():
                seen.mirror = None
            self.drop()


@dataclass
class World:
    instance: Instance
    accounts: list[Account]
    carts: list[str]
    history: History
    rng: random.Random

    def witness(self, account: Account) -> Witness:
        rng = random.Random(self.rng.random())
        return Witness(account, [self.instance.ws_url], self.carts, rng, self.history)


@asynccontextmanager
async def world(
    settings: Settings, database: Database, bug: str | None, seed: int
) -> AsyncIterator[World]:
    """One server, perhaps with a bug, whose snapshots trail far behind."""
    settings = replace(settings, snapshot_every_s=60.0, commit_timeout_s=2.0)
    await Products(database).upsert([to_document(one) for one in PRODUCTS])
    async with running_instances(settings, 1, bug=bug) as (instance,):
        accounts = [await instance.account(f"User {n}") for n in range(USERS)]
        cart = await shared_cart(instance, accounts, 0)
        yield World(instance, accounts, [cart], History(), random.Random(seed))


def restless(here: World, witnesses: Sequence[Shopper]) -> Act:
    """What shoppers do, with an owner who changes roles all the time."""
    rng = random.Random(here.rng.random())
    usual = conduct(rng, here.accounts, list(witnesses))

    async def act(shopper: Shopper) -> None:
        if shopper.account is here.accounts[0] and rng.random() < 0.25:
            await shopper.start_op(
                here.carts[0], {"kind": "share", **some_grant(rng, here.accounts[1:])}
            )
        else:
            await usual(shopper)

    return act


async def live_round(here: World, witnesses: list[Witness]) -> None:
    """Let everybody shop, crash the server among it, and have a newcomer look first."""
    for witness in witnesses:
        witness.steps = 0
    act = restless(here, witnesses)

    def enough() -> bool:
        return here.instance.service is None

    async def crash() -> None:
        await eventually(lambda: min(witness.steps for witness in witnesses) >= STEPS, ROUND_S)
        await here.instance.kill()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crash())
        for witness in witnesses:
            tasks.create_task(witness.live(act, enough))
    await here.instance.start()
    newcomer = here.witness(here.accounts[0])
    await newcomer.settle()
    await newcomer.close()
    witnesses[0].counts["rounds"] += 1


async def settle(witnesses: list[Witness]) -> None:
    await asyncio.gather(*(witness.settle() for witness in witnesses))


async def close(witnesses: list[Witness]) -> None:
    for witness in witnesses:
        await witness.close()


def report(found: list[Violation]) -> str:
    return "\n".join(str(violation)[:2_000] for violation in found[:5])


def seeds() -> list[int]:
    named = int(os.environ.get("CARTROOM_SEED", "0"))
    return [named] if named else [random.SystemRandom().randrange(2**32) for _ in range(SEEDS)]


def test_every_bug_has_a_name_for_what_it_does() -> None:
    assert FOUND_AS.keys() == BUGS.keys()


@pytest.mark.parametrize("bug", BUGS_PLANTED)
async def test_the_checker_finds_a_planted_bug(
    settings: Settings, database: Database, bug: str
) -> None:
    for seed in seeds():
        print(f"\n{bug}, CARTROOM_SEED={seed}")
        async with world(settings, database, bug, seed) as here:
            witnesses = [here.witness(one) for one in here.accounts for _ in range(DEVICES_A_USER)]
            found: list[Violation] = []
            for _ in range(ROUNDS_MAX):
                await live_round(here, witnesses)
                found = check(here.history, products=PRODUCTS, one_server=True)
                if FOUND_AS[bug] & {one.kind for one in found}:
                    break
            await close(witnesses)
        kinds = {one.kind for one in found}
        print(f"{len(here.history.records)} records: {sorted(kinds)}")
        assert kinds & FOUND_AS[bug], (keep(here.history), report(found))


async def test_the_checker_finds_nothing_where_nothing_is_planted(
    settings: Settings, database: Database
) -> None:
    for seed in seeds():
        print(f"\nCARTROOM_SEED={seed}")
        async with world(settings, database, None, seed) as here:
            witnesses = [here.witness(one) for one in here.accounts for _ in range(DEVICES_A_USER)]
            for _ in range(ROUNDS_CLEAN):
                await live_round(here, witnesses)
            await settle(witnesses)
            await close(witnesses)
            logs = {cart: await log_of(database, cart) for cart in here.carts}
        found = check(here.history, logs, products=PRODUCTS, one_server=True)
        assert not found, (keep(here.history), report(found))
        assert not [one.counts["broken"] for one in witnesses if one.counts["broken"]]
        assert sum(one.counts["resends"] for one in witnesses)
