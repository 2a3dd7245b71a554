"""Mails about changes in carts, by the settings: a part of the notify worker, and how they end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from commerce.notifying.mailings import Mailings, Stores
from commerce.notifying.unsubscribing import Muting, UnsubscribeTokens, Unsubscribing
from handlers import keys
from server.keys import ON_NOTIFIED, PUBLIC_URL, SETTINGS
from server.settings import Settings
from storage.mongo import Database
from storage.users import Users

log = logging.getLogger(__name__)


def unsubscribe_tokens(settings: Settings) -> UnsubscribeTokens:
    """Every instance and worker reads what any of them makes."""
    return UnsubscribeTokens((settings.jwt_secret or "", *settings.jwt_secrets_old))


def unsubscribing(settings: Settings, database: Database, muting: Muting) -> Unsubscribing:
    return Unsubscribing(Users(database), muting, unsubscribe_tokens(settings))


@asynccontextmanager
async def mailings(app: web.Application) -> AsyncIterator[None]:
    """A part of the worker: see `server.workers`. It hears of what the notifier notes."""
    settings = app[SETTINGS]
    if settings.public_url is None and keys.HUB not in app:
        log.warning("CARTROOM_PUBLIC_URL is unset: mails will lead to %s", app[PUBLIC_URL]())
    made = Mailings(
        Stores.of(app[keys.DATABASE]),
        app[keys.MAILER],
        unsubscribe_tokens(settings),
        window_s=settings.notify_window_s,
        after_s=settings.notify_after_s,
    )
    app[ON_NOTIFIED] = made
    running = asyncio.create_task(made.run(), name="mailings")
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
