"""What followers need of the world; a simulation can stand in for all of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

from storage.oplog import Following
from storage.outbox import Whereabouts


class Clock(Protocol):
    def wall_ms(self) -> int:
        """Milliseconds since the epoch, UTC. May jump."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start."""

    async def sleep(self, delay_s: float) -> None: ...

    def random(self) -> float:
        """A number in [0, 1), for jitter."""


class Places(Protocol):
    """See `storage.outbox.Outbox`."""

    def active(
        self, place: str, shards: Sequence[int], page_max: int
    ) -> AsyncGenerator[list[Whereabouts], None]: ...

    def resting(
        self, place: str, shard: int, page_max: int
    ) -> AsyncGenerator[list[Whereabouts], None]: ...

    def strangers(self, place: str, page_max: int) -> AsyncGenerator[list[Whereabouts], None]: ...

    async def advance(self, place: str, revs: Mapping[str, int]) -> None: ...

    async def rest(self, place: str, at: Whereabouts) -> bool: ...

    async def wake(self, place: str, cart: str) -> None: ...


class Chains(Protocol):
    """See `storage.oplog.OpLog`."""

    async def following(
        self, wanted: Sequence[tuple[str, int, int]], bytes_max: int
    ) -> Following: ...

    async def moved(self, heads: Sequence[tuple[str, int]]) -> set[str]: ...


class Share(Protocol):
    """Which carts are one's own to follow."""

    def mine(self) -> Sequence[int]:
        """Shards of carts, see `storage.outbox.shard_of`. They may be another's, too."""
