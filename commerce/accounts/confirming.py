"""Confirming that an address is its account's, by a mailed link."""

from __future__ import annotations

from typing import Final

from commerce.accounts.errors import DeadLinkError
from commerce.accounts.links import OneTimeLinks
from commerce.accounts.mails import AccountMails
from commerce.accounts.security import Event, note
from storage.users import User, Users

CONFIRM_TTL_S: Final = 3 * 86_400


class Confirming:
    """Asks for confirmations and takes them."""

    def __init__(self, users: Users, links: OneTimeLinks, mails: AccountMails) -> None:
        self._users = users
        self._links = links
        self._mails = mails

    async def ask(self, user: User) -> None:
        """Mail a link to an account, unless it is confirmed already."""
        if user.confirmed:
            return
        token = await self._links.issue("confirm", user.id, CONFIRM_TTL_S)
        self._mails.link("confirm", user, token, CONFIRM_TTL_S)

    async def confirm(self, token: str) -> User:
        """The account, whose address counts as theirs from now on. Raises DeadLinkError."""
        user_id = await self._links.check("confirm", token)
        # Before the link is used up: should this end in between, the link is good still.
        await self._users.confirm(user_id)
        user = await self._users.find(user_id)
        if user is None or not user.confirmed:
            raise DeadLinkError("confirm", "replaced")
        await self._links.redeem("confirm", token)
        note(Event.CONFIRMED, user_id)
        return user
