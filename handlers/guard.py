"""Before every handler: who is asking, whether they may, and whether they meant to."""

from __future__ import annotations

import hmac
from typing import Final

import aiohttp_session
from aiohttp import web
from aiohttp.typedefs import Handler

from commerce.accounts import policy, security
from commerce.accounts.errors import (
    ExpiredTokenError,
    InvalidTokenError,
    NotAllowedError,
    NotConfirmedError,
    NotSignedInError,
)
from commerce.accounts.policy import Action
from commerce.accounts.principal import Principal
from commerce.accounts.security import Event
from handlers.cookies import CSRF, CSRF_HEADER
from handlers.limiting import count
from handlers.openapi import Route
from handlers.origins import check_origin
from handlers.requests import PRINCIPAL, find_principal
from realtime.errors import CartroomError

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def guarded(route: Route) -> Handler:
    """The route's handler, behind the policy. `requests.signed_in` then tells it who asks."""
    by_account = [rule for rule in route.rules if rule.by == "account"]

    async def handler(request: web.Request) -> web.StreamResponse:
        unsafe = request.method not in SAFE_METHODS
        if unsafe:
            _check_origin(request)
        if not policy.is_public(route.action):
            principal = await find_principal(request)
            _check_policy(route.action, principal)
            if principal is not None and unsafe and principal.kind == "cookie":
                await _check_csrf(request, principal)
            if principal is not None:
                request[PRINCIPAL] = principal
                for rule in by_account:
                    await count(request, rule, principal.user)
        return await route.handler(request)

    return handler


def _check_policy(action: Action, principal: Principal | None) -> None:
    try:
        policy.check(action, principal)
    except (NotAllowedError, NotConfirmedError):
        if principal is not None:
            details = {"action": action.value, "group": principal.group}
            security.note(Event.REFUSED, principal.user, **details)
        raise


def _check_origin(request: web.Request) -> None:
    try:
        check_origin(request)
    except CartroomError:
        security.note(Event.FORGERY_REFUSED, None)
        raise


async def _check_csrf(request: web.Request, principal: Principal) -> None:
    """Refuse what a browser sends with its cookie, but not by our page's doing."""
    expected = (await aiohttp_session.get_session(request)).get(CSRF, "")
    sent = request.headers.get(CSRF_HEADER, "")
    # A header may hold bytes that are no UTF-8, which aiohttp keeps as surrogates.
    same = hmac.compare_digest(sent.encode(errors="surrogateescape"), expected.encode())
    if not expected or not same:
        security.note(Event.FORGERY_REFUSED, principal.user, session=principal.session)
        raise CartroomError(
            "forbidden",
            f"Send the header {CSRF_HEADER} with the `csrf_token` that the log-in, or"
            " `GET /api/v1/auth/me`, has told",
        )


async def guest_of(request: web.Request) -> Principal | None:
    """The guest whose credentials came along, where a door is open to everybody, or None.

    Credentials that count no more are none: a log-in whose answer got lost has used them up.
    Raises ExpiredTokenError: renewed, they may be a guest's, whose carts would be left behind.
    """
    try:
        principal = await find_principal(request)
    except ExpiredTokenError:
        raise
    except (InvalidTokenError, NotSignedInError):
        return None
    if principal is None or not principal.guest:
        return None
    if principal.kind == "cookie":
        await _check_csrf(request, principal)
    return principal
