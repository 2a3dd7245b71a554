"""What surrounds every request: its id, its log line and metrics, its headers, its errors."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import hdrs, web

from handlers.cors import answer_preflight, is_preflight
from handlers.problems import problem_of, problem_of_framework, problem_response
from realtime.errors import CartroomError
from server.headers import secure
from server.logs import REQUEST_ID
from server.metrics import HTTP_METRICS

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_ID_HEADER: Final = "X-Request-ID"
CLIENT_WENT_AWAY: Final = 499  # nginx's number for a request whose client didn't wait

_REQUEST_ID = web.RequestKey("request_id", str)
_RESPONSE = web.RequestKey("response", web.StreamResponse)


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, count it and write its log line: the route, no address."""
    request_id = secrets.token_hex(8)
    request[_REQUEST_ID] = request_id
    if _is_upgrade(request):
        # A socket lives on as a session with an id of its own; what it starts isn't this request.
        return await _observed(request, handler, request_id)
    metrics = request.app[HTTP_METRICS]
    token = REQUEST_ID.set(request_id)
    started = time.perf_counter()
    try:
        with metrics.in_flight.track_inprogress():
            return await _observed(request, handler, request_id)
    finally:
        elapsed_s = time.perf_counter() - started
        metrics.latency.labels(_route(request), _method(request)).observe(elapsed_s)
        REQUEST_ID.reset(token)


async def _observed(request: web.Request, handler: Handler, request_id: str) -> web.StreamResponse:
    started = time.perf_counter()
    status = CLIENT_WENT_AWAY
    try:
        response = await handler(request)
        status = response.status
        return response
    finally:
        # A socket's response keeps its request: together, and with the connection's parser and
        # buffers, they would stay in memory until a full collection of garbage, which is rare.
        request.pop(_RESPONSE, None)
        route, method = _route(request), _method(request)
        request.app[HTTP_METRICS].requests.labels(route, method, str(status)).inc()
        logger.info(
            "request",
            extra={
                "request": request_id,
                "method": method,
                "route": route,
                "status": status,
                "duration_ms": round((time.perf_counter() - started) * 1000, 1),
            },
        )


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every refusal into a problem document, and every surprise into one that says nothing."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return problem_of_framework(error, request.client_max_size)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        known = problem_of(error)
        if known is not None and _RESPONSE not in request:
            return known
        logger.exception("unexpected error", extra={"request": request[_REQUEST_ID]})
        begun: web.StreamResponse | None = request.get(_RESPONSE)
        if begun is None:
            return problem_response(
                CartroomError("internal", "A fault of ours; it has been logged")
            )
        # Its head is on the way, so nothing else can be said: cut the connection.
        if request.transport is not None:
            request.transport.abort()
        return begun


async def add_response_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Put our headers on a response that is about to be sent, whoever made it."""
    request[_RESPONSE] = response
    response.headers[REQUEST_ID_HEADER] = request.get(_REQUEST_ID, "")
    secure(request, response)


@web.middleware
async def answer_preflights(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer browsers that ask in advance."""
    return answer_preflight(request) if is_preflight(request) else await handler(request)


def _is_upgrade(request: web.Request) -> bool:
    return request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"


def _route(request: web.Request) -> str:
    """The template of the route, `/products/{sku}`, never what a client made up."""
    resource = request.match_info.route.resource
    return "unmatched" if resource is None else resource.canonical


def _method(request: web.Request) -> str:
    return request.method if request.method in hdrs.METH_ALL else "other"
