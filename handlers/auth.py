"""Accounts over REST: register, log in, who am I."""

from __future__ import annotations

from aiohttp import hdrs, web

from commerce.accounts.service import User
from handlers import keys
from handlers.limiting import password_attempt
from handlers.requests import bearer, json_body
from handlers.schemas import LoginSchema, RegisterSchema, SessionSchema, UserSchema
from realtime.errors import CartroomError
from storage.users import email_key

_REGISTER = RegisterSchema()
_LOGIN = LoginSchema()
_SESSION = SessionSchema()
_USER = UserSchema()


async def register(request: web.Request) -> web.Response:
    body = await json_body(request, _REGISTER)
    user, token = await request.app[keys.ACCOUNTS].register(**body)
    return _session(request, user, token, status=201)


async def login(request: web.Request) -> web.Response:
    body = await json_body(request, _LOGIN)
    async with password_attempt(request, email_key(body["email"])):
        user, token = await request.app[keys.ACCOUNTS].login(**body)
    return _session(request, user, token, status=200)


async def me(request: web.Request) -> web.Response:
    claims = bearer(request)
    user = await request.app[keys.ACCOUNTS].find(claims.user)
    if user is None:
        raise CartroomError("unauthorized", "The account of this token is no more")
    return _private(_USER.dump(user), status=200)


def _session(request: web.Request, user: User, token: str, status: int) -> web.Response:
    session = {
        "user": user,
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": request.app[keys.ACCOUNTS].token_ttl_s,
    }
    return _private(_SESSION.dump(session), status)


def _private(document: object, status: int) -> web.Response:
    """A JSON answer that no cache may keep."""
    response = web.json_response(document, status=status)
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    return response
