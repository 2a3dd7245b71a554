"""Webhooks put together: what takes events in, and what sends them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from events.relay.ports import Clock
from events.webhooks.connecting import Allowed, Lookup
from events.webhooks.deliverer import Deliverer
from events.webhooks.metrics import WebhookMetrics
from events.webhooks.pace import Pace
from events.webhooks.sender import Sender
from events.webhooks.sink import WebhookSink
from storage.webhook_deliveries import WebhookDeliveries
from storage.webhook_endpoints import WebhookEndpoints


@asynccontextmanager
async def sending(
    endpoints: WebhookEndpoints,
    deliveries: WebhookDeliveries,
    pace: Pace,
    *,
    allowed: Allowed,
    lookup: Lookup,
    clock: Clock,
    metrics: WebhookMetrics,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[WebhookSink, Deliverer]]:
    """A sink, and a deliverer that hears of what it stores. Run the deliverer, and stop it."""
    async with Sender(
        timeout_s=pace.timeout_s,
        allowed=allowed,
        lookup=lookup,
        tls=tls,
        monotonic=clock.monotonic,
    ) as sender:
        deliverer = Deliverer(endpoints, deliveries, sender, pace, clock=clock, metrics=metrics)
        sink = WebhookSink(
            endpoints,
            deliveries,
            pace,
            wall_ms=clock.wall_ms,
            metrics=metrics,
            stored=deliverer.wake,
        )
        yield sink, deliverer
