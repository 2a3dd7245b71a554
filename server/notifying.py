"""The notify worker: events become notifications; from Kafka, or from the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from events.notifications.notifier import Notifier, Stores
from events.notifications.sink import NotifierSink
from handlers import keys
from realtime.announcing import announcing
from realtime.inboxes import InboxPushes, PushToUser
from realtime.ports import SystemClock
from server.following import following
from server.keys import ON_NOTIFIED, SETTINGS
from storage.users import Users


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
        sink = NotifierSink(notifier)
        async with following(app, "notify", sink, min_age_s=settings.notify_after_s):
            yield


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
