"""The small doors through which rooms, committer and fan-out reach the world.

Everything that is not a pure function of its arguments comes through one of these, so that a
simulation can stand in for the world with a seed, and inject faults at every await.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

# Where it exists, CLOCK_BOOTTIME also counts the time a machine was suspended; leases rely on it.
_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class TimerHandle(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """Time and timers. Nothing else in `realtime` reads a clock or a source of randomness."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch, UTC. May jump."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start. Never goes back; runs on while the process is frozen."""

    def call_later(
        self, delay_s: float, callback: Callable[..., object], *args: Any
    ) -> TimerHandle:
        """Call `callback(*args)` once, `delay_s` from now, unless cancelled."""

    async def sleep(self, delay_s: float) -> None: ...

    def random(self) -> float:
        """A number in [0, 1), for jitter."""

    def token(self) -> str:
        """128 random bits as 32 hexadecimal digits: unique, but no secret."""


class BusListener(Protocol):
    """Whom a bus tells what came in. Calls come from the event loop, one at a time."""

    def open_carts(self) -> Iterable[str]:
        """The carts that this instance holds open now."""

    def on_commit(self, cart: str, commit: bytes) -> None:
        """Another instance committed: `commit` is the log's document, BSON."""

    def on_signal(self, cart: str, instance: str, payload: dict[str, Any]) -> None:
        """Another instance sent something ephemeral to those that hold `cart`."""

    def on_announcement(self, payload: dict[str, Any]) -> None:
        """Another instance has told everyone something ephemeral. It may come twice."""

    def on_gap(self) -> None:
        """Something may have been missed: compare open carts and sessions with the store."""

    def on_peers(self, alive: frozenset[str]) -> None:
        """These instances, ours aside, are alive; called at each renewal of the lease."""


class Bus(Protocol):
    """Carries commits and ephemeral signals between the instances that hold a cart open.

    It may lose anything at any time; it never blocks or fails its callers.
    """

    @property
    def instance(self) -> str:
        """Our id. Changes when a lapsed lease is replaced."""

    @property
    def fresh(self) -> bool:
        """True while our lease holds by our own monotonic clock and our inbox is being read.

        Only then may a registered room be read from memory without asking the store first.
        """

    @property
    def shared(self) -> bool:
        """False when no other instance can write the same carts."""

    async def greeted(self, user: str, client: str) -> bool:
        """Note that this client is with us now. Whether it was, or may have been, elsewhere before.

        Elsewhere is also what this process was under another id. Returns soon, whatever happens.
        """

    async def register(self, cart: str) -> bool:
        """Make us a holder of `cart`. False when that failed: the cart is then read through."""

    def unregister(self, cart: str) -> None:
        """We hold `cart` no more. Best effort, in the background."""

    def publish(self, cart: str, commit: bytes) -> None:
        """Queue a committed log document for the cart's other holders. Drops when full."""

    def signal(self, cart: str, payload: dict[str, Any]) -> None:
        """Queue something ephemeral for the cart's other holders. Drops when full."""

    def announce(self, payload: dict[str, Any]) -> None:
        """Queue something ephemeral for every other instance that lives. Drops when full."""


class NoBus:
    """The bus of an instance that is alone by configuration, in unit tests and simulations."""

    instance = "alone"
    fresh = True
    shared = False

    async def greeted(self, user: str, client: str) -> bool:
        return False

    async def register(self, cart: str) -> bool:
        return True

    def unregister(self, cart: str) -> None:
        pass

    def publish(self, cart: str, commit: bytes) -> None:
        pass

    def signal(self, cart: str, payload: dict[str, Any]) -> None:
        pass

    def announce(self, payload: dict[str, Any]) -> None:
        pass


class Transport(Protocol):
    """One client's connection, as a socket session sees it. No method blocks."""

    def send(self, *frames: bytes) -> None:
        """Queue JSON text frames, already encoded. A closed transport drops them.

        Several at once cost the network one write.
        """

    def backlog(self) -> int:
        """Bytes queued and not yet taken by the kernel."""

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake; give up on it when the peer doesn't answer."""

    def abort(self) -> None:
        """Cut the connection at once."""


class SystemClock:
    """The real clock, on the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        # Seeded by the system. Asking the system each time costs more than a commit's encoding.
        self._random = random.Random()  # noqa: S311 - jitter and unique ids, no secrets

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.clock_gettime(_MONOTONIC)

    def call_later(
        self, delay_s: float, callback: Callable[..., object], *args: Any
    ) -> TimerHandle:
        return self._loop.call_later(delay_s, callback, *args)

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)

    def random(self) -> float:
        return self._random.random()

    def token(self) -> str:
        return f"{self._random.getrandbits(128):032x}"
