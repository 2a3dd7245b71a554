"""JSON as it goes out: events, states, replies and pushes, encoded once.

Frames are bytes. An event is encoded when its op is committed; every frame that carries it is
put together from those bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from realtime.errors import CartroomError
from realtime.reducer import Effect, Entry
from realtime.state import CartState, Line, Shelf
from storage.times import rfc3339

_encode = msgspec.json.Encoder().encode

RequestId = int | str | None

NEVER_S: Final = 253_402_300_800.0
"""The year 10000, which RFC 3339 can't tell."""

FORMER_MEMBER: Final = "Former member"
"""What everybody is called whose account is gone."""


def encode(message: Any) -> bytes:
    return _encode(message)


def moment(at_s: float) -> str | None:
    """As `rfc3339`, of seconds since the epoch; None for what never comes."""
    return None if at_s >= NEVER_S else rfc3339(int(at_s * 1_000))


class Event(msgspec.Struct, frozen=True, gc=False):
    """A committed op, encoded. `event` is its object in `cart.ops`; the effect ends it.

    Rooms keep thousands. They hold nothing but text and numbers, so the garbage collector, whose
    full runs grow with what it has to look at, need not know them.
    """

    rev: int
    op_id: str | None
    by: str
    hash: str
    at: str
    event: bytes
    op_size: int
    results: bytes | None

    @property
    def op(self) -> bytes:
        """The effect's JSON."""
        return self.event[-1 - self.op_size : -1]


def make_event(entry: Entry, names: Mapping[str, str]) -> Event:
    op = _encode(with_names(entry.op, names))
    at = rfc3339(entry.at)
    event = b'{"rev":%d,"op_id":%b,"by":%b,"at":"%b","op":%b}' % (
        entry.rev,
        _encode(entry.op_id),
        _encode(entry.by),
        at.encode(),
        op,
    )
    results = None if entry.results is None else _encode(entry.results)
    return Event(entry.rev, entry.op_id, entry.by, entry.hash, at, event, len(op), results)


def with_names(effect: Effect, names: Mapping[str, str]) -> Effect:
    """The effect with the names of those whom it lets in, which the log doesn't hold."""
    if effect["kind"] == "merge":
        return {**effect, "name": names.get(effect["into"], FORMER_MEMBER)}
    if effect["kind"] != "share":
        return effect
    users = [
        {**grant, "name": names.get(grant["user"], FORMER_MEMBER)} for grant in effect["users"]
    ]
    return {**effect, "users": users}


def ops_push(cart: str, events: Iterable[Event]) -> bytes:
    """`cart.ops`."""
    joined = b",".join([event.event for event in events])
    return b'{"type":"cart.ops","cart":"%b","ops":[%b]}' % (cart.encode(), joined)


def op_reply(request: RequestId, cart: str, event: Event) -> bytes:
    """The `ok` to a committed `cart.op`."""
    results = b"" if event.results is None else b',"results":' + event.results
    return b'{"id":%b,"type":"ok","cart":"%b","rev":%d,"at":"%b","op":%b%b}' % (
        _encode(request),
        cart.encode(),
        event.rev,
        event.at.encode(),
        event.op,
        results,
    )


def ok(request: RequestId, **fields: Any) -> bytes:
    return _encode({"id": request, "type": "ok", **fields})


def error(request: RequestId, problem: CartroomError) -> bytes:
    return _encode({"id": request, "type": "error", **problem.as_dict()})


def push(kind: str, **fields: Any) -> bytes:
    return _encode({"type": kind, **fields})


def raw_list(events: Iterable[Event]) -> msgspec.Raw:
    """Events as a JSON list, to embed in a message."""
    return msgspec.Raw(b"[" + b",".join([event.event for event in events]) + b"]")


def lines_of(shelf: Shelf) -> list[Line]:
    return list(shelf.lines.values())


def render_state(state: CartState, names: Mapping[str, str]) -> dict[str, Any]:
    """A cart's state as clients see it. Prices and totals in minor units of `currency`.

    `total` equals `subtotal` as long as a cart has no shipping, taxes or promotions.
    """
    return {
        "name": state.name,
        "note": state.note,
        "currency": state.currency,
        "status": state.status,
        "lines": lines_of(state.shelf),
        "saved": lines_of(state.saved),
        "members": [
            {
                "user": member.user,
                "name": names.get(member.user, FORMER_MEMBER),
                "role": member.role,
            }
            for member in state.members.values()
        ],
        "totals": {
            "lines": len(state.shelf.lines),
            "pieces": state.shelf.pieces,
            "subtotal": state.shelf.subtotal,
            "total": state.shelf.subtotal,
        },
    }
