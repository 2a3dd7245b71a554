"""What each part of the service forgets with an account, or hands over with a guest's carts."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from commerce.accounts.deletion import Forget
from commerce.accounts.guests import CARTS_MAX, HandOver
from commerce.accounts.links import OneTimeLinks
from handlers import keys
from realtime.inboxes import InboxPushes
from storage.cart_settings import CartSettings
from storage.links import Links
from storage.mail_due import MailDue
from storage.memberships import Memberships
from storage.notifications import Notifications
from storage.seen import Seen
from storage.sessions import SessionRecords
from storage.users import User, Users


def forgetting(app: web.Application) -> Mapping[str, Forget]:
    """One entry a part, by its name. Rate limits aren't among them: they hold hashes alone."""
    database = app[keys.DATABASE]
    mail_due = MailDue(database)
    links, sessions = OneTimeLinks(Links(database)), SessionRecords(database)

    async def web_sessions(user: User) -> None:
        removed = await app[keys.WEB_SESSIONS].delete_of(user.id)
        await app[keys.WEB_CACHE].delete(*removed)

    async def notifications(user: User) -> None:
        await Notifications(database).forget(user.id)
        await CartSettings(database).forget(user.id)
        carts = await Memberships(database).carts_ever_of(user.id)
        await Seen(database).forget_user(user.id, carts)

    return {
        "invitations": lambda user: app[keys.INVITING].forget_user(user.id, user.email),
        "links": lambda user: links.forget(user.id),
        "browsers": web_sessions,
        "notifications": notifications,
        "sign-ins": lambda user: sessions.delete_of(user.id),
        "mails to come": lambda user: mail_due.forget(user.id),
        "mails": lambda user: app[keys.MAILER].forget(user.id, user.email),
    }


def handing_over(app: web.Application) -> HandOver:
    """What becomes an account's of a guest's, beside the carts."""
    database = app[keys.DATABASE]
    notifications, settings = Notifications(database), CartSettings(database)

    async def hand_over(guest: str, into: str) -> None:
        if not await Users(database).names_of_staying([into]):
            # The account is gone, too, or about to be: nobody is left to whom this could go.
            await notifications.forget(guest)
            await settings.forget(guest)
            return
        inbox, changed = await notifications.move(guest, into)
        if changed:
            await MailDue(database).note(into, 0)  # to see when that is
            hub = app[keys.HUB]
            InboxPushes(hub.push_to_user, hub.services.directory.names).moved(inbox)
        await settings.move(guest, into, CARTS_MAX)

    return hand_over
