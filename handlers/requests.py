"""What a handler asks of a request: its body, its query, who sent it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web
from marshmallow import Schema

from commerce.accounts.service import Claims
from handlers import keys
from realtime.errors import CartroomError

BODY_TIMEOUT_S: Final = 10.0


async def json_body(request: web.Request, schema: Schema) -> dict[str, Any]:
    """The body as `schema` understands it.

    Raises the refusal to send: 415, 408, 413, `bad_request` for what is no JSON, and
    marshmallow's ValidationError for what is no valid body.
    """
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            raw = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except web.RequestPayloadError:
        raise CartroomError("bad_request", "The body isn't encoded as its headers say") from None
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


def bearer(request: web.Request) -> Claims:
    """Who sent the request, by its access token. Raises the refusal to send."""
    kind, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise CartroomError(
            "unauthorized", "Send your access token: `Authorization: Bearer <access_token>`"
        )
    return request.app[keys.ACCOUNTS].authenticate(token.strip())
