"""A new password for who has lost theirs, by a mailed link."""

from __future__ import annotations

import time
from typing import Final

from commerce.accounts.choosing import check_choice
from commerce.accounts.errors import DeadLinkError
from commerce.accounts.links import OneTimeLinks
from commerce.accounts.mails import AccountMails
from commerce.accounts.passwords import Passwords
from commerce.accounts.security import Event, note
from commerce.accounts.sessions import Sessions
from commerce.accounts.timing import hide
from storage.users import User, Users

RESET_TTL_S: Final = 30 * 60


class Resetting:
    """Mails links and takes them."""

    def __init__(
        self,
        users: Users,
        passwords: Passwords,
        sessions: Sessions,
        links: OneTimeLinks,
        mails: AccountMails,
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._sessions = sessions
        self._links = links
        self._mails = mails

    async def ask(self, email: str) -> None:
        """Mail a link to whoever has this address.

        Where nobody has it as much is done and nothing is mailed: who asks can't tell.
        """
        started_s = time.perf_counter()
        await self._ask(email)
        await hide(started_s)

    async def _ask(self, email: str) -> None:
        record = await self._users.find_by_email(email)
        user = None if record is None else record.user
        if user is None or not _may_come_back(user):
            token = await self._links.feign("reset", RESET_TTL_S)
            self._mails.no_link("reset", token, RESET_TTL_S)
            note(Event.RESET_ASKED, None, user=None)
            return
        token = await self._links.issue("reset", user.id, RESET_TTL_S)
        self._mails.link("reset", user, token, RESET_TTL_S)
        note(Event.RESET_ASKED, None, user=user.id)

    async def complete(self, token: str, password: str) -> None:
        """Have this password open the account, and end all of its sessions.

        Raises DeadLinkError, WeakPasswordError, and PasswordsBusyError before anything was done.
        The link went to the account's address, which is confirmed by that.
        """
        user_id = await self._links.check("reset", token)
        user = await self._users.find(user_id)
        if user is None or not _may_come_back(user):
            raise DeadLinkError("reset", "replaced")
        check_choice(password, user.email, user.name)
        hashed = await self._passwords.hash(password)
        await self._links.redeem("reset", token)
        await self._users.change_password(user_id, hashed)
        await self._users.confirm(user_id)
        note(Event.PASSWORD_RESET, user_id)
        await self._sessions.tell_of_epoch(user_id)
        self._mails.password_changed(user)


def _may_come_back(user: User) -> bool:
    return not user.disabled and not user.guest and not user.going
