"""The live rooms of one application: how their parts are put together and taken down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from commerce.accounts.service import Accounts
from commerce.catalog.service import Catalog
from commerce.invitations.notices import Notices
from commerce.invitations.service import Inviting
from realtime.fanout import RedisBus
from realtime.hub import Hub
from realtime.inboxes import InboxStores
from realtime.limits import DEFAULT_LIMITS
from realtime.metrics import FanOutMetrics, RealtimeMetrics
from realtime.newcomers import Newcomers
from realtime.ports import Clock, SystemClock
from realtime.services import Access, Services, Timing
from realtime.snapshots import Snapshots
from realtime.tasks import Tasks
from server.settings import Settings
from storage.cart_settings import CartSettings
from storage.carts import Carts
from storage.committer import Committer
from storage.memberships import Memberships
from storage.mongo import Database
from storage.notifications import Notifications
from storage.oplog import OpLog
from storage.outbox import MARK_RENEWED_AT, Outbox
from storage.seen import Seen


@dataclass(frozen=True, slots=True)
class Outreach:
    """How people are invited to carts, and told that they were let in."""

    inviting: Inviting
    notices: Notices


@asynccontextmanager
async def live_rooms(
    settings: Settings,
    *,
    database: Database,
    redis: Redis,
    accounts: Accounts,
    access: Access,
    catalog: Catalog,
    registry: CollectorRegistry,
    outreach: Outreach | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Hub]:
    """A running hub, connected to the other instances. Leaving stops it; drain it before."""
    clock = clock or SystemClock()
    tasks, metrics = Tasks(), RealtimeMetrics(registry)
    oplog, carts = OpLog(database), Carts(database)
    bus = RedisBus(
        redis, clock, lease_s=settings.lease_s, prefix=f"cartroom:{settings.mongodb_database}"
    )
    committer = Committer(
        oplog,
        sleep=clock.sleep,
        random=clock.random,
        on_batch=metrics.commit_batch.observe,
        on_unknown=metrics.outcomes_unknown.inc,
    )
    timing = Timing(
        heartbeat_s=settings.heartbeat_s,
        hello_timeout_s=settings.hello_timeout_s,
        commit_timeout_s=settings.commit_timeout_s,
        snapshot_every_s=settings.snapshot_every_s,
        room_idle_s=settings.room_idle_s,
        catch_up_every_s=settings.catch_up_every_s,
        seen_every_s=settings.seen_every_s,
        mark_renew_s=settings.mark_life_s * MARK_RENEWED_AT,
    )
    services = Services(
        log=oplog,
        committer=committer,
        carts=carts,
        memberships=Memberships(database),
        outbox=Outbox(database),
        catalog=catalog,
        directory=accounts,
        access=access,
        bus=bus,
        clock=clock,
        snapshots=Snapshots(carts, clock, tasks, metrics, settings.snapshot_every_s),
        metrics=metrics,
        limits=DEFAULT_LIMITS,
        timing=timing,
        currency=settings.currency,
        tasks=tasks,
        inviting=None if outreach is None else outreach.inviting,
        inboxes=InboxStores(Notifications(database), CartSettings(database), Seen(database)),
    )
    hub = Hub(services)
    bus.listener = hub
    registry.register(FanOutMetrics(bus))
    metrics.commits_pending.set_function(lambda: committer.pending)
    metrics.requests_waiting.set_function(lambda: hub.waiting)
    if outreach is not None:
        newcomers = Newcomers(hub, outreach.inviting, outreach.notices)
        services.on_memberships = newcomers.committed
        tasks.start(newcomers.sweep_regularly(), "sweep invitations", lasting=True)
    try:
        await bus.start()
        hub.start()
        yield hub
    finally:
        try:
            await hub.stop()
        finally:  # also when that is cut off
            await bus.stop()
