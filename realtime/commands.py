"""What the requests about one cart do, ops aside. See `COMMANDS`.

Each runs alone in its lane and returns the frames to send: the reply, then what comes with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from realtime import inboxes, inviting, wire
from realtime.derived import users_named
from realtime.entries import decode_entries
from realtime.errors import CartroomError
from realtime.limits import HISTORY_BYTES_MAX, HISTORY_DEFAULT, RESUME_BYTES_MAX, ROOM_SOCKETS_MAX
from realtime.messages import (
    CartCreate,
    CartHistory,
    CartInvitations,
    CartInvite,
    CartJoin,
    CartLeave,
    CartMute,
    CartUninvite,
    PresenceSet,
    Request,
)
from realtime.ops import Create
from realtime.wire import Event

if TYPE_CHECKING:
    from realtime.lane import Lane
    from realtime.room import Room

DEFAULT_NAME = "Cart"


def cart_id(user: str, op_id: str | None, token: str) -> str:
    """A new cart's id: from (user, op_id) where there is one, so that a resend finds it."""
    if op_id is None:
        return f"crt_{token[:24]}"
    return f"crt_{hashlib.sha256(f'{user} {op_id}'.encode()).hexdigest()[:24]}"


def creation(request: CartCreate, room: Room) -> Create:
    return Create(
        name=request.name or DEFAULT_NAME,
        currency=request.currency or room.services.currency,
    )


def created(lane: Lane, room: Room, request: CartCreate) -> list[bytes]:
    """The reply to `cart.create`: the creator has joined."""
    session = lane.session
    try:
        room.check_reader(session.user)
        _subscribe(lane, room)
    except CartroomError as error:
        return [session.error_frame(request.id, error)]
    return _joined(lane, room, request.id, None)


async def join(lane: Lane, room: Room, request: CartJoin) -> list[bytes]:
    session = lane.session
    await session.hub.ensure_fresh(room, request.rev or 0)
    room.check_reader(session.user)
    missed = await _missed(room, request.rev)
    # From here on nothing waits, so no commit can come between reply and pushes.
    room.check_reader(session.user)
    _subscribe(lane, room)
    session.hub.inboxes.joined(session.user, room.cart, room.committed.rev)
    return _joined(lane, room, request.id, missed)


def _joined(
    lane: Lane, room: Room, request_id: wire.RequestId, missed: list[Event] | None
) -> list[bytes]:
    """The reply to who has just subscribed, with what was missed or else a state."""
    position = room.position(lane.session.user, lane.session.client)
    if missed is None:
        reply = wire.ok(request_id, **position, state=room.rendered_state())
    else:
        reply = wire.ok(request_id, **position, ops=wire.raw_list(missed))
    return [reply, room.presence.frame()]


def check_place(lane: Lane) -> None:
    """Raise `limit_exceeded` when the socket has joined, or is creating, as many as it may."""
    limit = lane.session.hub.services.limits.carts_joined
    others = (other for other in lane.session.lanes.values() if other is not lane)
    if sum(other.joined or other.creating for other in others) >= limit:
        raise CartroomError("limit_exceeded", f"A socket joins at most {limit} carts at once.")


def _subscribe(lane: Lane, room: Room) -> None:
    session = lane.session
    if session.closed:
        raise CartroomError("unavailable", "The socket is closed.")
    check_place(lane)
    subscriptions = room.audience.subscriptions
    if session not in subscriptions and len(subscriptions) >= ROOM_SOCKETS_MAX:
        raise CartroomError("limit_exceeded", "Too many have this cart open.")
    subscription = room.audience.add(session)
    subscription.behind = False
    if not lane.joined:
        lane.joined = True
        room.presence.join(session)


async def _missed(room: Room, rev: int | None) -> list[Event] | None:
    """The events after `rev` up to the committed head; None where a state serves better."""
    if not rev:
        return None
    head = room.committed.rev
    if rev > head or head - rev > room.services.limits.resume_ops:
        return None
    events = room.recent.since(rev, head)
    if events is None:
        events = await read_events(room, rev + 1, head)
        # What was committed while we read is in memory, or a state it must be.
        later = room.recent.since(head, room.committed.rev)
        if later is None:
            return None
        events += later
    size = sum(len(event.event) for event in events)
    return None if size > RESUME_BYTES_MAX else events


async def read_events(room: Room, low: int, high: int) -> list[Event]:
    """The events with low <= rev <= high from the log. Raises PyMongoError."""
    documents = await room.services.log.covering(room.cart, low, high)
    entries = [
        entry
        for document in documents
        for entry in decode_entries(document)
        if low <= entry.rev <= high
    ]
    users = users_named(entries) - room.names.keys()
    names = {**await room.services.directory.names(users), **room.names} if users else room.names
    return [wire.make_event(entry, names) for entry in entries]


async def leave(lane: Lane, room: Room, request: CartLeave) -> list[bytes]:
    if lane.joined:
        lane.joined = False
        room.audience.remove(lane.session)
    return [wire.ok(request.id)]


async def history(lane: Lane, room: Room, request: CartHistory) -> list[bytes]:
    session = lane.session
    await session.hub.ensure_fresh(room)
    room.check_reader(session.user)
    head = room.committed.rev
    high = head if request.before is None else min(head, request.before - 1)
    low = max(1, high - (request.limit or HISTORY_DEFAULT) + 1)
    events = await read_events(room, low, high) if high >= low else []
    room.check_reader(session.user)
    events = _latest_within(events, HISTORY_BYTES_MAX)
    more = bool(events) and events[0].rev > 1
    return [wire.ok(request.id, ops=wire.raw_list(events), more=more)]


def _latest_within(events: list[Event], size_max: int) -> list[Event]:
    """The latest events that fit into `size_max` bytes, and at least one."""
    size = 0
    for index in range(len(events) - 1, -1, -1):
        size += len(events[index].event)
        if size > size_max:
            return events[index + 1 :] or events[-1:]
    return events


async def set_presence(lane: Lane, room: Room, request: PresenceSet) -> list[bytes]:
    if not lane.joined:
        room.check_reader(lane.session.user)
        raise CartroomError("bad_request", "Join the cart before you tell others what you look at.")
    limit = room.services.limits.presence_bytes
    if len(msgspec.json.encode(request.data)) > limit:
        raise CartroomError("too_large", f"`data` may take at most {limit} bytes as JSON.")
    room.presence.set(lane.session, request.data)
    return [wire.ok(request.id)]


COMMANDS: dict[type[Request], Callable[[Lane, Room, Any], Awaitable[list[bytes]]]] = {
    CartJoin: join,
    CartLeave: leave,
    CartHistory: history,
    CartMute: inboxes.mute,
    CartInvite: inviting.invite,
    CartInvitations: inviting.invitations,
    CartUninvite: inviting.uninvite,
    PresenceSet: set_presence,
}
