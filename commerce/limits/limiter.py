"""Limits: decides in Redis, and by itself while Redis doesn't answer."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from commerce.limits.local import LocalBuckets
from commerce.limits.rule import Claim, Decision, Rule, decide
from storage.buckets import Amounts, BucketsAwayError, Outcome

log = logging.getLogger(__name__)

SHARED_WAIT_S: Final = 0.25
SHARED_RETRY_S: Final = 1.0


class SharedBuckets(Protocol):
    """The buckets of all instances; `storage.buckets` has them in Redis."""

    async def take(self, keys: Sequence[str], amounts: Sequence[Amounts]) -> list[Outcome]:
        """Spend on all of the buckets, or on none. Raises BucketsAwayError."""


class Limits:
    """The limits of one instance. `secret` is the same on all: it hides subjects in keys.

    `tuned` are rules that replace those of the same name. `on_decision(rule, where, allowed)` is
    told of each, `where` being "redis" or "instance".
    """

    def __init__(
        self,
        shared: SharedBuckets | None,
        *,
        secret: str,
        tuned: Iterable[Rule] = (),
        local: LocalBuckets | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        on_decision: Callable[[str, str, bool], None] = lambda rule, where, allowed: None,
    ) -> None:
        self._shared = shared
        self._key = hmac.digest(secret.encode(), b"cartroom limits", "sha256")
        self._tuned = {rule.name: rule for rule in tuned}
        self._local = LocalBuckets() if local is None else local
        self._monotonic = monotonic
        self._on_decision = on_decision
        self._away = False
        self._ask_again_at = float("-inf")

    def rule(self, rule: Rule) -> Rule:
        """The rule with the number that holds here."""
        return self._tuned.get(rule.name, rule)

    async def take(self, rule: Rule, subject: str, cost: int = 1) -> Decision:
        """Take `cost` tokens of the subject's bucket, if they are there."""
        (decision,) = await self.take_all(Claim(rule, subject, cost))
        return decision

    async def look(self, rule: Rule, subject: str) -> Decision:
        """How the subject's bucket stands; takes nothing."""
        return await self.take(rule, subject, 0)

    async def give_back(self, rule: Rule, subject: str, cost: int = 1) -> None:
        """Put back tokens that were taken for something that needn't count."""
        await self.take(rule, subject, -cost)

    async def take_all(self, *claims: Claim) -> tuple[Decision, ...]:
        """Meet all the claims, in one step, or none of them; a decision for each."""
        claims = tuple(
            Claim(self.rule(one.rule), one.subject, one.cost, one.burst) for one in claims
        )
        keys = [self._hide(claim) for claim in claims]
        decisions = await self._ask(keys, claims)
        where = "redis"
        if decisions is None:
            where = "instance"
            decisions = self._local.take(keys, claims, self._monotonic())
        for decision in decisions:
            self._on_decision(decision.rule.name, where, decision.allowed)
        return decisions

    async def _ask(
        self, keys: Sequence[str], claims: Sequence[Claim]
    ) -> tuple[Decision, ...] | None:
        """What the shared buckets decide; None while they are away."""
        # Taken before asking: a debt that is told later is then never thought to be larger.
        now_s = self._monotonic()
        if self._shared is None or (self._away and now_s < self._ask_again_at):
            return None
        self._ask_again_at = now_s + SHARED_RETRY_S
        amounts = [
            (
                claim.rule.window_s,
                claim.capacity_s,
                claim.spend_s,
                # Giving back asks for the truth: ours may be from before others gave back.
                self._local.debt_s(key, now_s) if claim.cost >= 0 else 0.0,
            )
            for key, claim in zip(keys, claims, strict=True)
        ]
        try:
            async with asyncio.timeout(SHARED_WAIT_S):
                outcomes = await self._shared.take(keys, amounts)
        except (BucketsAwayError, TimeoutError) as error:
            if not self._away:
                log.warning("Limits are this instance's own: %s", type(error).__name__)
            self._away = True
            self._ask_again_at = self._monotonic() + SHARED_RETRY_S
            return None
        if self._away:
            log.info("Limits are shared again")
        self._away = False
        decisions = []
        for key, claim, (fits, before_s, after_s) in zip(keys, claims, outcomes, strict=True):
            self._local.owe(key, now_s + after_s, now_s)
            decisions.append(decide(claim, fits, before_s, after_s))
        return tuple(decisions)

    def _hide(self, claim: Claim) -> str:
        """The bucket's key: it tells the rule, and nothing of the subject."""
        digest = hmac.digest(self._key, f"{claim.rule.name}:{claim.subject}".encode(), "sha256")
        return f"{claim.rule.name}:{digest[:16].hex()}"
