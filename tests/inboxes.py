"""Notifications for tests that are about something else: put where the service keeps them."""

from __future__ import annotations

from handlers import keys
from storage.notifications import CHANGES, Notification, Notifications, notification_id
from tests.client import Account, Server


async def notified(
    server: Server, user: Account, by: Account, cart: str = "crt_0123456789abcdef01234567"
) -> Notification:
    """`user` has been told of what `by` did in a cart; it is unread."""
    one = Notification(
        id=notification_id(user.user, cart, by.user, CHANGES, 5),
        kind=CHANGES,
        cart=cart,
        cart_name="Picnic",
        actor=by.user,
        window=5,
        first_rev=5,
        last_rev=7,
        count=3,
        kinds={"add": 2, "rename": 1},
        lines=[{"line": "lin_5_0", "sku": "APPLE", "name": "Apple", "qty": 4}],
        opened_at=1_700_000_000_000,
        at=1_700_000_060_000,
    )
    notifications = Notifications(server.app[keys.DATABASE])
    await notifications.change(user.user, lambda inbox: [*inbox.items, one])
    return one
