"""What people are called in open rooms, as that changes."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pymongo.errors import PyMongoError

from realtime.derived import users_gone
from realtime.reducer import Entry
from realtime.wire import FORMER_MEMBER, Event, make_event

if TYPE_CHECKING:
    from realtime.hub import Hub
    from realtime.room import Room

NEW_NAMES_MAX: Final = 1_000
NEW_NAME_S: Final = 30.0
"""For so long a name that was told is taken for newer than what comes of a look-up."""

log = logging.getLogger(__name__)


class NewNames:
    """Names that people have got lately.

    Who looks a name up and uses it later, as a room does that is being opened, may have read it
    before it was changed, and must not put the old one in the place of the new.
    """

    def __init__(self) -> None:
        self._names: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._asking: dict[str, object] = {}
        """The latest look-up of each user's new name that is under way."""

    def ask(self, user: str) -> object:
        """The name is looked up now; whatever look-up of it was under way is out of date."""
        self._asking[user] = asked = object()
        return asked

    def end(self, user: str, asked: object) -> bool:
        """Whether the look-up that began as `asked` was the latest."""
        if self._asking.get(user) is not asked:
            return False
        del self._asking[user]
        return True

    def note(self, user: str, name: str, now_s: float) -> None:
        self._names[user] = (name, now_s + NEW_NAME_S)
        self._names.move_to_end(user)
        if len(self._names) > NEW_NAMES_MAX:
            self._names.popitem(last=False)

    def forget(self, user: str) -> None:
        """Nothing is to be left of the user."""
        self._names.pop(user, None)

    def over(self, names: Mapping[str, str], now_s: float) -> dict[str, str]:
        """These names, in place of each that has changed lately the new one."""
        latest = dict(names)
        for user in self._names.keys() & names.keys():
            name, until_s = self._names[user]
            if now_s < until_s:
                latest[user] = name
        return latest


def events_of(room: Room, entries: list[Entry]) -> list[Event]:
    """A commit's entries with the names of people as they are after it."""
    gone = users_gone(entries)
    if gone:
        room.names.update(dict.fromkeys(gone, FORMER_MEMBER))
        room.recent.clear()  # of ops that tell the names they had
    return [make_event(entry, room.names) for entry in entries]


async def spread(hub: Hub, user: str) -> None:
    """Look up a user's new name and tell it in the rooms that are open.

    Where the store doesn't answer they keep the old one, until they are opened anew.
    """
    services = hub.services
    asked, name = services.new_names.ask(user), None
    try:
        name = (await services.directory.names([user])).get(user)
    except PyMongoError as error:
        log.warning("A new name isn't told: %s", type(error).__name__, extra={"user": user})
    finally:
        is_latest = services.new_names.end(user, asked)
    if name is None or not is_latest:
        return
    services.new_names.note(user, name, services.clock.monotonic())
    hub.sign_ins.rename(user, name)
    for room in list(hub.open_rooms()):
        _tell(room, user, name)


def tell_latest(room: Room) -> None:
    """Put the names right that have changed while the room was being opened."""
    services = room.services
    latest = services.new_names.over(room.names, services.clock.monotonic())
    for user, name in latest.items():
        _tell(room, user, name)


def _tell(room: Room, user: str, name: str) -> None:
    if room.names.get(user) in (None, FORMER_MEMBER, name):
        return
    room.names[user] = name
    room.recent.clear()  # of ops that tell the old one
    if room.committed.role(user) is not None:
        room.audience.refresh_all()
