"""Acting for a user: ops that the service itself makes, as when an account is deleted.

They go through the cart's room as everybody's do: deduplicated by op_id, judged on the state that
they commit on, acknowledged once they are durable. They need no socket.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from commerce.accounts.guests import RoomsBusyError
from realtime.errors import CartroomError
from realtime.hub import Hub
from realtime.messages import split_op_id
from realtime.ops import Depart, Merge, Op, content_hash
from realtime.pending import Answer, OpRequest
from realtime.services import Services
from realtime.wire import Event
from storage.memberships import Membership

PATIENCE_S: Final = 15.0
RETRY_FIRST_S: Final = 0.05
RETRY_MAX_S: Final = 1.0

Done = Callable[[Answer], None]

_DEEDS: Final = uuid.UUID("b3b9f3c0-52a7-4c38-8d1b-6f0c4a2f9e17")


@dataclass(frozen=True, slots=True)
class _Deed:
    user: str
    op_id: str
    op: Op
    names: Mapping[str, str]


def deed_id(*words: str) -> str:
    """The op_id of what these words name, always the same: so doing it again has no effect.

    It is the only op of a client of its own. Name what tells one doing from the next, too.
    """
    return f"{uuid.uuid5(_DEEDS, ' '.join(words))}:1"


async def perform(
    hub: Hub,
    cart: str,
    *,
    user: str,
    op_id: str,
    op: Op,
    names: Mapping[str, str] | None = None,
    patience_s: float = PATIENCE_S,
) -> Event:
    """Have `op` by `user` take effect; answers the committed event, at each time the same one.

    `names` are those of users that come in with it and aren't looked up: a cart's creator.
    Raises CartroomError: a final one, or after `patience_s` of temporary ones the last of these.
    After that, and after this process died, it may take effect yet: perform it again, under the
    same op_id, to know. A final refusal speaks of the latest state; only an earlier try, by
    another instance that dies meanwhile, may have its effect after it.
    """
    deed = _Deed(user, op_id, op, names or {})
    clock = hub.services.clock
    give_up_s = clock.monotonic() + patience_s
    delay_s = RETRY_FIRST_S
    while True:
        answer = await _ask(hub, cart, deed)
        if isinstance(answer, Event):
            return answer
        if not answer.temporary or hub.draining or clock.monotonic() + delay_s > give_up_s:
            raise answer
        await clock.sleep(delay_s * (0.5 + clock.random() / 2))
        delay_s = min(delay_s * 2, RETRY_MAX_S)


async def _ask(hub: Hub, cart: str, deed: _Deed) -> Answer:
    """The answer to one try."""
    if hub.draining:
        return CartroomError("unavailable", "This server is shutting down; try again.")
    try:
        room = await hub.acquire(cart)
    except CartroomError as error:
        return error
    answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def done(told: Answer) -> None:
        if not answer.done():  # who asked may have been cancelled
            answer.set_result(told)

    request = _request(hub.services, deed, done)
    try:
        need = room.submit(request)
        while need is not None and await room.recovery.satisfy(request, need):
            need = room.submit(request)
        return await answer
    finally:
        hub.release(cart)


def _request(services: Services, deed: _Deed, done: Done) -> OpRequest:
    client, n = split_op_id(deed.op_id)
    return OpRequest(
        user=deed.user,
        op_id=deed.op_id,
        client=client,
        n=n,
        op=deed.op,
        hash=content_hash(deed.op),
        peer=None,
        done=done,
        deadline=services.clock.monotonic() + services.timing.commit_timeout_s,
        users=dict(deed.names),
        # A refusal goes on no record: people would read of what nobody of them has tried.
        roaming=False,
    )


class ActingRooms:
    """Changes carts for `commerce`: implements `commerce.accounts.guests.GuestCarts`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def merge(self, membership: Membership, into: str) -> None:
        """Make what a guest has in a cart `into`'s. Raises RoomsBusyError.

        If that account is gone by now, too, the guest just departs.
        """
        guest = membership.user
        try:
            await self._do("merge", membership, into, Merge(guest, into))
        except CartroomError as error:
            if error.extra.get("user") == into:
                await self.depart(membership)
            elif error.code != "not_found":  # as it is for who is in the cart no more
                raise

    async def depart(self, membership: Membership) -> None:
        """Have a user leave a cart for good; twice is as once. Raises RoomsBusyError."""
        try:
            await self._do("depart", membership, membership.user, Depart(membership.user))
        except CartroomError as error:
            if error.code != "not_found":
                raise

    async def _do(self, what: str, membership: Membership, by: str, op: Op) -> None:
        # Who was let in again since then is another doing.
        op_id = deed_id(what, membership.cart, membership.user, by, str(membership.rev))
        try:
            await perform(self._hub, membership.cart, user=by, op_id=op_id, op=op)
        except CartroomError as error:
            if error.temporary:
                raise RoomsBusyError(error.message) from error
            raise
