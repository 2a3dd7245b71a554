"""Is it alive, is it ready, how does it do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, cast

from aiohttp import hdrs, web
from prometheus_client.exposition import choose_encoder
from redis.exceptions import RedisError

from handlers import keys
from storage.mongo import StoreError

PROBE_TIMEOUT_S: Final = 2.0


async def healthz(request: web.Request) -> web.Response:
    """Always 200: whoever gets this answer knows that the event loop runs."""
    return _uncached({"status": "alive", "version": request.app[keys.VERSION]}, 200)


async def readyz(request: web.Request) -> web.Response:
    """200 while requests can be served. Without Redis they can: it only carries news."""
    store, redis = await request.app[READINESS].probe()
    if request.app[keys.DRAINING].is_set():
        status = "draining"
    elif not store:
        status = "unavailable"
    else:
        status = "ready" if redis else "degraded"
    document = {
        "status": status,
        "dependencies": {"store": _word(store), "redis": _word(redis)},
    }
    return _uncached(document, 200 if status in ("ready", "degraded") else 503)


async def metrics(request: web.Request) -> web.Response:
    """The metrics, in the format that the scraper asks for."""
    encode, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
    body = encode(request.app[keys.REGISTRY])
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})


class Readiness:
    """Asks the dependencies, one round at a time: callers meanwhile share its outcome."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._round: asyncio.Task[tuple[bool, bool]] | None = None

    async def probe(self) -> tuple[bool, bool]:
        """Whether the store answers, and whether Redis does."""
        if self._round is None or self._round.done():
            self._round = asyncio.create_task(self._ask())
        return await asyncio.shield(self._round)

    async def _ask(self) -> tuple[bool, bool]:
        redis = self._app[keys.REDIS]
        return await asyncio.gather(
            _answers(self._app[keys.DATABASE].ping),
            _answers(lambda: cast("Awaitable[object]", redis.ping())),
        )


READINESS = web.AppKey("readiness", Readiness)


async def _answers(ping: Callable[[], Awaitable[object]]) -> bool:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            await ping()
    except (StoreError, RedisError, OSError):  # OSError includes the time-out
        return False
    return True


def _word(up: bool) -> str:
    return "up" if up else "down"


def _uncached(document: object, status: int) -> web.Response:
    response = web.json_response(document, status=status)
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    return response
