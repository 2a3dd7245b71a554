"""What a limit is, what is asked of it, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

By = Literal["network", "account", "network and account", "site", "site and account", "mailbox"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A bucket for each subject: `burst` at once, and an empty bucket is full after `window_s`.

    `by` says what its subjects are. `name` is part of keys, metrics and headers: letters and
    hyphens.
    """

    name: str
    burst: int
    window_s: float
    by: By

    @property
    def interval_s(self) -> float:
        """The time in which one token comes back."""
        return self.window_s / self.burst

    def tuned(self, burst: int) -> Rule:
        """The same rule, with another number in the same window."""
        return replace(self, burst=burst)


@dataclass(frozen=True, slots=True)
class Claim:
    """A wish to take `cost` tokens; 0 only looks, and a negative cost gives back.

    `burst` may be less than the rule's, for this once: the bucket is the same, it refuses earlier.
    """

    rule: Rule
    subject: str
    cost: int = 1
    burst: int | None = None

    @property
    def capacity_s(self) -> float:
        """The debt at which it refuses, in seconds until the bucket is full again."""
        burst = self.rule.burst if self.burst is None else min(self.burst, self.rule.burst)
        return burst * self.rule.interval_s

    @property
    def spend_s(self) -> float:
        return self.cost * self.rule.interval_s


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a claim. When `allowed` is False for one of several, none was charged."""

    rule: Rule
    allowed: bool
    remaining: int
    """Tokens left, by the burst that was asked about."""
    reset_s: float
    """Until the bucket is full."""
    retry_after_s: float
    """Until the same claim can be met; 0 when it was."""


def refusal(decisions: Sequence[Decision]) -> Decision | None:
    """The one to wait for longest among those that refuse; None when all allow."""
    refused = [decision for decision in decisions if not decision.allowed]
    return max(refused, key=lambda decision: decision.retry_after_s, default=None)


# Of what is spent: let pass, so that rounding doesn't refuse the last token.
TOLERANCE: Final = 0.01


def agrees(claim: Claim, debt_s: float) -> bool:
    """Whether a bucket that owes so much meets the claim."""
    return claim.cost <= 0 or debt_s + claim.spend_s * (1 - TOLERANCE) <= claim.capacity_s


def decide(claim: Claim, allowed: bool, before_s: float, after_s: float) -> Decision:
    """The decision on a claim that found and left these debts, in seconds until full."""
    interval_s = claim.rule.interval_s
    short_s = before_s + claim.spend_s - claim.capacity_s
    return Decision(
        rule=claim.rule,
        allowed=allowed,
        remaining=max(0, int((claim.capacity_s - after_s) / interval_s + TOLERANCE)),
        reset_s=after_s,
        retry_after_s=0.0 if allowed else max(short_s, interval_s * TOLERANCE),
    )
