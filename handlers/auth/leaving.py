"""Deleting one's account."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web
from marshmallow import ValidationError

from commerce.accounts.policy import Action
from handlers import keys
from handlers.auth import schemas
from handlers.auth.answers import done, forget_cookie
from handlers.limiting import password_attempt
from handlers.openapi import Answer, Operation, Route
from handlers.requests import json_body, signed_in

_DELETE: Final = schemas.DeleteSchema()


async def delete_account(request: web.Request) -> web.Response:
    principal = signed_in(request)
    body: dict[str, Any] = {}
    if request.can_read_body:
        body = await json_body(request, _DELETE)
    if not principal.guest and "password" not in body:
        raise ValidationError({"password": ["Missing data for required field."]})
    async with password_attempt(request, principal.user):
        await request.app[keys.DELETIONS].delete(principal, body.get("password"))
    await forget_cookie(request)
    return done()


ROUTES: Final = (
    Route(
        "DELETE",
        "/api/v1/auth/me",
        delete_account,
        Action.KEEP_ACCOUNT,
        Operation(
            id="deleteAccount",
            summary="Delete my account",
            description="For good. In shared carts you become a former member, and a cart of yours"
            " goes to the member with the highest role who is in it longest. A wrong password is"
            " `forbidden`; guests need none. What takes long goes on after the answer.",
            tag="accounts",
            body=schemas.DeleteSchema,
            body_example={"password": schemas.PASSWORD_EXAMPLE},
            answers={204: Answer(description="Done")},
            errors=("unavailable",),
        ),
    ),
)
