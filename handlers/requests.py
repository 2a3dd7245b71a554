"""What a handler asks of a request: its body, its query, who sent it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import aiohttp_session
import msgspec
from aiohttp import hdrs, web
from marshmallow import Schema

from commerce.accounts.errors import InvalidSessionError, NotSignedInError
from commerce.accounts.principal import Principal
from handlers import keys
from handlers.cookies import SESSION
from realtime.errors import CartroomError

BODY_TIMEOUT_S: Final = 10.0

PRINCIPAL = web.RequestKey("principal", Principal)
"""Who asks, as the guard found out."""


async def json_body(request: web.Request, schema: Schema) -> dict[str, Any]:
    """The body as `schema` understands it.

    Raises the refusal to send: 415, 408, 413, `bad_request` for what is no JSON, and
    marshmallow's ValidationError for what is no valid body.
    """
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    if (request.content_length or 0) > request.client_max_size:
        raise web.HTTPRequestEntityTooLarge(request.client_max_size, request.content_length or 0)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            raw = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except web.RequestPayloadError:
        raise CartroomError("bad_request", "The body isn't encoded as its headers say") from None
    except ConnectionResetError:
        # Nobody is there to be told; it is no fault of ours, though.
        raise CartroomError("bad_request", "The request was cut off in its body") from None
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CartroomError("bad_request", "The body is not valid JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise CartroomError("bad_request", "The body must be a JSON object")
    loaded: dict[str, Any] = schema.load(document)
    return loaded


def query(request: web.Request, schema: Schema) -> dict[str, Any]:
    """The query string as `schema` understands it. Each name at most once."""
    repeated = [name for name in request.query if len(request.query.getall(name)) > 1]
    if repeated:
        raise CartroomError(
            "bad_request",
            "Each name may be given once in the query",
            errors={name: ["Given more than once."] for name in repeated},
        )
    loaded: dict[str, Any] = schema.load(dict(request.query))
    return loaded


async def find_principal(request: web.Request) -> Principal | None:
    """Who is signed in, by access token or, without one, by the browser's cookie.

    Raises InvalidTokenError for a token that is not good. A cookie that isn't (any more) is none.
    """
    if hdrs.AUTHORIZATION in request.headers:
        kind, _, token = request.headers[hdrs.AUTHORIZATION].partition(" ")
        if kind.lower() != "bearer" or not token:
            raise NotSignedInError
        return await request.app[keys.SESSIONS].identify_token(token.strip())
    return await browser_principal(request)


async def browser_principal(request: web.Request) -> Principal | None:
    """Who is signed in by the browser's cookie, as of now."""
    session = (await aiohttp_session.get_session(request)).get(SESSION)
    if session is None:
        return None
    try:
        return await request.app[keys.SESSIONS].identify(session, "cookie")
    except InvalidSessionError:
        return None


def signed_in(request: web.Request) -> Principal:
    """Who is asking, on a route that isn't for everybody."""
    principal: Principal | None = request.get(PRINCIPAL)
    if principal is None:
        raise NotSignedInError
    return principal
