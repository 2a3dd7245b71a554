"""Rate limits at the doors: routes declare their rules, handlers count what only they know."""

from __future__ import annotations

import functools
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from commerce.accounts import security
from commerce.accounts.errors import WrongCredentialsError
from commerce.accounts.security import Event
from commerce.limits.limiter import Limits
from commerce.limits.rule import Decision, Rule, refusal
from commerce.limits.signing_in import Origin, SignInGuard
from handlers import keys
from handlers.peers import peer_of
from realtime.errors import CartroomError

_DECISIONS: Final = web.RequestKey("limit_decisions", dict[str, Decision])


def limited(handler: Handler, rules: Sequence[Rule]) -> Handler:
    """The handler, behind those of the rules that count networks."""
    by_network = [rule for rule in rules if rule.by == "network"]
    if not by_network:
        return handler

    @functools.wraps(handler)
    async def counted(request: web.Request) -> web.StreamResponse:
        for rule in by_network:
            await count(request, rule, peer_of(request).network)
        return await handler(request)

    return counted


async def count(request: web.Request, rule: Rule, subject: str) -> None:
    """Count the request to the subject. Raises `rate_limited` when it has had enough."""
    obey(request, [await request.app[keys.LIMITS].take(rule, subject)])


def obey(request: web.Request, decisions: Sequence[Decision]) -> None:
    """Show the decisions in the answer's headers. Raises `rate_limited` when one refuses."""
    shown = request.setdefault(_DECISIONS, {})
    shown.update((decision.rule.name, decision) for decision in decisions)
    enough(decisions)


def enough(decisions: Sequence[Decision]) -> None:
    """Raise `rate_limited` when one of the decisions refuses."""
    refused = refusal(decisions)
    if refused is not None:
        security.note(Event.RATE_LIMITED, None, rule=refused.rule.name)
        raise CartroomError(
            "rate_limited",
            _WHY[refused.rule.by],
            retry_after_s=max(0.1, math.ceil(refused.retry_after_s * 10) / 10),
        )


_WHY: Final = {
    "network": "Too many requests from your network; wait a moment",
    "account": "Too many requests of your account; wait a moment",
    "network and account": "Too many attempts at this account from your network; wait",
    "site": "Too many requests from your network; wait a moment",
    "site and account": "Too many attempts at this account from your network; wait",
    "mailbox": "This address has been sent enough mails for now; wait",
}


async def take_or_refuse(limits: Limits, rule: Rule, subject: str) -> None:
    """Count something that is no request over REST. Raises `rate_limited`."""
    enough([await limits.take(rule, subject)])


@asynccontextmanager
async def password_attempt(request: web.Request, account: str) -> AsyncIterator[None]:
    """Surround whatever checks a password of `account`, which names it in any one way.

    Raises `rate_limited` instead of letting it begin. Inside, WrongCredentialsError is a wrong
    guess, and counts; nothing else does.
    """
    guard, peer = SignInGuard(request.app[keys.LIMITS]), peer_of(request)
    origin = Origin(peer.network, peer.site)
    obey(request, await guard.attempt(origin, account))
    try:
        yield
    except WrongCredentialsError:
        await guard.wrong(account)
        raise
    except Exception:
        await guard.not_wrong(origin, account)
        raise
    await guard.not_wrong(origin, account)


def add_limit_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Tell the client its limits and where it stands (draft-ietf-httpapi-ratelimit-headers)."""
    decisions = request.get(_DECISIONS)
    if not decisions:
        return
    response.headers["RateLimit-Policy"] = ", ".join(
        f'"{one.rule.name}";q={one.rule.burst};w={math.ceil(one.rule.window_s)}'
        for one in decisions.values()
    )
    response.headers["RateLimit"] = ", ".join(
        f'"{one.rule.name}";r={one.remaining};t={math.ceil(one.reset_s)}'
        for one in decisions.values()
    )
