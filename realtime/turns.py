"""Turns: who writes a cart that other instances write, too, lets them in between its commits.

After a lost race, and for a while, we wait a moment after each commit of ours. Another instance
that holds something back says so when it hears of our commit: then we wait until its commit has
come in, or a random one to three commit times. So each gets on, few races are lost, and nobody
waits for those who want nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from realtime.limits import ASKING_S, CONTENTION_S
from realtime.ports import Clock, TimerHandle


class Turns:
    """When one room may start its next commit. `advance` is called when a turn has come."""

    def __init__(self, clock: Clock, advance: Callable[[], None]) -> None:
        self._clock = clock
        self._advance = advance
        self._commit_time_s = 0.005
        """How long commits take, smoothed."""
        self._last_commit_s = float("-inf")
        self._contended_until_s = float("-inf")
        self._others_until_s = float("-inf")
        """Until then it is the others' turn, while the cart is contended."""
        self._timer: TimerHandle | None = None
        self._has_turn = False

    @property
    def contended(self) -> bool:
        """Whether others are known to write the cart now."""
        return self._clock.monotonic() < self._contended_until_s

    def contend(self) -> None:
        """Others write this cart, too: for a while, give them a turn after each commit."""
        self._contended_until_s = self._clock.monotonic() + CONTENTION_S

    def asked(self) -> None:
        """Another instance says that it has something to commit."""
        self.contend()
        delay_s = self._commit_time_s * (1 + 2 * self._clock.random())
        self._others_until_s = self._clock.monotonic() + delay_s
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._clock.call_later(delay_s, self._come)

    def others_committed(self) -> None:
        """Somebody else's commit came in: now it is our turn.

        Soon after one of ours, that is contention.
        """
        if self._clock.monotonic() - self._last_commit_s < CONTENTION_S:
            self.contend()
        self._others_until_s = float("-inf")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._has_turn = True

    def commit_ended(self, started_s: float) -> float:
        """Note that a commit of ours, won or lost, took from `started_s` until now; its seconds."""
        now_s = self._clock.monotonic()
        took_s = now_s - started_s
        self._commit_time_s += (took_s - self._commit_time_s) * 0.2
        self._last_commit_s = now_s
        asking_s = max(ASKING_S, self._commit_time_s / 2)
        self._others_until_s = now_s + asking_s * (1 + self._clock.random())
        return took_s

    def has_come(self) -> bool:
        """Whether a commit may start now; if not, one may when `advance` is called."""
        if self._has_turn or not self.contended:
            return True
        if self._timer is None:
            delay_s = self._others_until_s - self._clock.monotonic()
            if delay_s <= 0:
                return True
            self._timer = self._clock.call_later(delay_s, self._come)
        return False

    def _come(self) -> None:
        self._timer = None
        # Kept while we read what others committed meanwhile; else who writes less never gets on.
        self._has_turn = True
        self._advance()

    def keep(self) -> None:
        """The next commit needn't wait."""
        self._has_turn = True

    def use(self) -> None:
        """A commit leaves. What is heard from then on gives the next one its turn."""
        self._has_turn = False
