"""How long things take, and when to try again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GROWTH: Final = 4.0
"""Each wait is so many times the one before."""
WAIT_SHARE: Final = 1 / 6
"""Of the whole time, the longest wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """`retry_s`: before the second attempt. `give_up_s`: from being put in line to the last one.

    `disable_s`: after so long of failures alone an endpoint is switched off.
    """

    timeout_s: float = 15.0
    retry_s: float = 5.0
    give_up_s: float = 86_400.0
    disable_s: float = 432_000.0
    poll_s: float = 1.0
    prune_s: float = 300.0
    kept_s: float = 2_592_000.0
    kept_max: int = 10_000
    """Deliveries of an endpoint that are done."""
    waiting_max: int = 10_000
    """Deliveries of an endpoint that wait; with more it is switched off."""
    at_once_max: int = 4
    """Sent to an endpoint at a time. There are `ENDPOINTS_MAX` of those."""

    @property
    def much(self) -> int:
        """With more than that waiting at an endpoint, what can wait elsewhere does."""
        return self.waiting_max // 10

    @property
    def claim_s(self) -> float:
        """How long a lane is somebody's without word of them."""
        return 3 * self.timeout_s

    def wait_s(self, tries: int, retry_after_s: float, random: float) -> float:
        """Before the next attempt after so many, at least one. `random` is from [0, 1)."""
        longest_s = self.give_up_s * WAIT_SHARE
        wait_s = min(self.retry_s * GROWTH ** min(tries - 1, 20), longest_s)
        return max(wait_s * (0.8 + 0.4 * random), min(retry_after_s, longest_s))
