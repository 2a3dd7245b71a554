"""What each part of the service is asked to forget when an account is deleted."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from commerce.accounts.deletion import Forget
from commerce.accounts.links import OneTimeLinks
from handlers import keys
from storage.links import Links
from storage.sessions import SessionRecords
from storage.users import User


def forgetting(app: web.Application) -> Mapping[str, Forget]:
    """One entry a part, by its name. Rate limits aren't among them: they hold hashes alone."""
    database = app[keys.DATABASE]
    links, sessions = OneTimeLinks(Links(database)), SessionRecords(database)

    async def web_sessions(user: User) -> None:
        removed = await app[keys.WEB_SESSIONS].delete_of(user.id)
        await app[keys.WEB_CACHE].delete(*removed)

    return {
        "invitations": lambda user: app[keys.INVITING].forget_user(user.id, user.email),
        "links": lambda user: links.forget(user.id),
        "browsers": web_sessions,
        "sign-ins": lambda user: sessions.delete_of(user.id),
        "mails": lambda user: app[keys.MAILER].forget(user.id, user.email),
    }
