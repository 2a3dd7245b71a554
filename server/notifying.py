"""The notify worker: events become notifications; from Kafka, or from the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from events.kafka.consumer import KafkaConsumer
from events.notifications.notifier import Notifier, Stores
from events.notifications.sink import NotifierSink
from handlers import keys
from realtime.announcing import announcing
from realtime.inboxes import InboxPushes, PushToUser
from realtime.ports import SystemClock
from server.following import following
from server.kafka import kafka_access, kafka_topics
from server.keys import ON_NOTIFIED, SETTINGS
from server.settings import Settings
from storage.mongo import STORE_AWAY_ERRORS, NotDurableError
from storage.notifications import InboxBusyError
from storage.users import Users

GROUP: Final = "notify"
"""The consumer group's name, behind the prefix of topics."""

WAITING_HELPS: Final = (*STORE_AWAY_ERRORS, NotDurableError, InboxBusyError)
"""After these the same events can be told later. Not so where the log lacks what is before them, as
after the store was put back to what it was: that must not hold up other carts for good."""


@asynccontextmanager
async def notifying(app: web.Application) -> AsyncIterator[None]:
    """A part of the worker: see `server.workers`."""
    settings = app[SETTINGS]
    async with pushing(app) as push_to_user:
        names = Users(app[keys.DATABASE]).names
        notifier = Notifier(
            Stores.of(app[keys.DATABASE]),
            names,
            InboxPushes(push_to_user, names),
            app.get(ON_NOTIFIED),
            window_s=settings.notify_window_s,
        )
        async with (
            _consuming(settings, notifier)
            if settings.kafka_bootstrap
            else following(app, "notify", NotifierSink(notifier), min_age_s=settings.notify_after_s)
        ):
            yield


@asynccontextmanager
async def _consuming(settings: Settings, notifier: Notifier) -> AsyncIterator[None]:
    """A member of the group that the notifiers are."""
    access, topics = kafka_access(settings), kafka_topics(settings)
    assert access is not None  # noqa: S101 - it has been asked for
    consumer = KafkaConsumer(
        access,
        topics,
        notifier.handle,
        group=f"{settings.kafka_topic_prefix}{GROUP}",
        away=WAITING_HELPS,
        delay_s=settings.notify_after_s,
    )
    running = asyncio.create_task(consumer.run(), name="consume events")
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def pushing(app: web.Application) -> AsyncIterator[PushToUser]:
    """What reaches every socket of a user: those of this instance, or of all others."""
    if keys.HUB in app:
        yield app[keys.HUB].push_to_user
        return
    settings = app[SETTINGS]
    async with announcing(
        app[keys.REDIS],
        SystemClock(),
        lease_s=settings.lease_s,
        prefix=f"cartroom:{settings.mongodb_database}",
    ) as push_to_user:
        yield push_to_user
