"""Cross-origin requests (CORS), for pages of `CARTROOM_ALLOWED_ORIGINS`; never with cookies."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from handlers import keys
from handlers.origins import allowed_origin
from realtime.errors import CartroomError

PREFLIGHT_S: Final = 600
SENT_HEADERS: Final = "Authorization, Content-Type, If-None-Match, X-CSRF-Token"
SHOWN_HEADERS: Final = "ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"


def is_preflight(request: web.Request) -> bool:
    """Whether a browser asks in advance if a page may send something."""
    return (
        request.method == hdrs.METH_OPTIONS
        and hdrs.ORIGIN in request.headers
        and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
    )


def answer_preflight(request: web.Request) -> web.Response:
    """What a page on the list may send here. Raises `forbidden` for others, and `not_found`."""
    if allowed_origin(request) is None:
        raise CartroomError(
            "forbidden", "Pages of this origin may not ask; see CARTROOM_ALLOWED_ORIGINS."
        )
    unmatched = request.match_info.http_exception
    if not isinstance(unmatched, web.HTTPMethodNotAllowed):
        raise web.HTTPNotFound
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: ", ".join(sorted(unmatched.allowed_methods)),
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: SENT_HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_S),
        },
    )


def add_cors_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Let the page read the answer, if it is on the list. Answers differ by origin then."""
    if not request.app[keys.ALLOWED_ORIGINS]:
        return
    varies = ["Origin"]
    if request.method == hdrs.METH_OPTIONS:
        varies += [hdrs.ACCESS_CONTROL_REQUEST_METHOD, hdrs.ACCESS_CONTROL_REQUEST_HEADERS]
    response.headers[hdrs.VARY] = ", ".join([*response.headers.getall(hdrs.VARY, ()), *varies])
    origin = allowed_origin(request)
    if origin is not None:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = SHOWN_HEADERS
