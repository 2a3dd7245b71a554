"""Whether anybody is signed in. A page asks this first: that nobody is, is no error there."""

from __future__ import annotations

from typing import Final

import aiohttp_session
from aiohttp import web

from commerce.accounts.errors import InvalidTokenError, NotSignedInError
from commerce.accounts.policy import Action
from commerce.accounts.principal import Principal
from handlers import keys
from handlers.auth import schemas
from handlers.auth.answers import private
from handlers.cookies import CSRF
from handlers.openapi import Answer, Operation, Route
from handlers.requests import find_principal

_PRESENT = schemas.PresentSchema()


async def session(request: web.Request) -> web.Response:
    principal = await _principal(request)
    user = None if principal is None else await request.app[keys.ACCOUNTS].find(principal.user)
    answer: dict[str, object] = {"user": user}
    if principal is not None and user is not None and principal.kind == "cookie":
        answer["csrf_token"] = (await aiohttp_session.get_session(request))[CSRF]
    return private(_PRESENT.dump(answer))


async def _principal(request: web.Request) -> Principal | None:
    """Who is signed in. What doesn't open a door any more stands for nobody."""
    try:
        return await find_principal(request)
    except (InvalidTokenError, NotSignedInError):
        return None


ROUTES: Final = (
    Route(
        "GET",
        "/api/v1/auth/session",
        session,
        Action.SIGN_IN,
        Operation(
            id="session",
            summary="Is anybody signed in",
            tag="accounts",
            answers={
                200: Answer(
                    description="Who is, or null",
                    schema=schemas.PresentSchema,
                    example={"user": schemas.USER_EXAMPLE},
                )
            },
            errors=("unavailable",),
        ),
    ),
)
