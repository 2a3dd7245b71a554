"""The load that every system gets: rooms of seats, each adding pieces in a closed loop.

What differs between the systems is how a seat speaks; that is in `dialects` and `yjs`. Here is
what all share: who waits for what, what counts as acknowledged and as delivered, and the checks.
"""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bench.socket_client import TEXT, LoadSocket, connect

ANSWER_S = 30.0
DRAIN_S = 60.0
POLL_S = 0.02
JOINS_AT_ONCE = 10
SKUS: Sequence[str] = tuple(f"PEER-{number:02}" for number in range(20))


class WrongResultError(Exception):
    """A system did not do what the comparison takes for granted; its figures mean nothing."""


@dataclass
class Plan:
    """How much load. `ops_max` bounds the ops of a seat."""

    sockets: int = 400
    room: int = 4
    in_flight: int = 1
    warmup_s: float = 3.0
    seconds: float = 10.0
    ops_max: int | None = None


@dataclass
class Tally:
    """What came back, in seconds from the sending of the op: acknowledgements while it was
    measured, and deliveries of the ops that were sent meanwhile, however late they came."""

    running: bool = True
    measuring: bool = False
    ack_s: list[float] = field(default_factory=list)
    delivery_s: list[float] = field(default_factory=list)
    sent_at: dict[object, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Seat(ABC):
    """A socket in a room, speaking one system's protocol. `opened`, then ops as they come."""

    path = "/"

    def __init__(self, tally: Tally, room: Room, number: int, ops_max: int | None) -> None:
        self.tally = tally
        self.room = room
        self.number = number
        self.ops_max = ops_max
        self.n = 0
        self.acked = 0
        self.received = 0
        self.waiting: dict[int, float] = {}
        self.socket: LoadSocket | None = None
        self._answers: dict[object, asyncio.Future[Any]] = {}

    async def connect(self, host: str, port: int) -> None:
        self.socket = await connect(host, port, self.path, self._take)

    def _take(self, frame: bytes) -> None:
        try:
            self.on_frame(frame)
        except Exception as error:
            # A frame that we can't read is a fault of the run, which reports it and ends.
            self.tally.faults.append(f"{error!r} at the frame {frame[:200]!r}")

    @property
    def lost(self) -> bool:
        return self.socket is None or self.socket.closed.done()

    @abstractmethod
    async def join(self) -> None:
        """Sign in where there is such a thing, open the room's cart, and be told its changes."""

    @abstractmethod
    def send_add(self, n: int, sku: str) -> object:
        """Send the `n`th op of this seat; answers what receivers will know it by."""

    @abstractmethod
    def on_frame(self, frame: bytes) -> None: ...

    @abstractmethod
    async def read_pieces(self) -> int:
        """Pieces in the room's cart, as the server holds it."""

    def send(self, message: bytes, opcode: int = TEXT) -> None:
        assert self.socket is not None
        self.socket.send(message, opcode)

    async def answer(self, key: object) -> Any:
        """What `answered` is given for this key."""
        future = self._answers[key] = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(future, ANSWER_S)

    def answered(self, key: object, value: object) -> bool:
        """Hand a reply to whoever waits for it; False when nobody does."""
        future = self._answers.pop(key, None)
        if future is not None and not future.done():
            future.set_result(value)
        return future is not None

    async def ask(self, key: object, message: Mapping[str, object]) -> Any:
        """Send a request as JSON and wait for its reply."""
        self.send(msgspec.json.encode(message))
        return await self.answer(key)

    def next_op(self) -> None:
        if not self.tally.running or self.n == self.ops_max:
            return
        self.n += 1
        self.waiting[self.n] = now = time.perf_counter()
        name = self.send_add(self.n, random.choice(SKUS))
        if self.tally.measuring:
            self.tally.sent_at[name] = now

    def acknowledged(self, n: int) -> None:
        sent = self.waiting.pop(n, None)
        if sent is None:
            self.tally.faults.append(f"an acknowledgement of op {n}, which does not wait for one")
            return
        self.acked += 1
        if self.tally.measuring:
            self.tally.ack_s.append(time.perf_counter() - sent)
        self.next_op()

    def delivered(self, name: object) -> None:
        """Count a change made by another seat of the room."""
        self.received += 1
        sent = self.tally.sent_at.get(name)
        if sent is not None:
            self.tally.delivery_s.append(time.perf_counter() - sent)


@dataclass
class Room:
    """A cart and those who have it open. `id` is the system's own name for the cart."""

    number: int
    seats: list[Seat] = field(default_factory=list)
    id: str = ""

    @property
    def acked(self) -> int:
        return sum(seat.acked for seat in self.seats)

    def settled(self) -> bool:
        """Whether every op is acknowledged and everybody else in the room was told of it."""
        total = self.acked
        return all(not seat.waiting and seat.received >= total - seat.acked for seat in self.seats)


async def fill_rooms(
    kind: Callable[[Tally, Room, int, int | None], Seat], plan: Plan, host: str, port: int
) -> tuple[Tally, list[Room]]:
    """All rooms, with everybody in them."""
    tally = Tally()
    rooms = [Room(number) for number in range(plan.sockets // plan.room)]
    for room in rooms:
        room.seats = [kind(tally, room, number, plan.ops_max) for number in range(plan.room)]
    for first in range(0, len(rooms), JOINS_AT_ONCE):
        batch = rooms[first : first + JOINS_AT_ONCE]
        await asyncio.gather(*(_fill(room, host, port) for room in batch))
    return tally, rooms


async def _fill(room: Room, host: str, port: int) -> None:
    """The first seat opens the cart; the others find it."""
    for seat in room.seats:
        await seat.connect(host, port)
        await seat.join()


async def run_closed(
    tally: Tally, rooms: list[Room], plan: Plan, mark: Callable[[], None]
) -> float:
    """Warm up, measure, stop, wait for what is under way. `mark` is called as measuring begins and
    as it ends. Answers the seconds that were measured. Raises WrongResultError."""
    seats = [seat for room in rooms for seat in room.seats]
    for seat in seats:
        for _ in range(plan.in_flight):
            seat.next_op()
    await asyncio.sleep(plan.warmup_s)
    mark()
    tally.measuring, began = True, time.perf_counter()
    await asyncio.sleep(plan.seconds)
    tally.measuring, elapsed_s = False, time.perf_counter() - began
    mark()
    tally.running = False
    deadline = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline and not all(room.settled() for room in rooms):
        if tally.faults or any(seat.lost for seat in seats):
            break
        await asyncio.sleep(POLL_S)
    _check(tally, seats)
    return elapsed_s


def _check(tally: Tally, seats: list[Seat]) -> None:
    """Every op sent was acknowledged, and reached each other member exactly once."""
    if tally.faults:
        raise WrongResultError(f"{len(tally.faults)} faults, the first: {tally.faults[0]}")
    lost = sum(seat.lost for seat in seats)
    if lost:
        raise WrongResultError(f"{lost} of {len(seats)} sockets were closed during the run")
    for seat in seats:
        if seat.waiting or seat.acked != seat.n:
            raise WrongResultError(f"{seat.acked} of {seat.n} ops of a seat were acknowledged")
        expected = seat.room.acked - seat.acked
        if seat.received != expected:
            raise WrongResultError(f"a seat was told {seat.received} of {expected} changes")


async def check_pieces(rooms: list[Room]) -> None:
    """Every cart holds a piece for each acknowledged op, by its server's word."""
    for room in rooms:
        pieces = await room.seats[0].read_pieces()
        if pieces != room.acked:
            raise WrongResultError(f"a cart holds {pieces} pieces after {room.acked} ops")
