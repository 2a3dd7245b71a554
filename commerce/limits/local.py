"""An instance's own buckets, in a bounded table."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from commerce.limits.rule import Claim, Decision, agrees, decide

SUBJECTS_MAX: Final = 20_000


class LocalBuckets:
    """By key, when the bucket will be full again. It keeps the `subjects_max` used last."""

    def __init__(self, subjects_max: int = SUBJECTS_MAX) -> None:
        self._subjects_max = subjects_max
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def debt_s(self, key: str, now_s: float) -> float:
        """Seconds until the bucket is full; 0 for one that is."""
        return max(0.0, self._full_at.get(key, now_s) - now_s)

    def owe(self, key: str, full_at_s: float, now_s: float) -> None:
        """Remember when the bucket will be full; forget one that is."""
        self._full_at.pop(key, None)
        if full_at_s > now_s:
            self._full_at[key] = full_at_s
            if len(self._full_at) > self._subjects_max:
                self._full_at.popitem(last=False)

    def take(
        self, keys: Sequence[str], claims: Sequence[Claim], now_s: float
    ) -> tuple[Decision, ...]:
        """Meet all the claims, or none of them."""
        before = [self.debt_s(key, now_s) for key in keys]
        fits = [agrees(claim, debt_s) for claim, debt_s in zip(claims, before, strict=True)]
        decisions = []
        for key, claim, fit, debt_s in zip(keys, claims, fits, before, strict=True):
            after_s = max(0.0, debt_s + claim.spend_s) if all(fits) else debt_s
            self.owe(key, now_s + after_s, now_s)
            decisions.append(decide(claim, fit, debt_s, after_s))
        return tuple(decisions)
