"""Where the log's follower hands events over when there is no Kafka: to the notifier itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

from events.notifications.notifier import Notifier
from events.sink import CartEvents, SinkAwayError
from storage.mongo import StoreError

CARTS_AT_ONCE: Final = 64
TRIES: Final = 5
"""How often a cart's events are tried until those that can't be handled are passed over."""

log = logging.getLogger(__name__)


class NotifierSink:
    """A `Sink`. It takes all of what it is given of a cart, or nothing."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._slots = asyncio.Semaphore(CARTS_AT_ONCE)
        self._failures: dict[str, int] = {}
        """Of the carts that failed last time: how often in a row."""

    async def deliver(self, carts: Sequence[CartEvents]) -> Mapping[str, int]:
        taken = await asyncio.gather(*(self._take(one) for one in carts))
        if not any(taken):
            raise SinkAwayError("no notification can be stored")
        return {one.cart: one.last for one, was in zip(carts, taken, strict=True) if was}

    async def _take(self, given: CartEvents) -> bool:
        failures = self._failures.get(given.cart, 0)
        async with self._slots:
            try:
                await self._notifier.handle(given.events, lenient=failures >= TRIES)
            except StoreError as error:
                log.warning("Notifications wait: %s", type(error).__name__)
                return False
            except Exception:
                log.exception("Events can't be told", extra={"cart": given.cart})
                self._failures[given.cart] = failures + 1
                return False
        self._failures.pop(given.cart, None)
        return True
