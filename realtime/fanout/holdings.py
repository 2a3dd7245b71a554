"""The carts that this instance holds open, and what Redis has been told of them.

Calls of one turn go to Redis together. What failed is made good by `refresh`, which the keeper of
the lease calls after every fault before the bus counts as fresh again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from realtime.fanout.health import Health
from realtime.fanout.registry import CARTS_PER_SCRIPT, Registry, chunks
from realtime.ports import Clock

_log = logging.getLogger(__name__)

# How long a caller waits to be registered before it goes on without.
REGISTER_TIMEOUT_S: Final = 0.5

# A registered cart that is still not open after this, and was never unregistered, is given up.
OPENING_S: Final = 60.0

# Carts that are registered or about to be. Beyond it a cart counts as not registered.
CARTS_MAX: Final = 100_000


class Holdings:
    """Registers and unregisters carts, in batches and in the order of the calls for each cart."""

    def __init__(
        self, registry: Registry, clock: Clock, health: Health, instance: Callable[[], str]
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._health = health
        self._instance = instance
        self._wanted: dict[str, float] = {}
        self._holding: dict[str, list[asyncio.Future[bool]]] = {}
        self._releasing: dict[str, None] = {}
        self._changed = asyncio.Event()
        self._full_reported = False
        # A refresh and a round must not pass each other on the way to Redis.
        self._turn = asyncio.Lock()

    async def hold(self, cart: str) -> bool:
        """False within REGISTER_TIMEOUT_S when Redis doesn't confirm; `refresh` will see to it."""
        if len(self._wanted) < CARTS_MAX or cart in self._wanted:
            self._wanted[cart] = self._clock.monotonic()
            self._releasing.pop(cart, None)
        elif not self._full_reported:
            self._full_reported = True
            _log.error("fan-out: more than %d carts are held; the rest is read through", CARTS_MAX)
        if cart not in self._wanted or self._health.doubtful_s > REGISTER_TIMEOUT_S:
            self._health.doubt()
            return False
        confirmed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._holding.setdefault(cart, []).append(confirmed)
        self._changed.set()
        try:
            async with asyncio.timeout(REGISTER_TIMEOUT_S):
                return await confirmed
        except TimeoutError as error:
            self._health.fault("registering a cart", error)
            return False

    def release(self, cart: str) -> None:
        self._wanted.pop(cart, None)
        _answer(self._holding.pop(cart, ()), False)
        if len(self._releasing) < CARTS_MAX:  # Else its key expires, or costs a little traffic.
            self._releasing[cart] = None
        self._changed.set()

    async def run(self) -> None:
        """Tell Redis of changes until cancelled. Never raises for what Redis does."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._holding:
                await self._hold_some()
            if self._releasing and self._health.well:
                await self._release_all()

    async def refresh(self, open_carts: Iterable[str]) -> None:
        """Register every cart that is open or wanted. Raises what `Registry.hold` raises."""
        now = self._clock.monotonic()
        carts = dict.fromkeys(open_carts)
        for cart in [
            c for c, at in self._wanted.items() if c not in carts and now - at > OPENING_S
        ]:
            _log.warning("fan-out: cart %s was registered and never opened", cart)
            self.release(cart)
        for chunk in chunks([*carts, *(cart for cart in self._wanted if cart not in carts)]):
            async with self._turn:
                still = [c for c in chunk if c not in self._releasing]
                await self._registry.hold(self._instance(), still)

    def resume(self) -> None:
        """Redis works: releases that failed get another try."""
        self._changed.set()

    async def release_everything(self) -> None:
        """Take back every registration. Raises what `Registry.release` raises."""
        carts = [*self._wanted, *self._releasing]
        for chunk in chunks(carts):
            await self._registry.release(self._instance(), chunk)

    def abandon(self) -> None:
        """Answer everybody who still waits: False."""
        for waiters in self._holding.values():
            _answer(waiters, False)
        self._holding.clear()

    async def _hold_some(self) -> None:
        """One script call for what callers wait for. While Redis is away they aren't kept."""
        await self._health.wait(well=True, timeout_s=REGISTER_TIMEOUT_S)
        async with self._turn:
            batch = {
                cart: self._holding.pop(cart) for cart in list(self._holding)[:CARTS_PER_SCRIPT]
            }
            confirmed = False
            try:
                if self._health.well:
                    await self._registry.hold(self._instance(), list(batch))
                    confirmed = True
                else:
                    # The repair under way may have passed these carts by: let there be another.
                    self._health.doubt()
            except Exception as error:
                self._health.fault("registering carts", error)
            finally:
                for waiters in batch.values():
                    _answer(waiters, confirmed)

    async def _release_all(self) -> None:
        """Unregister what is not held any more; what fails is tried again after the repair."""
        while self._releasing:
            async with self._turn:
                batch = list(self._releasing)[:CARTS_PER_SCRIPT]
                try:
                    await self._registry.release(self._instance(), batch)
                except Exception as error:
                    self._health.fault("unregistering carts", error)
                    return
                for cart in batch:
                    self._releasing.pop(cart, None)


def _answer(waiters: Iterable[asyncio.Future[bool]], confirmed: bool) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(confirmed)
