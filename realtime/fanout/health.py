"""Whether the bus may be trusted, and how its parts say that it may not.

Whoever meets an error reports a fault; that wakes the keeper of the lease, who makes everything
good (lease, inbox, registrations, comparing with the store) and only then calls `heal`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from redis.exceptions import RedisError

from realtime.ports import Clock

_log = logging.getLogger(__name__)

BACKOFF_FIRST_S: Final = 0.05
BACKOFF_MAX_S: Final = 2.0


class LapsedError(Exception):
    """Redis doesn't know our instance as alive any more: emptied, restarted, or we were away."""


class Health:
    """Counts faults. `well` means: every fault so far has been made good.

    The log gets a line when that changes, and not one an attempt. Addresses stay out of it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._doubts = 0
        self._settled = 0
        self._waiters: list[tuple[bool, asyncio.Event]] = []
        self._reported = False
        self._doubtful_since = 0.0
        self.errors = 0

    @property
    def well(self) -> bool:
        return self._settled == self._doubts

    @property
    def doubtful_s(self) -> float:
        """For how long it has not been well; 0 when it is."""
        return 0.0 if self.well else self._clock.monotonic() - self._doubtful_since

    def doubt(self) -> None:
        """Something may have been missed, though nothing failed."""
        if self.well:
            self._doubtful_since = self._clock.monotonic()
        self._doubts += 1
        self._notify()

    def fault(self, doing: str, error: BaseException) -> None:
        """`doing` failed, with `error`."""
        self.errors += 1
        self.doubt()
        if not isinstance(error, RedisError | OSError | LapsedError):
            _log.error("fan-out: unexpected error while %s", doing, exc_info=error)
        elif not self._reported:
            _log.warning("fan-out: trouble with Redis while %s: %s", doing, type(error).__name__)
        self._reported = True

    def mark(self) -> int:
        """To be taken before a repair, and given to `heal` after it."""
        return self._doubts

    def heal(self, mark: int) -> None:
        """All that was in doubt when `mark` was taken is good again."""
        self._settled = mark
        self._notify()
        if self.well and self._reported:
            self._reported = False
            _log.info("fan-out: works again")

    async def wait(self, *, well: bool, timeout_s: float) -> None:
        """Until `self.well` becomes `well`, but no longer than `timeout_s`."""
        if self.well is well:
            return
        waiter = (well, asyncio.Event())
        self._waiters.append(waiter)
        timer = self._clock.call_later(timeout_s, waiter[1].set)
        try:
            await waiter[1].wait()
        finally:
            timer.cancel()
            self._waiters.remove(waiter)

    def _notify(self) -> None:
        for wanted, event in self._waiters:
            if wanted is self.well:
                event.set()


class Backoff:
    """Rising, jittered, bounded pauses between attempts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._attempts = 0

    def reset(self) -> None:
        self._attempts = 0

    async def pause(self) -> None:
        rising_s: float = BACKOFF_FIRST_S * 2 ** min(self._attempts, 16)
        self._attempts += 1
        await self._clock.sleep(min(BACKOFF_MAX_S, rising_s) * (0.5 + self._clock.random() / 2))
