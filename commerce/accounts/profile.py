"""What people say of themselves and choose: name, language, currency, which mails, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from commerce.accounts.errors import InvalidSessionError
from commerce.accounts.sessions import Sessions
from storage.mail_due import MailDue
from storage.users import User, Users

MAIL_CHOICES: Final = frozenset({"notifications", "time_zone", "quiet_hours", "digest_at"})


class Profiles:
    """Changes profiles.

    A new name is told to open carts at once, on every instance. Where Redis is away, others learn
    it when they open a cart anew, and at the latest 30 s after.
    """

    def __init__(self, users: Users, sessions: Sessions, mail_due: MailDue) -> None:
        self._users = users
        self._sessions = sessions
        self._mail_due = mail_due

    async def change(self, user_id: str, changes: Mapping[str, Any]) -> User:
        """Set what is given of the fields of a profile, and of `notifications` by kind.

        Returns the account as it is then. Raises InvalidSessionError when it is gone.
        """
        fields = {name: value for name, value in changes.items() if name != "notifications"}
        for kind, wanted in changes.get("notifications", {}).items():
            fields[f"notifications.{kind}"] = wanted
        if fields and not await self._users.change(user_id, fields):
            raise InvalidSessionError
        if not MAIL_CHOICES.isdisjoint(changes):
            await self._mail_due.note(user_id, 0)  # what waits may be due at another time now
        if "name" in fields:
            self._sessions.renamed(user_id)
        user = await self._users.find(user_id)
        if user is None:
            raise InvalidSessionError
        return user
