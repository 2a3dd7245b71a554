"""Takes what the rooms queue and appends it to the inboxes of those that hold the same carts.

What is for everyone goes to every instance that lives at that moment.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from realtime.fanout.entry import EVERYONE, Item, encode_entry, split
from realtime.fanout.health import Health
from realtime.fanout.registry import CARTS_PER_SCRIPT, Registry
from realtime.ports import Clock

# What waits to be published; beyond it the newest is dropped and the others find it in the store.
QUEUE_ITEMS_MAX: Final = 20_000
QUEUE_BYTES_MAX: Final = 32 * 1024 * 1024

# What one look-up and one write to Redis take together; a script call of its own, so bounded alike.
ROUND_ITEMS_MAX: Final = CARTS_PER_SCRIPT
ROUND_BYTES_MAX: Final = 8 * 1024 * 1024

# After a round, the next gathers for a while: most of a round's cost is the same whatever its size.
GATHER_S: Final = 0.002

# A round that failed is tried again once Redis works, if that is soon; later it is old news, and
# everybody compares with the store anyway.
ROUND_ATTEMPTS: Final = 2
ROUND_PATIENCE_S: Final = 1.0


class Publisher:
    """A bounded queue and the one task that empties it, in order.

    `instance` gives our current id. `published` counts items that others held, `unshared` those
    that nobody else did, `dropped` those that were lost before they reached Redis.
    """

    def __init__(
        self, registry: Registry, clock: Clock, health: Health, instance: Callable[[], str]
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._health = health
        self._instance = instance
        self._queue: deque[Item] = deque()
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._numbers: dict[str, int] = {}
        self._absent: frozenset[str] = frozenset()
        self.queue_bytes = 0
        self.published = 0
        self.unshared = 0
        self.dropped = 0

    @property
    def queue_depth(self) -> int:
        return len(self._queue)

    def put(self, item: Item) -> None:
        """Queue an item; drop it when the queue is full."""
        size_bytes = item.size_bytes
        if len(self._queue) >= QUEUE_ITEMS_MAX or self.queue_bytes + size_bytes > QUEUE_BYTES_MAX:
            self._lose(1)
            return
        self._queue.append(item)
        self.queue_bytes += size_bytes
        self._filled.set()
        self._idle.clear()

    async def run(self) -> None:
        """Publish until cancelled. Never raises for what Redis does."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._queue:
                await self._round(self._take())
                await self._clock.sleep(GATHER_S)
            self._idle.set()

    async def drained(self) -> None:
        """Until all that is queued has been published or dropped."""
        await self._idle.wait()

    def forget(self, alive: frozenset[str]) -> None:
        """Drop what is remembered about targets that live no more.

        Only what was absent the last time, too: a report may be older than a look-up's answer.
        """
        absent = frozenset(self._numbers.keys() - alive)
        for target in absent & self._absent:
            del self._numbers[target]
        self._absent = absent

    def _take(self) -> list[Item]:
        """The oldest items, as many as a round takes."""
        if len(self._queue) <= ROUND_ITEMS_MAX and self.queue_bytes <= ROUND_BYTES_MAX:
            return self._take_all()
        items: list[Item] = []
        taken_bytes = 0
        while self._queue and len(items) < ROUND_ITEMS_MAX and taken_bytes < ROUND_BYTES_MAX:
            item = self._queue.popleft()
            items.append(item)
            taken_bytes += item.size_bytes
        self.queue_bytes -= taken_bytes
        return items

    def _take_all(self) -> list[Item]:
        items = list(self._queue)
        self._queue.clear()
        self.queue_bytes = 0
        return items

    async def _round(self, items: list[Item]) -> None:
        for _ in range(ROUND_ATTEMPTS):
            await self._health.wait(well=True, timeout_s=ROUND_PATIENCE_S)
            if not self._health.well:
                items += self._take_all()
                break
            try:
                await self._deliver(items)
            except Exception as error:
                self._health.fault("publishing", error)
            else:
                return
        self._lose(len(items))

    async def _deliver(self, items: list[Item]) -> None:
        carts = list(dict.fromkeys(item.cart for item in items))
        holders = await self._holders(carts)
        if not holders:
            self.unshared += len(items)
            return
        await self._registry.append(self._pack(items, holders))
        held = set().union(*holders.values())
        shared = sum(item.cart in held for item in items)
        self.published += shared
        self.unshared += len(items) - shared

    async def _holders(self, carts: list[str]) -> dict[str, list[str]]:
        """Who is to know of which of these. Raises what the registry raises."""
        held = [cart for cart in carts if cart != EVERYONE]
        holders = await self._registry.holders(self._instance(), held) if held else {}
        if len(held) < len(carts):
            for peer in await self._registry.peers(self._instance()):
                holders.setdefault(peer, []).append(EVERYONE)
        return holders

    def _pack(self, items: list[Item], holders: dict[str, list[str]]) -> list[tuple[str, bytes]]:
        """The entries to append, as (target, payload), in order for each target."""
        # Our id may have been replaced since we looked up; we don't tell ourselves.
        sender = self._instance()
        holders.pop(sender, None)
        entries = []
        for target, carts in holders.items():
            held = set(carts)
            for run in split(item for item in items if item.cart in held):
                number = self._numbers.get(target, 0) + 1
                self._numbers[target] = number
                entries.append((target, encode_entry(sender, number, run)))
        return entries

    def _lose(self, count: int) -> None:
        """Leave a hole in the numbers, so that readers notice at the next entry."""
        self.dropped += count
        for target in self._numbers:
            self._numbers[target] += 1
