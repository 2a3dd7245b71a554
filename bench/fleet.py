"""Sockets in rooms, and the ops that they send: what every kind of load is made of."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bench.socket_client import LoadSocket, connect
from bench.tally import Sample, Tally

AT_ONCE = 50
"""Rooms being opened, or sockets joining, at any time of the set-up."""
ANSWER_S = 60.0
SHARE_USERS_MAX = 200
FIRST_REQUEST = 100
"""Ids below belong to the set-up, those from here on to ops."""
SAMPLED_ROOMS = 100
"""Rooms in which deliveries are timed, spread over all."""

REV = re.compile(rb'"rev":(\d+)')


class SetUpError(Exception):
    """The load could not be put up. The message says what was refused."""


@dataclass(frozen=True, slots=True)
class Account:
    user: str
    token: str


class Seat:
    """One client: its place in a room, its connection, and what it waits for."""

    __slots__ = (
        "account",
        "cart",
        "client",
        "fleet",
        "instance",
        "last_ack",
        "last_push",
        "n",
        "op_head",
        "place",
        "replies",
        "sampled",
        "sent",
        "socket",
        "waiting",
    )

    def __init__(self, fleet: Fleet, account: Account, instance: int = 0) -> None:
        self.fleet = fleet
        self.account = account
        self.instance = instance
        self.client = str(uuid.uuid4())
        self.cart = ""
        self.n = 0
        self.sent = 0
        self.place = -1
        """Where it is among the fleet's active seats; -1 while it isn't."""
        self.sampled = False
        self.op_head = b""
        self.socket: LoadSocket | None = None
        self.waiting: dict[int, float] = {}
        """By request id, the scheduled times of ops without an answer."""
        self.replies: dict[int, asyncio.Future[bytes]] = {}
        self.last_ack = b""
        self.last_push = b""

    async def connect(self) -> None:
        host, port = self.fleet.addresses[self.instance]
        self.socket = await connect(host, port, self.fleet.path(self), self.on_frame)

    async def hello(self) -> None:
        await self.connect()
        await self.ask(1, type="hello", client=self.client, token=self.account.token)

    async def join(self, **fields: Any) -> dict[str, Any]:
        return await self.ask(2, type="cart.join", cart=self.cart, **fields)

    async def ask(self, request: int, **message: Any) -> dict[str, Any]:
        """Send a request of the set-up and wait for its answer. Raises SetUpError."""
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.replies[request] = reply
        assert self.socket is not None
        self.socket.send(json.dumps({"id": request, **message}).encode())
        try:
            answer: dict[str, Any] = json.loads(await asyncio.wait_for(reply, ANSWER_S))
        except TimeoutError:
            raise SetUpError(f"no answer to {message['type']} within {ANSWER_S:.0f} s") from None
        if answer["type"] == "error":
            raise SetUpError(f"{message['type']} was refused: {answer}")
        return answer

    async def op(self, request: int, **op: Any) -> dict[str, Any]:
        """Make an op of the set-up and wait for it."""
        self.n += 1
        op_id = f"{self.client}:{self.n}"
        return await self.ask(request, type="cart.op", cart=self.cart, op_id=op_id, op=op)

    def sit_down(self, cart: str) -> None:
        """Belong to a cart from now on."""
        self.cart = cart
        # All of an op's frame but its numbers and its sku: the load must be cheap.
        self.op_head = b',"type":"cart.op","cart":"%b","op_id":"%b:' % (
            cart.encode(),
            self.client.encode(),
        )

    def send_op(self, scheduled_s: float, now_s: float) -> None:
        """Add a piece of a random product. `now_s - scheduled_s` is the load's own lag."""
        fleet = self.fleet
        tally = fleet.tally
        self.n = n = self.n + 1
        self.sent += 1
        request = n + FIRST_REQUEST
        self.waiting[request] = scheduled_s
        tally.sent += 1
        tally.lag_s.append(now_s - scheduled_s)
        if self.sampled:
            op_id = b"%b:%d" % (self.client.encode(), n)
            tally.samples[op_id] = Sample(scheduled_s, self.instance)
        ops = fleet.ops
        op = ops[int(random.random() * len(ops))]  # `choice` costs as much as all the rest
        frame = b'{"id":%d%b%d",%b' % (request, self.op_head, n, op)
        tally.sent_bytes += len(frame)
        self.socket.send(frame)  # type: ignore[union-attr]

    def on_frame(self, frame: bytes) -> None:
        if frame.startswith(b'{"type":"cart.ops"'):
            tally = self.fleet.tally
            self.last_push = frame
            tally.pushes += 1
            tally.push_bytes += len(frame)
            tally.deliveries += frame.count(b'"rev":')
            if self.sampled:
                self._time_deliveries(frame, tally)
        elif frame.startswith(b'{"id":'):
            self._on_reply(frame)
        elif frame.startswith(b'{"type":"cart.state"'):
            self.fleet.states += 1

    def _on_reply(self, frame: bytes) -> None:
        request = int(frame[6 : frame.index(b",", 6)])
        scheduled_s = self.waiting.pop(request, None)
        if scheduled_s is None:
            reply = self.replies.pop(request, None)
            if reply is not None and not reply.done():
                self.last_ack = frame
                reply.set_result(frame)
            return
        now_s = time.perf_counter()
        fleet = self.fleet
        if b'"type":"error"' in frame[:64]:
            code = str(json.loads(frame)["code"])
            fleet.errors[code] = fleet.errors.get(code, 0) + 1
        else:
            self.last_ack = frame
            fleet.tally.on_ack(self.instance, scheduled_s, now_s, len(frame))
        if fleet.on_answer is not None:
            fleet.on_answer(self, now_s)

    def _time_deliveries(self, frame: bytes, tally: Tally) -> None:
        now_s = time.perf_counter()
        at = frame.find(b'"op_id":"')
        while at >= 0:
            end = frame.index(b'"', at + 9)
            sample = tally.samples.get(frame[at + 9 : end])
            if sample is not None:
                near = sample.instance == self.instance
                (tally.within_s if near else tally.across_s).append(now_s - sample.scheduled_s)
            at = frame.find(b'"op_id":"', end)

    @property
    def lost(self) -> bool:
        """Whether its connection has ended."""
        return self.socket is None or self.socket.closed.done()

    @property
    def rev(self) -> int:
        """The last rev that came, by a push or an answer."""
        revs = [REV.findall(frame) for frame in (self.last_ack, self.last_push)]
        return max((int(found[-1]) for found in revs if found), default=0)


