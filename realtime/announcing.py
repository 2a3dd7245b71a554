"""Reaching sockets from a process that has none: its pushes are announced to all instances."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from redis.asyncio import Redis

from realtime.fanout import RedisBus
from realtime.inboxes import PushToUser
from realtime.ports import Clock
from realtime.signins import Announcement, Push


class _Nobody:
    """The `BusListener` of a process without rooms and sockets: nothing is news to it."""

    def open_carts(self) -> Iterable[str]:
        return ()

    def on_commit(self, cart: str, commit: bytes) -> None:
        pass

    def on_signal(self, cart: str, instance: str, payload: dict[str, Any]) -> None:
        pass

    def on_announcement(self, payload: dict[str, Any]) -> None:
        pass

    def on_gap(self) -> None:
        pass

    def on_peers(self, alive: frozenset[str]) -> None:
        pass


@asynccontextmanager
async def announcing(
    redis: Redis, clock: Clock, *, lease_s: float, prefix: str
) -> AsyncIterator[PushToUser]:
    """What pushes a message to every socket of a user, wherever. While Redis is away it is lost.

    `lease_s` and `prefix` are those of the instances.
    """
    bus = RedisBus(redis, clock, lease_s=lease_s, prefix=prefix)
    bus.listener = _Nobody()

    def push_to_user(user: str, message: dict[str, Any]) -> None:
        bus.announce(msgspec.to_builtins(Announcement(push=Push(user, message))))

    await bus.start()
    try:
        yield push_to_user
    finally:
        await bus.stop()
