"""The keys under which the application holds its services, for handlers to ask for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from commerce.accounts.changing import PasswordChange
from commerce.accounts.confirming import Confirming
from commerce.accounts.deletion import Deletions
from commerce.accounts.export import Export
from commerce.accounts.guests import Guests
from commerce.accounts.people import People
from commerce.accounts.profile import Profiles
from commerce.accounts.resetting import Resetting
from commerce.accounts.service import Accounts
from commerce.accounts.sessions import Sessions
from commerce.catalog.service import Catalog
from commerce.invitations.service import Inviting
from commerce.limits.limiter import Limits
from commerce.mail import Mailer
from commerce.notifying.unsubscribing import Unsubscribing
from commerce.webhooks.service import Webhooks
from realtime.hub import Hub
from storage.mongo import Database
from storage.web_sessions import WebSessions

if TYPE_CHECKING:
    from handlers.cookies import Cache

DATABASE = web.AppKey("database", Database)
ACCOUNTS = web.AppKey("accounts", Accounts)
SESSIONS = web.AppKey("sessions", Sessions)
"""Who is signed in where."""

PEOPLE = web.AppKey("people", People)
"""Other people's accounts, for those who look after them."""
GUESTS = web.AppKey("guests", Guests)
"""What becomes of guests who log in."""
CONFIRMING = web.AppKey("confirming", Confirming)
RESETTING = web.AppKey("resetting", Resetting)
DELETIONS = web.AppKey("deletions", Deletions)
EXPORT = web.AppKey("export", Export)
PROFILES = web.AppKey("profiles", Profiles)
UNSUBSCRIBING = web.AppKey("unsubscribing", Unsubscribing)
PASSWORD_CHANGE = web.AppKey("password_change", PasswordChange)

WEB_SESSIONS = web.AppKey("web_sessions", WebSessions)
WEB_CACHE: web.AppKey[Cache] = web.AppKey("web_cache")
"""What browsers' cookies stand for, and Redis in front of it."""

CATALOG = web.AppKey("catalog", Catalog)
MAILER = web.AppKey("mailer", Mailer)
INVITING = web.AppKey("inviting", Inviting)
WEBHOOKS = web.AppKey("webhooks", Webhooks)
HUB = web.AppKey("hub", Hub)
"""The live rooms and their sockets."""

ALLOWED_ORIGINS: web.AppKey[frozenset[str]] = web.AppKey("allowed_origins", frozenset)
"""Origins whose pages may ask, with tokens, beside the service's own page."""

OWN_ORIGINS: web.AppKey[frozenset[str]] = web.AppKey("own_origins", frozenset)
"""Origins of the service's own page, beside the one that `Host` names."""

REDIS = web.AppKey("redis", Redis)
"""Hands out connections as they are needed; the server behind it may be away at any time."""

LIMITS = web.AppKey("limits", Limits)
"""Who may ask for how much; the rules are in `commerce.limits.rules`."""

REGISTRY = web.AppKey("registry", CollectorRegistry)
"""Where the application's metrics are registered; `/metrics` shows them."""

VERSION = web.AppKey("version", str)

DRAINING = web.AppKey("draining", asyncio.Event)
"""Set once the server shuts down: `/readyz` then says so, and new sockets are refused."""
