"""Sharing carts among the workers of a place.

Each worker's beat rises in the store. One whose beat has not risen for a while, by one's own
monotonic clock, is gone, and the others divide the shards among them. For a moment two may hold
the same shards, or nobody some: that costs work done twice, or time, and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from events.relay.metrics import RelayMetrics
from events.relay.ports import Clock
from storage.followers import FollowerRecords
from storage.mongo import StoreError
from storage.outbox import SHARDS

LEASE_S: Final = 10.0
"""Without a beat for so long a worker is gone."""
BEATS_PER_LEASE: Final = 4

log = logging.getLogger(__name__)


class Shards:
    """One worker's part of a place. `run` keeps it up to date; it is whole at first."""

    def __init__(
        self,
        place: str,
        worker: str,
        records: FollowerRecords,
        *,
        clock: Clock,
        metrics: RelayMetrics,
        lease_s: float = LEASE_S,
    ) -> None:
        self._place = place
        self._worker = worker
        self._records = records
        self._clock = clock
        self._metrics = metrics
        self._lease_s = lease_s
        self._beat = 0
        self._heard: dict[str, tuple[int, float]] = {}
        """By worker: the last beat, and when we first saw it."""
        self._mine: list[int] = list(range(SHARDS))

    def mine(self) -> Sequence[int]:
        return self._mine

    async def run(self) -> None:
        while True:
            try:
                await self.beat()
            except StoreError as error:
                log.warning("Followers can't be counted: %s", type(error).__name__)
            except Exception:
                log.exception("Followers can't be counted")
            await self._clock.sleep(self._lease_s / BEATS_PER_LEASE)

    async def beat(self) -> None:
        """Say that we live, and see who else does. Raises PyMongoError."""
        self._beat += 1
        await self._records.beat(self._place, self._worker, self._beat)
        now_s = self._clock.monotonic()
        beats = await self._records.beats(self._place)
        for worker, beat in beats.items():
            if self._heard.get(worker, (0, 0.0))[0] != beat:
                self._heard[worker] = (beat, now_s)
        gone = {
            worker: beat
            for worker, (beat, since_s) in self._heard.items()
            if worker != self._worker and now_s - since_s > self._lease_s
        }
        alive = {*beats, self._worker} - gone.keys()
        self._heard = {worker: self._heard[worker] for worker in beats if worker in self._heard}
        self._divide(sorted(alive))
        for worker, beat in gone.items():
            await self._records.remove(self._place, worker, beat)

    def _divide(self, alive: list[str]) -> None:
        index = alive.index(self._worker)
        self._mine = list(range(SHARDS))[index :: len(alive)]
        self._metrics.shards.labels(self._place).set(len(self._mine))

    async def leave(self) -> None:
        """Have the others take over at once. Raises PyMongoError."""
        await self._records.remove(self._place, self._worker, self._beat)
