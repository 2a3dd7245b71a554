"""How much of the store a follower leaves to others."""

from __future__ import annotations

from typing import Final

from events.relay.ports import Clock

WAIT_FACTOR: Final = 4
"""Looking that found nothing is followed by a wait that many times as long."""
WAIT_MAX_S: Final = 10.0


class Pace:
    """How long a follower waits between rounds.

    At most a fifth of the time goes into looking for what isn't there. What handing over takes
    doesn't count: there is more of it the longer one waits.
    """

    def __init__(self, clock: Clock, every_s: float) -> None:
        self._clock = clock
        self._every_s = every_s
        self._began_s = 0.0
        self._handing_s = 0.0

    def begin(self) -> None:
        """A round begins."""
        self._began_s = self._clock.monotonic()
        self._handing_s = 0.0

    def handed_over(self, since_s: float, share: float = 1.0) -> None:
        """Of the time since then, by the clock, this share went into handing over."""
        self._handing_s += (self._clock.monotonic() - since_s) * share

    @property
    def round_s(self) -> float:
        """Since the round began."""
        return self._clock.monotonic() - self._began_s

    def wait_s(self) -> float:
        """How long to wait after a round that ends now, without jitter."""
        looking_s = max(self.round_s - self._handing_s, 0.0)
        return max(self._every_s, min(looking_s * WAIT_FACTOR, WAIT_MAX_S))
