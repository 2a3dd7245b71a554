"""Who is signed in."""

from __future__ import annotations

from typing import Final

import aiohttp_session
from aiohttp import web

from commerce.accounts.errors import InvalidSessionError
from commerce.accounts.policy import Action
from handlers import keys
from handlers.auth import schemas
from handlers.auth.answers import private
from handlers.cookies import CSRF
from handlers.openapi import Answer, Operation, Route
from handlers.requests import signed_in

_ME = schemas.MeSchema()


async def me(request: web.Request) -> web.Response:
    principal = signed_in(request)
    user = await request.app[keys.ACCOUNTS].find(principal.user)
    if user is None:
        raise InvalidSessionError
    answer = _ME.dump(user)
    if principal.kind == "cookie":
        answer["csrf_token"] = (await aiohttp_session.get_session(request))[CSRF]
    return private(answer)


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
)