class Fleet:
    """All seats of a run on one or more instances, and what is counted of them.

    `on_answer(seat, now_s)`, if set, is called after each answer to an op: a closed loop sends
    the next one there.
    """

    def __init__(self, urls: Sequence[str], skus: Sequence[str]) -> None:
        parts = [urlsplit(url) for url in urls]
        self.addresses = [(part.hostname or "127.0.0.1", part.port or 80) for part in parts]
        self.ops = [
            b'"op":{"kind":"add","items":[{"sku":"%b","qty":1}]}}' % sku.encode() for sku in skus
        ]
        self.path: Callable[[Seat], str] = lambda _seat: "/ws"
        self.seats: list[Seat] = []
        self.active: list[Seat] = []
        """Those that may send."""
        self.tally = Tally()
        self.errors: dict[str, int] = {}
        self.states = 0
        self.on_answer: Callable[[Seat, float], None] | None = None

    def activate(self, seat: Seat) -> None:
        seat.place = len(self.active)
        self.active.append(seat)

    def rest(self, seat: Seat) -> None:
        """Let a seat send nothing for now."""
        last = self.active.pop()
        if last is not seat:
            self.active[seat.place] = last
            last.place = seat.place
        seat.place = -1

    async def open_rooms(
        self,
        accounts: Sequence[Account],
        size: int,
        place: Callable[[int, int], int] = lambda room, seat: 0,
    ) -> None:
        """Make rooms of `size` with a seat an account; `place(room, seat)` names the instance."""
        rooms = len(accounts) // size
        groups = [accounts[first * size : (first + 1) * size] for first in range(rooms)]
        step = max(1, rooms // SAMPLED_ROOMS)

        async def open_one(number: int) -> None:
            seats = [
                Seat(self, account, place(number, index))
                for index, account in enumerate(groups[number])
            ]
            await self._open_room(seats, sampled=number % step == 0)

        await at_once(open_one, rooms)

    async def _open_room(self, seats: list[Seat], *, sampled: bool) -> None:
        first, *others = seats
        await first.hello()
        first.n = 1
        created = await first.ask(2, type="cart.create", op_id=f"{first.client}:1")
        for seat in seats:
            seat.sit_down(str(created["cart"]))
            seat.sampled = sampled
        await share(first, [seat.account.user for seat in others])
        for seat in others:
            await seat.hello()
            await seat.join()
        for seat in seats:
            self.seats.append(seat)
            self.activate(seat)

    async def open_bare(self, count: int, size: int) -> None:
        """Connect seats in rooms of `size` to a yardstick, which knows neither carts nor users."""
        self.path = lambda seat: f"/ws?room={seat.cart}"

        async def open_one(index: int) -> None:
            seat = Seat(self, Account("", ""))
            seat.sit_down(f"crt_{index // size:024x}")
            await seat.connect()
            self.seats.append(seat)
            self.activate(seat)

        await at_once(open_one, count)

    async def settle(self, limit_s: float) -> None:
        """Wait until every op is answered, for `limit_s` at most."""
        deadline_s = time.perf_counter() + limit_s
        while any(seat.waiting for seat in self.seats):
            if time.perf_counter() > deadline_s:
                return
            await asyncio.sleep(0.05)

    def cut(self) -> None:
        """Drop every connection."""
        for seat in self.seats:
            if seat.socket is not None:
                seat.socket.cut()

    async def close(self) -> None:
        """Close every connection as browsers do."""
        sockets = [seat.socket for seat in self.seats if seat.socket is not None]
        await at_once(lambda index: sockets[index].leave(), len(sockets))


async def share(owner: Seat, users: Sequence[str]) -> None:
    """Make editors of the users."""
    for first in range(0, len(users), SHARE_USERS_MAX):
        part = users[first : first + SHARE_USERS_MAX]
        grants = [{"user": user, "role": "editor"} for user in part]
        await owner.op(3, kind="share", users=grants)


async def at_once(work: Callable[[int], Any], count: int, limit: int = AT_ONCE) -> None:
    """Await `work(index)` for each index below `count`, `limit` of them at a time."""
    indices = iter(range(count))

    async def worker() -> None:
        for index in indices:
            await work(index)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(limit, count)):
            group.create_task(worker())
