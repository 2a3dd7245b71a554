"""The hub: every room and socket session of one instance, and their upkeep.

It opens carts once for whoever asks at the same time, lets unused ones leave memory, hands the
rooms what other instances send, compares open rooms with the store, and looks after sockets that
fell silent or behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import bson
from pymongo.errors import PyMongoError

from realtime import errors, naming
from realtime.errors import CartroomError
from realtime.inboxes import Inboxes
from realtime.limits import BEHIND_POLL_S, SWEEP_S
from realtime.loading import load_room
from realtime.ports import TimerHandle
from realtime.room import Room
from realtime.seen import SeenTracker
from realtime.services import Services
from realtime.signin_checks import SignInChecks
from realtime.signins import SignIns
from realtime.state import NewerFormatError

if TYPE_CHECKING:
    from realtime.session import Session

GOODBYE_SPREAD_S: Final = 5.0
"""Clients of a draining server come back spread over this time."""
GOODBYE_WAIT_S: Final = 3.0
"""Longest wait for clients to answer the closing handshake of a draining server."""
DRAIN_POLL_S: Final = 0.02
LAST_WORK_S: Final = 1.0
"""Longest wait, when stopping, for what is under way beside commits: snapshots that a timer has
begun, marks, news for newcomers, who has seen what."""

NEVER: Final = -1
"""An epoch before all."""

log = logging.getLogger(__name__)


class Hub:
    """Implements `ports.BusListener`. One an instance."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.sessions: dict[Session, None] = {}
        """In the order of their coming; no values."""
        self.sign_ins = SignIns(self)
        self._sign_in_checks = SignInChecks(services, self.sign_ins)
        self.inboxes = Inboxes(self)
        self._seen = SeenTracker(self, services.timing.seen_every_s)
        self.draining = False
        self._rooms: dict[str, Room] = {}
        self._opening: dict[str, asyncio.Task[Room]] = {}
        self._heard_of: dict[str, int] = {}
        """The last rev that the bus told of a cart that is being opened."""
        self._holders: dict[str, int] = {}
        self._leaving: dict[Room, TimerHandle] = {}
        """Of unused rooms, what looks whether they still are."""
        self._behind: dict[Session, None] = {}
        self._gap_epoch = 0
        self._gap = asyncio.Event()

    def start(self) -> None:
        """Begin the upkeep. The bus must have this hub as its listener."""
        tasks = self.services.tasks
        tasks.start(self._compare_regularly(), "compare rooms with the store", lasting=True)
        tasks.start(self._look_after_sockets(), "look after sockets", lasting=True)
        tasks.start(self._sign_in_checks.run(), "check sign-ins", lasting=True)
        tasks.start(self._look_after_slow_sockets(), "look after slow sockets", lasting=True)
        if self.services.inboxes is not None:
            self.services.on_left = self._seen.left
            tasks.start(self._seen.run(), "note who has seen what", lasting=True)

    # Rooms

    async def acquire(self, cart: str) -> Room:
        """The cart's room, opened if need be; at rev 0 when there is no such cart.

        Must be released once for each time. Raises `unavailable` when it can't be opened.
        """
        self._holders[cart] = self._holders.get(cart, 0) + 1
        try:
            room = self._rooms.get(cart)
            if room is None or room.broken is not None:
                room = await self._open(cart)
        except BaseException:
            self.release(cart)
            raise
        return room

    def release(self, cart: str) -> None:
        left = self._holders[cart] - 1
        if left:
            self._holders[cart] = left
            return
        del self._holders[cart]
        room = self._rooms.get(cart)
        if room is None:
            return
        if room.committed.exists:
            self._look_after(room)
        else:
            self.services.clock.call_later(0.0, self._unused, room)

    def _look_after(self, room: Room) -> None:
        """Have the room leave memory once it has been unused for a while."""
        earlier = self._leaving.pop(room, None)
        if earlier is not None:
            earlier.cancel()
        idle_s = self.services.timing.room_idle_s
        self._leaving[room] = self.services.clock.call_later(idle_s, self._unused, room)

    async def _open(self, cart: str) -> Room:
        opening = self._opening.get(cart)
        if opening is None:
            opening = asyncio.create_task(self._load(cart), name=f"open {cart}")
            self._opening[cart] = opening
            opening.add_done_callback(lambda task: self._opened(cart, task))
        try:
            return await asyncio.shield(opening)
        except (PyMongoError, NewerFormatError) as error:
            log.warning("Can't open: %s", type(error).__name__, extra={"cart": cart})
            raise CartroomError(
                "unavailable", "The cart can't be opened right now; try again."
            ) from error
        except Exception as error:
            # Nothing final: it may be a resend of what took effect that is waiting here.
            log.exception("Can't open", extra={"cart": cart})
            raise CartroomError(
                "unavailable", "The cart can't be opened; it has been logged."
            ) from error

    def _opened(self, cart: str, task: asyncio.Task[Room]) -> None:
        del self._opening[cart]
        self._heard_of.pop(cart, None)
        if not task.cancelled():
            task.exception()  # whoever waits has it; if nobody does, it is of no interest

    async def _load(self, cart: str) -> Room:
        epoch = self._gap_epoch
        # First register, then load: what is committed in between comes in through the inbox.
        registered = await self.services.bus.register(cart)
        try:
            room = await load_room(self.services, cart)
        except BaseException:
            self.services.bus.unregister(cart)
            raise
        # A bus that could not register it isn't fresh before it has, and has called `on_gap`.
        room.registered = registered or self._gap_epoch > epoch
        room.checked_epoch = epoch
        naming.tell_latest(room)
        self._rooms[cart] = room
        heard_of = self._heard_of.pop(cart, 0)
        if heard_of > room.committed.rev:
            room.checked_epoch = NEVER
            room.recovery.check_above(heard_of - 1)
        self.services.metrics.rooms.set(len(self._rooms))
        if room.committed.exists:
            room.presence.ask()
        return room

    def _unused(self, room: Room) -> None:
        self._leaving.pop(room, None)
        if self._is_unused(room):
            self.services.tasks.start(self._close(room), f"close {room.cart}")
        elif self._rooms.get(room.cart) is room and room.cart not in self._holders:
            self._look_after(room)  # something is under way yet; nobody else will come back to it

    def _is_unused(self, room: Room) -> bool:
        return (
            self._rooms.get(room.cart) is room
            and room.cart not in self._holders
            and not room.load
            and not room.recovery.stalled
        )

    async def _close(self, room: Room) -> None:
        stored = room.broken is not None or await self.services.snapshots.write(room)
        if not self._is_unused(room):
            return
        if not stored:
            # The log has it all, but who opens the cart next would have the longer way.
            self._look_after(room)
            return
        del self._rooms[room.cart]
        self.services.metrics.rooms.set(len(self._rooms))
        self.services.bus.unregister(room.cart)

    @property
    def waiting(self) -> int:
        """Ops in rooms that have no answer yet."""
        return sum(room.load for room in self._rooms.values())

    def room(self, cart: str) -> Room | None:
        """The cart's room, if it is open here."""
        return self._rooms.get(cart)

    def open_rooms(self) -> Iterable[Room]:
        return self._rooms.values()

    # What the bus brings

    def open_carts(self) -> Iterable[str]:
        return [*self._rooms, *self._opening]

    def on_commit(self, cart: str, commit: bytes) -> None:
        room = self._rooms.get(cart)
        opening = cart in self._opening
        if not opening and (room is None or room.broken is not None):
            return
        document = bson.decode(commit)
        last = document["last"]
        if opening:
            # The log may have been read before this was in it.
            self._heard_of[cart] = max(last, self._heard_of.get(cart, 0))
        if room is None or room.broken is not None:
            return
        if last <= room.committed.rev:
            return
        room.recovery.heard(document)

    def on_signal(self, cart: str, instance: str, payload: dict[str, Any]) -> None:
        room = self._rooms.get(cart)
        if room is None:
            return
        if "presence" in payload:
            room.presence.on_signal(instance, payload["presence"])
        if "contended" in payload:
            room.turns.asked()

    def on_announcement(self, payload: dict[str, Any]) -> None:
        self.sign_ins.on_announcement(payload)

    def on_gap(self) -> None:
        self._gap_epoch += 1
        self._gap.set()
        self._sign_in_checks.hurry()
        for room in self._rooms.values():
            room.registered = True
            room.presence.ask()

    def on_peers(self, alive: frozenset[str]) -> None:
        for room in self._rooms.values():
            room.presence.on_peers(alive)

    # Freshness

    async def ensure_fresh(self, room: Room, at_least: int = 0) -> None:
        """Return when the room may be read from memory; raises `unavailable`.

        Without a good lease, or after something may have been missed, that takes a look at the
        store; also when the reader knows of a later rev than we do.
        """
        bus = self.services.bus
        known = bus.fresh and room.registered and room.checked_epoch == self._gap_epoch
        if known and at_least <= room.committed.rev:
            return
        epoch = self._gap_epoch
        await room.recovery.caught_up()
        room.checked_epoch = max(room.checked_epoch, epoch)

    async def look_again(self, room: Room) -> None:
        """Return when the room has what the store has. Raises `unavailable` or PyMongoError.

        For who is no member as far as we know: another instance may have let them in just now.
        Only when it has does the room wait; strangers can't slow it down.
        """
        if await self.services.log.moved([(room.cart, room.committed.rev)]):
            await room.recovery.caught_up()

    async def _compare_regularly(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self.services.timing.catch_up_every_s):
                    await self._gap.wait()
            except TimeoutError:
                pass  # nothing missed that we know of; the regular look
            self._gap.clear()
            try:
                await self._compare()
            except PyMongoError as error:
                log.warning("Can't compare rooms with the store: %s", type(error).__name__)
            except Exception:  # without it, what nobody tells us of would stay unknown for ever
                log.exception("Comparing rooms with the store failed")
            await self.services.clock.sleep(BEHIND_POLL_S)

    async def _compare(self) -> None:
        """Have the rooms that the store is ahead of catch up; note that the others are fresh."""
        epoch = self._gap_epoch
        rooms = [room for room in self._rooms.values() if room.committed.exists]
        heads = {room.cart: room.committed.rev for room in rooms}
        moved = await self.services.log.moved(list(heads.items()))
        for room in rooms:
            if room.cart in moved:
                room.recovery.check_above(heads[room.cart])
            else:
                room.checked_epoch = max(room.checked_epoch, epoch)

    # Sockets

    def fell_behind(self, session: Session) -> None:
        self.services.metrics.fell_behind.inc()
        self._behind[session] = None

    def add_session(self, session: Session) -> None:
        self.sessions[session] = None
        self.services.metrics.sockets.set(len(self.sessions))

    def remove_session(self, session: Session) -> None:
        self.sessions.pop(session, None)
        self._behind.pop(session, None)
        if not session.under_way:
            self.sign_ins.discard(session)
        self.services.metrics.sockets.set(len(self.sessions))

    def push_to_user(self, user: str, message: dict[str, Any]) -> None:
        """Send a push to every socket of the user. Who can't be reached now doesn't get it."""
        self.sign_ins.push_to_user(user, message)

    def name_changed(self, user: str) -> None:
        """The store has another name of the user. Told in the rooms that are open here."""
        self.services.directory.forget(user)
        self.services.tasks.start(naming.spread(self, user), f"name {user}")

    def refuse_ended(self) -> None:
        """Have the rooms refuse what isn't in a commit yet of those who are signed out."""
        for room in list(self._rooms.values()):
            if room.load:
                room.refuse_ended()

    async def _look_after_sockets(self) -> None:
        clock = self.services.clock
        while True:
            await clock.sleep(SWEEP_S)
            now_s, wall_s = clock.monotonic(), clock.wall_ms() / 1000
            for session in list(self.sessions):
                try:
                    session.check_time(now_s, wall_s)
                except Exception:  # the others' tokens end all the same
                    log.exception("A socket can't be looked after", extra={"conn": session.conn})

    async def _look_after_slow_sockets(self) -> None:
        clock = self.services.clock
        while True:
            await clock.sleep(BEHIND_POLL_S)
            now_s = clock.monotonic()
            for session in list(self._behind):
                try:
                    if session.try_to_catch_up(now_s):
                        continue
                except Exception:  # it comes back to a state; the others get theirs all the same
                    log.exception("A socket can't catch up", extra={"conn": session.conn})
                    session.close(errors.INTERNAL_ERROR)
                self._behind.pop(session, None)

    # The end

    async def drain(self, limit_s: float) -> None:
        """Refuse new requests, wait for commits under way, store snapshots, say goodbye.

        Sockets must still be read meanwhile: requests are answered, and closes are shaken on.
        """
        self.draining = True
        services = self.services
        try:
            async with asyncio.timeout(limit_s):
                while any(room.load for room in self._rooms.values()):  # noqa: ASYNC110
                    await asyncio.sleep(DRAIN_POLL_S)
                await asyncio.gather(
                    *(services.snapshots.write(room) for room in self._rooms.values())
                )
        except TimeoutError:
            log.error("Not all commits were settled within %s s", limit_s)
        for session in list(self.sessions):
            session.goodbye(
                errors.DRAINING, retry_after_s=GOODBYE_SPREAD_S * services.clock.random()
            )
        try:
            async with asyncio.timeout(GOODBYE_WAIT_S):
                while self.sessions:  # noqa: ASYNC110
                    await asyncio.sleep(DRAIN_POLL_S)
        except TimeoutError:
            log.info("%d sockets did not answer the close", len(self.sessions))
        try:
            async with asyncio.timeout(LAST_WORK_S):
                await self._seen.flush()
                await services.tasks.settled()
        except TimeoutError:
            log.warning("Not all that was under way has ended in time")

    async def stop(self) -> None:
        """End all work. What drain didn't settle stays as the store has it."""
        openings = list(self._opening.values())
        for opening in openings:
            opening.cancel()
        await asyncio.gather(*openings, return_exceptions=True)
        await self.services.committer.stop()
        await self.services.tasks.stop()
