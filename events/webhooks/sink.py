"""Where followed events are put in line for each endpoint that wants them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from events.event import Event
from events.sink import CartEvents, SinkAwayError
from events.webhooks.metrics import WebhookMetrics
from events.webhooks.pace import Pace
from storage.mongo import StoreError
from storage.webhook_deliveries import WebhookDeliveries
from storage.webhook_documents import Message, message_id
from storage.webhook_endpoints import Endpoint, WebhookEndpoints

EARLIER_MS: Final = 300_000
"""Clocks of instances differ by less. What is older than the endpoint by more isn't for it."""
OVERFLOW: Final = "overflow"
AT_ONCE: Final = 500
"""Deliveries that are stored in one go."""
BYTES_AT_ONCE: Final = 4_194_304

log = logging.getLogger(__name__)


class WebhookSink:
    """A `Sink`. It has taken what is stored; sending that is the deliverer's."""

    def __init__(
        self,
        endpoints: WebhookEndpoints,
        deliveries: WebhookDeliveries,
        pace: Pace,
        *,
        wall_ms: Callable[[], int],
        metrics: WebhookMetrics,
        stored: Callable[[], None],
    ) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._pace = pace
        self._wall_ms = wall_ms
        self._metrics = metrics
        self._stored = stored
        self._room: dict[str, int] = {}
        """By endpoint, how many more may wait before that is looked at again."""

    async def deliver(self, carts: Sequence[CartEvents]) -> Mapping[str, int]:
        """See `Sink`. Who registers after something happened needn't get it."""
        try:
            # Read each time, so that whatever happens from an endpoint's registration on is sent.
            wanted = [one for one in await self._endpoints.all() if one.enabled]
            if wanted:
                await self._put([event for cart in carts for event in cart.events], wanted)
        except StoreError as error:
            raise SinkAwayError(type(error).__name__) from error
        return {cart.cart: cart.last for cart in carts}

    async def _put(self, events: Sequence[Event], endpoints: Sequence[Endpoint]) -> None:
        now = self._wall_ms()
        give_up_at = now + int(self._pace.give_up_s * 1_000)
        messages = [(event, _message(event)) for event in events]
        part: list[tuple[str, Message]] = []
        size, put = 0, False
        for endpoint in endpoints:
            wanted = [message for event, message in messages if _is_for(endpoint, event)]
            if not wanted or not await self._has_room(endpoint, len(wanted)):
                continue
            put = True
            for message in wanted:
                part.append((endpoint.id, message))
                size += len(message.data)
                if len(part) >= AT_ONCE or size >= BYTES_AT_ONCE:
                    await self._deliveries.put(part, now, give_up_at)
                    part, size = [], 0
        if part:
            await self._deliveries.put(part, now, give_up_at)
        if put:
            self._stored()

    async def _has_room(self, endpoint: Endpoint, count: int) -> bool:
        """Whether so many more may wait. Without room the endpoint is switched off.

        How many wait is only looked at after as many came as there was room for, by each process
        for itself; so `waiting_max` may be passed by what comes at once, here and there.
        """
        left = self._room.get(endpoint.id, 0)
        if left <= 0:
            most = self._pace.waiting_max
            for left in (most, most // 2, max(most // 10, 1)):
                if not await self._deliveries.wait_more_than(endpoint.id, most - left):
                    break
            else:
                await self._overflow(endpoint)
                return False
        self._room[endpoint.id] = left - count
        return True

    async def _overflow(self, endpoint: Endpoint) -> None:
        self._room.pop(endpoint.id, None)
        if await self._endpoints.disable(endpoint.id, OVERFLOW, self._wall_ms()):
            self._metrics.disabled.labels(OVERFLOW).inc()
            where = {"webhook": endpoint.id, "reason": OVERFLOW}
            log.warning("A webhook was switched off", extra=where)


def _is_for(endpoint: Endpoint, event: Event) -> bool:
    return endpoint.wants(event.type) and event.time_ms >= endpoint.since - EARLIER_MS


def _message(event: Event) -> Message:
    return Message(
        id=message_id(event.id),
        type=event.type,
        key=event.key,
        stream=event.id.rpartition(":")[0] or event.id,
        sequence=event.sequence,
        time_ms=event.time_ms,
        data=msgspec.json.encode(event.data).decode(),
    )
