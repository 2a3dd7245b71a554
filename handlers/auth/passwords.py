"""Another password: by the one that is, or by a mailed link."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from commerce.accounts.policy import Action
from commerce.limits import rules
from handlers import keys
from handlers.auth import schemas
from handlers.auth.answers import done, private
from handlers.limiting import password_attempt
from handlers.openapi import Answer, Operation, Route
from handlers.requests import json_body, signed_in
from storage.users import email_key

_PASSWORD: Final = schemas.PasswordSchema()
_RESET: Final = schemas.ResetSchema()
_RESET_COMPLETE: Final = schemas.ResetCompleteSchema()


async def change_password(request: web.Request) -> web.Response:
    body = await json_body(request, _PASSWORD)
    principal = signed_in(request)
    async with password_attempt(request, principal.user):
        await request.app[keys.PASSWORD_CHANGE].change(
            principal, body["current_password"], body["new_password"]
        )
    return done()


async def reset(request: web.Request) -> web.Response:
    email = (await json_body(request, _RESET))["email"]
    # Who asks isn't told of the mailbox's limit: the links of before are in it.
    mailbox = await request.app[keys.LIMITS].take(rules.MAILBOX, email_key(email))
    if mailbox.allowed:
        await request.app[keys.RESETTING].ask(email)
    return private({}, status=202)


async def complete_reset(request: web.Request) -> web.Response:
    body = await json_body(request, _RESET_COMPLETE)
    await request.app[keys.RESETTING].complete(body["token"], body["password"])
    return done()


ROUTES: Final = (
    Route(
        "POST",
        "/api/v1/auth/password",
        change_password,
        Action.KEEP_PASSWORD,
        Operation(
            id="changePassword",
            summary="Choose another password",
            description="Signs out on all other devices. A wrong `current_password` is"
            " `forbidden`.",
            tag="accounts",
            body=schemas.PasswordSchema,
            body_example={
                "current_password": schemas.PASSWORD_EXAMPLE,
                "new_password": schemas.NEW_PASSWORD_EXAMPLE,
            },
            answers={204: Answer(description="Done")},
            errors=("unavailable",),
        ),
    ),
    Route(
        "POST",
        "/api/v1/auth/reset",
        reset,
        Action.SIGN_IN,
        Operation(
            id="resetPassword",
            summary="Have a link to a new password mailed",
            description="The answer is the same whether or not there is such an account.",
            tag="accounts",
            body=schemas.ResetSchema,
            body_example={"email": schemas.EMAIL_EXAMPLE},
            answers={202: schemas.MAILED},
            errors=("unavailable",),
        ),
        limits=(rules.REQUESTS, rules.MAILS),
    ),
    Route(
        "POST",
        "/api/v1/auth/reset/complete",
        complete_reset,
        Action.SIGN_IN,
        Operation(
            id="completeReset",
            summary="Choose a new password by the mailed link",
            description="A link is good once and for 30 minutes; a new one takes the place of the"
            " one before. Signs out on all devices, and confirms the address.",
            tag="accounts",
            body=schemas.ResetCompleteSchema,
            body_example={"token": schemas.LINK_EXAMPLE, "password": schemas.NEW_PASSWORD_EXAMPLE},
            answers={204: Answer(description="Done")},
            errors=("unavailable",),
        ),
    ),
)
