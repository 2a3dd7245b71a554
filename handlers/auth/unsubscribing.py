"""Ending mails by a link in one of them, signed in or not.

People open the page, which asks them first and then sends what follows the link's last `/`. Mail
programs have an address of their own (RFC 8058): a POST to it ends the mails, whatever is in its
body, and a GET, which may be anybody's who looks at links, leads to the page.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from aiohttp import web

from commerce.accounts.errors import UnreadableLinkError
from commerce.accounts.policy import Action
from commerce.limits import rules
from commerce.notifying.unsubscribing import TOKEN_CHARS_MAX
from handlers import keys
from handlers.auth import schemas
from handlers.auth.answers import private
from handlers.openapi import Answer, Operation, Route
from handlers.requests import json_body

ADDRESS: Final = "/unsubscribe"
_UNSUBSCRIBE: Final = schemas.UnsubscribeSchema()
_ENDED: Final = schemas.EndedMailsSchema()


async def unsubscribe(request: web.Request) -> web.Response:
    body = await json_body(request, _UNSUBSCRIBE)
    return await _end(request, body["token"])


async def one_click(request: web.Request) -> web.Response:
    return await _end(request, _token(request))


async def ask_first(request: web.Request) -> web.Response:
    raise web.HTTPFound(f"/#/unsubscribe/{quote(_token(request), safe='')}")


def _token(request: web.Request) -> str:
    token = request.query.get("token", "")
    if not 0 < len(token) <= TOKEN_CHARS_MAX or not token.isascii():
        raise UnreadableLinkError
    return token


async def _end(request: web.Request, token: str) -> web.Response:
    return private(_ENDED.dump(await request.app[keys.UNSUBSCRIBING].obey(token)))


ROUTES: Final = (
    Route(
        "POST",
        "/api/v1/auth/unsubscribe",
        unsubscribe,
        Action.SIGN_IN,
        Operation(
            id="unsubscribe",
            summary="End mails by the link in one of them",
            description="Whether signed in or not, and as often as one likes; the link is good"
            " for good. Who wants the mails again chooses so in the profile, or unmutes the cart."
            f" Mail programs send theirs to `{ADDRESS}` (RFC 8058).",
            tag="accounts",
            body=schemas.UnsubscribeSchema,
            body_example={"token": schemas.UNSUBSCRIBE_EXAMPLE},
            answers={
                200: Answer(
                    description="These mails have ended",
                    schema=schemas.EndedMailsSchema,
                    example={"ended": "changes", "cart": None},
                )
            },
            errors=("unavailable",),
        ),
    ),
    # For mail programs; no REST.
    Route("GET", ADDRESS, ask_first, Action.SIGN_IN, limits=(rules.REQUESTS,)),
    Route("POST", ADDRESS, one_click, Action.SIGN_IN, limits=(rules.REQUESTS,)),
)
