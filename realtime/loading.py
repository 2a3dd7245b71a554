"""Opening a cart: its snapshot, then the log's tail on top, then what was derived, repaired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtime import wire
from realtime.derived import memberships_changed, users_named
from realtime.entries import decode_entries
from realtime.reducer import Entry, apply
from realtime.room import Room
from realtime.state import CartState

if TYPE_CHECKING:
    from realtime.services import Services


async def load_room(services: Services, cart: str) -> Room:
    """The room at the head of the cart's log; at rev 0 when the cart doesn't exist.

    Raises PyMongoError when the store is away, NewerFormatError for a later version's data.
    """
    snapshot = await services.carts.load(cart)
    state = CartState(cart) if snapshot is None else CartState.from_document(snapshot)
    snapshot_rev = state.rev
    entries: list[Entry] = []
    for document in await services.log.tail(cart, state.rev):
        entries += decode_entries(document)
    before = list(state.members)
    for entry in entries:
        apply(state, entry)
    users = {*before, *state.members, *users_named(entries)}
    names = dict(await services.directory.names(users))
    room = Room(services, state, names)
    room.snapshot_rev = snapshot_rev
    room.recent.extend([wire.make_event(entry, names) for entry in entries])
    # A snapshot is of settled state, whose memberships were written; the tail's may be missing.
    for membership in memberships_changed(entries, state, before):
        await services.memberships.put(membership)
    if entries:
        services.snapshots.schedule(room)
    return room
