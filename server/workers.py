"""What is done beside serving, by `cartroom worker` or inside `cartroom serve`.

A worker is made of parts: each a context manager that is given the application, whose services it
finds there by their keys, and does its work until it is left.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final

from aiohttp import web

from events.documents import InvitationOutbox, ProductOutbox, relay
from events.relay.metrics import RelayMetrics
from handlers import keys
from realtime.tasks import Tasks
from server.following import RELAY_METRICS, following
from server.kafka import kafka_access, kafka_sink
from server.keys import SETTINGS, WORKERS
from server.mailings import mailings
from server.notifying import notifying
from server.settings import Settings, SettingsError
from server.webhooks import webhooks
from storage.invitations import Invitations
from storage.products import Products
from storage.unsent import Place

Part = Callable[[web.Application], AbstractAsyncContextManager[None]]


def names_in_serve(settings: Settings) -> tuple[str, ...]:
    """The workers that `cartroom serve` has."""
    if settings.workers is not None:
        return tuple(name for name in settings.workers if name != "none")
    return () if settings.kafka_bootstrap else ("notify", "webhooks")


def check_workers(settings: Settings, names: tuple[str, ...]) -> None:
    """Raise SettingsError when these workers can't work with these settings."""
    if "relay" in names and kafka_access(settings) is None:
        raise SettingsError("KAFKA_BOOTSTRAP: needed by the relay")


async def workers(app: web.Application) -> AsyncIterator[None]:
    """All parts of the application's workers, from its start to its end."""
    app[RELAY_METRICS] = RelayMetrics(app[keys.REGISTRY])
    async with AsyncExitStack() as exits:
        for name in app[WORKERS]:
            for part in PARTS[name]:
                await exits.enter_async_context(part(app))
        yield


@asynccontextmanager
async def _relay(app: web.Application) -> AsyncIterator[None]:
    sink = kafka_sink(app[SETTINGS])
    assert sink is not None, "checked before"  # noqa: S101
    database, tasks = app[keys.DATABASE], Tasks()
    outboxes = (
        ProductOutbox(Products(database)),
        InvitationOutbox(Invitations(database, places=Place.RELAY)),
    )
    publishing = relay(outboxes, sink, every_s=app[SETTINGS].follow_every_s)
    try:
        async with following(app, "relay", sink):
            tasks.start(publishing, "relay products and invitations")
            yield
    finally:
        await tasks.stop()
        await sink.close()


PARTS: Final[Mapping[str, tuple[Part, ...]]] = {
    "relay": (_relay,),
    "notify": (mailings, notifying),
    "webhooks": (webhooks,),
}
