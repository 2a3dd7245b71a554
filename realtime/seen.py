"""Noting how far members have seen their carts live, behind everything else.

A member has seen a rev once their socket, which had joined and kept up, has said anything after the
rev was sent to it: a connection that is dead without anybody knowing says nothing. So the heads of
moving rooms are noted once a second, and compared with when each socket was heard. Nothing of this
is done for each op; what there is to store goes to the store in one round trip, every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec
from pymongo.errors import PyMongoError

from realtime.pending import Peer
from storage.seen import Seen

if TYPE_CHECKING:
    from realtime.hub import Hub
    from realtime.room import Room

SAMPLES_PER_WRITE: Final = 10
SAMPLE_S_MAX: Final = 1.0
MARKS_MAX: Final = 64
"""Heads that are remembered of a room, the latest: of a minute, which no live socket is silent."""
FAREWELLS_MAX: Final = 10_000
FAREWELL_S: Final = 60.0
UNWRITTEN_CARTS_MAX: Final = 20_000
"""Carts whose marks wait for the store; while it is away, further ones are dropped."""

log = logging.getLogger(__name__)


class _Watch(msgspec.Struct):
    """A room that somebody looks at. `marks`: (when, which rev was the head then), ascending."""

    marks: deque[tuple[float, int]]
    noted: dict[str, int]

    def seen(self, heard_s: float) -> int:
        """The rev that a socket has seen which was heard last at that time; 0: nobody knows."""
        for at_s, rev in reversed(self.marks):
            if at_s < heard_s:
                return rev
        return 0


class _Farewell(msgspec.Struct):
    """A socket that stopped listening to a cart at a rev, and is to be heard once more."""

    peer: Peer
    cart: str
    rev: int
    at_s: float


class SeenTracker:
    """Watches all rooms of a hub. `every_s`: how often what has changed is stored."""

    def __init__(self, hub: Hub, every_s: float) -> None:
        self._hub = hub
        self._every_s = every_s
        self._watches: dict[str, _Watch] = {}
        self._farewells: deque[_Farewell] = deque(maxlen=FAREWELLS_MAX)
        self._unwritten: dict[str, dict[str, int]] = {}
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled."""
        clock = self._hub.services.clock
        sample_s = min(SAMPLE_S_MAX, self._every_s / SAMPLES_PER_WRITE)
        written_s = clock.monotonic()
        while True:
            await clock.sleep(sample_s)
            try:
                self.sample()
                if clock.monotonic() - written_s >= self._every_s:
                    written_s = clock.monotonic()
                    await self.flush()
            except Exception:
                log.exception("Who has seen what is not noted")

    def sample(self) -> None:
        """Note where the rooms are, and who was heard since they were there."""
        now_s = self._hub.services.clock.monotonic()
        watched = {}
        for room in self._hub.open_rooms():
            if room.audience.subscriptions and _is_shared(room):
                watched[room.cart] = self._look(room, now_s)
        self._watches = watched
        self._hear_farewells(now_s)

    def _look(self, room: Room, now_s: float) -> _Watch:
        watch = self._watches.get(room.cart)
        if watch is None:
            watch = _Watch(deque(maxlen=MARKS_MAX), {})
        for peer, subscription in room.audience.subscriptions.items():
            if not subscription.behind:
                self._note(watch, room.cart, peer.user, watch.seen(peer.heard_s))
        head = room.committed.rev
        if not watch.marks or watch.marks[-1][1] != head:
            watch.marks.append((now_s, head))
        return watch

    def left(self, room: Room, peer: Peer) -> None:
        """A socket that had kept up listens to a room no more."""
        if not _is_shared(room):
            return
        watch = self._watches.get(room.cart)
        now_s = self._hub.services.clock.monotonic()
        if now_s - peer.heard_s < SAMPLE_S_MAX:
            self._put(room.cart, peer.user, room.committed.rev)  # it has just said so itself
            return
        if watch is not None:
            self._note(watch, room.cart, peer.user, watch.seen(peer.heard_s))
        if not peer.closed:
            self._farewells.append(_Farewell(peer, room.cart, room.committed.rev, now_s))

    def _hear_farewells(self, now_s: float) -> None:
        for _ in range(len(self._farewells)):
            one = self._farewells.popleft()
            if one.peer.heard_s > one.at_s:
                self._put(one.cart, one.peer.user, one.rev)
            elif not one.peer.closed and now_s - one.at_s < FAREWELL_S:
                self._farewells.append(one)

    def _note(self, watch: _Watch, cart: str, user: str, rev: int) -> None:
        if rev > watch.noted.get(user, 0):
            watch.noted[user] = rev
            self._put(cart, user, rev)

    def _put(self, cart: str, user: str, rev: int) -> None:
        users = self._unwritten.get(cart)
        if users is None:
            if len(self._unwritten) >= UNWRITTEN_CARTS_MAX:
                return
            users = self._unwritten[cart] = {}
        users[user] = max(rev, users.get(user, 0))

    async def flush(self) -> None:
        """Store what isn't yet. What the store doesn't take waits for the next time.

        Once this returns nothing is on its way to the store: the last flush waits for one before.
        """
        stores = self._hub.services.inboxes
        if stores is None:
            return
        async with self._writing:
            taken, self._unwritten = self._unwritten, {}
            if taken:
                await self._store(stores.seen, taken)

    async def _store(self, seen: Seen, taken: dict[str, dict[str, int]]) -> None:
        try:
            await seen.note(taken)
        except PyMongoError as error:
            log.warning("Who has seen what waits for the store: %s", type(error).__name__)
            for cart, users in taken.items():
                for user, rev in users.items():
                    self._put(cart, user, rev)


def _is_shared(room: Room) -> bool:
    """Whether there is anybody whose doings others might have to be told of."""
    state = room.committed
    return state.status == "deleted" or len(state.members) > 1
