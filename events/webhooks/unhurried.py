"""What can wait where it is doesn't fill the lines of endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from events.relay.ports import Clock
from events.sink import CartEvents, Sink, SinkAwayError
from events.webhooks.pace import Pace
from storage.mongo import StoreError
from storage.webhook_deliveries import WebhookDeliveries
from storage.webhook_endpoints import WebhookEndpoints

HELD_S: Final = 600.0
"""For how long an endpoint that isn't done is waited for."""
LULL_S: Final = 60.0
"""After so long without a look nobody knows what was meanwhile."""


class Unhurried:
    """A `Sink` in front of another, for events of one type, that may come at any time later.

    It takes nothing while as much waits at an endpoint that wants them as `Pace.much`. Thus a
    catalog that is imported goes out as fast as receivers answer, and switches none of them off.
    One that has had as much for `HELD_S` without a break isn't waited for until it has less.
    """

    def __init__(
        self,
        type_: str,
        sink: Sink,
        endpoints: WebhookEndpoints,
        deliveries: WebhookDeliveries,
        pace: Pace,
        *,
        clock: Clock,
    ) -> None:
        self._type = type_
        self._sink = sink
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._pace = pace
        self._clock = clock
        self._full_since: dict[str, float] = {}
        self._looked_s = clock.monotonic()

    async def deliver(self, carts: Sequence[CartEvents]) -> Mapping[str, int]:
        """See `Sink`."""
        if not carts:
            return {}
        try:
            if await self._is_to_wait():
                return {}
        except StoreError as error:
            raise SinkAwayError(type(error).__name__) from error
        return await self._sink.deliver(carts)

    async def _is_to_wait(self) -> bool:
        now_s = self._clock.monotonic()
        before = {} if now_s - self._looked_s > LULL_S else self._full_since
        self._looked_s = now_s
        self._full_since = {
            endpoint.id: before.get(endpoint.id, now_s)
            for endpoint in await self._endpoints.all()
            if endpoint.enabled
            and endpoint.wants(self._type)
            and await self._deliveries.wait_more_than(endpoint.id, self._pace.much)
        }
        return any(now_s - since_s < HELD_S for since_s in self._full_since.values())
