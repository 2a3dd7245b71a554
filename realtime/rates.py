"""A token bucket."""

from __future__ import annotations


class TokenBucket:
    """Lets `rate_per_s` pass on average, and `burst` at once after a rest."""

    __slots__ = ("_burst", "_rate_per_s", "_tokens", "_updated_s")

    def __init__(self, rate_per_s: float, burst: float, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._tokens = burst
        self._updated_s = now_s

    def take(self, now_s: float) -> float:
        """Take a token: 0, or the seconds until there will be one."""
        self._tokens = min(self._burst, self._tokens + (now_s - self._updated_s) * self._rate_per_s)
        self._updated_s = now_s
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate_per_s

    @property
    def rested(self) -> bool:
        """True when at least half a burst had gathered at the last look."""
        return self._tokens >= self._burst / 2
