"""The application: what it consists of, in the order in which it comes up and goes down."""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Final

import aiohttp_session
from aiohttp import web
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from commerce.accounts.changing import PasswordChange
from commerce.accounts.confirming import Confirming
from commerce.accounts.deletion import Deletions
from commerce.accounts.export import Export
from commerce.accounts.guests import Guests
from commerce.accounts.links import OneTimeLinks
from commerce.accounts.mails import AccountMails
from commerce.accounts.passwords import Passwords
from commerce.accounts.people import People
from commerce.accounts.profile import Profiles
from commerce.accounts.resetting import Resetting
from commerce.accounts.service import Accounts
from commerce.accounts.sessions import Sessions
from commerce.accounts.tokens import Tokens
from commerce.catalog.service import Catalog
from commerce.invitations.notices import Notices
from commerce.invitations.service import Inviting
from commerce.webhooks.service import Webhooks
from events.schemas import SCHEMAS
from events.schemas.files import encode
from handlers import event_schemas, keys
from handlers.cookies import BrowserSessions, Cache
from handlers.peers import PROXIES, Proxies
from handlers.routes import add_health_routes, add_routes
from realtime.acting import ActingRooms
from realtime.archive import StoredCarts
from server import __version__
from server.forgetting import forgetting, handing_over
from server.keys import PASSWORDS, PUBLIC_URL, SETTINGS, WORKERS
from server.limits import shared_limits
from server.live import Outreach, live_rooms
from server.mail import check_mail, mailing
from server.mailings import unsubscribe_tokens, unsubscribing
from server.metrics import HTTP_METRICS, HttpMetrics, create_registry
from server.middleware import (
    add_response_headers,
    answer_preflights,
    answer_problems,
    observe,
)
from server.public import PublicUrl, browser_address, origin_of
from server.runner import handler_args
from server.settings import Settings, SettingsError
from server.upkeep import upkeep
from server.webhooks import webhook_endpoints
from server.workers import check_workers, names_in_serve, workers
from storage.cart_settings import CartSettings
from storage.carts import Carts
from storage.deletions import DeletionRecords
from storage.indexes import create_indexes
from storage.invitations import Invitations
from storage.links import Links
from storage.mail_due import MailDue
from storage.memberships import Memberships
from storage.merges import MergeRecords
from storage.mongo import Database
from storage.notifications import Notifications
from storage.oplog import OpLog
from storage.products import Products
from storage.seen import Seen
from storage.sessions import SessionRecords
from storage.unsent import Place
from storage.users import Users
from storage.web_sessions import WebSessions
from storage.webhook_deliveries import WebhookDeliveries

BODY_BYTES_MAX: Final = 64 * 1024
REDIS_TIMEOUT_S: Final = 2.0
REDIS_CONNECTIONS_MAX: Final = 20

# aiohttp-session keeps its things on the request under names of the old kind.
warnings.filterwarnings("ignore", category=web.NotAppKeyWarning, module="aiohttp_session")


def create_app(settings: Settings) -> web.Application:
    """The whole service as one application, not yet connected to anything.

    `mongodb_url`, `redis_url` and `jwt_secret` must be set; on the embedded default their
    values, and `journal`, come from there. Connecting raises StoreUnusableError with the fix
    when the store won't do; Redis may be away.
    """
    for name in ("mongodb_url", "redis_url", "jwt_secret"):
        _required(settings, name)
    check_mail(settings)
    names = names_in_serve(settings)
    check_workers(settings, names)
    browsers = aiohttp_session.session_middleware(BrowserSessions(max_s=settings.session_max_s))
    app = web.Application(
        client_max_size=BODY_BYTES_MAX,
        middlewares=(observe, answer_problems, answer_preflights, browsers),
        handler_args=handler_args(),
    )
    app[WORKERS] = names
    _prepare(app, settings)
    # Each comes up after those above it and goes down before them.
    app.cleanup_ctx.extend((_database, _redis, _limits, _mail, _accounts, _catalog, _webhooks))
    app.cleanup_ctx.extend((_live_rooms, _guests, _accounts_whole, _upkeep, workers))
    app.on_shutdown.append(drain)
    app[event_schemas.SCHEMAS] = _encoded_schemas()
    add_routes(app)
    return app


