"""Password hashes: bcrypt, off the event loop, in a bounded pool with a bounded queue."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import os
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

import bcrypt

from commerce.accounts.errors import PasswordsBusyError

WORKERS: Final = max(1, (os.cpu_count() or 2) // 2)  # the event loop keeps the other half
QUEUE_MAX: Final = 128
RETRY_AFTER_S: Final = 2.0
_NICENESS: Final = 10

_T = TypeVar("_T")


def _yield_to_the_event_loop() -> None:
    """Lower this worker thread's priority, so that a burst of log-ins doesn't delay carts."""
    if sys.platform == "linux":  # the only system where niceness is a thread's own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def _digest(password: str) -> bytes:
    """Fold a password of any length into 44 bytes without NUL.

    bcrypt looks at 72 bytes and stops at a NUL; this way a long passphrase counts in full.
    Systems differ in how they compose letters (é), so that is evened out before.
    """
    composed = unicodedata.normalize("NFKC", password)
    return base64.b64encode(hashlib.sha256(composed.encode()).digest())


def cost_of(hashed: str) -> int:
    """The cost that a hash of ours was made with."""
    return int(hashed.split("$")[2])


@functools.cache
def _nobody(cost: int) -> bytes:
    """Nobody's hash, but it takes the work of a real one to find that out."""
    return bcrypt.gensalt(cost) + b"." * 31


class Passwords:
    """Makes and checks hashes on worker threads.

    Both methods raise PasswordsBusyError when `queue_max` others wait, without having started.
    """

    def __init__(self, cost: int, *, workers: int = WORKERS, queue_max: int = QUEUE_MAX) -> None:
        self._cost = cost
        self._work_cost = cost
        """Of a check: the highest cost of the hashes so far, whatever ours is today."""
        self._pool = ThreadPoolExecutor(
            workers, thread_name_prefix="passwords", initializer=_yield_to_the_event_loop
        )
        self._pending_max = workers + queue_max
        self._pending = 0
        self._lock = threading.Lock()

    async def hash(self, password: str) -> str:
        """A new salted hash of `password`, as text."""
        digest = _digest(password)
        return await self._run(lambda: bcrypt.hashpw(digest, bcrypt.gensalt(self._cost)).decode())

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether `hashed` was made from `password`. With None the same work, then False."""
        digest = _digest(password)
        return await self._run(lambda: self._check(digest, hashed))

    def is_cheaper(self, hashed: str) -> bool:
        """Whether a hash cost less work than a new one would. Raises ValueError for no hash."""
        return cost_of(hashed) < self._cost

    @property
    def pending(self) -> int:
        """How many passwords are being hashed or wait for it."""
        return self._pending

    def close(self) -> None:
        """Drop what still waits. Hashes being computed are finished, and nobody is told."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _check(self, digest: bytes, hashed: str | None) -> bool:
        """Compare, and work as long for everybody: time must not tell whether there is a hash.

        One of a lower cost is made up for: each step of cost doubles the work, so those from its
        own to the one below that of all are what is missing. Hashes from when the cost was higher
        are kept, so from the first of them on all checks are as much work as theirs.
        """
        if hashed is None:
            bcrypt.checkpw(digest, _nobody(self._work_cost))
            return False
        self._work_cost = max(self._work_cost, cost_of(hashed))
        right = bcrypt.checkpw(digest, hashed.encode())
        for cost in range(cost_of(hashed), self._work_cost):
            bcrypt.checkpw(digest, _nobody(cost))
        return right

    async def _run(self, work: Callable[[], _T]) -> _T:
        with self._lock:
            if self._pending >= self._pending_max:
                raise PasswordsBusyError(RETRY_AFTER_S)
            self._pending += 1
        future: Future[_T] = self._pool.submit(work)
        # The place is held by the work itself, not by who waits for it: a caller that gives up
        # doesn't make room for more work than the pool was meant to hold.
        future.add_done_callback(self._one_done)
        return await asyncio.wrap_future(future)

    def _one_done(self, _future: Future[_T]) -> None:
        with self._lock:  # called on the worker's thread
            self._pending -= 1
