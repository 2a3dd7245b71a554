"""A lane: one socket's requests for one cart, answered in the order of their coming.

Ops flow into the room one after the other without waiting for each other's commit. Whatever needs
to look at committed state (a join, a history) waits until the ops before it are answered, and the
requests after it wait for it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from realtime import commands, wire
from realtime.errors import CartroomError
from realtime.messages import CartCreate, CartOp, Request, split_op_id
from realtime.ops import Op, content_hash
from realtime.pending import Answer, Need, OpRequest
from realtime.wire import Event

if TYPE_CHECKING:
    from realtime.room import Room
    from realtime.session import Session

log = logging.getLogger(__name__)


class _Slot(msgspec.Struct, eq=False):
    """A reply owed. `frames` are what to send, once it is known."""

    request: Request
    arrived_s: float
    frames: list[bytes] | None = None


class Lane:
    """Belongs to a session; ends when it owes nothing and the cart isn't joined."""

    def __init__(self, session: Session, cart: str) -> None:
        self.session = session
        self.cart = cart
        self.room: Room | None = None
        self.joined = False
        self.creating = False
        """The cart is being made, and will be joined."""
        self._slots: deque[_Slot] = deque()
        self._waiting: deque[_Slot] = deque()
        self._ops = 0
        self._occupations = 0
        self._advancing = False

    def submit(self, request: Request) -> None:
        slot = _Slot(request, self.session.heard_s)
        self._slots.append(slot)
        self.session.owed += 1
        if isinstance(request, CartOp) and self.room is not None and self._is_free():
            self._start_op(slot, request, self.room)  # as most are, at once
            return
        self._waiting.append(slot)
        self._advance()

    def _is_free(self) -> bool:
        return not (self._waiting or self._occupations or self._advancing)

    def _advance(self) -> None:
        if self._advancing:
            return
        self._advancing = True
        while self._waiting and not self._occupations:
            slot = self._waiting[0]
            if isinstance(slot.request, CartOp) and self.room is not None:
                self._waiting.popleft()
                self._start_op(slot, slot.request, self.room)
            elif self._ops:
                break  # until these are answered
            else:
                self._waiting.popleft()
                self._occupy(partial(self._run, slot))
        self._advancing = False
        self._end_if_unused()

    def _is_member(self) -> bool:
        return self.room is not None and self.room.committed.role(self.session.user) is not None

    def _occupy(self, work: Callable[[], Awaitable[None]]) -> None:
        """Keep the lane for `work` alone until it ends, and whatever it occupies it with."""
        self._occupations += 1

        async def occupied() -> None:
            try:
                await work()
            finally:
                self._occupations -= 1
                self._advance()

        self.session.hub.services.tasks.start(occupied(), f"lane {self.cart}")

    async def _run(self, slot: _Slot) -> None:
        request = slot.request
        try:
            if self.room is None:
                self.room = await self.session.hub.acquire(self.cart)
            if self.session.closed:
                return
            if isinstance(request, CartOp):
                self._start_op(slot, request, self.room)
                return
            if isinstance(request, CartCreate):
                await self._create(slot, request, self.room)
                return
            if not self._is_member():
                await self.session.hub.look_again(self.room)
            async with self.session.reads:
                # Many a large answer can be asked for before the first of them is there.
                if not await self.session.until_read():
                    return
                frames = await commands.COMMANDS[type(request)](self, self.room, request)
        except Exception as error:
            frames = [self.session.failure_frame(request, error, cart=self.cart)]
        self._fill(slot, frames)

    # Ops

    def _start_op(self, slot: _Slot, request: CartOp, room: Room) -> None:
        def done(answer: Answer) -> None:
            self._op_done(slot, answer)

        self._op_begins()
        self._submit(self._request(slot, request.op, request.op_id, room, done), room)

    def _request(
        self, slot: _Slot, op: Op, op_id: str | None, room: Room, done: Callable[[Answer], None]
    ) -> OpRequest:
        """An op of this socket's, as the room takes it. Only a creation may come without op_id."""
        client, n = split_op_id(op_id) if op_id else ("", 0)
        session = self.session
        # Of a closed tab's client nobody has said where it was.
        roaming = session.roaming if client == session.client else room.services.bus.shared
        return OpRequest(
            user=session.user,
            op_id=op_id,
            client=client,
            n=n,
            op=op,
            hash=content_hash(op),
            peer=session,
            done=done,
            deadline=slot.arrived_s + room.services.timing.commit_timeout_s,
            roaming=roaming,
        )

    def _op_begins(self) -> None:
        self._ops += 1
        self.session.under_way += 1

    def _op_ends(self) -> None:
        self._ops -= 1
        self.session.op_ended()

    def _submit(self, op: OpRequest, room: Room) -> None:
        try:
            need = room.submit(op)
        except Exception:
            # Nothing final: the room may have queued it before this happened.
            where = {"conn": self.session.conn, "cart": self.cart, "op": op.op_id}
            log.exception("An op failed", extra=where)
            op.answer(CartroomError("unavailable", "This failed on our side; try again."))
            return
        if need is not None:
            self._occupy(partial(self._satisfy, op, need, room))

    async def _satisfy(self, op: OpRequest, need: Need, room: Room) -> None:
        if await room.recovery.satisfy(op, need):
            self._submit(op, room)

    def _op_done(self, slot: _Slot, answer: Answer) -> None:
        session = self.session
        self._op_ends()
        session.hub.services.metrics.op_seconds.observe(session.clock.monotonic() - slot.arrived_s)
        if log.isEnabledFor(logging.DEBUG):
            self._log_answer(slot.request, answer)
        if isinstance(answer, Event):
            frame = wire.op_reply(slot.request.id, self.cart, answer)
        else:
            frame = session.error_frame(slot.request.id, answer)
        self._fill(slot, [frame])
        if self._waiting or not self.joined:
            self._advance()

    def _log_answer(self, request: Request, answer: Answer) -> None:
        where = {"conn": self.session.conn, "cart": self.cart}
        if isinstance(request, CartOp):
            where["op"] = request.op_id
        if isinstance(answer, Event):
            log.debug("Op committed", extra={**where, "rev": answer.rev})
        else:
            log.debug("Op refused", extra={**where, "code": answer.code})

    async def _create(self, slot: _Slot, request: CartCreate, room: Room) -> None:
        """Creation is the cart's first op; whoever creates a cart has joined it.

        Raises `limit_exceeded` before anything has had an effect.
        """
        session = self.session
        commands.check_place(self)

        def done(answer: Answer) -> None:
            self._op_ends()
            self.creating = False
            if isinstance(answer, Event):
                self._fill(slot, commands.created(self, room, request))
            else:
                self._fill(slot, [session.error_frame(request.id, answer)])
            self._advance()

        op = commands.creation(request, room)
        asked = self._request(slot, op, request.op_id, room, done)
        asked.users = {session.user: session.name}
        self._op_begins()
        self.creating = True
        need = room.submit(asked)
        while need is not None and await room.recovery.satisfy(asked, need):
            need = room.submit(asked)

    # Replies

    def _fill(self, slot: _Slot, frames: list[bytes]) -> None:
        slot.frames = frames
        while self._slots and self._slots[0].frames is not None:
            self.session.owed -= 1
            for frame in self._slots.popleft().frames or ():
                self.session.send(frame)

    # The end

    def left(self) -> None:
        """The subscription has ended."""
        self.joined = False
        self._end_if_unused()

    def _end_if_unused(self) -> None:
        if self._occupations or self._slots or self._waiting or self.joined or self._advancing:
            return
        self.session.end_lane(self)

    def close(self) -> None:
        """The socket is gone: stop listening. Ops that were handed in take their course."""
        self._waiting.clear()
        self._slots.clear()
        if self.joined and self.room is not None:
            self.joined = False
            self.room.audience.remove(self.session)
        if not self._occupations:
            self.session.end_lane(self)