@cache
def _encoded_schemas() -> Mapping[str, bytes]:
    return {type_: encode(schema) for type_, schema in SCHEMAS.items()}


def create_worker_app(settings: Settings, name: str) -> web.Application:
    """One worker as an application of its own, without the doors. As `create_app` otherwise."""
    for required in ("mongodb_url", "redis_url", "jwt_secret"):
        _required(settings, required)
    check_mail(settings)
    check_workers(settings, (name,))
    app = web.Application(middlewares=(observe, answer_problems), handler_args=handler_args())
    app[WORKERS] = (name,)
    _prepare(app, settings)
    app.cleanup_ctx.extend((_database, _redis, _limits, _mail, _accounts, _catalog, workers))
    add_health_routes(app)
    return app


def _prepare(app: web.Application, settings: Settings) -> None:
    """What every application has before it is connected to anything."""
    app[SETTINGS] = settings
    served = browser_address(settings.host, settings.port)
    app[PUBLIC_URL] = PublicUrl(settings.public_url, served)
    app[keys.VERSION] = __version__
    app[keys.DRAINING] = asyncio.Event()
    app[keys.ALLOWED_ORIGINS] = settings.allowed_origins
    app[keys.OWN_ORIGINS] = frozenset(filter(None, [origin_of(settings.public_url)]))
    app[keys.REGISTRY] = create_registry()
    app[HTTP_METRICS] = HttpMetrics(app[keys.REGISTRY])
    app[PROXIES] = Proxies(settings.trusted_proxies)
    app.on_response_prepare.append(add_response_headers)


