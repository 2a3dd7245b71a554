"""Reads our own inbox stream and tells the listener what is in it, in order."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from redis.asyncio import Redis

from realtime.fanout.entry import (
    ANNOUNCEMENT,
    COMMIT,
    Item,
    MalformedEntryError,
    decode_entry,
    decode_signal,
)
from realtime.fanout.health import Backoff, Health
from realtime.ports import BusListener, Clock

_log = logging.getLogger(__name__)

# How long one read waits at Redis; bounds how late a half-open connection is noticed.
BLOCK_S: Final = 1.0

# Entries taken in one read, at most 64 MiB; and those read before the stream is trimmed.
READ_ENTRIES_MAX: Final = 16
TRIM_EVERY_ENTRIES: Final = 64


class Inbox:
    """One blocking reader, on a connection of its own.

    `timeout_s` is what a read may take beyond the time that it waits at Redis. `reading` is set
    while the last read succeeded and everything in it has been handed over.
    """

    def __init__(self, redis: Redis, clock: Clock, health: Health, timeout_s: float) -> None:
        self._redis = redis
        self._timeout_s = timeout_s
        self._health = health
        self._backoff = Backoff(clock)
        self._key = ""
        self._position = "0-0"
        self._untrimmed = 0
        self._numbers: dict[str, int] = {}
        self.reading = asyncio.Event()
        self.received = 0
        self.malformed = 0

    async def run(self, key: str, listener: BusListener) -> None:
        """Read the stream from its start until cancelled. Errors are reported and retried."""
        self._key, self._position, self._untrimmed = key, "0-0", 0
        self._numbers.clear()
        self.reading.clear()
        try:
            while True:
                await self._attempt(listener)
        finally:
            self.reading.clear()

    def forget(self, alive: frozenset[str]) -> None:
        """Drop what is remembered about senders that live no more."""
        for sender in self._numbers.keys() - alive:
            del self._numbers[sender]

    async def _attempt(self, listener: BusListener) -> None:
        try:
            await self._poll(listener)
        except Exception as error:
            self.reading.clear()
            self._health.fault("reading the inbox", error)
            await self._backoff.pause()
        else:
            self.reading.set()
            self._backoff.reset()

    async def _poll(self, listener: BusListener) -> None:
        # The first read after trouble doesn't wait, so that we know soon that it works again.
        block_ms = int(BLOCK_S * 1000) if self.reading.is_set() else None
        async with asyncio.timeout(BLOCK_S + self._timeout_s):
            answer: Any = await self._redis.xread(
                {self._key: self._position}, count=READ_ENTRIES_MAX, block=block_ms
            )
        entries = answer[0][1] if answer else []
        for entry_id, fields in entries:
            self._position = entry_id.decode()
            self._untrimmed += 1
            self._deliver(self._position, fields.get(b"d", b""), listener)
            await asyncio.sleep(0)  # Sockets get their turn between large entries.
        if self._untrimmed >= TRIM_EVERY_ENTRIES or (self._untrimmed and not entries):
            await self._trim()

    async def _trim(self) -> None:
        """Remove what has been read. MINID keeps its own id, so name the one after ours."""
        milliseconds, _, number = self._position.partition("-")
        after = f"{milliseconds}-{int(number) + 1}"
        async with asyncio.timeout(self._timeout_s):
            await self._redis.xtrim(self._key, minid=after, approximate=False)
        self._untrimmed = 0

    def _deliver(self, entry_id: str, payload: bytes, listener: BusListener) -> None:
        try:
            entry = decode_entry(payload)
        except MalformedEntryError as error:
            self.malformed += 1
            _log.warning("fan-out: skipped entry %s of our inbox: %s", entry_id, error)
            listener.on_gap()
            return
        complete = entry.number == self._numbers.get(entry.sender, 0) + 1
        self._numbers[entry.sender] = entry.number
        for item in entry.items:
            complete &= self._hand_over(entry.sender, item, listener)
        if not complete:
            listener.on_gap()

    def _hand_over(self, sender: str, item: Item, listener: BusListener) -> bool:
        """False when the listener didn't take it: one bad item must not harm those after it."""
        self.received += 1
        try:
            if item.kind == COMMIT:
                listener.on_commit(item.cart, item.body)
            elif item.kind == ANNOUNCEMENT:
                listener.on_announcement(decode_signal(item.body))
            else:
                listener.on_signal(item.cart, sender, decode_signal(item.body))
        except Exception as error:
            self._health.errors += 1
            _log.error("fan-out: an item for %r was not taken", item.cart, exc_info=error)
            return False
        return True
