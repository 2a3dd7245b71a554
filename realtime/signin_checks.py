"""Asks the store, again and again, whether those with open sockets are still signed in.

Announcements tell of what has ended within milliseconds, and may be lost. This finds out all the
same: within a round and an answer of the store.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pymongo.errors import PyMongoError

from commerce.accounts.principal import Principal

if TYPE_CHECKING:
    from realtime.services import Services
    from realtime.signins import SignIns

EVERY_S: Final = 4.0
"""A round over all sign-ins takes so long,"""
PER_S_MAX: Final = 1_000
"""or longer, so that no more are asked for in a second,"""
EVERY_DEAF_S: Final = 2.0
"""but no longer than this while nobody's announcements reach us,"""
AT_ONCE_S: Final = 0.5
"""or this, after something may have been missed."""
BATCH_MAX: Final = 500
"""Sessions in one question."""

log = logging.getLogger(__name__)


class SignInChecks:
    """Rounds over all sign-ins, in batches spread over the time of a round."""

    def __init__(self, services: Services, sign_ins: SignIns) -> None:
        self._services = services
        self._sign_ins = sign_ins
        self._missed = asyncio.Event()
        self._silent = False

    def hurry(self) -> None:
        """Something may have been missed: begin a round now."""
        self._missed.set()

    async def run(self) -> None:
        """Until cancelled. While the store is away nobody is taken for signed out."""
        while True:
            hurried = self._missed.is_set()
            self._missed.clear()
            principals = self._sign_ins.principals()
            count = max(1, math.ceil(len(principals) / BATCH_MAX))
            for number in range(count):
                try:
                    await self._check(principals[number * BATCH_MAX : (number + 1) * BATCH_MAX])
                except Exception:  # there is nothing else that finds out
                    log.exception("Checking who is still signed in failed")
                await self._pause(count, self._round_s(len(principals), hurried=hurried))

    def _round_s(self, sign_ins: int, *, hurried: bool) -> float:
        """How long a round over so many takes."""
        if hurried or self._missed.is_set():
            return AT_ONCE_S
        if not self._services.bus.fresh:
            return EVERY_DEAF_S
        return max(EVERY_S, sign_ins / PER_S_MAX)

    async def _pause(self, batches: int, round_s: float) -> None:
        """Wait for the next batch of so many; less once something may have been missed."""
        if self._missed.is_set():
            await self._services.clock.sleep(AT_ONCE_S / batches)
            return
        try:
            async with asyncio.timeout(round_s / batches):
                await self._missed.wait()
        except TimeoutError:
            pass  # nothing was missed that we know of

    async def _check(self, batch: Sequence[Principal]) -> None:
        if not batch:
            return
        try:
            ended = await self._services.access.ended(batch)
        except PyMongoError as error:
            if not self._silent:
                log.warning("Can't ask who is still signed in: %s", type(error).__name__)
            self._silent = True
            return
        self._silent = False
        if ended:
            log.info("Found %d sessions ended that nobody told us of", len(ended))
            self._sign_ins.found_ended(sorted(ended))
