"""The last committed ops of a room, in memory: for clients that resume and ops that are resent."""

from __future__ import annotations

from collections import deque

from realtime.limits import RECENT_BYTES_MAX, RECENT_OPS_MAX
from realtime.wire import Event


class RecentOps:
    """A bounded run of consecutive events that ends at the cart's committed rev."""

    __slots__ = ("_bytes", "_events")

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._bytes = 0

    def extend(self, events: list[Event]) -> None:
        """Append the events that follow; the oldest make room."""
        for event in events:
            self._events.append(event)
            self._bytes += len(event.event)
        while len(self._events) > RECENT_OPS_MAX or self._bytes > RECENT_BYTES_MAX:
            self._bytes -= len(self._events.popleft().event)

    def clear(self) -> None:
        """Forget them all: readers turn to the log."""
        self._events.clear()
        self._bytes = 0

    def since(self, rev: int, head: int) -> list[Event] | None:
        """The events with rev < their rev <= head; None when some are no longer here."""
        count = head - rev
        if count <= 0:
            return []
        if not self._events or self._events[0].rev > rev + 1:
            return None
        return [event for event in list(self._events)[-count:] if event.rev > rev]

    def at(self, rev: int) -> Event | None:
        if not self._events:
            return None
        index = rev - self._events[0].rev
        return self._events[index] if 0 <= index < len(self._events) else None

    def find(self, user: str, op_id: str) -> Event | None:
        """The event of a user's op, if it is among these."""
        for event in reversed(self._events):
            if event.op_id == op_id and event.by == user:
                return event
        return None

    @property
    def first_rev(self) -> int | None:
        return self._events[0].rev if self._events else None
