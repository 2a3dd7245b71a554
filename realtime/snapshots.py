"""Snapshots of rooms, written behind: coalesced, a few at a time, only ever forward."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from pymongo.errors import PyMongoError

from realtime.ports import Clock
from storage.carts import Carts

if TYPE_CHECKING:
    from realtime.metrics import RealtimeMetrics
    from realtime.room import Room
    from realtime.tasks import Tasks

WRITES_AT_ONCE: Final = 4

log = logging.getLogger(__name__)


class Snapshots:
    """Writes a room's snapshot some time after its state moved on, and before it leaves memory."""

    def __init__(
        self, carts: Carts, clock: Clock, tasks: Tasks, metrics: RealtimeMetrics, every_s: float
    ) -> None:
        self._carts = carts
        self._clock = clock
        self._tasks = tasks
        self._metrics = metrics
        self._every_s = every_s
        self._scheduled: set[Room] = set()
        self._slots = asyncio.Semaphore(WRITES_AT_ONCE)

    def schedule(self, room: Room) -> None:
        """Have the room's state stored within `every_s`, and those up to then with it."""
        if room in self._scheduled:
            return
        self._scheduled.add(room)
        delay_s = self._every_s * (0.5 + self._clock.random() / 2)
        self._clock.call_later(delay_s, self._due, room)

    def _due(self, room: Room) -> None:
        self._scheduled.discard(room)
        self._tasks.start(self.write(room), f"snapshot {room.cart}")

    async def write(self, room: Room) -> bool:
        """Store the room's committed state now. False when the store didn't take it."""
        async with self._slots:
            state = room.committed
            if state.rev <= room.snapshot_rev:
                return True
            try:
                stored = await self._carts.save(state.to_document())
            except PyMongoError as error:
                log.warning("No snapshot: %s", type(error).__name__, extra={"cart": room.cart})
                self._metrics.snapshots.labels("failed").inc()
                self.schedule(room)
                return False
        self._metrics.snapshots.labels("stored" if stored else "superseded").inc()
        room.snapshot_rev = max(room.snapshot_rev, state.rev)
        return True
