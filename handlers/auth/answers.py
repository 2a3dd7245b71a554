"""What the doors of accounts have in common: signing in on a device, and private answers."""

from __future__ import annotations

import secrets
import time
from typing import Any, Final

import aiohttp_session
from aiohttp import hdrs, web
from ua_parser import parse

from commerce.accounts.principal import SessionKind
from commerce.accounts.sessions import Opened
from handlers import keys
from handlers.auth.schemas import SessionSchema
from handlers.cookies import CSRF, SESSION, USER
from handlers.origins import check_own_page
from storage.users import User

USER_AGENT_CHARS_MAX: Final = 500
_SESSION: Final = SessionSchema()


def wanted_session(request: web.Request, body: dict[str, Any]) -> SessionKind:
    """Take out of the body which kind of session is asked for.

    Raises `forbidden` for a cookie to a page that isn't ours: it could sign a visitor in to
    somebody else's account.
    """
    kind: SessionKind = body.pop("session")
    if kind == "cookie":
        check_own_page(request)
    return kind


async def sign_in(request: web.Request, user: User, kind: SessionKind, status: int) -> web.Response:
    """Open a session on the device that asks, and give it what proves that.

    A browser has one: that of before is ended, whoever's it was.
    """
    sessions = request.app[keys.SESSIONS]
    before = await aiohttp_session.get_session(request) if kind == "cookie" else {}
    ended = before.get(USER), before.get(SESSION)
    opened = await sessions.open(user, kind, device_of(request))
    response = await opened_response(request, opened, status)
    if ended[0] is not None and ended[1] is not None:
        await sessions.end(ended[0], ended[1])
    return response


async def opened_response(request: web.Request, opened: Opened, status: int) -> web.Response:
    """The answer to a sign-in: tokens, or a cookie under a new id."""
    answer: dict[str, object] = {"user": opened.user}
    if opened.access_token is None:
        session = await aiohttp_session.new_session(request)
        session[SESSION] = opened.session
        session[USER] = opened.user.id
        session[CSRF] = answer["csrf_token"] = secrets.token_urlsafe(32)
    else:
        answer |= {
            "access_token": opened.access_token,
            "token_type": "Bearer",
            "expires_in": request.app[keys.SESSIONS].token_ttl_s,
            "refresh_token": opened.refresh_token,
            "refresh_expires_in": int(opened.expires_at - time.time()),
        }
    return private(_SESSION.dump(answer), status)


def private(document: object, status: int = 200) -> web.Response:
    """A JSON answer that no cache may keep."""
    response = web.json_response(document, status=status)
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    return response


def done() -> web.Response:
    """The answer to what has nothing to tell but that it is done."""
    return web.Response(status=204, headers={hdrs.CACHE_CONTROL: "no-store"})


async def forget_cookie(request: web.Request) -> None:
    """Have the browser that asks forget its session."""
    (await aiohttp_session.get_session(request)).invalidate()


def device_of(request: web.Request) -> str:
    """What its user may recognise a device by: browser and system, as far as it says."""
    agent = request.headers.get(hdrs.USER_AGENT, "")[:USER_AGENT_CHARS_MAX]
    known = parse(agent)
    parts = [
        part.family
        for part in (known.user_agent, known.os)
        if part is not None and part.family != "Other"
    ]
    return " on ".join(parts) or "Unknown device"
