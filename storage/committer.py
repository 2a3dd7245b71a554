"""Group commit: the commits of all rooms of an instance, gathered into few inserts.

Commits that arrive while `BATCHES_IN_FLIGHT` inserts are on their way go together in the next.
A commit whose outcome stays unknown is inserted again, the same bytes, until the store's word is
clean; its caller is told only then. Each time it goes in a batch half as large, with others that
have failed as often: should one commit make the store fail, it ends up alone and harms no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from storage.oplog import Commit, Log, Outcome

BATCHES_IN_FLIGHT: Final = 3
GATHER_S: Final = 0.004
"""While a batch is on its way, the next leaves no sooner than this after it.

An insert costs some 300 µs of CPU whatever its size, so under load many small ones cost more than
the wait. A commit that meets an idle committer leaves at once.
"""
BATCH_COMMITS_MAX: Final = 250
BATCH_BYTES_MAX: Final = 4_194_304
RETRY_FIRST_S: Final = 0.05
RETRY_MAX_S: Final = 1.0

log = logging.getLogger(__name__)

Done = Callable[[Outcome], None]


@dataclass(slots=True)
class _Pending:
    commit: Commit
    done: Done
    attempts: int = 0


class Committer:
    """Takes commits, calls back once with COMMITTED or LOST for each.

    `sleep` and `random` (a number in [0, 1)) come from the caller's clock. The queue is bounded
    by its callers: a room has one commit under way.
    """

    def __init__(
        self,
        oplog: Log,
        *,
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
        on_batch: Callable[[int], None] = lambda size: None,
        on_unknown: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._log = oplog
        self._sleep = sleep
        self._random = random
        self._on_batch = on_batch
        self._on_unknown = on_unknown
        self._queue: deque[_Pending] = deque()
        self._pending = 0
        self._batches = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake_scheduled = False
        self._left_s = float("-inf")
        """When the last batch left, by the loop's clock."""

    @property
    def pending(self) -> int:
        """Commits whose outcome their callers don't know yet."""
        return self._pending

    def submit(self, commit: Commit, done: Done) -> None:
        self._pending += 1
        self._queue.append(_Pending(commit, done))
        self._schedule()

    def _schedule(self) -> None:
        """See to it that the next batch leaves when it may, if there is anything to insert."""
        if self._wake_scheduled or not self._queue or self._batches >= BATCHES_IN_FLIGHT:
            return
        self._wake_scheduled = True
        loop = asyncio.get_running_loop()
        if self._batches and (wait_s := self._left_s + GATHER_S - loop.time()) > 0:
            loop.call_later(wait_s, self._wake)
        else:
            # At the end of this turn of the loop: what other rooms submit in it comes along.
            loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._wake_scheduled = False
        if self._queue and self._batches < BATCHES_IN_FLIGHT:
            self._batches += 1
            self._left_s = asyncio.get_running_loop().time()
            self._start(self._insert(self._take()), "commit batch")
        self._schedule()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _take(self) -> list[_Pending]:
        batch: list[_Pending] = []
        size = 0
        attempts = self._queue[0].attempts
        count_max = max(1, BATCH_COMMITS_MAX >> attempts)
        while self._queue and len(batch) < count_max and size < BATCH_BYTES_MAX:
            if self._queue[0].attempts != attempts:
                break
            batch.append(self._queue.popleft())
            size += len(batch[-1].commit.raw)
        return batch

    async def _insert(self, batch: list[_Pending]) -> None:
        self._on_batch(len(batch))
        try:
            outcomes = await self._log.insert([pending.commit for pending in batch])
        except Exception:
            # Not an answer of the store, so nothing is known.
            log.exception("Inserting %d commits failed", len(batch))
            outcomes = [Outcome.UNKNOWN] * len(batch)
        finally:
            self._batches -= 1
        unknown: list[_Pending] = []
        for pending, outcome in zip(batch, outcomes, strict=True):
            if outcome is Outcome.UNKNOWN:
                unknown.append(pending)
            else:
                self._tell(pending, outcome)
        if unknown:
            self._on_unknown(len(unknown))
            self._start(self._retry(unknown), "commit retry")
        self._schedule()

    def _tell(self, pending: _Pending, outcome: Outcome) -> None:
        self._pending -= 1
        try:
            pending.done(outcome)
        except Exception:
            # One room's fault must not keep the others from hearing of their commits.
            log.exception("Settling commit %s failed", pending.commit.id)

    async def _retry(self, unknown: list[_Pending]) -> None:
        """Queue them again after a while. They hold no place among the batches meanwhile."""
        attempts = max(pending.attempts for pending in unknown)
        delay_s = min(RETRY_FIRST_S * 2**attempts, RETRY_MAX_S)
        await self._sleep(delay_s * (0.5 + self._random()))
        for pending in unknown:
            pending.attempts = min(pending.attempts + 1, 16)
        self._queue.extend(unknown)
        self._schedule()

    async def stop(self) -> None:
        """Give up what is still unresolved; call after waiting for `pending` to fall to 0."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
