"""Guessing passwords, made slow without a lock that a stranger could turn.

Each network has a bucket of its own for each account, so that one network's wrong guesses take
nothing from another's. When an account meets many wrong guesses from everywhere, the burst of
these buckets shrinks: a network that has guessed lately has to wait, one that hasn't still gets
its first few. Whether an account exists makes no difference.

One hand can hold very many IPv6 networks, so what they have in common is counted, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from commerce.limits.limiter import Limits
from commerce.limits.rule import Claim, Decision, Rule
from commerce.limits.rules import (
    FAILURES,
    GUESSES,
    GUESSES_SUSPECTED_BURST,
    SIGN_IN,
    SITE_FACTOR,
    SITE_GUESSES,
    SITE_SIGN_IN,
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an attempt comes from, as `network_of` and `site_of` say."""

    network: str
    site: str | None = None


class SignInGuard:
    """Asked before a password is checked, and told the outcome.

    `account` is any name of the account that is the same for all spellings of its address.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def attempt(self, origin: Origin, account: str) -> Sequence[Decision]:
        """Count an attempt, in advance. Refused when any of the decisions refuses."""
        failures = await self._limits.look(FAILURES, account)
        suspected = failures.remaining <= failures.rule.burst // 2
        claims = [Claim(SIGN_IN, origin.network)]
        if origin.site is not None:
            claims.append(Claim(SITE_SIGN_IN, origin.site))
        for rule, pair in _guesses(origin, account):
            factor = SITE_FACTOR if rule == SITE_GUESSES else 1
            burst = factor * GUESSES_SUSPECTED_BURST if suspected else None
            claims.append(Claim(rule, pair, burst=burst))
        return await self._limits.take_all(*claims)

    async def wrong(self, account: str) -> None:
        """It was a wrong guess."""
        await self._limits.take(FAILURES, account)

    async def not_wrong(self, origin: Origin, account: str) -> None:
        """It was no wrong guess: take back its count, and nobody else's."""
        claims = [Claim(rule, pair, -1) for rule, pair in _guesses(origin, account)]
        await self._limits.take_all(*claims)


def _guesses(origin: Origin, account: str) -> list[tuple[Rule, str]]:
    """The buckets that count guesses."""
    buckets = [(GUESSES, f"{origin.network} {account}")]
    if origin.site is not None:
        buckets.append((SITE_GUESSES, f"{origin.site} {account}"))
    return buckets
