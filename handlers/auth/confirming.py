"""Confirming one's address by a mailed link."""

from __future__ import annotations

import logging
from typing import Final

from aiohttp import web

from commerce.accounts.errors import InvalidSessionError
from commerce.accounts.policy import Action
from commerce.limits import rules
from handlers import keys
from handlers.auth import schemas
from handlers.auth.answers import private
from handlers.limiting import count
from handlers.openapi import Answer, Operation, Route
from handlers.requests import json_body, signed_in
from storage.mongo import StoreError
from storage.users import User, email_key

_CONFIRM: Final = schemas.ConfirmSchema()
_USER: Final = schemas.UserSchema()

log = logging.getLogger(__name__)


async def ask_to_confirm(request: web.Request, user: User) -> None:
    """Mail a link to who has just registered.

    That the account is made stands, also when nothing can be mailed: a link can be asked for later.
    """
    mailbox = await request.app[keys.LIMITS].take(rules.MAILBOX, email_key(user.email or ""))
    if not mailbox.allowed:
        return
    try:
        await request.app[keys.CONFIRMING].ask(user)
    except StoreError as error:
        where = {"user": user.id}
        log.warning("No link to confirm was sent: %s", type(error).__name__, extra=where)


async def confirm(request: web.Request) -> web.Response:
    body = await json_body(request, _CONFIRM)
    user = await request.app[keys.CONFIRMING].confirm(body["token"])
    return private(_USER.dump(user))


async def resend(request: web.Request) -> web.Response:
    user = await request.app[keys.ACCOUNTS].find(signed_in(request).user)
    if user is None:
        raise InvalidSessionError
    await count(request, rules.ACCOUNT_MAILS, user.id)
    await count(request, rules.MAILBOX, email_key(user.email or ""))
    await request.app[keys.CONFIRMING].ask(user)
    return private({}, status=202)


ROUTES: Final = (
    Route(
        "POST",
        "/api/v1/auth/confirm",
        confirm,
        Action.SIGN_IN,
        Operation(
            id="confirm",
            summary="Confirm an address by the mailed link",
            description="Whether signed in or not. A link is good once and for three days; a new"
            " one takes the place of the one before.",
            tag="accounts",
            body=schemas.ConfirmSchema,
            body_example={"token": schemas.LINK_EXAMPLE},
            answers={
                200: Answer(
                    description="The account, confirmed",
                    schema=schemas.UserSchema,
                    example=schemas.USER_EXAMPLE,
                )
            },
            errors=("unavailable",),
        ),
    ),
    Route(
        "POST",
        "/api/v1/auth/confirm/resend",
        resend,
        Action.KEEP_PASSWORD,
        Operation(
            id="resendConfirmation",
            summary="Have a new link mailed",
            description="None is mailed when the address is confirmed already.",
            tag="accounts",
            answers={202: schemas.MAILED},
            errors=("unavailable",),
        ),
        limits=(rules.REQUESTS, rules.MAILS),
    ),
)
