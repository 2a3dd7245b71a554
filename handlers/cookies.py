"""Browsers' sessions: aiohttp-session with Redis in front of the store.

The cookie holds a random value and nothing else; what it stands for is found under its hash, in
Redis or, where that hasn't got it, in MongoDB. So losing Redis signs nobody out, and a copy of
either can't be turned into a cookie. Whether the sign-in behind it still counts is not decided
here but by `commerce.accounts.sessions`, on every request.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
import time
from typing import Any, Final

import aiohttp_session
from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from handlers import keys
from handlers.origins import from_own_page
from handlers.peers import peer_of

COOKIE: Final = "cartroom_session"
SECURE_COOKIE: Final = "__Host-cartroom_session"
"""Behind TLS: browsers take this name only with `Secure`, for this host and all its paths."""
COOKIE_CHARS_MAX: Final = 200
VALUE_BYTES: Final = 32
REDIS_WAIT_S: Final = 0.25
REDIS_PAUSE_S: Final = 5.0
"""After a failure Redis isn't asked for so long: pages don't wait for it one by one."""

SESSION: Final = "session"
USER: Final = "user"
CSRF: Final = "csrf"
CSRF_HEADER: Final = "X-CSRF-Token"
"""What a page sends along with whatever isn't safe."""

log = logging.getLogger(__name__)


class BrowserSessions(aiohttp_session.AbstractStorage):
    """Loads and saves what cookies stand for. `max_s`: their life in seconds."""

    def __init__(self, *, max_s: float) -> None:
        super().__init__(cookie_name=COOKIE, max_age=int(max_s), httponly=True, samesite="Lax")

    async def load_session(self, request: web.Request) -> aiohttp_session.Session:
        key = self._key(request)
        data = None if key is None else await _load(request.app, key)
        if data is None:
            return await self.new_session()
        return aiohttp_session.Session(key, data=data, new=False, max_age=self.max_age)

    async def save_session(
        self,
        request: web.Request,
        response: web.StreamResponse,
        session: aiohttp_session.Session,
    ) -> None:
        """Store a new session under a new value, and forget the one that was before it."""
        old = self._key(request)
        if old is not None and old != session.identity:
            await _delete(request.app, old)
        secure = peer_of(request).secure
        name = SECURE_COOKIE if secure else COOKIE
        if session.empty:
            if session.identity is not None:
                await _delete(request.app, session.identity)
            response.del_cookie(name, path="/", secure=secure, httponly=True)
            return
        value = secrets.token_urlsafe(VALUE_BYTES)
        if session.identity is not None:
            await _delete(request.app, session.identity)
        await _put(request.app, _hash(value), self._get_session_data(session), self.max_age or 0)
        response.set_cookie(
            name,
            value,
            path="/",
            max_age=self.max_age,
            secure=secure,
            httponly=True,
            samesite="Lax",
        )

    def _key(self, request: web.Request) -> str | None:
        if not from_own_page(request):
            return None  # somebody else's page has no use of our cookie
        value = request.cookies.get(SECURE_COOKIE if peer_of(request).secure else COOKIE)
        return None if not value or len(value) > COOKIE_CHARS_MAX else _hash(value)


class Cache:
    """Redis in front: may lose anything, and costs a request at most `REDIS_WAIT_S`."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._paused_until = 0.0

    async def get(self, key: str) -> str | None:
        value = await self._ask(self._redis.get(self._name(key)))
        return value.decode() if isinstance(value, bytes) else None

    async def put(self, key: str, data: str, life_s: int) -> None:
        await self._ask(self._redis.set(self._name(key), data, ex=max(1, life_s)))

    async def delete(self, *cached: str) -> None:
        if cached:
            await self._ask(self._redis.delete(*map(self._name, cached)))

    def _name(self, key: str) -> str:
        return f"{self._prefix}:web:{key}"

    async def _ask(self, command: Any) -> Any:
        now_s = time.monotonic()
        if now_s < self._paused_until:
            command.close()
            return None
        try:
            async with asyncio.timeout(REDIS_WAIT_S):
                return await command
        except (RedisError, OSError, TimeoutError) as error:
            self._paused_until = now_s + REDIS_PAUSE_S
            log.warning("Sessions are read without Redis: %s", type(error).__name__)
            return None


async def _load(app: web.Application, key: str) -> aiohttp_session.SessionData | None:
    cache, now_ms = app[keys.WEB_CACHE], int(time.time() * 1000)
    text = await cache.get(key)
    if text is None:
        found = await app[keys.WEB_SESSIONS].get(key, now_ms)
        if found is None:
            return None
        text, expires_at = found
        await cache.put(key, text, (expires_at - now_ms) // 1000)
    data: aiohttp_session.SessionData = json.loads(text)
    return data


async def _put(app: web.Application, key: str, data: Any, life_s: int) -> None:
    text = json.dumps(data)
    user = data["session"][USER]
    await _drop_ended(app, user)
    expires_at = int(time.time() * 1000) + life_s * 1000
    await app[keys.WEB_SESSIONS].put(key, user, text, expires_at)
    await app[keys.WEB_CACHE].put(key, text, life_s)


async def _drop_ended(app: web.Application, user: str) -> None:
    """Forget a user's cookies whose sign-ins have ended: so there are no more than of these."""
    # Before the sign-ins are: those of all these are stored by now.
    stored = await app[keys.WEB_SESSIONS].of_user(user)
    alive = {one.id for one in await app[keys.SESSIONS].devices(user)}
    for key, text in stored.items():
        if json.loads(text)["session"].get(SESSION) not in alive:
            await _delete(app, key)


async def _delete(app: web.Application, key: str) -> None:
    await app[keys.WEB_SESSIONS].delete(key)
    await app[keys.WEB_CACHE].delete(key)


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode(errors="surrogateescape")).hexdigest()
