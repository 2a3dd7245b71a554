"""What is done beside serving, by `cartroom worker` or inside `cartroom serve`.

A worker is made of parts: each a context manager that is given the application, whose services it
finds there by their keys, and does its work until it is left.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final

from aiohttp import web

from events.relay.follower import Follower
from events.relay.metrics import RelayMetrics
from events.relay.shards import Shards
from events.relay.sweep import Sweep
from events.sink import Sink
from handlers import keys
from realtime.ports import SystemClock
from realtime.tasks import Tasks
from server.keys import SETTINGS, WORKERS
from server.settings import Settings, SettingsError
from storage.followers import FollowerRecords
from storage.mongo import StoreError
from storage.oplog import OpLog
from storage.outbox import Outbox

Part = Callable[[web.Application], AbstractAsyncContextManager[None]]

RELAY_METRICS = web.AppKey("relay_metrics", RelayMetrics)

STOP_S: Final = 8.0
"""How long what is on its way to a sink may take at the end."""

log = logging.getLogger(__name__)


def names_in_serve(settings: Settings) -> tuple[str, ...]:
    """The workers that `cartroom serve` has."""
    if settings.workers is not None:
        return tuple(name for name in settings.workers if name != "none")
    return () if settings.kafka_bootstrap else ("notify", "webhooks")


def check_workers(settings: Settings, names: tuple[str, ...]) -> None:
    """Raise SettingsError when these workers can't work with these settings."""
    if "relay" in names and not settings.kafka_bootstrap:
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
async def following(
    app: web.Application, place: str, sink: Sink, *, min_age_s: float = 0.0
) -> AsyncIterator[None]:
    """A follower of a place (see `storage.outbox.PLACES`), with all that it takes.

    Only ops that are older than `min_age_s` are handed over.
    """
    settings, clock, metrics = app[SETTINGS], SystemClock(), app[RELAY_METRICS]
    outbox, oplog = Outbox(app[keys.DATABASE]), OpLog(app[keys.DATABASE])
    records, worker = FollowerRecords(app[keys.DATABASE]), secrets.token_hex(8)
    shards = Shards(
        place, worker, records, clock=clock, metrics=metrics, lease_s=settings.follower_lease_s
    )
    follower = Follower(
        place,
        sink,
        outbox=outbox,
        oplog=oplog,
        shards=shards,
        clock=clock,
        metrics=metrics,
        every_s=settings.follow_every_s,
        mark_life_s=settings.mark_life_s,
        min_age_s=min_age_s,
    )
    sweep = Sweep(
        place,
        outbox=outbox,
        oplog=oplog,
        shards=shards,
        clock=clock,
        metrics=metrics,
        every_s=settings.sweep_every_s,
    )
    tasks = Tasks()
    tasks.start(shards.run(), f"share {place}")
    tasks.start(sweep.run(), f"sweep {place}")
    following = tasks.start(follower.run(), f"follow {place}")
    try:
        yield
    finally:
        follower.stop()
        await asyncio.wait([following], timeout=STOP_S)
        await tasks.stop()
        try:
            await shards.leave()
        except StoreError as error:
            log.info("The others will find out by themselves: %s", type(error).__name__)


PARTS: Final[Mapping[str, tuple[Part, ...]]] = {
    "relay": (),
    "notify": (),
    "webhooks": (),
}
