"""What users are told of what happened in their carts: lists, reading, muting, pushes.

`Inboxes` answers the requests. What an inbox becomes is pushed to every socket of its user, on all
instances; whoever changed it announces it, also a process without rooms.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pymongo.errors import PyMongoError

from realtime import wire
from realtime.errors import CartroomError
from realtime.limits import CARTS_PER_USER_MAX, NOTIFICATIONS_PAGE
from realtime.messages import CartMute
from realtime.wire import FORMER_MEMBER
from storage.cart_settings import CartSettings
from storage.notifications import Inbox, Notification, Notifications
from storage.seen import Seen
from storage.times import rfc3339

if TYPE_CHECKING:
    from realtime.hub import Hub
    from realtime.lane import Lane
    from realtime.room import Room

JOINED_MAX: Final = 20_000
"""Users who have joined a cart and whose notifications wait to be marked as read."""

log = logging.getLogger(__name__)

Names = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]
PushToUser = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class InboxStores:
    """Where inboxes are kept, and what decides over what comes into them."""

    notifications: Notifications
    settings: CartSettings
    seen: Seen


def rendered(
    one: Notification, names: Mapping[str, str], cart_names: Mapping[str, str]
) -> dict[str, Any]:
    """A notification as clients see it."""
    return {
        "id": one.id,
        "kind": one.kind,
        "cart": one.cart,
        "cart_name": cart_names.get(one.cart, one.cart_name),
        "by": {"user": one.actor, "name": names.get(one.actor, FORMER_MEMBER)},
        "count": one.count,
        "kinds": one.kinds,
        "lines": one.lines,
        "first_rev": one.first_rev,
        "last_rev": one.last_rev,
        "at": rfc3339(one.at),
        "opened_at": rfc3339(one.opened_at),
        "read": one.read,
    }


class InboxPushes:
    """Tells a user's sockets what has become of the inbox."""

    def __init__(self, push_to_user: PushToUser, names: Names) -> None:
        self._push_to_user = push_to_user
        self._names = names

    async def raised(self, inbox: Inbox, one: Notification) -> None:
        """One has come, or has more to tell. Raises PyMongoError."""
        names = await self._names({one.actor})
        self._push(inbox, rendered(one, names, {}), [])

    def read(self, inbox: Inbox, ids: Sequence[str]) -> None:
        """These have been read."""
        self._push(inbox, None, ids)

    def moved(self, inbox: Inbox) -> None:
        """It is another than before: ask for it."""
        self._push(inbox, None, [])

    def _push(self, inbox: Inbox, shown: dict[str, Any] | None, read: Sequence[str]) -> None:
        message = {
            "type": "notification",
            "kind": "inbox",
            "version": inbox.version,
            "unread": inbox.unread,
            "notification": shown,
            "read": list(read),
        }
        self._push_to_user(inbox.user, message)


class Inboxes:
    """The inboxes of the users whose sockets an instance has. One a hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._joined: dict[str, dict[str, int]] = {}
        """Who has joined which carts at which revs, and may have been told of these before."""
        self._marking = False

    def stores(self) -> InboxStores:
        stores = self._hub.services.inboxes
        if stores is None:
            raise CartroomError("unavailable", "There are no notifications here.")
        return stores

    def _pushes(self) -> InboxPushes:
        return InboxPushes(self._hub.push_to_user, self._hub.services.directory.names)

    async def listed(self, user: str, limit: int | None, cursor: str | None) -> dict[str, Any]:
        """A page: `{notifications, unread, version, cursor?}`. Raises `bad_request`."""
        after = None if cursor is None else _decode_cursor(cursor)
        inbox = await self.stores().notifications.inbox(user)
        found = [one for one in inbox.items if after is None or (one.at, one.id) < after]
        page = found[: limit or NOTIFICATIONS_PAGE]
        names = await self._hub.services.directory.names({one.actor for one in page})
        cart_names = await self._cart_names(user, {one.cart for one in page})
        answer: dict[str, Any] = {
            "notifications": [rendered(one, names, cart_names) for one in page],
            "unread": inbox.unread,
            "version": inbox.version,
        }
        if len(found) > len(page):
            answer["cursor"] = _encode_cursor(page[-1])
        return answer

    async def _cart_names(self, user: str, carts: Iterable[str]) -> dict[str, str]:
        """What the carts are called now, of which the user is a member; others are as they were."""
        services = self._hub.services
        own = {one.cart for one in await services.memberships.of_user(user, CARTS_PER_USER_MAX)}
        found = await services.carts.summaries(sorted(own.intersection(carts)))
        return {cart: summary["name"] for cart, summary in found.items()}

    async def read(self, user: str, ids: Sequence[str] | None) -> dict[str, Any]:
        """Mark these as read, or all: `{unread, version}`."""
        inbox, marked = await self.stores().notifications.mark_read(user, ids)
        if marked:
            self._pushes().read(inbox, marked)
        return {"unread": inbox.unread, "version": inbox.version}

    async def mute(self, user: str, cart: str, *, muted: bool) -> None:
        """Have the user hear no more of what others do in a cart, or again; twice is as once.

        Every socket of theirs is told. Whether they are in the cart is not looked at.
        """
        await self.stores().settings.mute(user, cart, muted=muted)
        message = {"type": "notification", "kind": "cart.muted", "cart": cart, "muted": muted}
        self._hub.push_to_user(user, message)

    async def muted_by(self, user: str, carts: Sequence[str]) -> set[str]:
        """Those of the carts that the user has muted."""
        stores = self._hub.services.inboxes
        return set() if stores is None else await stores.settings.muted_by(user, carts)

    # Who opens a cart has seen what happened in it.

    def joined(self, user: str, cart: str, rev: int) -> None:
        """The user looks at a cart at this rev: what they were told of it before is read."""
        if self._hub.services.inboxes is None or len(self._joined) >= JOINED_MAX:
            return
        carts = self._joined.setdefault(user, {})
        carts[cart] = max(rev, carts.get(cart, 0))
        if not self._marking:
            self._marking = True
            self._hub.services.tasks.start(self._mark(), "mark what was seen as read")

    async def _mark(self) -> None:
        try:
            while self._joined:
                joined, self._joined = self._joined, {}
                await self._mark_all(joined)
        finally:
            self._marking = False

    async def _mark_all(self, joined: Mapping[str, Mapping[str, int]]) -> None:
        """Most have nothing unread: that is asked of all of them at once."""
        notifications = self.stores().notifications
        try:
            counts = [(user, notifications.asking_unread(user)) for user in joined]
            for user in [user for user, count in counts if await count()]:
                inbox, marked = await notifications.mark_seen(user, joined[user])
                if marked:
                    self._pushes().read(inbox, marked)
        except PyMongoError as error:
            log.warning("What was seen is not marked as read: %s", type(error).__name__)


async def mute(lane: Lane, room: Room, request: CartMute) -> list[bytes]:
    """`cart.mute`, in the lane of its cart."""
    session = lane.session
    await session.hub.ensure_fresh(room)
    room.check_reader(session.user)
    await session.hub.inboxes.mute(session.user, request.cart, muted=request.muted)
    return [wire.ok(request.id, cart=request.cart, muted=request.muted)]


def _encode_cursor(one: Notification) -> str:
    return base64.urlsafe_b64encode(f"{one.at}:{one.id}".encode()).decode()


def _decode_cursor(cursor: str) -> tuple[int, str]:
    try:
        at, _, identity = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        return int(at), identity
    except (ValueError, binascii.Error, UnicodeError):
        raise CartroomError("bad_request", "`cursor` is not one that a list gave you.") from None
