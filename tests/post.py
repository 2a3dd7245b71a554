"""A deliverer of webhooks in the test's process, on a real store, and what is put in line."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from commerce.webhooks.service import Webhooks
from events.event import Event
from events.sink import CartEvents
from events.webhooks.connecting import Allowed, Lookup
from events.webhooks.deliverer import Deliverer
from events.webhooks.metrics import WebhookMetrics
from events.webhooks.pace import Pace
from events.webhooks.sending import sending
from events.webhooks.sink import WebhookSink
from realtime.ports import SystemClock
from storage import webhook_deliveries
from storage.mongo import Database
from storage.sealing import Sealing
from storage.webhook_deliveries import WebhookDeliveries
from storage.webhook_documents import Delivery
from storage.webhook_endpoints import Endpoint, WebhookEndpoints
from tests.helpers import eventually
from tests.receiving import WAIT_S, Receiver

SEALING = Sealing([b"k" * 32])
QUICK = Pace(timeout_s=30.0, retry_s=0.05, give_up_s=120.0, poll_s=0.05)


class TestClock(SystemClock):
    """The system's, moved on by `ahead_s`."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0

    def wall_ms(self) -> int:
        return super().wall_ms() + int(self.ahead_s * 1_000)


async def system_lookup(name: str) -> list[str]:
    raise OSError(f"no names here, but {name}")


@dataclass
class Post:
    """What of webhooks there is in one process."""

    database: Database
    endpoints: WebhookEndpoints
    deliveries: WebhookDeliveries
    admin: Webhooks
    sink: WebhookSink
    deliverer: Deliverer
    clock: TestClock
    revs: dict[str, int] = field(default_factory=dict)

    async def register(self, receiver: Receiver | str, **fields: Any) -> Endpoint:
        url = receiver if isinstance(receiver, str) else receiver.url
        made = await self.admin.register("usr_admin", url=url, **fields)
        if isinstance(receiver, Receiver) and made.secret is not None:
            receiver.secrets.append(made.secret)
        return made

    async def happen(self, cart: str, count: int = 1, kind: str = "add") -> list[Event]:
        """The next events of a cart, put in line as a follower does."""
        events = self.events(cart, count, kind)
        assert await self.sink.deliver([CartEvents(cart, tuple(events), 1)]) == {
            cart: events[-1].sequence
        }
        return events

    def events(self, cart: str, count: int, kind: str = "add") -> list[Event]:
        start = self.revs.get(cart, 0) + 1
        self.revs[cart] = start + count - 1
        return [self.event(cart, rev, kind) for rev in range(start, start + count)]

    def event(self, cart: str, rev: int, kind: str = "add") -> Event:
        return Event(
            id=f"{cart}:{rev}",
            type=f"cartroom.cart.{kind}",
            subject=cart,
            key=cart,
            sequence=rev,
            time_ms=self.clock.wall_ms(),
            data={"cart": cart, "rev": rev, "note": "Grüße \U0001f6d2"},
        )

    async def all(self, endpoint: Endpoint) -> list[Delivery]:
        """The endpoint's, the oldest first."""
        return (await self.deliveries.newest(endpoint.id, 1_000))[::-1]

    async def settled(self, endpoint: Endpoint, **statuses: int) -> list[Delivery]:
        """Wait until so many of an endpoint's deliveries are of each status."""

        async def look() -> list[Delivery]:
            found = await self.all(endpoint)
            counts = [sum(one.status == name for one in found) for name in statuses]
            return found if counts == list(statuses.values()) else []

        return await eventually(look, WAIT_S, f"{statuses}")


@asynccontextmanager
async def post(
    database: Database,
    pace: Pace = QUICK,
    *,
    allowed: Allowed = lambda address: True,
    private: bool = True,
    lookup: Lookup = system_lookup,
    tls: ssl.SSLContext | None = None,
    deliver: bool = True,
    metrics: WebhookMetrics | None = None,
    clock: TestClock | None = None,
    sealing: Sealing = SEALING,
) -> AsyncIterator[Post]:
    """What of webhooks there is in one process, sending unless told not to."""
    for index in webhook_deliveries.INDEXES:
        await database.collection(index.collection).create_index(index.field)
    endpoints, deliveries = WebhookEndpoints(database, sealing), WebhookDeliveries(database)
    clock, metrics = clock or TestClock(), metrics or WebhookMetrics()
    admin = Webhooks(
        endpoints, deliveries, private=private, give_up_s=pace.give_up_s, now_ms=clock.wall_ms
    )
    async with sending(
        endpoints,
        deliveries,
        pace,
        allowed=allowed,
        lookup=lookup,
        clock=clock,
        metrics=metrics,
        tls=tls,
    ) as (sink, deliverer):
        running = asyncio.create_task(deliverer.run()) if deliver else None
        try:
            yield Post(database, endpoints, deliveries, admin, sink, deliverer, clock)
        finally:
            await deliverer.stop(0.0)
            if running is not None:
                await running
