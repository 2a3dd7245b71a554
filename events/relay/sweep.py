"""A slow look at every cart that rests: nothing is ever skipped.

A mark is good for some minutes. An instance that is frozen, or a store that is held up, between a
mark and its commit may bring the commit later than that, in a cart that rests already. So every
cart's next `_id` is asked for again and again, at a rate that nobody notices.
"""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import Final

from events.relay.metrics import RelayMetrics
from events.relay.ports import Chains, Clock, Places, Share
from storage.mongo import StoreError

PAGE_CARTS_MAX: Final = 500
CARTS_PER_S_MAX: Final = 1_000
RETRY_S: Final = 5.0

log = logging.getLogger(__name__)


class Sweep:
    """Looks at the carts that rest, a shard at a time; a turn takes at least `every_s`."""

    def __init__(
        self,
        place: str,
        *,
        outbox: Places,
        oplog: Chains,
        shards: Share,
        clock: Clock,
        metrics: RelayMetrics,
        every_s: float,
    ) -> None:
        self._place = place
        self._outbox = outbox
        self._log = oplog
        self._shards = shards
        self._clock = clock
        self._metrics = metrics
        self._every_s = every_s

    async def run(self) -> None:
        while True:
            try:
                await self.turn()
                continue
            except StoreError as error:
                log.warning("Resting carts can't be looked at: %s", type(error).__name__)
            except Exception:
                log.exception("Resting carts can't be looked at")
            await self._clock.sleep(RETRY_S)

    async def turn(self) -> None:
        """Look at all of ours once. Raises PyMongoError."""
        async with aclosing(self._outbox.strangers(self._place, PAGE_CARTS_MAX)) as pages:
            async for page in pages:
                for at in page:
                    await self._outbox.wake(self._place, at.cart)
        shards = list(self._shards.mine())
        if not shards:
            await self._clock.sleep(self._every_s)
        # Who is ended and started again all the time gets to all of them all the same.
        begin = int(self._clock.random() * len(shards))
        for shard in shards[begin:] + shards[:begin]:
            began_s = self._clock.monotonic()
            await self._look(shard)
            took_s = self._clock.monotonic() - began_s
            await self._clock.sleep(max(self._every_s / len(shards) - took_s, 0.001))

    async def _look(self, shard: int) -> None:
        async with aclosing(self._outbox.resting(self._place, shard, PAGE_CARTS_MAX)) as pages:
            async for page in pages:
                moved = await self._log.moved([(at.cart, at.rev) for at in page])
                for cart in moved:
                    log.info("A cart had more to hand over than was known", extra={"cart": cart})
                    await self._outbox.wake(self._place, cart)
                    self._metrics.woken.labels(self._place).inc()
                await self._clock.sleep(len(page) / CARTS_PER_S_MAX)
