"""The keys under which the application holds what handlers don't ask for."""

from __future__ import annotations

from aiohttp import web

from commerce.accounts.passwords import Passwords
from events.notifications.ports import OnNotified
from server.public import PublicUrl
from server.settings import Settings

SETTINGS = web.AppKey("settings", Settings)
PASSWORDS = web.AppKey("passwords", Passwords)
PUBLIC_URL = web.AppKey("public_url", PublicUrl)
"""Where mailed links lead. Whoever listens tells it the address that is served."""

ON_NOTIFIED = web.AppKey("on_notified", OnNotified)
"""Hears of notifications. A part of the notify worker before the notifier puts it there."""

WORKERS = web.AppKey("workers", tuple[str, ...])
"""Which workers an application is, or has."""
