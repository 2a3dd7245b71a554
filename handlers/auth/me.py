"""Who is signed in."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import aiohttp_session
from aiohttp import hdrs, web

from commerce.accounts.errors import InvalidSessionError
from commerce.accounts.policy import Action
from commerce.limits import rules
from handlers import keys
from handlers.auth import schemas
from handlers.auth.answers import private
from handlers.auth.choices import QUIET_EXAMPLE, ZONE_EXAMPLE
from handlers.cookies import CSRF
from handlers.limiting import count
from handlers.openapi import Answer, Operation, Route
from handlers.requests import json_body, signed_in

log = logging.getLogger(__name__)

_ME = schemas.MeSchema()
_PROFILE = schemas.ProfileSchema()
_USER = schemas.UserSchema()
EXPORT_MAX_S: Final = 600.0
EXPORT_NAME: Final = "cartroom-account.json"


async def me(request: web.Request) -> web.Response:
    principal = signed_in(request)
    user = await request.app[keys.ACCOUNTS].find(principal.user)
    if user is None:
        raise InvalidSessionError
    answer = _ME.dump(user)
    if principal.kind == "cookie":
        answer["csrf_token"] = (await aiohttp_session.get_session(request))[CSRF]
    return private(answer)


async def change_profile(request: web.Request) -> web.Response:
    changes = await json_body(request, _PROFILE)
    user = await request.app[keys.PROFILES].change(signed_in(request).user, changes)
    return private(_USER.dump(user))


async def export(request: web.Request) -> web.StreamResponse:
    user = signed_in(request).user
    headers = {
        hdrs.CONTENT_TYPE: "application/json",
        hdrs.CONTENT_DISPOSITION: f'attachment; filename="{EXPORT_NAME}"',
        hdrs.CACHE_CONTROL: "no-store",
    }
    if request.method == hdrs.METH_HEAD:
        return web.Response(headers=headers)  # what is streamed, aiohttp sends to HEAD, too
    await count(request, rules.EXPORTS, user)
    chunks = request.app[keys.EXPORT].chunks(user)
    first = await anext(chunks)  # what can't be read at all is refused as a whole
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    try:
        async with asyncio.timeout(EXPORT_MAX_S):
            await response.write(first)
            async for chunk in chunks:
                await response.write(chunk)
            await response.write_eof()
    except (TimeoutError, ConnectionError) as error:
        # Who reads it has gone, or is too slow: they see that its end is missing.
        log.info("An export was cut off: %s", type(error).__name__, extra={"user": user})
        if request.transport is not None:
            request.transport.abort()
    return response


_EXPORT_EXAMPLE: Final = {
    "profile": {**schemas.USER_EXAMPLE, "created_at": "2026-11-20T08:00:00.000Z"},
    "devices": [],
    "invitations": {"sent": [], "received": []},
    "notifications": [],
    "muted": [],
    "carts": [
        {
            "cart": "crt_5f0c2a9be1d34c7788aa01ff",
            "name": "Picnic",
            "currency": "EUR",
            "role": "owner",
            "note": "",
            "lines": [],
            "saved": [],
            "seen": 2,
            "history": [{"rev": 2, "at": "2026-11-20T08:01:00.000Z", "op": {"kind": "clear"}}],
        }
    ],
    "former_carts": [],
}

ROUTES: Final = (
    Route(
        "GET",
        "/api/v1/auth/me",
        me,
        Action.USE_SESSION,
        Operation(
            id="me",
            summary="Who am I",
            tag="accounts",
            answers={
                200: Answer(
                    description="Who is signed in",
                    schema=schemas.MeSchema,
                    example=schemas.USER_EXAMPLE,
                )
            },
            errors=("unavailable",),
        ),
    ),
    Route(
        "PATCH",
        "/api/v1/auth/me",
        change_profile,
        Action.KEEP_ACCOUNT,
        Operation(
            id="changeProfile",
            summary="Change my profile",
            description="Others in open carts see a new name at once.",
            tag="accounts",
            body=schemas.ProfileSchema,
            body_example={
                "name": "Ada",
                "locale": "en",
                "notifications": {"shared": False, "changes": "at_once"},
                "time_zone": ZONE_EXAMPLE,
                "quiet_hours": QUIET_EXAMPLE,
            },
            answers={
                200: Answer(
                    description="The account as it is now",
                    schema=schemas.UserSchema,
                    example=schemas.USER_EXAMPLE,
                )
            },
            errors=("unavailable",),
        ),
    ),
    Route(
        "GET",
        "/api/v1/auth/me/export",
        export,
        Action.KEEP_ACCOUNT,
        Operation(
            id="exportAccount",
            summary="Read out everything that is stored about me",
            description="A file to save. Should it be cut off before its end, ask again.",
            tag="accounts",
            answers={
                200: Answer(
                    description="Profile, devices, invitations, notifications, carts and what one"
                    " did there",
                    schema=schemas.ExportSchema,
                    example=_EXPORT_EXAMPLE,
                )
            },
            errors=("unavailable",),
        ),
    ),
)
