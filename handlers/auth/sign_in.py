"""Register, log in, renew, log out."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from commerce.accounts.policy import Action
from commerce.limits import rules
from handlers import keys
from handlers.auth import schemas
from handlers.auth.answers import done, forget_cookie, opened_response, sign_in, wanted_session
from handlers.auth.confirming import ask_to_confirm
from handlers.guard import guest_of
from handlers.limiting import password_attempt
from handlers.openapi import Answer, Link, Operation, Route
from handlers.requests import json_body, signed_in
from storage.users import email_key

_REGISTER = schemas.RegisterSchema()
_LOGIN = schemas.LoginSchema()
_GUEST = schemas.GuestSchema()
_REFRESH = schemas.RefreshSchema()


async def register(request: web.Request) -> web.Response:
    body = await json_body(request, _REGISTER)
    kind = wanted_session(request, body)
    guest = await guest_of(request)
    becomes = None if guest is None else guest.user
    user = await request.app[keys.ACCOUNTS].register(**body, guest=becomes)
    if user.id == becomes:
        request.app[keys.SESSIONS].ended_before(user.id, user.epoch)
        request.app[keys.SESSIONS].renamed(user.id)
    await ask_to_confirm(request, user)
    return await sign_in(request, user, kind, status=201)


async def guest(request: web.Request) -> web.Response:
    body = await json_body(request, _GUEST)
    kind = wanted_session(request, body)
    user = await request.app[keys.ACCOUNTS].make_guest(body["name"])
    return await sign_in(request, user, kind, status=201)


async def login(request: web.Request) -> web.Response:
    body = await json_body(request, _LOGIN)
    kind = wanted_session(request, body)
    guest = await guest_of(request)
    async with password_attempt(request, email_key(body["email"])):
        user = await request.app[keys.ACCOUNTS].login(**body)
    guests = request.app[keys.GUESTS]
    if guest is not None:
        await guests.begin(guest.user, user.id)
    await guests.complete_for(user.id)
    return await sign_in(request, user, kind, status=200)


async def refresh(request: web.Request) -> web.Response:
    body = await json_body(request, _REFRESH)
    opened = await request.app[keys.SESSIONS].refresh(body["refresh_token"])
    return await opened_response(request, opened, status=200)


async def logout(request: web.Request) -> web.Response:
    principal = signed_in(request)
    await request.app[keys.SESSIONS].end(principal.user, principal.session)
    await forget_cookie(request)
    return done()


async def logout_everywhere(request: web.Request) -> web.Response:
    await request.app[keys.SESSIONS].end_all(signed_in(request).user)
    await forget_cookie(request)
    return done()


_CREDENTIALS: Final = {
    "email": schemas.EMAIL_EXAMPLE,
    "password": schemas.PASSWORD_EXAMPLE,
    "session": "token",
}
_RENEWAL: Final = (Link("refresh", "/refresh_token"),)
_DONE: Final = {204: Answer(description="Done")}

ROUTES: Final = (
    Route(
        "POST",
        "/api/v1/auth/register",
        register,
        Action.SIGN_IN,
        Operation(
            id="register",
            summary="Make an account",
            description="Sent with a guest's credentials it makes an account of the guest, with the"
            " same id, carts and lines; the guest's sessions end.",
            tag="sign-in",
            body=schemas.RegisterSchema,
            body_example={**_CREDENTIALS, "name": "Ada"},
            answers={
                201: Answer(
                    description="The account, signed in",
                    schema=schemas.SessionSchema,
                    example=schemas.SESSION_EXAMPLE,
                    links=_RENEWAL,
                )
            },
            errors=("unauthorized", "forbidden", "conflict", "unavailable"),
        ),
        limits=(rules.REQUESTS, rules.SIGN_IN),
    ),
    Route(
        "POST",
        "/api/v1/auth/login",
        login,
        Action.SIGN_IN,
        Operation(
            id="login",
            summary="Sign in",
            description="Sent with a guest's credentials it carries the guest's carts over to the"
            " account, mostly before it answers. In a cart that both are in lines of the same"
            " product sum up, and the higher role stays. The guest's sessions end. Credentials that"
            " count no more are ignored, but for an access token whose time is over: renew it, or"
            " leave it out.",
            tag="sign-in",
            body=schemas.LoginSchema,
            body_example=_CREDENTIALS,
            answers={
                200: Answer(
                    description="Signed in",
                    schema=schemas.SessionSchema,
                    example=schemas.SESSION_EXAMPLE,
                    links=_RENEWAL,
                )
            },
            errors=("unauthorized", "forbidden", "unavailable"),
        ),
    ),
    Route(
        "POST",
        "/api/v1/auth/guest",
        guest,
        Action.SIGN_IN,
        Operation(
            id="guest",
            summary="Come in without an account",
            description="Guests join, make and fill carts. What they have is carried over when they"
            " register or log in with these credentials; without the credentials it is lost.",
            tag="sign-in",
            body=schemas.GuestSchema,
            body_example={"name": "Ada", "session": "token"},
            answers={
                201: Answer(
                    description="The guest, signed in",
                    schema=schemas.SessionSchema,
                    example={**schemas.SESSION_EXAMPLE, "user": schemas.GUEST_EXAMPLE},
                )
            },
            errors=("unavailable",),
        ),
        limits=(rules.REQUESTS, rules.SIGN_IN),
    ),
    Route(
        "POST",
        "/api/v1/auth/refresh",
        refresh,
        Action.SIGN_IN,
        Operation(
            id="refresh",
            summary="Renew the access token",
            description="Each refresh token is for one use. Used again within 30 s it gives the"
            " same answer, for the first may have got lost; later the session is ended.",
            tag="sign-in",
            body=schemas.RefreshSchema,
            body_example={"refresh_token": schemas.SESSION_EXAMPLE["refresh_token"]},
            answers={
                200: Answer(
                    description="New tokens",
                    schema=schemas.SessionSchema,
                    example=schemas.SESSION_EXAMPLE,
                    links=_RENEWAL,
                )
            },
            errors=("unauthorized", "unavailable"),
        ),
    ),
    Route(
        "POST",
        "/api/v1/auth/logout",
        logout,
        Action.USE_SESSION,
        Operation(
            id="logout",
            summary="Sign out on this device",
            tag="sign-in",
            answers=_DONE,
            errors=("unavailable",),
        ),
    ),
    Route(
        "POST",
        "/api/v1/auth/logout-everywhere",
        logout_everywhere,
        Action.USE_SESSION,
        Operation(
            id="logoutEverywhere",
            summary="Sign out on all devices",
            tag="sign-in",
            answers=_DONE,
            errors=("unavailable",),
        ),
    ),
)
