"""Following the log in an application: what each worker that does so needs beside its sink."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from events.relay.follower import Follower
from events.relay.metrics import RelayMetrics
from events.relay.ports import Share
from events.relay.shards import Shards
from events.relay.sweep import Sweep
from events.sink import Sink
from handlers import keys
from realtime.ports import SystemClock
from realtime.tasks import Tasks
from server.keys import SETTINGS
from storage.followers import FollowerRecords
from storage.mongo import StoreError
from storage.oplog import OpLog
from storage.outbox import Outbox

RELAY_METRICS = web.AppKey("relay_metrics", RelayMetrics)

SLACK: Final = 0.1
"""Part of its age by which an op may be handed over later."""

STOP_S: Final = 8.0
"""How long what is on its way to a sink may take at the end."""

log = logging.getLogger(__name__)


@asynccontextmanager
async def following(
    app: web.Application, place: str, sink: Sink, *, min_age_s: float = 0.0
) -> AsyncIterator[Share]:
    """A follower of a place (see `storage.outbox.PLACES`), with all that it takes; its share.

    Only ops that are older than `min_age_s` are handed over. What may wait for so long is looked
    at less often: then more goes together.
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
        every_s=max(settings.follow_every_s, min_age_s * SLACK),
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
        yield shards
    finally:
        follower.stop()
        try:
            await asyncio.wait([following], timeout=STOP_S)
        finally:  # also when that is cut off
            await tasks.stop()
        try:
            await shards.leave()
        except StoreError as error:
            log.info("The others will find out by themselves: %s", type(error).__name__)
