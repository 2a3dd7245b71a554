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
GATHER_S: Final = 0.006
"""While a batch is on its way, the next leaves no sooner than this after it.

An insert costs some 300 µs of CPU whatever its size, so under load many small ones cost more than
the wait. A commit that meets an idle committer leaves at once.
"""
BATCH_COMMITS_MAX: Final = 250
BATCH_BYTES_MAX: Final = 4_194_304
RETRY_FIRST_S: Final = 0.05
RETRY_MAX_S: Final = 1.0

log = logging.getLogger(__name__)

Make = Callable[[], Commit | None]
Done = Callable[[Commit, Outcome], None]


@dataclass(slots=True)
class _Pending:
    commit: Commit
    done: Done
    attempts: int = 0


class Committer:
    """Asks for commits as a batch leaves, calls back once with COMMITTED or LOST for each.

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
        self._enlisted: deque[tuple[Make, Done]] = deque()
        self._retries: deque[_Pending] = deque()
        self._pending = 0
        self._batches = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake_scheduled = False
        self._stopped = False
        self._left_s = float("-inf")
        """When the last batch left, by the loop's clock."""

    @property
    def pending(self) -> int:
        """Commits whose outcome their callers don't know yet."""
        return self._pending

    def submit(self, make: Make, done: Done) -> None:
        """Have `make` called when the next batch leaves, for the commit that goes with it.

        So what comes in until then goes along. None means that there is nothing to commit any
        more; then `done` is not called.
        """
        self._pending += 1
        self._enlisted.append((make, done))
        self._schedule()

    def _schedule(self) -> None:
        """See to it that the next batch leaves when it may, if there is anything to insert."""
        if self._wake_scheduled or self._batches >= BATCHES_IN_FLIGHT:
            return
        if not self._enlisted and not self._retries:
            return
        self._wake_scheduled = True
        loop = asyncio.get_running_loop()
        if self._batches and (wait_s := self._left_s + GATHER_S - loop.time()) > 0:
            loop.call_later(wait_s, self._wake)
        else:
            # At the end of this turn of the loop: what other rooms submit in it comes along.
            loop.call_soon(self._wake)

    def _wake(self) -> None:
        if self._stopped:
            return  # this wake counts as scheduled for good, so there is no other
        self._wake_scheduled = False
        batch = self._take_retries() or self._take_new()
        if batch:
            self._batches += 1
            self._left_s = asyncio.get_running_loop().time()
            self._start(self._insert(batch), "commit batch")
        self._schedule()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _take_new(self) -> list[_Pending]:
        batch: list[_Pending] = []
        size = 0
        while self._enlisted and len(batch) < BATCH_COMMITS_MAX and size < BATCH_BYTES_MAX:
            make, done = self._enlisted.popleft()
            try:
                commit = make()
            except Exception:
                # One room's fault must not keep the others from committing.
                log.exception("Making a commit failed")
                commit = None
            if commit is None:
                self._pending -= 1
            else:
                batch.append(_Pending(commit, done))
                size += len(commit.raw)
        return batch

    def _take_retries(self) -> list[_Pending]:
        batch: list[_Pending] = []
        size = 0
        while self._retries and size < BATCH_BYTES_MAX:
            attempts = self._retries[0].attempts
            if batch and (
                attempts != batch[0].attempts or len(batch) >= BATCH_COMMITS_MAX >> attempts
            ):
                break
            batch.append(self._retries.popleft())
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
            pending.done(pending.commit, outcome)
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
        self._retries.extend(unknown)
        self._schedule()

    async def stop(self) -> None:
        """Give up what is still unresolved; call after waiting for `pending` to fall to 0.

        No batch leaves any more, whatever is submitted.
        """
        self._stopped = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
