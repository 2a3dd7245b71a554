"""What people are called in open rooms, as that changes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from realtime.derived import users_gone
from realtime.reducer import Entry
from realtime.wire import FORMER_MEMBER, Event, make_event

if TYPE_CHECKING:
    from realtime.hub import Hub
    from realtime.room import Room

log = logging.getLogger(__name__)


def events_of(room: Room, entries: list[Entry]) -> list[Event]:
    """A commit's entries with the names of people as they are after it."""
    gone = users_gone(entries)
    if gone:
        room.names.update(dict.fromkeys(gone, FORMER_MEMBER))
        room.recent.clear()  # of ops that tell the names they had
    return [make_event(entry, room.names) for entry in entries]


async def spread(hub: Hub, user: str, rooms: list[Room]) -> None:
    """Look up a user's new name and tell it in these rooms.

    Where the store doesn't answer they keep the old one, until they are opened anew.
    """
    try:
        name = (await hub.services.directory.names([user])).get(user)
    except PyMongoError as error:
        log.warning("A new name isn't told: %s", type(error).__name__, extra={"user": user})
        return
    if name is not None:
        hub.sign_ins.rename(user, name)
        for room in rooms:
            _tell(room, user, name)


def _tell(room: Room, user: str, name: str) -> None:
    if room.names.get(user) in (None, FORMER_MEMBER, name):
        return
    room.names[user] = name
    room.recent.clear()  # of ops that tell the old one
    if room.committed.role(user) is not None:
        room.audience.refresh_all()
