"""What a follower knows of carts, for a round or for some seconds."""

from __future__ import annotations

from typing import Final

from events.relay.ports import Clock
from storage.outbox import Whereabouts

WINDOW_FIRST: Final = 2
WINDOW_MAX: Final = 256
HELD_MAX: Final = 100_000


class FollowedCart:
    """How far one cart has come in a round."""

    __slots__ = ("at", "may_go_on", "rev", "window")

    def __init__(self, at: Whereabouts, pace: int = 0) -> None:
        """`pace` is how many revs it had the last time."""
        self.at = at
        self.rev = at.rev
        self.window = min(max(WINDOW_FIRST, 2 * pace), WINDOW_MAX)
        """Revs that are asked for next; more when it has shown to have more."""
        self.may_go_on = False
        """Whether what was taken last reached to the end of what was asked for."""

    @property
    def cart(self) -> str:
        return self.at.cart

    @property
    def revs(self) -> int:
        """How many were handed over in this round."""
        return self.rev - self.at.rev

    def advance(self, rev: int) -> None:
        self.may_go_on = rev >= self.rev + self.window
        self.rev = rev
        self.window = min(self.window * 4, WINDOW_MAX)


class Held:
    """Carts that are not looked at for a while. Beyond so many of them, none is held."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, tuple[float, int | None]] = {}

    def __contains__(self, cart: str) -> bool:
        return cart in self._held

    def hold(self, cart: str, for_s: float, late_since_ms: int | None = None) -> None:
        """Until `release` is called, `for_s` from now or later."""
        if len(self._held) < HELD_MAX or cart in self._held:
            self._held[cart] = (self._clock.monotonic() + for_s, late_since_ms)

    def release(self) -> None:
        """Let go of those whose time has come."""
        now_s = self._clock.monotonic()
        self._held = {cart: held for cart, held in self._held.items() if held[0] > now_s}

    def oldest_ms(self) -> int | None:
        """Since when the one that has been late for longest has been that; None: none is late."""
        return min((since for _, since in self._held.values() if since is not None), default=None)
