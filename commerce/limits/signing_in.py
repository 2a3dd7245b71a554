"""Guessing passwords, made slow without a lock that a stranger could turn.

Each network has a bucket of its own for each account, so that one network's wrong guesses take
nothing from another's. When an account meets many wrong guesses from everywhere, the burst of
these buckets shrinks: a network that has guessed lately has to wait, one that hasn't still gets
its first few. Whether an account exists makes no difference.
"""

from __future__ import annotations

from collections.abc import Sequence

from commerce.limits.limiter import Limits
from commerce.limits.rule import Claim, Decision
from commerce.limits.rules import FAILURES, GUESSES, GUESSES_SUSPECTED_BURST, SIGN_IN


class SignInGuard:
    """Asked before a password is checked, and told the outcome.

    `network` is that of `network_of`; `account` is any name of the account that is the same for
    all spellings of its address.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def attempt(self, network: str, account: str) -> Sequence[Decision]:
        """Count an attempt, in advance. Refused when any of the decisions refuses."""
        failures = await self._limits.look(FAILURES, account)
        suspected = failures.remaining <= failures.rule.burst // 2
        return await self._limits.take_all(
            Claim(SIGN_IN, network),
            Claim(
                GUESSES,
                _pair(network, account),
                burst=GUESSES_SUSPECTED_BURST if suspected else None,
            ),
        )

    async def wrong(self, account: str) -> None:
        """It was a wrong guess."""
        await self._limits.take(FAILURES, account)

    async def not_wrong(self, network: str, account: str) -> None:
        """It was no wrong guess: take back its count, and nobody else's."""
        await self._limits.give_back(GUESSES, _pair(network, account))


def _pair(network: str, account: str) -> str:
    return f"{network} {account}"