def _required(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if not isinstance(value, str):
        raise SettingsError(f"the setting {name} has no value")
    return value


async def _database(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    database = Database(
        _required(settings, "mongodb_url"),
        settings.mongodb_database,
        journal=settings.journal is not False,
    )
    try:
        await database.check()
        await create_indexes(database)
        app[keys.DATABASE] = database
        yield
    finally:
        # It says goodbye to the store, which may be away: other cleaning up goes on meanwhile.
        await asyncio.to_thread(database.close)


async def _redis(app: web.Application) -> AsyncIterator[None]:
    client = Redis.from_url(
        _required(app[SETTINGS], "redis_url"),
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        max_connections=REDIS_CONNECTIONS_MAX,
        # Who asks decides whether to ask again.
        retry=Retry(NoBackoff(), 0),
    )
    app[keys.REDIS] = client
    yield
    await client.aclose()


async def _limits(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    async with shared_limits(
        settings,
        redis=app[keys.REDIS],
        secret=_required(settings, "jwt_secret"),
        registry=app[keys.REGISTRY],
    ) as limits:
        app[keys.LIMITS] = limits
        yield


async def _mail(app: web.Application) -> AsyncIterator[None]:
    async with mailing(app[SETTINGS], app[keys.REGISTRY], app[PUBLIC_URL]) as mailer:
        app[keys.MAILER] = mailer
        yield


async def _accounts(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    passwords = Passwords(settings.bcrypt_cost)
    app[HTTP_METRICS].passwords_pending.set_function(lambda: passwords.pending)
    database = app[keys.DATABASE]
    users = Users(database)
    accounts = Accounts(users, passwords)
    app[keys.ACCOUNTS] = accounts
    app[PASSWORDS] = passwords
    sessions = Sessions(
        users,
        SessionRecords(database),
        Tokens(
            (_required(settings, "jwt_secret"), *settings.jwt_secrets_old), settings.token_ttl_s
        ),
        idle_s=settings.session_idle_s,
        max_s=settings.session_max_s,
    )
    app[keys.SESSIONS] = sessions
    app[keys.PEOPLE] = People(users, sessions)
    links, mails = OneTimeLinks(Links(database)), AccountMails(app[keys.MAILER])
    sessions.on_reuse = mails.sign_in_ended
    app[keys.CONFIRMING] = Confirming(users, links, mails)
    app[keys.RESETTING] = Resetting(users, passwords, sessions, links, mails)
    app[keys.PROFILES] = Profiles(users, sessions, MailDue(database))
    app[keys.PASSWORD_CHANGE] = PasswordChange(users, passwords, sessions, mails)
    app[keys.WEB_SESSIONS] = WebSessions(database)
    app[keys.WEB_CACHE] = Cache(app[keys.REDIS], f"cartroom:{settings.mongodb_database}")
    yield
    accounts.close()


async def _catalog(app: web.Application) -> AsyncIterator[None]:
    app[keys.CATALOG] = Catalog(Products(app[keys.DATABASE]), time.monotonic)
    yield


async def _webhooks(app: web.Application) -> AsyncIterator[None]:
    settings, database = app[SETTINGS], app[keys.DATABASE]
    app[keys.WEBHOOKS] = Webhooks(
        webhook_endpoints(settings, database),
        WebhookDeliveries(database),
        private=settings.webhooks_private,
        give_up_s=settings.webhooks_give_up_s,
    )
    yield


async def _live_rooms(app: web.Application) -> AsyncIterator[None]:
    tokens, kafka = unsubscribe_tokens(app[SETTINGS]), app[SETTINGS].kafka_bootstrap is not None
    users, mailer, limits = Users(app[keys.DATABASE]), app[keys.MAILER], app[keys.LIMITS]
    app[keys.INVITING] = Inviting(
        Invitations(app[keys.DATABASE], places=Place.ALL if kafka else Place.WEBHOOKS),
        users,
        mailer,
        limits,
    )
    async with live_rooms(
        app[SETTINGS],
        database=app[keys.DATABASE],
        redis=app[keys.REDIS],
        accounts=app[keys.ACCOUNTS],
        access=app[keys.SESSIONS],
        catalog=app[keys.CATALOG],
        registry=app[keys.REGISTRY],
        outreach=Outreach(app[keys.INVITING], Notices(users, mailer, limits, tokens)),
    ) as hub:
        app[keys.HUB] = hub
        app[keys.SESSIONS].news = hub.sign_ins
        app[keys.UNSUBSCRIBING] = unsubscribing(app[SETTINGS], app[keys.DATABASE], hub.inboxes)
        yield


async def _guests(app: web.Application) -> AsyncIterator[None]:
    database = app[keys.DATABASE]
    guests = Guests(
        Users(database),
        app[keys.SESSIONS],
        MergeRecords(database),
        Memberships(database),
        ActingRooms(app[keys.HUB]),
        hand_over=handing_over(app),
    )
    app[keys.GUESTS] = guests
    yield
    await guests.close()


async def _accounts_whole(app: web.Application) -> AsyncIterator[None]:
    database = app[keys.DATABASE]
    deletions = Deletions(
        Users(database),
        app[PASSWORDS],
        app[keys.SESSIONS],
        DeletionRecords(database),
        memberships=Memberships(database),
        carts=ActingRooms(app[keys.HUB]),
        forget=forgetting(app),
    )
    app[keys.DELETIONS] = deletions
    app[keys.EXPORT] = Export(
        Users(database),
        app[keys.SESSIONS],
        Invitations(database),
        Memberships(database),
        StoredCarts(OpLog(database), Carts(database)),
        notifications=Notifications(database),
        settings=CartSettings(database),
        seen=Seen(database),
    )
    yield
    await deletions.close()


async def _upkeep(app: web.Application) -> AsyncIterator[None]:
    async with upkeep(
        {
            "merging guests": app[keys.GUESTS].complete,
            "deleting accounts": app[keys.DELETIONS].complete,
            "indexing products": app[keys.CATALOG].index,
        }
    ):
        yield


async def drain(app: web.Application) -> None:
    """Let the live rooms settle their commits and say goodbye to every socket; once.

    Call it before `AppRunner.cleanup`, which from its beginning throws away what sockets send:
    their requests would have no answer, their closes no end.
    """
    if app[keys.DRAINING].is_set() or keys.HUB not in app:
        return
    app[keys.DRAINING].set()
    await app[keys.HUB].drain(app[SETTINGS].drain_s)
